"""``.splat``: one moment of splats in 32 bytes each, as many web viewers read them.

Each splat is its position and scale as floats, red, green, blue and opacity as bytes, and the rotation
(w, x, y, z) as bytes around 128. There is no header and there are no harmonics. The largest and most opaque come
first, so that a viewer that loads slowly shows them early. Layout: github.com/antimatter15/splat.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from fourd.checked import checked
from fourd.errors import FormatError, InputError
from fourd.files import replacing
from fourd.formats import moment
from fourd.types import SH_C0, Splats

_ROW = np.dtype([("mean_m", "<f4", 3), ("scale_m", "<f4", 3), ("rgba", "u1", 4), ("quat", "u1", 4)])


@checked
def write(path: str | Path, splats: Splats, time_s: float) -> None:
    """Write the moment ``time_s`` of a scene, in the scene's own world (y down); only the constant colour is kept.

    Raises:
        OutputError: If the file system refuses.
        InputError: If ``time_s`` is not finite.
    """
    now = moment.at(splats, time_s).to("cpu")
    now = now[torch.argsort(now.scale_m.prod(1) * now.opacity, descending=True, stable=True)]
    table = np.empty(len(now), _ROW)
    table["mean_m"], table["scale_m"] = now.mean_m.numpy(), now.scale_m.numpy()
    rgba = torch.cat([now.rgb, now.opacity[:, None]], 1)
    table["rgba"] = (rgba * 255).round().clamp(0, 255).to(torch.uint8).numpy()
    table["quat"] = (now.quat_wxyz * 128 + 128).round().clamp(0, 255).to(torch.uint8).numpy()
    with replacing(path) as fresh:
        fresh.write_bytes(table.tobytes())


@checked
def read(path: str | Path) -> Splats:
    """Read static splats; they count as seen, at time 0.

    Raises:
        FormatError: If the file is broken.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise FormatError(f"Cannot read {path}: {error.strerror or error}.") from error
    if len(data) % _ROW.itemsize:
        raise FormatError(f"{path} is no .splat file: its {len(data)} bytes are no multiple of {_ROW.itemsize}.")
    table = np.frombuffer(data, _ROW)
    rgba = torch.from_numpy(table["rgba"] / np.float32(255))
    try:
        return moment.still(
            mean_m=torch.from_numpy(table["mean_m"].copy()),
            quat_wxyz=torch.from_numpy(table["quat"].astype(np.float32) - 128),
            scale_m=torch.from_numpy(table["scale_m"].copy()),
            opacity=rgba[:, 3],
            colour=((rgba[:, :3] - 0.5) / SH_C0)[:, None],
        )
    except InputError as error:
        raise FormatError(f"{path} is broken: {error}") from error
