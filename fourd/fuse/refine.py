"""Fit splats to the clip by gradient: what fusion placed well becomes what was filmed.

Each step draws one frame, compares it with the picture, and moves the splats that it shows a little. Some
frames are held out; they tell when more learning would only learn the others by heart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from fourd import native
from fourd.events import Progress, Steps
from fourd.fuse.nudges import Nudges
from fourd.fuse.parameters import Parameters
from fourd.native import Picture
from fourd.types import Cameras, Clip, DepthMaps, Splats


@dataclass(frozen=True)
class RefineConfig:
    """How long, and what counts."""

    rounds: int = 3
    """How often each frame is learnt from, at most."""
    steps: int = 200
    """How many pictures are learnt from, at most, however long the clip."""
    ssim: float = 0.2
    """Share of the structural dissimilarity in the loss; the rest is the absolute difference."""
    depth: float = 0.05
    """Weight of the relative difference to depth maps."""
    cover: float = 0.02
    """Weight of what is left uncovered."""
    keep: float = 0.002
    """Weight of the squared change of places and sizes, in the units of ``parameters.RATES``."""
    held_out: int = 8
    """One frame of so many is held out, if there are at least two."""
    nudge: float = 0.0
    """Length of a camera's step in pixels; 0 where cameras are known."""
    grow: float = 0.0
    """Share of the splats that may be added where the pictures ask for more."""
    seed: int = 0


_SLOWEST = 0.1
"""Pace of the last step, as a share of the first."""
_EXAMS = 4
"""How often the held-out frames are asked."""
_FAR = 0.2
"""Relative differences in depth beyond this are outliers of the maps, and pull no more."""


def refine(
    splats: Splats, clip: Clip, maps: DepthMaps, cameras: Cameras, config: RefineConfig = RefineConfig()
) -> Steps[tuple[Splats, Cameras]]:
    """Fit splats to a clip, and cameras with them.

    Args:
        splats: As fused, on the device on which to work.
        clip: The pictures.
        maps: Depth for each, of any size.
        cameras: One for each picture, at its size.
        config: How long, and what counts.

    Returns:
        The fitted splats without those that no frame shows: fewer, never more. And the cameras, moved by less than
        a pixel if ``config.nudge`` says so.
    """
    lesson = _Lesson(clip, maps, cameras.to(splats.mean_m.device), config)
    taught, held = _parted(len(clip), config.held_out)
    steps = min(config.steps, config.rounds * len(taught))
    if steps == 0 or len(splats) == 0:
        return splats, cameras
    learnt = Parameters(splats)
    generator = torch.Generator().manual_seed(config.seed)
    order: list[int] = []
    best = (lesson.exam(learnt, held), learnt.snapshot(), lesson.nudges.snapshot()) if held else None
    total = steps + len(held)
    for step in range(steps):
        if not order:
            order = [taught[k] for k in torch.randperm(len(taught), generator=generator).tolist()]
        lesson.learn(learnt, order.pop(), _SLOWEST ** (step / steps))
        if best is not None and (step + 1) * _EXAMS // steps > step * _EXAMS // steps:
            mark = lesson.exam(learnt, held)
            if mark >= best[0]:
                _, learnt, lesson.nudges = best
                break
            best = (mark, learnt.snapshot(), lesson.nudges.snapshot())
        if config.grow > 0 and step + 1 == steps // 2:
            learnt.divide(int(config.grow * len(splats)))
        yield Progress("refine", step + 1, total)
    for done, i in enumerate(held):  # Splats that live only then have learnt nothing yet.
        lesson.learn(learnt, i, _SLOWEST)
        yield Progress("refine", steps + done + 1, total)
    return learnt.splats()[~learnt.never_shown()], lesson.nudges.cameras().to(cameras.K.device)


