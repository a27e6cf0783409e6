"""Whole scenes from files, ours and others', recognised by their first bytes; a camera for those that have none.

A file without cameras gets one that has everything in view: it looks along the world's z axis (with y down, as
trainers and this program have it) at the middle of the splats, from so far that a ball around nine tenths of them
fits into a view of 50 degrees. Where the splats live in time it stands there from their first moment to their last.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import torch

from fourd.checked import checked
from fourd.errors import FormatError
from fourd.files import FILMS
from fourd.formats.contents import Contents
from fourd.geometry import pinhole
from fourd.types import Cameras, Provenance, Sound, Splats

READ = (".glb", ".4dgs", ".splatv", ".ply", ".spz", ".splat")
"""Suffixes of what can be opened as a scene."""
_HW = (720, 1280)
_VIEW_DEG = 50.0
_FPS = 24.0
_MOST_MOMENTS = 2000
_SHOWN = 0.9


@checked
def read(path: str | Path) -> tuple[Splats, Cameras, Sound | None, Provenance]:
    """Read a scene: a GLB of ours, ``.4dgs``, ``.splatv``; or splats without time: GLB, ``.ply``, ``.spz``, ``.splat``.

    What the format cannot say is made up plainly (a camera, see the top of this file; splats without time are always
    there), and the provenance's warnings, which then begin with the file's name, say so.

    Raises:
        FormatError: If the file is broken, or is of no format that can be read.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise FormatError(f"Cannot read {path}: {error.strerror or error}.") from error
    if path.suffix.lower() == ".glb" or head[:4] == b"glTF":
        from fourd.formats import glb, khr

        if glb.is_ours(path):
            return glb.read(path)
        got = khr.read(path)
    else:
        got = _contents(path, head)
    if len(got.splats) == 0 and got.cameras is None:
        raise FormatError(f"{path} holds neither splats nor cameras; there is nothing to see in it.")
    warnings = [*got.provenance.warnings, *(f"{path.name}: {text}" for text in got.warnings)]
    cameras = got.cameras
    if cameras is None:
        cameras = around(got.splats, got.span_s)
        warnings.append(f"{path.name} has no cameras: one was put where it has everything in view.")
    notes = dataclasses.replace(got.provenance, warnings=list(dict.fromkeys(warnings)))
    return got.splats, cameras, got.sound, notes


def _contents(path: Path, head: bytes) -> Contents:
    """What a file that is no GLB holds."""
    if head[:5] == b"\x894DGS":
        from fourd.formats import fourdgs

        return fourdgs.read(path)
    if head[:4] == b"\x4b\x67\0\0":
        from fourd.formats import splatv

        return splatv.read(path)
    if head[:3] == b"ply":
        from fourd.formats import ply

        return Contents(ply.read(path))
    if head[:2] == b"\x1f\x8b" or head[:4] == b"NGSP":
        from fourd.formats import spz

        return Contents(spz.read(path))
    if path.suffix.lower() == ".splat":
        from fourd.formats import splat

        return Contents(splat.read(path))
    film = " A video becomes one by `fourd lift`." if path.suffix.lower() in (*FILMS, ".gif") else ""
    raise FormatError(f"{path} is no scene that can be read. Known are {', '.join(READ[:-1])} and {READ[-1]}.{film}")


@checked
def around(splats: Splats, span_s: tuple[float, float] | None = None) -> Cameras:
    """A camera that has everything in view, at each moment from the first to the last; see the top of this file.

    Args:
        splats: At least one.
        span_s: The first and the last moment; by default those of the splats that are not always there.
    """
    weight = splats.opacity >= min(0.1, float(splats.opacity.max()) / 2)
    mean = splats.mean_m[weight].double()
    edge = (1 - _SHOWN) / 2
    pick = mean[:: max(1, len(mean) // 1_000_000)]  # torch.quantile refuses more than 16 million.
    low, high = torch.quantile(pick, torch.tensor([edge, 1 - edge], dtype=torch.float64), dim=0)
    middle, radius = (low + high) / 2, float((high - low).norm()) / 2
    radius = max(radius, float(splats.scale_m[weight].max(1).values.median()) * 3, 1e-6)
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, 3] = middle
    pose[2, 3] -= radius / math.sin(math.radians(_VIEW_DEG / 2))
    time_s = _moments(splats, span_s)
    # The view is as high as it is said to be wide: the lens is that of a square picture.
    K = pinhole.intrinsics((_HW[0], _HW[0]), _VIEW_DEG)
    K[0, 2] = _HW[1] / 2
    n = len(time_s)
    return Cameras(K.repeat(n, 1, 1), pose.float().repeat(n, 1, 1), _HW, time_s)


def _moments(splats: Splats, span_s: tuple[float, float] | None) -> torch.Tensor:
    """Moments of a film at 24 frames a second; one, if nothing changes."""
    passing = torch.isfinite(splats.duration_s) | (splats.velocity_mps != 0).any(1)
    if not bool(passing.any()):
        return torch.tensor([span_s[0] if span_s else 0.0], dtype=torch.float64)
    if span_s is None:
        span_s = float(splats.time_s[passing].min()), float(splats.time_s[passing].max())
    count = min(max(round((span_s[1] - span_s[0]) * _FPS), 1), _MOST_MOMENTS)
    return torch.linspace(span_s[0], span_s[1], count + 1, dtype=torch.float64)
