"""The default: a small diffusion network that is taught by the clip itself, and the clip's own detail on top.

    clip ─> lessons ─> network ─┐
    holes ─> told ─> noise ─> skeleton (1/4 of the size) ─> enlarged ─┐
    holes ─> large surfaces, each in its own colours ─────────────────┴─> detail ─> filled pictures

Nothing is downloaded. The network starts from the weights that lie beside this module, if there are any.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float32
from torch import Tensor

from fourd.errors import InputError
from fourd.events import Progress, Steps
from fourd.geometry import clock
from fourd.inpaint import surfaces
from fourd.inpaint.embedded import code, detail, lessons, sampling, weights
from fourd.inpaint.embedded.network import CHANNELS, Network
from fourd.inpaint.nouns import STAGE, Holes, Pictures

_WORTH, _FEWEST = 0.1, 0.3
"""Share of pictures that holes take up from which on all lessons are given. For smaller ones there are fewer, but not
less than this share of them."""
_KEPT = 5
"""Pictures of the clip that detail is taken from."""
_FINE, _COARSE = 1.3, 0.5
"""Strength of the detail laid on large surfaces. What is fine fades where places disagree, and this makes up for it;
what is coarse is seldom where it belongs, and a wrong guess costs more the larger it is."""
_TABLE = 1 << 16
"""Different values of shared noise."""


@dataclass(frozen=True)
class Settings:
    """How much to spend."""

    lessons: int = 100
    """Batches of eight that the network learns from a clip with large holes, fewer where they are small; 100 take some
    15 seconds of one core. 0: none."""
    samples: int = 2
    """Steps of sampling, 1 to 8."""
    size: int = 96
    """Longer side of the skeleton in pixels."""
    detail: float = 1.2
    """Strength of the clip's own detail on the skeleton, 0 to 2. Where places disagree it fades, and a little
    more than 1 makes up for that."""

    def __post_init__(self) -> None:
        for name, low, high in (("lessons", 0, 1_000_000), ("samples", 1, 64), ("size", 32, 512), ("detail", 0, 2)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(f"Inpainter 'embedded': {name} is {value}; it must lie between {low} and {high}.")


class Embedded:
    """The backend."""

    def __init__(self, settings: Settings, path: Path | None = None) -> None:
        self._settings, self._weights = settings, path
        self._network: Network | None = None
        self._clip: Pictures | None = None

    def learn(self, clip: Pictures, masks: Bool[Tensor, "m h w"], seed: int) -> Steps[None]:
        """See ``fourd.inpaint.Inpainter``. The network begins anew each time."""
        if tuple(masks.shape[1:]) != clip.hw:
            raise InputError(f"Masks of {tuple(masks.shape[1:])} pixels were given for pictures of {clip.hw}.")
        network = weights.first(seed, self._weights)
        share = float(masks.float().mean()) if len(masks) else 1.0
        steps = math.ceil(self._settings.lessons * min(1.0, max(_FEWEST, share / _WORTH)))
        if steps and clip.known.any():
            hw = code.skeleton_hw(clip.hw, self._settings.size)
            pictures = code.small(clip, code.unit_of(clip), lessons.loose_hw(hw))
            shapes = F.interpolate(masks[:, None].float(), hw, mode="area")[:, 0] > 0.5
            place = torch.zeros(len(clip), dtype=torch.int64)
            pool = lessons.Pool(pictures, place, shapes, hw)
            yield from lessons.learn(network, pool, lessons.Plan(steps), seed)
        self._network = network
        self._clip = clip[clock.spread(len(clip), _KEPT)]

    def fill(self, holes: Holes, seed: int) -> Steps[Pictures]:
        """See ``fourd.inpaint.Inpainter``."""
        if not holes.hole.any():
            return holes.filled(holes.pictures.rgb, holes.pictures.inverse_depth)
        network = self._network or weights.first(seed, self._weights)
        unit, hw = code.unit_of(holes.pictures), code.skeleton_hw(holes.pictures.hw, self._settings.size)
        painted = surfaces.painted(holes)
        base = code.large(painted.pictures, unit)
        own, hole, told = code.of_holes(holes, unit, hw)
        noise = shared_noise(holes, hw, seed)
        skeletons = sampling.sample(network, told, hole, noise, holes.neighbours, self._settings.samples)
        own_places, surface_places = _places(holes.pictures, own, unit), {}
        clip_places = [detail.none_of(scale) for scale in own_places]
        if self._clip is not None:
            clip = framed(self._clip, holes.pictures.hw)
            clip_places = _places(clip, code.small(clip, unit, hw), unit)
        values, random = code.large(holes.pictures, unit), torch.Generator().manual_seed(seed)
        filled = torch.empty_like(values)
        for i in range(len(holes)):
            known, opened, done = holes.pictures.known[i], holes.hole[i], painted.done[i]
            places = detail.joined(clip_places, own_places, i)
            target = skeletons[i], hole[i], values[i], known
            left = opened & ~done
            filled[i] = detail.lay(*target, left, places, random, self._settings.detail) if left.any() else values[i]
            for number, there in surfaces.apart(holes, done, i):
                if number not in surface_places:
                    surface_places[number] = detail.only(own_places, surfaces.filmed(holes, number))
                places = surface_places[number]
                laid = detail.lay(*target, there, places, random, self._settings.detail, base[i]) - base[i]
                fine = detail.fine(laid, there)
                filled[i] = torch.where(there, base[i] + _FINE * fine + _COARSE * (laid - fine), filled[i])
            yield Progress(STAGE, i + 1, len(holes))
        rgb = (0.5 * (filled[:, :3] + 1)).permute(0, 2, 3, 1).contiguous()
        return holes.filled(rgb, code.decode(filled[:, 3], unit))


def _places(pictures: Pictures, small: code.Small, unit: float) -> list[detail.Scale]:
    return detail.places(code.large(pictures, unit), pictures.known, small.values, small.known)


def framed(pictures: Pictures, hw: tuple[int, int]) -> Pictures:
    """The middle of pictures in a frame of another size, at the same scale; what is added is unknown."""
    (h, w), (H, W) = pictures.hw, hw
    top, left = (H - h) // 2, (W - w) // 2
    border = [left, W - w - left, top, H - h - top]  # Negative ones cut.
    rgb = F.pad(pictures.rgb.permute(0, 3, 1, 2), border).permute(0, 2, 3, 1)
    return Pictures(rgb, F.pad(pictures.inverse_depth, border), F.pad(pictures.known, border))


def shared_noise(holes: Holes, hw: tuple[int, int], seed: int) -> Float32[Tensor, "n 4 h w"]:
    """Gaussian noise, the same for the same spot of the scene where the holes say which that is."""
    random = torch.Generator().manual_seed(seed)
    if holes.grid is None:
        return torch.randn(len(holes), CHANNELS, *hw, generator=random)
    table = torch.randn(_TABLE, CHANNELS, generator=random)
    cell = holes.pictures.hw[1] / hw[1]
    at = F.interpolate(holes.grid.permute(0, 3, 1, 2), hw, mode="nearest-exact")
    x, y = torch.floor(at / cell).long().unbind(1)
    # Large primes scatter neighbouring cells over the table (Teschner et al., 2003).
    return table[(x * 73856093 ^ y * 19349663) % _TABLE].permute(0, 3, 1, 2).contiguous()


def load(
    name: str,
    lessons: int = 100,
    samples: int = 2,
    size: int = 96,
    detail: float = 1.2,
    weights: str | Path | None = None,
) -> Embedded:
    """The backend ``"embedded"``.

    Args:
        name: Of the backend.
        lessons: Batches that it learns from a clip before it fills; 0 for none.
        samples: Steps of sampling.
        size: Longer side in pixels of what the network draws.
        detail: Strength of the clip's own detail on it, 0 to 2.
        weights: A file of weights to begin with, as ``python -m fourd.inpaint.train`` makes it; those that come with
            the package by default, if there are any.

    Raises:
        InputError: If one of them is out of range.
    """
    return Embedded(Settings(lessons, samples, size, detail), None if weights is None else Path(weights))