def _parted(frames: int, one_of: int) -> tuple[list[int], list[int]]:
    """Frames to learn from, and frames to hold out."""
    held = [i for i in range(frames) if i % one_of == one_of // 2] if frames >= 2 * one_of else []
    return [i for i in range(frames) if i not in held], held


class _Lesson:
    """The clip as something to learn from."""

    def __init__(self, clip: Clip, maps: DepthMaps, cameras: Cameras, config: RefineConfig) -> None:
        self.clip, self.maps, self.cameras, self.config = clip, maps, cameras, config
        self.nudges = Nudges(cameras, _middle(maps).to(cameras.K.device), config.nudge)

    def learn(self, learnt: Parameters, i: int, pace: float) -> None:
        """One step towards frame ``i``."""
        index = learnt.alive(float(self.clip.time_s[i]))
        rows = learnt.rows(index)
        nudge = self.nudges.row(i)
        loss = self._loss(self._draw(learnt.splats(index, rows), i, self.nudges.pose(i, nudge)), i)
        (loss + self.config.keep * learnt.strayed(rows)).backward()
        learnt.learn(index, rows, pace)
        self.nudges.learn(i, nudge, pace)

    @torch.no_grad()
    def exam(self, learnt: Parameters, frames: list[int]) -> float:
        """Mean loss over some frames."""
        losses = []
        for i in frames:
            splats = learnt.splats(learnt.alive(float(self.clip.time_s[i])))
            losses.append(self._loss(self._draw(splats, i, self.nudges.pose(i)), i))
        return float(sum(losses)) / len(losses)

    def _draw(self, splats: Splats, i: int, pose: Float[Tensor, "4 4"]) -> Picture:
        cameras, time_s = self.cameras, float(self.clip.time_s[i])
        return native.draw(splats, cameras.K[i], pose, cameras.hw, time_s)

    def _loss(self, drawn: Picture, i: int) -> Tensor:
        device, config = drawn.rgb.device, self.config
        rgb = self.clip.frames[i].to(device).float() / 255
        loss = (1 - config.ssim) * (drawn.rgb - rgb).abs().mean()
        loss = loss + config.ssim * 0.5 * (1 - ssim(drawn.rgb, rgb)).mean()
        depth_m, sure = self._depth(i, device)
        off = (drawn.depth_m / depth_m - 1).abs().clamp(max=_FAR)
        return loss + config.depth * (off * sure).mean() + config.cover * (1 - drawn.alpha).mean()

    def _depth(self, i: int, device: torch.device) -> tuple[Float[Tensor, "h w"], Float[Tensor, "h w"]]:
        """The depth map at the size of the picture, 1 where it is not known, and how sure it is."""
        maps = torch.stack([self.maps.depth_m[i], self.maps.confidence[i]]).to(device)
        depth_m, sure = F.interpolate(maps[None], self.cameras.hw, mode="nearest-exact")[0]
        known = (sure > 0) & torch.isfinite(depth_m)
        return torch.where(known, depth_m, 1.0), sure * known


def _middle(maps: DepthMaps) -> Float[Tensor, " t"]:
    """For each frame the median of its depth, of one pixel in sixteen."""
    few, sure = (x[:, ::4, ::4].flatten(1) for x in (maps.depth_m, maps.confidence))
    known = torch.where((sure > 0) & torch.isfinite(few), few, torch.nan)
    return known.nanmedian(1).values.nan_to_num(1.0)


def ssim(a: Float[Tensor, "h w 3"], b: Float[Tensor, "h w 3"]) -> Float[Tensor, "h w"]:
    """Structural similarity (Wang and others, 2004), the mean of the channels.

    Over windows of 7 x 7 pixels that all count alike: as a loss as good as the Gaussian window, and several
    times as fast.
    """
    x, y = a.permute(2, 0, 1), b.permute(2, 0, 1)
    mx, my, xx, yy, xy = _Means.apply(torch.stack([x, y, x * x, y * y, x * y]))
    covariance, variances = xy - mx * my, xx - mx * mx + yy - my * my
    s = (2 * mx * my + 1e-4) * (2 * covariance + 9e-4) / ((mx * mx + my * my + 1e-4) * (variances + 9e-4))
    return s.mean(0)


class _Means(torch.autograd.Function):
    """Means over windows; at the border over what of them is inside.

    A box filter with zeros around is its own adjoint, so going back costs as little as going ahead; torch's
    own way back through its pooling costs several times as much.
    """

    @staticmethod
    def forward(ctx: Any, images: Tensor) -> Tensor:
        ctx.share = _box(torch.ones_like(images[:1, :1]))
        return _box(images) / ctx.share

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Tensor:
        return _box(slopes[0] / ctx.share)


def _box(images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    return F.avg_pool2d(F.avg_pool2d(images, (7, 1), 1, (3, 0)), (1, 7), 1, (0, 3))
