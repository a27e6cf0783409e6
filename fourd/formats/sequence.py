"""A folder of 3D Gaussian splatting's PLY, one file a moment: what programs without time play as a film."""

from __future__ import annotations

import json
from pathlib import Path

from jaxtyping import Float64
from torch import Tensor

from fourd.checked import checked
from fourd.errors import InputError
from fourd.events import Progress, Steps
from fourd.files import growing
from fourd.formats import ply
from fourd.types import Splats


@checked
def write(path: str | Path, splats: Splats, time_s: Float64[Tensor, " t"]) -> Steps[int]:
    """Write ``00000.ply``, ``00001.ply`` and so on into a new folder, and the moments into its ``times.json``.

    Args:
        path: The folder: nothing, or an empty one.
        splats: Splats that live in time.
        time_s: The moment of each file.

    Returns:
        How many files were written; each is what ``ply.write`` makes.

    Raises:
        OutputError: If the file system refuses, or the folder is not empty.
        InputError: If there is no moment, or one is not finite.
    """
    if not len(time_s):
        raise InputError("A sequence needs at least one moment.")
    moments = time_s.tolist()
    with growing(path) as folder:
        for i, moment_s in enumerate(moments):
            ply.write(folder / f"{i:05}.ply", splats, moment_s)
            yield Progress("export", i + 1, len(moments))
        (folder / "times.json").write_text(json.dumps({"time_s": moments}) + "\n")
    return len(moments)
