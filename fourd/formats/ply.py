"""3D Gaussian splatting's PLY: splats of one moment, as trainers and viewers exchange them.

Stored: opacity before the sigmoid, scale as its logarithm, rotation wxyz, the constant colour as
``f_dc``, all higher harmonics as ``f_rest``, one channel after the other; normals are zeros.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from fourd.checked import checked
from fourd.errors import FormatError, InputError
from fourd.files import replacing
from fourd.formats import moment
from fourd.types import Splats

_MAX_HEADER = 65_536
_DTYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "<i2", "int16": "<i2", "ushort": "<u2",
    "uint16": "<u2", "int": "<i4", "int32": "<i4", "uint": "<u4", "uint32": "<u4", "float": "<f4",
    "float32": "<f4", "double": "<f8", "float64": "<f8",
}  # fmt: skip


@checked
def write(path: str | Path, splats: Splats, time_s: float) -> None:
    """Write the moment ``time_s`` of a scene, in the scene's own world (y down).

    Raises:
        OutputError: If the file system refuses.
        InputError: If ``time_s`` is not finite.
    """
    now = moment.at(splats, time_s).to("cpu")
    colour = now.colour.numpy()
    # Float32 has no logit of 1; the largest one below it stays finite and reads back as nearly 1.
    opacity = now.opacity.double().clamp(1e-7, 1 - 1e-7)
    columns: dict[str, np.ndarray] = dict(zip("xyz", now.mean_m.numpy().T, strict=True))
    columns |= {name: np.zeros(len(now), np.float32) for name in ("nx", "ny", "nz")}
    columns |= {f"f_dc_{i}": colour[:, 0, i] for i in range(3)}
    rest = colour[:, 1:].transpose(0, 2, 1).reshape(len(now), 3 * (colour.shape[1] - 1))
    columns |= {f"f_rest_{i}": rest[:, i] for i in range(rest.shape[1])}
    columns["opacity"] = torch.logit(opacity).numpy()
    columns |= {f"scale_{i}": now.scale_m[:, i].log().numpy() for i in range(3)}
    columns |= {f"rot_{i}": now.quat_wxyz[:, i].numpy() for i in range(4)}
    table = np.empty(len(now), [(name, "<f4") for name in columns])
    for name, values in columns.items():
        table[name] = values
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(now)}"]
    header += [f"property float {name}" for name in columns] + ["end_header", ""]
    with replacing(path) as fresh, fresh.open("wb") as file:
        file.write("\n".join(header).encode())
        file.write(table.tobytes())


@checked
def read(path: str | Path) -> Splats:
    """Read static splats; they count as seen, at time 0.

    Raises:
        FormatError: If the file is broken, or is no binary little-endian PLY of Gaussian splats.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise FormatError(f"Cannot read {path}: {error.strerror or error}.") from error
    table = _table(data, str(path))

    def columns(*names: str) -> Float32[Tensor, "n k"]:
        absent = [name for name in names if name not in (table.dtype.names or ())]
        if absent:
            raise FormatError(f"{path} holds no Gaussian splats: its vertices have no property {absent[0]}.")
        return torch.from_numpy(np.stack([table[name].astype(np.float32) for name in names], 1))

    rest = sum(name.startswith("f_rest_") for name in table.dtype.names or ())
    if rest not in (0, 9, 24, 45):
        raise FormatError(f"{path} has {rest} properties f_rest_*; there must be 0, 9, 24 or 45.")
    colour = columns("f_dc_0", "f_dc_1", "f_dc_2")[:, None]
    if rest:
        higher = columns(*(f"f_rest_{i}" for i in range(rest)))
        colour = torch.cat([colour, higher.reshape(len(table), 3, rest // 3).transpose(1, 2)], 1)
    quat = columns("rot_0", "rot_1", "rot_2", "rot_3")
    try:
        return moment.still(
            mean_m=columns("x", "y", "z"),
            quat_wxyz=quat,  # Trainers store them as they come, of any length.
            scale_m=columns("scale_0", "scale_1", "scale_2").exp(),
            opacity=columns("opacity")[:, 0].sigmoid(),
            colour=colour,
        )
    except InputError as error:
        raise FormatError(f"{path} is broken: {error}") from error


def _table(data: bytes, name: str) -> np.ndarray:
    """The vertices of a PLY, as a structured array over the file's own bytes."""
    if not data.startswith(b"ply"):
        raise FormatError(f"{name} is not a PLY: it does not begin with 'ply'.")
    end = data.find(b"end_header", 0, _MAX_HEADER)
    start = data.find(b"\n", end) + 1
    if end < 0 or start == 0:
        raise FormatError(f"{name} is broken: its header does not end within {_MAX_HEADER} bytes.")
    lines = [line.split() for line in data[:end].decode("ascii", "replace").splitlines()]
    if ["format", "binary_little_endian", "1.0"] not in lines:
        raise FormatError(f"{name} is not a binary little-endian PLY; no other kind is read.")
    elements = [line for line in lines if line[:1] == ["element"]]
    if not elements or elements[0][1:2] != ["vertex"] or len(elements[0]) != 3 or not elements[0][2].isdecimal():
        raise FormatError(f"{name} is broken: its first element must be 'vertex' with a count.")
    first = lines.index(elements[0]) + 1
    last = lines.index(elements[1]) if len(elements) > 1 else len(lines)
    properties = [line for line in lines[first:last] if line[:1] == ["property"]]
    names = [line[-1] for line in properties]
    if any(len(line) != 3 or line[1] not in _DTYPES for line in properties) or len(set(names)) < len(names):
        raise FormatError(f"{name} is broken: its vertices have a property that is a list, unknown or there twice.")
    dtype = np.dtype([(line[2], _DTYPES[line[1]]) for line in properties])
    count = int(elements[0][2]) if len(elements[0][2]) < 19 else 2**62
    if not dtype.itemsize or count * dtype.itemsize > len(data) - start:
        raise FormatError(f"{name} is cut short: {count} splats of {dtype.itemsize} bytes do not fit into it.")
    return np.frombuffer(data, dtype, count, start)
