"""How the network learns: holes whose truth is known are cut into pictures, and it is asked to fill them.

The same lessons serve a single clip, for a minute before its holes are filled, and the stage's scenes, for as long as
the weights that are shipped took (``fourd.inpaint.train``).
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from fourd.events import Progress, Steps
from fourd.inpaint.embedded import code, parallax
from fourd.inpaint.embedded.code import Small
from fourd.inpaint.embedded.network import Network
from fourd.inpaint.nouns import STAGE

_LOOSE = 1.5
"""Pictures are kept so much larger than the skeleton, so that lessons can look closer at a part."""


@dataclass(frozen=True, eq=False)
class Pool:
    """What lessons are made of: pictures of one or many places, a little larger than the skeleton."""

    pictures: Small
    place: Int64[Tensor, " n"]
    """Which place each shows; pictures of one place are each other's neighbours."""
    masks: Bool[Tensor, "m h w"]
    """Shapes of holes, of the skeleton's size; may be none."""
    hw: tuple[int, int]
    """The skeleton's size."""


@dataclass(frozen=True)
class Plan:
    """How much to learn."""

    steps: int
    batch: int = 8
    rate: float = 1.5e-3
    """Of AdamW, at its height; it rises over the first twentieth and falls to nothing."""
    neighbours: int = 2


@dataclass(frozen=True, eq=False)
class Lesson:
    """One batch."""

    clean: Float32[Tensor, "b 4 h w"]
    told: Float32[Tensor, "b 18 h w"]
    hole: Float32[Tensor, "b 1 h w"]
    judged: Float32[Tensor, "b 1 h w"]
    """The part of the hole whose truth is known."""
    neighbours: Int64[Tensor, "b k"]


def loose_hw(hw: tuple[int, int]) -> tuple[int, int]:
    """Size of a pool's pictures for skeletons of size ``hw``."""
    return round(_LOOSE * hw[0]), round(_LOOSE * hw[1])


def lesson(pool: Pool, plan: Plan, random: torch.Generator) -> Lesson:
    """Draw a batch: parts of pictures, some mirrored, with the holes that a camera aside would find in them."""
    b = plan.batch
    index, neighbours = _company(pool.place, b, plan.neighbours, random)
    own = _parts(pool.pictures[index], pool.hw, random)
    hole = _holes(own, pool.masks, random)
    judged = hole * own.known
    seen = Small(own.values * (1 - hole), own.known * (1 - hole))
    evidence, trust = _hearsay(own, judged, random)
    bound = _bound(own, random)
    return Lesson(own.values, code.told(seen, hole, evidence, trust, bound), hole, judged, neighbours)


def _company(
    place: Int64[Tensor, " n"], b: int, k: int, random: torch.Generator
) -> tuple[Int64[Tensor, " b"], Int64[Tensor, "b k"]]:
    """Pictures for a batch, each with neighbours in it that show the same place."""
    together = 1 + k
    first = torch.randint(len(place), (math.ceil(b / together),), generator=random)
    index = []
    for i in first:
        others = (place == place[i]).nonzero()[:, 0]
        index += [int(i), *others[torch.randint(len(others), (k,), generator=random)].tolist()]
    group = torch.arange(b) // together * together
    turn = (torch.arange(b)[:, None] - group[:, None] + 1 + torch.arange(k)) % together
    return torch.tensor(index[:b]), (group[:, None] + turn).clamp(max=b - 1)


def _uniform(random: torch.Generator, n: int, low: float, high: float) -> Tensor:
    return low + (high - low) * torch.rand(n, generator=random)


