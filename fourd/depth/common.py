"""What the depth backends share: checks of their input, and cameras and masks at a working size."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8
from numpy import ndarray as Array

from fourd.errors import InputError
from fourd.types import Cameras, Clip, Motion

STAGE = "depth"

MOVING = 0.5
"""Probability of moving on its own above which a pixel is taken out of the still world."""

UNHEARD = 0.29, 0.35
"""Probabilities between these say nothing: there flow could not be believed, because the picture is plain."""

_LARGEST = 320
"""Longer side of the working map at most, in pixels."""
_SMALLEST = 192
"""And at least, if the picture is that large."""

_FINEST = 480
"""Longer side of the map in which frames are matched, at most."""


def working_hw(hw: tuple[int, int]) -> tuple[int, int]:
    """Half the size of the picture, within limits: half costs an eighth, and its noise averages out."""
    longer = max(hw)
    scale = min(1.0, min(max(longer / 2, _SMALLEST), _LARGEST) / longer)
    return max(round(hw[0] * scale), 1), max(round(hw[1] * scale), 1)


def matching_hw(hw: tuple[int, int]) -> tuple[int, int]:
    """The picture's own size, within limits: what is thin, and where things end, is found there only."""
    scale = min(1.0, _FINEST / max(hw))
    return max(round(hw[0] * scale), 1), max(round(hw[1] * scale), 1)


def check(clip: Clip, cameras: Cameras, motion: Motion) -> None:
    """Refuse cameras or motion that are not of this clip.

    Raises:
        InputError: If the numbers of frames or the sizes of the pictures differ.
    """
    if not len(clip) == len(cameras) == len(motion):
        raise InputError(
            f"Depth needs one camera and one motion map a frame: the clip has {len(clip)} frames,"
            f" there are {len(cameras)} cameras and {len(motion)} motion maps."
        )
    if cameras.hw != clip.hw:
        raise InputError(
            f"The cameras are for pictures of {cameras.hw[0]}x{cameras.hw[1]} (height x width) and the clip's are"
            f" {clip.hw[0]}x{clip.hw[1]}. Use cameras.resized({clip.hw})."
        )


@dataclass(frozen=True, eq=False)
class Rig:
    """The cameras in double precision, for maps of size ``hw``."""

    K: Float64[Array, "t 3 3"]
    world_from_cam: Float64[Array, "t 4 4"]
    hw: tuple[int, int]

    @staticmethod
    def of(cameras: Cameras, hw: tuple[int, int], scale: float = 1.0) -> Rig:
        """The cameras for maps of another size, in a world that is ``scale`` times as large."""
        factors = np.array([hw[1] / cameras.hw[1], hw[0] / cameras.hw[0], 1.0])
        pose = cameras.world_from_cam.cpu().numpy().astype(np.float64)
        pose[:, :3, 3] *= scale
        return Rig(cameras.K.cpu().numpy().astype(np.float64) * factors[:, None], pose, hw)

    def __len__(self) -> int:
        return len(self.K)

    def warp(self, i: int, j: int) -> tuple[Float64[Array, "3 3"], Float64[Array, " 3"]]:
        """How pixels of frame i at inverse depth rho appear in frame j: ``turn @ (x, y, 1) + rho * shift``.

        The third component is the depth in frame j over the depth in frame i.
        """
        R = self.world_from_cam[j, :3, :3].T @ self.world_from_cam[i, :3, :3]
        t = self.world_from_cam[j, :3, :3].T @ (self.world_from_cam[i, :3, 3] - self.world_from_cam[j, :3, 3])
        return self.K[j] @ R @ np.linalg.inv(self.K[i]), self.K[j] @ t

    def places(
        self, i: int, j: int, rho: Float32[Array, "h w"]
    ) -> tuple[Float32[Array, "h w"], Float32[Array, "h w"], Float32[Array, "h w"]]:
        """Where frame j shows what frame i sees at inverse depths ``rho``, and the ratio of depths.

        Returns:
            x and y as OpenCV counts, the first pixel's centre at 0; and the depth in frame j over that in frame i.
            Where this is not above 1e-3, frame j does not see it, and x and y mean nothing.
        """
        turn, shift = self.warp(i, j)
        down, right = np.arange(self.hw[0])[:, None] + 0.5, np.arange(self.hw[1]) + 0.5
        x, y, z = (
            (turn[k, 1] * down + (turn[k, 0] * right + turn[k, 2]) + rho * shift[k]).astype(np.float32)
            for k in range(3)
        )
        ahead = np.maximum(z, np.float32(1e-3))
        return x / ahead - np.float32(0.5), y / ahead - np.float32(0.5), z

    def rays(self, i: int) -> Float64[Array, "h w 3"]:
        """Directions through the pixel centres of frame i, with z = 1."""
        return homogeneous(self.hw) @ np.linalg.inv(self.K[i]).T


