"""The same lessons that a clip gives, from very many places: the state on disk goes on where it was, bit for bit."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from fourd.depth.train import rendering, shards
from fourd.errors import FormatError, InputError
from fourd.events import Progress, Steps
from fourd.files import replacing
from fourd.inpaint.embedded import code, lessons, weights
from fourd.inpaint.embedded.code import Small
from fourd.inpaint.embedded.lessons import Descent, Plan, Pool
from fourd.inpaint.embedded.network import Network
from fourd.inpaint.nouns import Pictures

STAGE = "train"
_VIEWS = 6
"""Pictures of one place that follow each other in a shard."""


@dataclass(frozen=True)
class Recipe:
    """How to train."""

    steps: int = 20_000
    """Batches, all runs together."""
    batch: int = 12
    """Pictures a batch."""
    rate: float = 2e-3
    """Learning rate at its height."""
    seed: int = 0
    """Of weights and batches."""
    hw: tuple[int, int] = (56, 96)
    """Size of the skeletons."""
    shards: int = 8
    """Files of pictures in memory at a time."""
    turn: int = 250
    """Batches after which others take their place."""
    save_s: float = 120.0
    """Seconds between states kept on disk."""


@dataclass(frozen=True)
class Fitted:
    """What came out."""

    network: Network
    steps: int
    loss: float
    """Running mean of the loss over about a hundred batches."""


def fit(folder: Path, count: int, state: Path, recipe: Recipe) -> Steps[Fitted]:
    """Train on the shards 0 to ``count`` - 1 of a folder, from where the state is.

    Raises:
        InputError: If there is no shard.
        FormatError: If the state is of another recipe, or broken.
    """
    there = [k for k in range(count) if rendering.path(folder, k).exists()]
    if not there:
        raise InputError(f"There are no training pictures in {folder}; let this command render some (--shards).")
    network = weights.first(recipe.seed, None) if not state.exists() else Network()
    descent, loss = Descent(network), 0.0
    if state.exists():
        loss = _resume(state, recipe, network, descent)
    kept, pool, plan = time.monotonic(), None, Plan(recipe.steps, recipe.batch, recipe.rate)
    for step in range(descent.steps, recipe.steps):
        if pool is None or step % recipe.turn == 0:
            pool = _pool(folder, there, recipe, step // recipe.turn)
        # Every step has chances of its own, so that going on is the same as never having stopped.
        random = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
        network.train()
        error = lessons.judged_loss(network, lessons.lesson(pool, plan, random), random)
        network.zero_grad(set_to_none=True)
        error.backward()
        descent.step(recipe.rate * lessons.schedule(step, recipe.steps))
        said = float(error.detach())
        loss = said if step == 0 else loss + 0.01 * (said - loss)
        if time.monotonic() - kept > recipe.save_s:
            _keep(state, recipe, network, descent, loss)
            kept = time.monotonic()
        yield Progress(STAGE, step + 1, recipe.steps)
    _keep(state, recipe, network, descent, loss)
    return Fitted(network.eval(), descent.steps, loss)


def _pool(folder: Path, there: list[int], recipe: Recipe, turn: int) -> Pool:
    """Pictures of a few shards, as lessons want them."""
    order = torch.randperm(len(there), generator=torch.Generator().manual_seed(recipe.seed * 7919 + turn))
    values, known, places, place = [], [], [], 0
    for k in order[: recipe.shards].tolist():
        shard = shards.read(rendering.path(folder, there[k]))
        depth = torch.from_numpy(shard.depth).float()
        rgb, sure = torch.from_numpy(shard.image).float() / 255, depth > 0
        for a in range(0, len(shard), _VIEWS):
            part = slice(a, a + _VIEWS)
            pictures = Pictures(rgb[part], torch.where(sure[part], 1 / depth[part], 0.0), sure[part])
            small = code.small(pictures, code.unit_of(pictures), lessons.loose_hw(recipe.hw))
            values.append(small.values)
            known.append(small.known)
            places += [place] * len(small)
            place += 1
    pictures = Small(torch.cat(values), torch.cat(known))
    return Pool(pictures, torch.tensor(places), torch.zeros(0, *recipe.hw, dtype=torch.bool), recipe.hw)


def _told(recipe: Recipe) -> str:
    said = asdict(recipe)
    said.pop("save_s")
    return json.dumps(said)


def _keep(state: Path, recipe: Recipe, network: Network, descent: Descent, loss: float) -> None:
    tensors: dict[str, Tensor] = {f"network.{k}": v.contiguous() for k, v in network.state_dict().items()}
    tensors |= {"mean": descent.mean, "square": descent.square}
    with replacing(state) as fresh:
        save_file(tensors, fresh, {"recipe": _told(recipe), "steps": str(descent.steps), "loss": repr(loss)})


def _resume(state: Path, recipe: Recipe, network: Network, descent: Descent) -> float:
    try:
        with safe_open(state, "pt") as file:
            told = file.metadata() or {}
        if told.get("recipe") != _told(recipe):
            raise FormatError(f"{state} was begun with another recipe, {told.get('recipe')}. Name another --state.")
        tensors = load_file(state)
        network.load_state_dict({k.removeprefix("network."): v for k, v in tensors.items() if k.startswith("network.")})
        descent.mean.copy_(tensors["mean"])
        descent.square.copy_(tensors["square"])
        descent.steps = int(told["steps"])
        return float(told["loss"])
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{state} is not a state of this training ({error}). Remove it, or name another.") from None
