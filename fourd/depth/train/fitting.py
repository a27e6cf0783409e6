"""Fit the network to the shards: Muon for the convolutions, small pictures first, edges last."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from fourd.depth.embedded.network import BLOCKS, WIDTHS, Guess, Network, normalised
from fourd.depth.train import losses, shards
from fourd.depth.train.batches import Batch, Source, whole
from fourd.depth.train.wear import Chances
from fourd.errors import FormatError
from fourd.events import Progress, Steps, Warned
from fourd.files import replacing

STAGE = "train"
_LATE = 0.75
"""Share of the time after which the learning rate falls to nothing."""
_SHARP = 0.45
"""Share after which edges begin to count."""
_MEMORY = 0.6
"""Share after which a third of the pictures come with what was said of the frame before."""
_SIZES = ((0.45, 0.5), (1.0, 1.0))
"""Until which share of the time pictures of which share of the full area are shown: the last are the deployed size."""


@dataclass(frozen=True)
class Recipe:
    """How to train."""

    minutes: float = 60.0
    """Of training, all runs together."""
    seed: int = 0
    """Of weights, batches and wear."""
    area: int = 144 * 192
    """Pixels of a picture at the end of training, and when the network is used."""
    widths: tuple[int, ...] = WIDTHS
    """Channels of the network at 1/2, 1/4, ... of the picture's size."""
    blocks: tuple[int, ...] = BLOCKS
    """Residual blocks of its encoder there."""
    backbone: str = ""
    """A model of timm in the plain encoder's place (pip install 'fourd[models]')."""
    learnt: bool = False
    """Begin with the weights that timm downloads for it; mind their licence."""
    batch: int = 16
    """Pictures a step."""
    muon: float = 0.01
    """Learning rate of the convolutions."""
    adam: float = 0.001
    """Learning rate of everything else."""
    recorded: float = 0.15
    """Share of pictures from recordings."""
    save_s: float = 120.0
    """Seconds between states kept on disk."""