def homogeneous(hw: tuple[int, int]) -> Float64[Array, "h w 3"]:
    """Pixel centres (x, y, 1)."""
    y, x = np.meshgrid(np.arange(hw[0]) + 0.5, np.arange(hw[1]) + 0.5, indexing="ij")
    return np.stack([x, y, np.ones_like(x)], -1)


def shrink(picture: UInt8[Array, "h w 3"], hw: tuple[int, int]) -> UInt8[Array, "h2 w2 3"]:
    """A smaller picture, each pixel the mean of those that it covers."""
    if picture.shape[:2] == hw:
        return np.ascontiguousarray(picture)
    return cv2.resize(picture, (hw[1], hw[0]), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def moving_at(motion: Motion, i: int, hw: tuple[int, int]) -> Float32[Array, "h w"]:
    """The probability that each pixel of frame i moves on its own, at another size."""
    moving = motion.moving[i].cpu().numpy().astype(np.float32)
    if moving.shape != hw:
        mode = cv2.INTER_AREA if moving.shape[0] > hw[0] else cv2.INTER_LINEAR
        moving = np.asarray(cv2.resize(moving, (hw[1], hw[0]), interpolation=mode), np.float32)
    return moving


def moving_mask(motion: Motion, i: int, hw: tuple[int, int], threshold: float = MOVING) -> Bool[Array, "h w"]:
    """Which pixels of frame i move on their own, at another size."""
    return moving_at(motion, i, hw) > threshold


def flow_at(motion: Motion, i: int, way: int, hw: tuple[int, int]) -> Float32[Array, "h w 2"]:
    """Flow of frame i to the frame after (way 1) or before (-1), at another size and in its pixels."""
    flow = (motion.flow_forward if way > 0 else motion.flow_backward)[i].cpu().numpy().astype(np.float32)
    scale = np.array([hw[1] / flow.shape[1], hw[0] / flow.shape[0]], np.float32)
    return np.asarray(cv2.resize(flow, (hw[1], hw[0]), interpolation=cv2.INTER_LINEAR), np.float32) * scale


def visible_at(motion: Motion, i: int, way: int, hw: tuple[int, int]) -> Bool[Array, "h w"]:
    """Where the flow of frame i to the frame after (way 1) or before (-1) can be believed, at another size."""
    seen = (motion.visible_forward if way > 0 else motion.visible_backward)[i].cpu().numpy().astype(np.float32)
    return np.asarray(cv2.resize(seen, (hw[1], hw[0]), interpolation=cv2.INTER_LINEAR)) > 0.5


def carried(before: Float32[Array, "h w"], motion: Motion, i: int) -> Float32[Array, "h w"]:
    """A map of frame i - 1, brought to frame i along the flow; what comes from outside is the border's."""
    h, w = before.shape
    flow = flow_at(motion, i, -1, (h, w))
    y, x = np.mgrid[:h, :w].astype(np.float32)
    at = x + flow[..., 0], y + flow[..., 1]
    return np.asarray(cv2.remap(before, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)


def lab(picture: UInt8[Array, "h w 3"]) -> Float32[Array, "h w 3"]:
    """Colours in which distances are roughly those that people see (CIE Lab, L of 0 to 255)."""
    return cv2.cvtColor(picture, cv2.COLOR_RGB2LAB).astype(np.float32)


def edges(colour: Float32[Array, "h w 3"], width: float) -> tuple[Float32[Array, "h w-1"], Float32[Array, "h-1 w"]]:
    """How alike neighbours across and down are: 1 for one colour, falling off with the distance over ``width``."""
    across, down = (lengths(np.diff(colour, axis=axis)) for axis in (1, 0))
    return np.exp(-across / width).astype(np.float32), np.exp(-down / width).astype(np.float32)


def lengths(vectors: Float32[Array, "*batch 3"]) -> Float32[Array, "*batch"]:
    """Of three numbers each; numpy's own norm takes several times as long over so few."""
    squares = vectors * vectors
    return np.sqrt(squares[..., 0] + squares[..., 1] + squares[..., 2])
