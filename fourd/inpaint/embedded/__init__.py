"""The default: a small diffusion network that is taught by the clip itself, and the clip's own detail on top.

    clip ─> lessons ─> network ─┐
    holes ─> told ─> noise ─> skeleton (1/4 of the size) ─> enlarged ─> detail ─> filled pictures

Nothing is downloaded. The network starts from the weights that lie beside this module, if there are any.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float32
from torch import Tensor

from fourd.errors import InputError
from fourd.events import Progress, Steps
from fourd.inpaint.embedded import code, enlarge, lessons, sampling
from fourd.inpaint.embedded.network import CHANNELS, Network
from fourd.inpaint.nouns import Holes, Pictures

_TABLE = 1 << 16
"""Different values of shared noise."""


@dataclass(frozen=True)
class Settings:
    """How much to spend."""

    lessons: int = 200
    """Batches of eight that the network learns from a clip; 200 take some 30 seconds of one core. 0: none."""
    samples: int = 2
    """Steps of sampling, 1 to 8."""
    size: int = 96
    """Longer side of the skeleton in pixels."""

    def __post_init__(self) -> None:
        for name, low, high in (("lessons", 0, 1_000_000), ("samples", 1, 64), ("size", 32, 512)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(f"Inpainter 'embedded': {name} is {value}; it must lie between {low} and {high}.")


class Embedded:
    """The backend."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._network: Network | None = None

    def learn(self, clip: Pictures, masks: Bool[Tensor, "m h w"], seed: int) -> Steps[None]:
        """See ``fourd.inpaint.Inpainter``. The network begins anew each time."""
        if tuple(masks.shape[1:]) != clip.hw:
            raise InputError(f"Masks of {tuple(masks.shape[1:])} pixels were given for pictures of {clip.hw}.")
        network = fresh(seed)
        if self._settings.lessons and clip.known.any():
            hw = code.skeleton_hw(clip.hw, self._settings.size)
            pictures = code.small(clip, code.unit_of(clip), lessons.loose_hw(hw))
            shapes = F.interpolate(masks[:, None].float(), hw, mode="area")[:, 0] > 0.5
            place = torch.zeros(len(clip), dtype=torch.int64)
            pool = lessons.Pool(pictures, place, shapes, hw)
            yield from lessons.learn(network, pool, lessons.Plan(self._settings.lessons), seed)
        self._network = network

    def fill(self, holes: Holes, seed: int) -> Steps[Pictures]:
        """See ``fourd.inpaint.Inpainter``."""
        if not holes.hole.any():
            return holes.filled(holes.pictures.rgb, holes.pictures.inverse_depth)
        network = self._network or fresh(seed)
        unit, hw = code.unit_of(holes.pictures), code.skeleton_hw(holes.pictures.hw, self._settings.size)
        _, hole, told = code.of_holes(holes, unit, hw)
        noise = shared_noise(holes, hw, seed)
        values = sampling.sample(network, told, hole, noise, holes.neighbours, self._settings.samples)
        large = enlarge.upsampled(values, enlarge.background(values, hole), holes.pictures.hw)
        yield Progress(lessons.STAGE, 1, 1)
        rgb = (0.5 * (large[:, :3] + 1)).permute(0, 2, 3, 1).contiguous()
        return holes.filled(rgb, code.decode(large[:, 3], unit))


def fresh(seed: int) -> Network:
    """A network that knows nothing of any clip."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Network().eval()


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


def load(name: str, lessons: int = 200, samples: int = 2, size: int = 96) -> Embedded:
    """The backend ``"embedded"``.

    Args:
        name: Of the backend.
        lessons: Batches that it learns from a clip before it fills; 0 for none.
        samples: Steps of sampling.
        size: Longer side in pixels of what the network draws; detail comes from the clip itself.

    Raises:
        InputError: If one of them is out of range.
    """
    return Embedded(Settings(lessons, samples, size))