class Fit:
    """A network being trained."""

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.device = recipe, device
        shape = recipe.widths, recipe.blocks, recipe.backbone
        self.network = Network(*shape, learnt=recipe.learnt).to(device)
        self.mean = Network(*shape).to(device)
        """The running mean of the weights: what is deployed."""
        self.mean.load_state_dict(self.network.state_dict())
        self.mean.requires_grad_(False).eval()
        inner = [p for name, p in self.network.named_parameters() if p.ndim == 2 and not name.startswith("last")]
        names = {id(p) for p in inner}
        outer = [p for p in self.network.parameters() if id(p) not in names]
        self.rates = (recipe.muon, recipe.adam)
        self.optimizers = (
            torch.optim.Muon(inner, lr=recipe.muon, weight_decay=0.01, ns_steps=4),
            torch.optim.AdamW(outer, lr=recipe.adam, weight_decay=0.0),
        )
        self.seconds, self.steps, self.samples = 0.0, 0, 0
        self.chances = Chances(recipe.seed, device)

    @property
    def share(self) -> float:
        """How much of the time is over."""
        return min(self.seconds / (60 * self.recipe.minutes), 1.0)

    @property
    def area(self) -> int:
        """Pixels of a picture at this stage of the training."""
        return int(next(part for until, part in _SIZES if self.share <= until) * self.recipe.area)

    def step(self, batch: Batch) -> dict[str, float]:
        """One step; returns its losses."""
        share = self.share
        rate = min(1.0, (self.steps + 1) / 50, max((1 - share) / (1 - _LATE), 0.01))
        for optimizer, base in zip(self.optimizers, self.rates, strict=True):
            optimizer.param_groups[0]["lr"] = base * rate
            optimizer.zero_grad(set_to_none=True)
        before = self._before(batch) if share > _MEMORY else torch.zeros_like(batch.log_rho)
        self.network.train()
        guess = self._guess(self.network, batch.rgb, before)
        sharpness = 0.25 * min(max((share - _SHARP) / 0.25, 0.0), 1.0)
        terms = losses.loss(guess, batch, sharpness)
        total = sum(terms.values(), torch.zeros((), device=self.device))
        if torch.isfinite(total):
            total.backward()
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
            for optimizer in self.optimizers:
                optimizer.step()
        self._average()
        self.steps += 1
        self.samples += len(batch.rgb)
        return {name: float(value.detach()) for name, value in terms.items()}

    def _guess(self, network: Network, rgb: Tensor, before: Tensor) -> Guess:
        x = normalised(rgb).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16):
            return network(x, before)

    @torch.no_grad()
    def _before(self, batch: Batch) -> Tensor:
        """What the network said of the frame before: a third of the pictures, grainier and a little displaced."""
        n = max(1, len(batch.rgb) // 3)
        noise = 0.03 * self.chances.normal(*batch.rgb[:n].shape)
        shift = self.chances.below(5) - 2, self.chances.below(5) - 2
        earlier = torch.roll(batch.rgb[:n], shift, (2, 3)) + noise
        said = self._guess(self.mean, earlier, torch.zeros_like(batch.log_rho[:n])).log_rho
        before = torch.zeros_like(batch.log_rho)
        before[:n] = said - said.mean((1, 2), keepdim=True)
        return before

    @torch.no_grad()
    def _average(self) -> None:
        keep = min(0.998, (1 + self.steps) / (20 + self.steps))
        for held, new in zip(self.mean.state_dict().values(), self.network.state_dict().values(), strict=True):
            if held.dtype.is_floating_point:
                held.lerp_(new, 1 - keep)
            else:
                held.copy_(new)

    @torch.no_grad()
    def judge(self, folder: Path) -> float:
        """Mean relative error of depth on the shard kept aside, scale and shift free."""
        kept = shards.read(shards.listed(folder, "wild")[0])
        found: list[float] = []
        h, w = kept.image.shape[1:3]
        scale = (self.recipe.area / (h * w)) ** 0.5
        hw = (round(h * scale / 8) * 8, round(w * scale / 8) * 8)
        for start in range(0, min(len(kept), 96), 24):
            batch = whole(kept, list(range(start, min(start + 24, len(kept)))), hw, self.device)
            guess = self._guess(self.mean, batch.rgb, torch.zeros_like(batch.log_rho))
            found += losses.abs_rel(guess.log_rho.cpu(), batch.log_rho.cpu(), batch.weight.cpu())
        return sum(found) / max(len(found), 1)

    def save(self, path: Path) -> None:
        """Keep everything that is needed to go on later."""
        tensors = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        tensors |= {f"mean.{k}": v for k, v in self.mean.state_dict().items()}
        for i, optimizer in enumerate(self.optimizers):
            for index, state in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer.{i}.{index}.{k}": v for k, v in state.items()}
        tensors = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
        told = dict(seconds=self.seconds, steps=self.steps, samples=self.samples)
        with replacing(path) as fresh:
            save_file(tensors, fresh, {"fourd": json.dumps(told)})

    def resume(self, path: Path) -> None:
        """Go on from a kept state.

        Raises:
            FormatError: If the file is none, or of another network.
        """
        from safetensors import SafetensorError, safe_open

        try:
            tensors = load_file(path)
            with safe_open(path, "pt") as file:
                told = json.loads(file.metadata()["fourd"])
            for name, network in (("network", self.network), ("mean", self.mean)):
                network.load_state_dict(_under(tensors, f"{name}."))
            for i, optimizer in enumerate(self.optimizers):
                state: dict[int, dict[str, Tensor]] = {}
                for key, value in _under(tensors, f"optimizer.{i}.").items():
                    index, name = key.split(".", 1)
                    state.setdefault(int(index), {})[name] = value
                optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
        except (OSError, SafetensorError, KeyError, TypeError, RuntimeError, ValueError) as error:
            raise FormatError(f"{path} is no state of this training ({error}). Delete it to begin anew.") from None
        self.seconds, self.steps, self.samples = told["seconds"], told["steps"], told["samples"]


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def fit(folder: Path, state: Path, recipe: Recipe, device: torch.device) -> Steps[Fit]:
    """Train until the time is over, going on from ``state`` if it is there, and leaving it there.

    Yields Progress in seconds, and Warned with the losses whenever the state is kept.
    """
    work = Fit(recipe, device)
    if state.exists():
        work.resume(state)
    source = Source(folder, recipe.seed + work.steps, recipe.recorded, device)
    source.batch(1, work.area)  # Read the shards before the clock starts.
    kept, mean, last = work.seconds, {}, time.perf_counter()
    while work.share < 1:
        for name, value in work.step(source.batch(recipe.batch, work.area)).items():
            mean[name] = 0.98 * mean.get(name, value) + 0.02 * value
        now = time.perf_counter()
        work.seconds, last = work.seconds + now - last, now
        if work.seconds - kept > recipe.save_s or work.share >= 1:
            work.save(state)
            kept = work.seconds
            told = ", ".join(f"{k} {v:.4f}" for k, v in mean.items())
            yield Warned(
                STAGE, f"{work.seconds:.0f} s, {work.samples} pictures: {told}; kept aside {work.judge(folder):.4f}"
            )
        yield Progress(STAGE, int(work.seconds), int(60 * recipe.minutes))
    return work
