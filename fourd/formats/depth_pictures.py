"""Depth as pictures: PNG with 16 bits of grey, which ``read_depth`` reads back, and OpenEXR with floats."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from fourd.checked import checked
from fourd.errors import InputError, OutputError, missing
from fourd.files import replacing

KINDS = (".png", ".exr")
_COVERED = 0.5
"""Less covered pixels have no depth: they are holes (``Frames.hole``)."""
_FARTHEST = 65535


@checked
def write(
    path: str | Path, depth_m: Float[Tensor, "h w"], alpha: Float[Tensor, "h w"], *, scale: float = 0.001
) -> None:
    """Write one depth map; the suffix chooses the format.

    - ``.png``: 16 bits of grey, in units of ``scale``, rounded; 0 is unknown, 65535 is that or anything farther.
    - ``.exr``: the channel ``Z`` holds the depth as float32, 0 where it is unknown, and ``A`` the coverage.

    Args:
        path: Where to; replaced as a whole or not at all.
        depth_m: Distance along the optical axis.
        alpha: How much of each pixel is covered; where it is less than half, the depth is unknown.
        scale: Metres (or scene units) for each unit of a PNG: millimetres by default, as Kinect has them.

    Raises:
        InputError: If the suffix is another, or the scale is not above 0.
        MissingError: If OpenEXR is needed and not installed.
        OutputError: If the file system refuses.
    """
    path = Path(path)
    kind = path.suffix.lower()
    known = (alpha >= _COVERED) & (depth_m > 0)
    depth = np.where(known.cpu().numpy(), depth_m.cpu().numpy().astype(np.float64), 0.0)
    if kind == ".png":
        _write_png(path, depth, scale)
    elif kind == ".exr":
        _write_exr(path, depth.astype(np.float32), alpha.cpu().numpy().astype(np.float32))
    else:
        raise InputError(f"Cannot write depth to '{path.name}'. Known are {' and '.join(KINDS)}.")


def _write_png(path: Path, depth: np.ndarray, scale: float) -> None:
    import cv2

    if not 0 < scale < math.inf:
        raise InputError(f"The scale of a depth picture is {scale:g}; it must be above 0.")
    # What is known is never stored as 0, however near it is.
    stored = np.where(depth > 0, np.rint(depth / scale).clip(1, _FARTHEST), 0).astype(np.uint16)
    done, data = cv2.imencode(".png", stored)
    if not done:
        raise OutputError(f"Cannot write {path}: the picture could not be encoded.")
    with replacing(path) as fresh:
        fresh.write_bytes(data.tobytes())


def _write_exr(path: Path, depth: np.ndarray, alpha: np.ndarray) -> None:
    try:
        import OpenEXR
    except ImportError as error:
        raise missing(f"Writing {path.name}", "OpenEXR", "fourd[exr]", "a .png") from error

    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with replacing(path) as fresh, OpenEXR.File(header, {"A": alpha, "Z": depth}) as file:
        file.write(str(fresh))
