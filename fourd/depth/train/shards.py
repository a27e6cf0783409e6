"""Training pictures on disk: files of a few hundred pictures with their depth, each whole or not there.

A shard is an uncompressed npz with, for n pictures:

==========  ===================  ============================================================
``image``   uint8 [n, h, w, 3]   sRGB
``depth``   float16 [n, h, w]    metres along the optical axis; infinity is the sky, 0 unknown
``alive``   uint8 [n, h, w]      1 on what could walk or drive away, 0 elsewhere, 255 unknown
``focal``   float32 [n]          focal length in pixels; the principal point is in the middle
==========  ===================  ============================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float16, Float32, UInt8
from numpy import ndarray as Array

from fourd.errors import FormatError
from fourd.files import replacing


@dataclass(frozen=True, eq=False)
class Shard:
    """Pictures with their depth; see the module."""

    image: UInt8[Array, "n h w 3"]
    depth: Float16[Array, "n h w"]
    alive: UInt8[Array, "n h w"]
    focal: Float32[Array, " n"]

    def __len__(self) -> int:
        return len(self.image)


def write(path: Path, shard: Shard) -> None:
    """Write a shard, whole or not at all."""
    with replacing(path) as file, open(file, "wb") as stream:
        np.savez(stream, image=shard.image, depth=shard.depth, alive=shard.alive, focal=shard.focal)


def read(path: Path) -> Shard:
    """Read a shard.

    Raises:
        FormatError: If the file is not one.
    """
    try:
        with open(path, "rb") as stream, np.load(stream) as data:
            return Shard(data["image"], data["depth"], data["alive"], data["focal"])
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise FormatError(
            f"{path} is no shard of training pictures ({error}). Delete it; it will be made again."
        ) from None


def listed(folder: Path, name: str) -> list[Path]:
    """All shards of a kind in a folder, in order."""
    return sorted(folder.glob(f"{name}-[0-9]*.npz"))
