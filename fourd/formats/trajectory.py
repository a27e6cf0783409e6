"""Trajectories as the TUM RGB-D benchmark has them: a line a camera, ``timestamp tx ty tz qx qy qz qw``.

Position and rotation are those of the camera in the world, in OpenCV axes; the quaternion is xyzw. The format knows no
lens. Ours says it in a comment, ``# intrinsics fx fy cx cy width height``, which other programs read over; a line like
it can be written into files of others, too.
"""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float64
from torch import Tensor

from fourd import events
from fourd.checked import checked
from fourd.errors import FormatError, InputError, LimitError
from fourd.files import replacing
from fourd.formats import _cameras
from fourd.geometry import rigid
from fourd.types import Cameras, Limits

_LENS = "intrinsics"
_FIELDS = "timestamp tx ty tz qx qy qz qw"
_MOST_LINES = 20 * Limits().frames
"""Trackers of motion run faster than cameras."""


@checked
def write(path: str | Path, cameras: Cameras) -> None:
    """Write a trajectory; ``read`` gives the cameras back to 1e-6, and their times exactly.

    Args:
        path: Where to.
        cameras: All of one lens.

    Raises:
        OutputError: If the file system refuses.
        InputError: If the lens changes, or a K is skewed, which the format cannot say.
    """
    lenses = _cameras.lens(cameras, "a trajectory")
    if len(set(lenses)) > 1:
        raise InputError(
            "The lens of these cameras changes, which a trajectory cannot say; write .npz or .json instead."
        )
    h, w = cameras.hw
    quat = rigid.quat_from_matrix(cameras.world_from_cam[:, :3, :3].cpu().double())[:, [1, 2, 3, 0]]
    rows = torch.cat([cameras.time_s.cpu()[:, None], cameras.centre_m.cpu().double(), quat], 1).tolist()
    lines = [f"# {_FIELDS}", f"# {_LENS} {' '.join(map(repr, lenses[0]))} {w} {h}"]
    lines += [" ".join(map(repr, row)) for row in rows]
    with replacing(path) as fresh:
        fresh.write_text("\n".join(lines) + "\n")


@checked
def read(
    path: str | Path, *, hw: tuple[int, int] | None = None, time_s: Float64[Tensor, " t"] | None = None
) -> Cameras:
    """Read a trajectory, for a clip; see ``fourd.formats.cameras.read_cameras``.

    Stamps may be moments of the clip, numbers of its frames from 0 or 1, or of a clock that had run before; then the
    first camera is the first frame's.

    Args:
        path: The file.
        hw: Size of the clip's pictures. Needed where the file does not say its lens: a field of view of 60 degrees
            across the longer side is assumed then.
        time_s: Moments of the clip's frames, at which the cameras are interpolated.

    Raises:
        FormatError: If the file is broken.
        LimitError: If it has more lines than any clip.
        InputError: If it does not fit the clip.
    """
    return events.result(_cameras.fitted(found(path), hw=hw, time_s=time_s))


def looks_like_one(head: bytes) -> bool:
    """Whether a file that begins so is a trajectory: comments or numbers."""
    return head.lstrip()[:1] in {b"#", *(bytes([c]) for c in b"0123456789+-.")}


def found(path: str | Path) -> _cameras.Found:
    """What the file says."""
    K: Float64[Tensor, "3 3"] | None = None
    hw: tuple[int, int] | None = None
    rows: list[list[float]] = []
    for number, line in enumerate(_cameras.text_lines(path), 1):
        where = f"{path}, line {number}"
        words = line.replace(",", " ").split()
        if words[:2] == ["#", _LENS]:
            K, hw = _lens(words[2:], where)
        elif words and not words[0].startswith("#"):
            rows.append(_row(words, where))
            if len(rows) > _MOST_LINES:
                raise LimitError(f"{path} has more than {_MOST_LINES} cameras; no clip has. Cut it to the clip.")
            if len(rows) > 1 and rows[-1][0] <= rows[-2][0]:
                raise FormatError(f"{where}: time {rows[-1][0]:.9g} does not come after {rows[-2][0]:.9g}.")
    if not rows:
        raise FormatError(f"{path} holds no camera; there must be lines of {_FIELDS}.")
    table = torch.tensor(rows, dtype=torch.float64)
    pose = torch.eye(4, dtype=torch.float64).repeat(len(table), 1, 1)
    quat = table[:, [7, 4, 5, 6]]
    pose[:, :3, :3] = rigid.matrix_from_quat(quat / quat.norm(dim=1, keepdim=True))
    pose[:, :3, 3] = table[:, 1:4]
    return _cameras.Found(
        str(path),
        None if K is None else K.expand(len(table), 3, 3),
        pose,
        hw=hw,
        time_s=table[:, 0].clone(),
        any_clock=True,
    )


def _row(words: list[str], where: str) -> list[float]:
    if len(words) != 8:
        raise FormatError(f"{where} has {len(words)} fields; there must be 8: {_FIELDS}.")
    row = _cameras.numbers(words, where)
    if not 0.9 < sum(q * q for q in row[4:]) < 1.1:
        raise FormatError(f"{where}: the quaternion {' '.join(words[4:])[:60]} is not of length 1.")
    return row


def _lens(words: list[str], where: str) -> tuple[Float64[Tensor, "3 3"], tuple[int, int]]:
    """K and hw of fx, fy, cx, cy, width and height."""
    if len(words) != 6:
        raise FormatError(f"{where} must hold fx, fy, cx, cy, width and height.")
    fx, fy, cx, cy, w, h = _cameras.numbers(words, where)
    if not (fx > 0 and fy > 0):
        raise FormatError(f"{where} has no positive focal length.")
    K = torch.tensor([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], dtype=torch.float64)
    return K, _cameras.picture_size([h, w], where)
