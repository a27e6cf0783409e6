"""One frame as fusion sees it: its picture, a depth for every pixel, what moves, and its camera."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from fourd.fuse.complete import complete, without_speckles
from fourd.fuse.verdict import Verdicts
from fourd.geometry import pinhole
from fourd.native.fusion import Planes
from fourd.types import Cameras, Clip, DepthMaps, Motion

SKY_SHARE = 50.0
"""How much further the sky hangs than almost everything else; parallax there is below a pixel."""

KEPT = 4
"""Views kept ready: velocities ask for a frame and both of its neighbours."""


class View(NamedTuple):
    """A frame, ready to be fused."""

    frame: int
    time_s: float
    frame_rgb: UInt8[Tensor, "h w 3"]
    depth_m: Float[Tensor, "h w"]
    """Positive and finite everywhere: completed where unknown, far where there is sky."""
    confidence: Float[Tensor, "h w"]
    moving: Bool[Tensor, "h w"]
    K: Float[Tensor, "3 3"]
    world_from_cam: Float[Tensor, "4 4"]
    edge: UInt8[Tensor, "h w"]
    """1 at or beside a jump in depth."""

    @property
    def point_m(self) -> Float[Tensor, "h w 3"]:
        """What each pixel sees, in the frame of the camera."""
        return pinhole.unproject(self.depth_m, self.K)

    @property
    def rgb(self) -> Float[Tensor, "h w 3"]:
        """The picture, 0 to 1."""
        return self.frame_rgb.float() / 255

    @property
    def hw(self) -> tuple[int, int]:
        """Size of the picture."""
        return int(self.depth_m.shape[0]), int(self.depth_m.shape[1])

    def to_world(self, points: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3"]:
        """Points of this camera's frame in the world."""
        return pinhole.transform(self.world_from_cam, points)


class Views:
    """The frames of a clip as ``View``s, made when asked for, so that memory holds only the last few."""

    def __init__(self, clip: Clip, maps: DepthMaps, cameras: Cameras, motion: Motion) -> None:
        self._clip, self._maps, self._cameras, self._motion = clip, maps, cameras, motion
        known = maps.depth_m[(maps.confidence > 0) & torch.isfinite(maps.depth_m)]
        # A sample is enough for a percentile, and torch.quantile refuses more than 16 million values.
        sample = known[:: max(1, len(known) // 1_000_000)]
        self._last: dict[int, View] = {}
        self._verdicts: Verdicts | None = None
        self._sky_m = SKY_SHARE * float(torch.quantile(sample, 0.95)) if len(sample) else 1.0

    def __len__(self) -> int:
        return len(self._clip)

    @property
    def way_m(self) -> float:
        """How far the camera comes from the middle of its way."""
        centre_m = self._cameras.centre_m
        return float((centre_m - centre_m.mean(0)).norm(dim=1).max())

    def __getitem__(self, i: int) -> View:
        view = self._last.pop(i, None) or self._make(i)
        self._last[i] = view
        if len(self._last) > KEPT:
            del self._last[next(iter(self._last))]  # The one that was asked for longest ago.
        return view

    def _make(self, i: int) -> View:
        depth, confidence = self._maps.depth_m[i], self._maps.confidence[i]
        depth = torch.where(torch.isinf(depth), self._sky_m, depth)
        hw = self._clip.hw
        if depth.shape != hw:
            depth, confidence = _nearest(depth, hw), _nearest(confidence, hw)
        rgb = self._clip.frames[i]
        confidence = without_speckles(depth, confidence)
        whole = complete(depth, confidence, rgb, self._sky_m)
        planes = Planes.empty(self._cameras.K[i : i + 1], self._cameras.world_from_cam[i : i + 1], hw)
        planes.fill(0, whole, confidence, torch.ones(hw, dtype=torch.uint8))
        return View(
            frame=i,
            time_s=float(self._clip.time_s[i]),
            frame_rgb=rgb,
            depth_m=whole,
            confidence=confidence.clamp(min=0.01),
            moving=self.moving(i),
            K=self._cameras.K[i],
            world_from_cam=self._cameras.world_from_cam[i],
            edge=planes.edge[0],
        )

    def settle(self, tolerance: float) -> None:
        """From now on let sure depth overrule what flow says of motion; see ``Verdicts``."""
        self._verdicts = Verdicts(self._maps, self._cameras, tolerance)
        self._last.clear()

    def moving(self, i: int) -> Bool[Tensor, "h w"]:
        """Which pixels of frame ``i`` move on their own, at the size of the picture."""
        moving = _linear(self._motion.moving[i].float()[None], self._clip.hw)[0] > 0.5
        if self._verdicts is None:
            return moving
        moves, still = (_nearest(x.float(), self._clip.hw) > 0.5 for x in self._verdicts.of(i))
        return (moving & ~still) | moves

    def flow(self, i: int, forward: bool) -> tuple[Float[Tensor, "h w 2"], Bool[Tensor, "h w"]]:
        """Flow to the next or the previous frame in pixels of the picture, and where it can be believed."""
        m = self._motion
        flow = (m.flow_forward if forward else m.flow_backward)[i].float().permute(2, 0, 1)
        visible = (m.visible_forward if forward else m.visible_backward)[i]
        h, w = self._clip.hw
        zoom = torch.tensor([w / m.hw[1], h / m.hw[0]])
        return _linear(flow, (h, w)).permute(1, 2, 0) * zoom, _nearest(visible.float(), (h, w)) > 0.5


def _nearest(x: Tensor, hw: tuple[int, int]) -> Tensor:
    return F.interpolate(x[None, None], hw, mode="nearest-exact")[0, 0]


def _linear(x: Tensor, hw: tuple[int, int]) -> Tensor:
    return x if x.shape[-2:] == hw else F.interpolate(x[None], hw, mode="bilinear", align_corners=False)[0]


def pick(image: Tensor, xy: Float[Tensor, "n 2"]) -> Tensor:
    """Values of the pixels that contain the points (x, y), clamped to the picture.

    Args:
        image: [h, w] or [h, w, c].
        xy: Points in pixels.
    """
    h, w = image.shape[:2]
    x, y = xy[:, 0].long().clamp(0, w - 1), xy[:, 1].long().clamp(0, h - 1)
    return image[y, x]