def _parts(pictures: Small, hw: tuple[int, int], random: torch.Generator) -> Small:
    """Parts of the pictures at the skeleton's size, mirrored half of the time."""
    b = len(pictures)
    size = _uniform(random, b, 0.6, 1.0)
    mirror = torch.where(torch.rand(b, generator=random) < 0.5, -1.0, 1.0)
    room = 1 - size
    theta = torch.zeros(b, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = size * mirror, size
    theta[:, 0, 2], theta[:, 1, 2] = room * _uniform(random, b, -1, 1), room * _uniform(random, b, -1, 1)
    grid = F.affine_grid(theta, [b, 1, *hw], align_corners=False)
    maps = torch.cat([pictures.values * pictures.known, pictures.known], 1)
    drawn = F.grid_sample(maps, grid, mode="bilinear", padding_mode="border", align_corners=False)
    known = (drawn[:, 4:] > 0.5).float()
    return Small(known * drawn[:, :4] / drawn[:, 4:].clamp(min=0.5), known)


def _holes(own: Small, masks: Bool[Tensor, "m h w"], random: torch.Generator) -> Float32[Tensor, "b 1 h w"]:
    b, _, h, w = own.known.shape
    depth = own.values[:, 3]
    longest = 1.1 * max(h, w)
    travel = torch.exp(_uniform(random, b, math.log(0.08), 0.0)) * longest
    travel *= torch.where(torch.rand(b, generator=random) < 0.5, -1.0, 1.0)
    low, high = depth.flatten(1).quantile(0.15, dim=1), depth.flatten(1).quantile(0.85, dim=1)
    pivot = low + (high - low) * torch.rand(b, generator=random)
    aside = parallax.hidden(depth, travel, pivot)
    upright = parallax.hidden(depth, travel, pivot, upright=True)
    hole = torch.where((torch.rand(b, generator=random) < 0.85)[:, None, None], aside, upright)
    if len(masks):
        pick = masks[torch.randint(len(masks), (b,), generator=random)]
        pick = torch.where((torch.rand(b, generator=random) < 0.5)[:, None, None], pick, pick.flip(2))
        other = (torch.rand(b, generator=random) < 0.25)[:, None, None]
        hole = torch.where(other, pick, hole)
    share = hole.float().mean((1, 2))
    # Too much hidden, or nothing: a plain box, its side a third of the picture's.
    y, x = (_uniform(random, b, 0.0, 2 / 3)[:, None, None] for _ in range(2))
    rows, columns = torch.arange(h)[None, :, None] / h, torch.arange(w)[None, None, :] / w
    box = (rows >= y) & (rows < y + 1 / 3) & (columns >= x) & (columns < x + 1 / 3)
    odd = ((share < 0.01) | (share > 0.65))[:, None, None]
    return torch.where(odd, box, hole)[:, None].float()


def _hearsay(own: Small, judged: Tensor, random: torch.Generator) -> tuple[Small, Tensor]:
    """What other moments may have seen of the hole: the truth, the worse the less it is to be trusted."""
    b, _, h, w = judged.shape
    blobs = F.interpolate(torch.randn(b, 1, 4, 6, generator=random), (h, w), mode="bicubic", align_corners=False)
    some = (torch.rand(b, generator=random) < 0.4)[:, None, None, None]
    seen = judged * (blobs > 0.3) * some
    trust = _uniform(random, b, 0.2, 1.0)[:, None, None, None].expand(b, 1, h, w)
    noise = torch.randn(b, 4, h, w, generator=random) + torch.randn(b, 4, 1, 1, generator=random)
    return Small((own.values + 0.25 * (1 - trust) * noise) * seen, seen), trust


def _bound(own: Small, random: torch.Generator) -> Tensor:
    """How near the filling may come: sometimes unknown, sometimes a little nearer than the truth."""
    b = len(own)
    margin = _uniform(random, b, 0.02, 0.6)[:, None, None, None]
    smooth = F.max_pool2d(own.values[:, 3:], 5, 1, 2)
    unknown = (torch.rand(b, generator=random) < 0.5)[:, None, None, None]
    return torch.where(unknown | (own.known < 1), 1.0, (smooth + margin).clamp(max=1))


def learn(network: Network, pool: Pool, plan: Plan, seed: int) -> Steps[None]:
    """Fit the network to a pool, one batch a step."""
    random = torch.Generator().manual_seed(seed)
    network.train()
    descent = Descent(network)
    for step in range(plan.steps):
        loss = judged_loss(network, lesson(pool, plan, random), random)
        network.zero_grad(set_to_none=True)
        loss.backward()
        descent.step(plan.rate * schedule(step, plan.steps))
        if step % 8 == 7 or step + 1 == plan.steps:
            yield Progress(STAGE, step + 1, plan.steps)
    network.zero_grad(set_to_none=True)
    network.eval()


def schedule(step: int, steps: int) -> float:
    """Share of the rate: it rises over the first twentieth of the steps and falls to nothing with the last."""
    rise = max(1, steps // 20)
    return min(1.0, (step + 1) / rise) * 0.5 * (1 + math.cos(math.pi * step / steps))


class Descent:
    """AdamW (Loshchilov and Hutter, 2019). That of ``torch.optim`` imports a compiler first, which takes seconds."""

    def __init__(self, network: Network) -> None:
        self.weights = list(network.parameters())
        self.sizes = [w.numel() for w in self.weights]
        self.mean, self.square = torch.zeros(sum(self.sizes)), torch.zeros(sum(self.sizes))
        self.steps = 0

    def step(self, rate: float, decay: float = 0.01, beta: float = 0.9, gamma: float = 0.99) -> None:
        """Go down by what the weights' gradients say, of which no batch may say more than 1 in all."""
        self.steps += 1
        with torch.no_grad():
            grad = torch.cat([(torch.zeros_like(w) if w.grad is None else w.grad).flatten() for w in self.weights])
            grad /= grad.norm().clamp(min=1.0)
            self.mean.lerp_(grad, 1 - beta)
            self.square.mul_(gamma).addcmul_(grad, grad, value=1 - gamma)
            spread = (self.square / (1 - gamma**self.steps)).sqrt_().add_(1e-8)
            change = self.mean / spread * (-rate / (1 - beta**self.steps))
            for weight, part in zip(self.weights, change.split(self.sizes), strict=True):
                weight.mul_(1 - rate * decay).add_(part.view_as(weight))


def judged_loss(network: Network, lesson: Lesson, random: torch.Generator) -> Tensor:
    """How far the prediction is from the truth in the holes: half absolute, half squared, and in its gradients."""
    b = len(lesson.clean)
    noise = torch.where(torch.rand(b, generator=random) < 0.4, 1.0, torch.rand(b, generator=random))
    share = noise[:, None, None, None]
    mixed = (1 - share) * lesson.clean + share * torch.randn(lesson.clean.shape, generator=random)
    noisy = torch.where(lesson.hole > 0, mixed, lesson.told[:, :4])
    with precision():
        said = network(noisy, lesson.told, noise, lesson.neighbours).float()
    off = (said - lesson.clean) * lesson.judged
    total = lesson.judged.sum().clamp(min=1)
    across, down = off[..., 1:] - off[..., :-1], off[..., 1:, :] - off[..., :-1, :]
    return (off.abs().sum() + 2 * off.square().sum() + 0.5 * (across.abs().sum() + down.abs().sum())) / total


def precision() -> contextlib.AbstractContextManager[object]:
    """Half precision where the processor multiplies it faster; measured here: 0.7 of the time."""
    fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.autocast("cpu", torch.bfloat16) if fast else contextlib.nullcontext()
