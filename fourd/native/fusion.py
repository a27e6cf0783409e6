"""Look from frame to frame: ``fourd::planes``, ``consistency``, ``agree``, ``redundant`` and ``discs``.

Each pixel asks other frames what they see where its point lies. Nothing is scattered and nothing is locked,
so the result is the same on any number of threads. cuda_ext/include/fusion.h has the mathematics of one
pixel, ``fusion_reference.py`` says the same in plain torch.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float32, UInt8
from torch import Tensor

from fourd import poses
from fourd.checked import checked
from fourd.errors import InputError
from fourd.native import loader
from fourd.native.operators import as_arrays, define


class Planes(NamedTuple):
    """What fusion keeps of frames for those who look into them."""

    inverse: Float32[Tensor, "m h w"]
    """Inverse depth; negative where the depth jumps within two pixels, so that half a pixel of error counts."""
    sure: UInt8[Tensor, "m h w"]
    """Confidence, 1 to 255; 0 where something moves or nothing is known: nobody looks there."""
    pitch_m: Float32[Tensor, "m h w"]
    """Square root of the area of surface in each pixel; twice that beside an edge, where pixels are mixed."""
    edge: UInt8[Tensor, "m h w"]
    """1 at or beside a pixel beside which the depth jumps."""
    K: Float32[Tensor, "m 3 3"]
    """Intrinsics in pixels."""
    world_from_cam: Float32[Tensor, "m 4 4"]

    @staticmethod
    def empty(K: Float32[Tensor, "m 3 3"], world_from_cam: Float32[Tensor, "m 4 4"], hw: tuple[int, int]) -> Planes:
        """Room for as many frames as there are cameras, on their device; ``fill`` fills it."""
        shape = (len(K), *hw)
        if K.device.type != "cpu":
            inverse, pitch_m = (K.new_empty(shape) for _ in range(2))
            sure, edge = (K.new_empty(shape, dtype=torch.uint8) for _ in range(2))
            return Planes(inverse, sure, pitch_m, edge, K.contiguous(), world_from_cam.contiguous())
        inverse, pitch_m = (_room(shape, np.float32) for _ in range(2))
        sure, edge = (_room(shape, np.uint8) for _ in range(2))
        return Planes(inverse, sure, pitch_m, edge, K.contiguous(), world_from_cam.contiguous())

    def fill(
        self,
        k: int,
        depth_m: Float32[Tensor, "h w"],
        confidence: Float32[Tensor, "h w"],
        still: Bool[Tensor, "h w"] | UInt8[Tensor, "h w"],
    ) -> None:
        """Keep frame ``k``.

        Args:
            k: Which.
            depth_m: Positive where ``confidence`` is above 0; infinity is the sky.
            confidence: 0 to 1.
            still: Where nothing moves.
        """
        torch.ops.fourd.planes(
            depth_m, confidence, _bytes(still), self.K[k], self.inverse[k], self.sure[k], self.pitch_m[k], self.edge[k]
        )

    @property
    def cam_from_world(self) -> Float32[Tensor, "m 4 4"]:
        """The inverse poses."""
        return poses.inverse(self.world_from_cam)


class Said(NamedTuple):
    """What other frames say of each pixel of one. Sums are weighted by their confidence."""

    fused: Float32[Tensor, "h w"]
    """``Planes.inverse``, moved to the mean of those that agree."""
    support: Float32[Tensor, "h w"]
    """Frames that see a surface just there."""
    contradiction: Float32[Tensor, "h w"]
    """Frames that see through it, to something behind."""


class Discs(NamedTuple):
    """Pixels as discs in the world, row by row."""

    mean_m: Float32[Tensor, "n 3"]
    quat_wxyz: Float32[Tensor, "n 4"]
    scale_m: Float32[Tensor, "n 3"]
    rgb: Float32[Tensor, "n 3"]
    soft_rgb: Float32[Tensor, "n 3"]
    """Mean colour of the pixels at and beside each."""
    behind_m: Float32[Tensor, "n 3"]
    """A way along the ray of the pixel, ``behind`` times the longer axis of its disc."""
    backs: UInt8[Tensor, " n"]
    """1 for every second pixel of every second row, unless it is at an edge."""


@checked
def consistency(planes: Planes, frame: int, others: Sequence[int], tolerance: float) -> Said:
    """Ask other frames about every pixel of one.

    A frame supports a point whose depth agrees with its own within ``tolerance * (2 - confidence)``, relative; it
    contradicts a point that stands clearly in front of all that it sees around; it says nothing of a point behind
    what it sees.

    Args:
        planes: All frames.
        frame: Whose pixels are asked about.
        others: Who is asked.
        tolerance: Relative difference in depth below which two sure frames see one surface.

    Raises:
        InputError: If a frame is not there.
    """
    _known(planes, "frame", [frame])
    _known(planes, "others", others)
    return Said(
        *torch.ops.fourd.consistency(
            planes.inverse, planes.sure, planes.K, planes.world_from_cam, frame, list(others), tolerance
        )
    )


@checked
def agree(planes: Planes, others: Sequence[Sequence[int]], tolerance: float, share: float) -> Planes:
    """Let all frames agree: what ``consistency`` says of each, and who is left after it.

    Args:
        planes: All frames.
        others: For each, who is asked about it.
        tolerance: As for ``consistency``.
        share: A pixel is no longer believed if more frames than this share of those that see it, itself included, and
            half an opinion more look through it.

    Returns:
        The planes with ``inverse`` moved to the mean of those that agree, and ``sure`` 0 where nobody is left.

    Raises:
        InputError: If a frame is not there, or lists are missing.
    """
    if len(others) != len(planes.K):
        raise InputError(
            f"agree: others has {len(others)} lists for {len(planes.K)} frames; it must have one for each."
        )
    for k in others:
        _known(planes, "others", k)
    # A list of lists is nothing that operators take.
    flat, counts = [i for k in others for i in k], [len(k) for k in others]
    fused, left = torch.ops.fourd.agree(
        planes.inverse, planes.sure, planes.K, planes.world_from_cam, flat, counts, tolerance, share
    )
    return planes._replace(inverse=fused, sure=left)


@checked
def redundant(
    planes: Planes,
    rgb: UInt8[Tensor, "m h w 3"],
    frame: int,
    earlier: Sequence[int],
    tolerance: float,
    coarse: float,
    alike: float,
) -> UInt8[Tensor, "h w"]:
    """Find the pixels of a frame that others show already: 1 in the result.

    The others are asked in order, and nobody more once one of them sees the point at its own depth. A pixel
    that is unsure, or that looks the same, gives way to a surface up to three times as far off which is no less
    sure. What stands behind an outline by less than a pixel counts as shown. Whoever shows it may be ``coarse``
    times as coarse at most, and ``planes.pitch_m`` of the pixel becomes that of its disc: so in a chain of frames
    that come ever closer, each is measured against the disc that is really there.

    Args:
        planes: All frames; ``pitch_m`` of ``frame`` is changed.
        rgb: Their pictures.
        frame: Whose pixels are asked about.
        earlier: Who is asked, the nearest first.
        tolerance: As for ``consistency``; here the less sure of both widens it.
        coarse: How much coarser than the pixel a disc may be that shows it.
        alike: Difference of colour, 0 to 1, below which a pixel looks the same.

    Raises:
        InputError: If a frame is not there, or is to look into itself.
    """
    _known(planes, "frame", [frame])
    _known(planes, "earlier", earlier)
    if frame in earlier:
        raise InputError(f"redundant: earlier has frame {frame} itself, in which all of its pixels are shown.")
    return torch.ops.fourd.redundant(
        planes.inverse, planes.sure, rgb, planes.K, planes.world_from_cam, frame, list(earlier), tolerance, coarse,
        alike, planes.pitch_m,
    )  # fmt: skip


@checked
def discs(
    depth_m: Float32[Tensor, "h w"],
    place_m: Float32[Tensor, "h w"],
    wanted: Bool[Tensor, "h w"],
    edge: UInt8[Tensor, "h w"],
    rgb: UInt8[Tensor, "h w 3"],
    K: Float32[Tensor, "3 3"],
    world_from_cam: Float32[Tensor, "4 4"],
    sigma_px: float,
    bare: float,
    behind: float,
) -> Discs:
    """Turn pixels into Gaussians whose covariance is exactly the patch of surface that each covers.

    Args:
        depth_m: Whose slopes they follow; positive and finite.
        place_m: The depth at which they stand.
        wanted: Which pixels.
        edge: ``Planes.edge`` of the frame.
        rgb: The picture.
        K: Intrinsics in pixels.
        world_from_cam: The pose.
        sigma_px: Standard deviation in pixels.
        bare: How much wider they are at an edge.
        behind: Length of ``Discs.behind_m``, in longer axes.
    """
    # Not by torch, where it can be helped: its threads would wait busily beside the kernel's.
    n = np.count_nonzero(wanted.numpy()) if wanted.device.type == "cpu" else int(wanted.count_nonzero())
    return Discs(
        *torch.ops.fourd.discs(depth_m, place_m, wanted, edge, rgb, K, world_from_cam, sigma_px, bare, behind, int(n))
    )


def _room(shape: Sequence[int], dtype: type[np.generic]) -> Tensor:
    """An array in huge pages, which numpy asks for: to look here and there is quicker in them."""
    return torch.from_numpy(np.empty(shape, dtype))


def _known(planes: Planes, name: str, frames: Sequence[int]) -> None:
    for k in frames:
        if not 0 <= k < len(planes.K):
            raise InputError(f"{name} has frame {k}; there are {len(planes.K)} frames, numbered from 0.")


def _bytes(mask: Tensor) -> Tensor:
    return mask.contiguous().view(torch.uint8)


def _planes(
    depth_m: Tensor,
    confidence: Tensor,
    still: Tensor,
    K: Tensor,
    inverse: Tensor,
    sure: Tensor,
    pitch_m: Tensor,
    edge: Tensor,
) -> None:
    out = [x.numpy() for x in (inverse, sure, pitch_m, edge)]
    loader.cpu().planes(*as_arrays(depth_m, confidence, still, K), *out, torch.get_num_threads())


def _consistency(
    inverse: Tensor, sure: Tensor, K: Tensor, pose: Tensor, frame: int, others: Sequence[int], tolerance: float
) -> tuple[Tensor, ...]:
    out = tuple(torch.empty(inverse.shape[1:]) for _ in range(3))
    loader.cpu().consistency(
        *as_arrays(inverse, sure, K, pose), frame, list(others), tolerance, *as_arrays(*out), torch.get_num_threads()
    )
    return out


def _agree(
    inverse: Tensor,
    sure: Tensor,
    K: Tensor,
    pose: Tensor,
    others: Sequence[int],
    counts: Sequence[int],
    tolerance: float,
    share: float,
) -> tuple[Tensor, Tensor]:
    fused, left = _room(inverse.shape, np.float32), _room(sure.shape, np.uint8)
    arrays = as_arrays(inverse, sure, K, pose)
    out = fused.numpy(), left.numpy()
    loader.cpu().agree(*arrays, lists(others, counts), tolerance, share, *out, torch.get_num_threads())
    return fused, left


def lists(flat: Sequence[int], counts: Sequence[int]) -> list[list[int]]:
    """Lists of so many members each, as they lie one after the other in one."""
    ends = list(itertools.accumulate(counts))
    return [list(flat[end - count : end]) for end, count in zip(ends, counts, strict=True)]


def _redundant(
    inverse: Tensor,
    sure: Tensor,
    rgb: Tensor,
    K: Tensor,
    pose: Tensor,
    frame: int,
    earlier: Sequence[int],
    tolerance: float,
    coarse: float,
    alike: float,
    pitch_m: Tensor,
) -> Tensor:
    explained = torch.empty(inverse.shape[1:], dtype=torch.uint8)
    arrays, out = as_arrays(inverse, sure, rgb, K, pose), [pitch_m.numpy(), explained.numpy()]
    loader.cpu().redundant(*arrays, frame, list(earlier), tolerance, coarse, alike, *out, torch.get_num_threads())
    return explained


def _discs(
    depth_m: Tensor,
    place_m: Tensor,
    wanted: Tensor,
    edge: Tensor,
    rgb: Tensor,
    K: Tensor,
    pose: Tensor,
    sigma_px: float,
    bare: float,
    behind: float,
    n: int,
) -> tuple[Tensor, ...]:
    out = _no_discs(n)
    arrays = as_arrays(depth_m, place_m, _bytes(wanted), edge, rgb, K, pose)
    loader.cpu().discs(*arrays, sigma_px, bare, behind, *as_arrays(*out), torch.get_num_threads())
    return out


def _no_discs(n: int) -> tuple[Tensor, ...]:
    floats = (torch.empty(n, k) for k in (3, 4, 3, 3, 3, 3))
    return (*floats, torch.empty(n, dtype=torch.uint8))


define(
    "planes",
    "(Tensor depth_m, Tensor confidence, Tensor still, Tensor K, Tensor(a!) inverse, Tensor(b!) sure,"
    " Tensor(c!) pitch_m, Tensor(d!) edge) -> ()",
    _planes,
    lambda *_: None,
    "fusion_cuda",
)
define(
    "consistency",
    "(Tensor inverse, Tensor sure, Tensor K, Tensor world_from_cam, int frame, int[] others, float tolerance)"
    " -> (Tensor, Tensor, Tensor)",
    _consistency,
    lambda inverse, *_: tuple(inverse.new_empty(inverse.shape[1:]) for _ in range(3)),
    "fusion_cuda",
)
define(
    "agree",
    "(Tensor inverse, Tensor sure, Tensor K, Tensor world_from_cam, int[] others, int[] counts, float tolerance,"
    " float share) -> (Tensor, Tensor)",
    _agree,
    lambda inverse, sure, *_: (torch.empty_like(inverse), torch.empty_like(sure)),
    "fusion_cuda",
)
define(
    "redundant",
    "(Tensor inverse, Tensor sure, Tensor rgb, Tensor K, Tensor world_from_cam, int frame, int[] earlier,"
    " float tolerance, float coarse, float alike, Tensor(a!) pitch_m) -> Tensor",
    _redundant,
    lambda inverse, sure, *_: sure.new_empty(sure.shape[1:]),
    "fusion_cuda",
)
define(
    "discs",
    "(Tensor depth_m, Tensor place_m, Tensor wanted, Tensor edge, Tensor rgb, Tensor K, Tensor world_from_cam,"
    " float sigma_px, float bare, float behind, SymInt n)"
    " -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
    _discs,
    lambda *arguments: _no_discs(arguments[-1]),
    "fusion_cuda",
)
