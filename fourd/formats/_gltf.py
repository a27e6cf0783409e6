"""The container of glTF 2.0 binaries: chunks, buffer views and accessors, with no idea of what they mean."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fourd.errors import FormatError, LimitError
from fourd.formats import _json

_MAGIC, _JSON, _BIN = b"glTF", b"JSON", b"BIN\0"
_TYPES = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
_COMPONENTS = {5120: np.int8, 5121: np.uint8, 5122: np.int16, 5123: np.uint16, 5126: np.float32}
_ARRAY_BUFFER = 34962


class Builder:
    """Collects the binary chunk while the JSON that points into it grows."""

    def __init__(self) -> None:
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []
        self._parts: list[bytes] = []
        self._length = 0

    def view(self, data: bytes, **properties: Any) -> int:
        """Add bytes, padded to a multiple of four; returns the index of their buffer view."""
        length = len(data)
        self.views.append({"buffer": 0, "byteOffset": self._length, "byteLength": length} | properties)
        self._parts += [data, bytes(-length % 4)]
        self._length += length + -length % 4
        return len(self.views) - 1

    def accessor(self, values: np.ndarray, *, normalized: bool = False, bounds: bool = False) -> int:
        """Add one vertex attribute ([n] or [n, k], n >= 1); returns the index of its accessor."""
        (index,) = self.side_by_side(values, normalized=normalized)
        if bounds:
            self.accessors[index] |= {"min": values.min(0).tolist(), "max": values.max(0).tolist()}
        return index

    def side_by_side(self, *columns: np.ndarray, normalized: bool | tuple[bool, ...] = False) -> list[int]:
        """Add vertex attributes ([n] or [n, k], n >= 1) that lie in each other's gaps.

        Every element of an attribute begins at a multiple of four *of its buffer view*, so that three u16 leave two
        bytes unused. Buffer views of the other columns begin within those gaps; all of them have the same stride.

        Returns:
            The indices of the accessors.
        """
        raw = [np.ascontiguousarray(c).reshape(len(c), -1).view(np.uint8) for c in columns]
        widths = [r.shape[1] for r in raw]
        table = np.concatenate(raw, 1) if len(raw) > 1 else raw[0]
        gap = -table.shape[1] % 4
        table = np.pad(table, ((0, 0), (0, gap))) if gap else table
        stride = table.shape[1]
        spread = {"byteStride": stride} if gap or len(columns) > 1 else {}
        first = self.view(table.tobytes(), target=_ARRAY_BUFFER, **spread)
        start = self.views[first]["byteOffset"]
        flags = normalized if isinstance(normalized, tuple) else (normalized,) * len(columns)
        indices, offset = [], 0
        for i, (column, width, flag) in enumerate(zip(columns, widths, flags, strict=True)):
            view = first
            if i > 0:
                length = (len(column) - 1) * stride + width
                self.views.append(
                    {"buffer": 0, "byteOffset": start + offset, "byteLength": length, "target": _ARRAY_BUFFER} | spread
                )
                view = len(self.views) - 1
            offset += width
            component = next(code for code, dtype in _COMPONENTS.items() if dtype == column.dtype)
            shape = "SCALAR" if column.ndim == 1 else f"VEC{column.shape[1]}"
            accessor = {"bufferView": view, "componentType": component, "count": len(column), "type": shape}
            self.accessors.append(accessor | ({"normalized": True} if flag else {}))
            indices.append(len(self.accessors) - 1)
        return indices

    def write(self, path: Path, document: dict[str, Any]) -> None:
        """Write the file: header, JSON chunk, binary chunk."""
        if self._length:
            document = document | {"buffers": [{"byteLength": self._length}], "bufferViews": self.views}
        if self.accessors:
            document = document | {"accessors": self.accessors}
        text = _json.dumped(document, path.name).encode()
        text += b" " * (-len(text) % 4)
        total = 12 + 8 + len(text) + (8 + self._length if self._length else 0)
        if total >= 2**32:
            raise LimitError(f"The scene takes {total / 1e9:.1f} GB; one GLB holds 4.2 GB. Save fewer splats.")
        with path.open("wb") as file:
            file.write(struct.pack("<4sII", _MAGIC, 2, total))
            file.write(struct.pack("<I4s", len(text), _JSON) + text)
            if self._length:
                file.write(struct.pack("<I4s", self._length, _BIN))
                file.writelines(self._parts)


class Document:
    """A glTF binary in memory: its JSON, and, if it is wanted whole, views of its binary chunk that were checked."""

    def __init__(self, path: str | Path, *, whole: bool = True) -> None:
        self.name, self._whole = str(path), whole
        try:
            with Path(path).open("rb") as file:
                self.json, self._bin = self._chunks(file, Path(path).stat().st_size)
        except OSError as error:
            raise FormatError(f"Cannot read {path}: {error.strerror or error}.") from error

    def _chunks(self, file: BinaryIO, size: int) -> tuple[dict[str, Any], np.ndarray]:
        head = file.read(20)
        if head[:4] != _MAGIC:
            raise FormatError(f"{self.name} is not a GLB: it does not begin with 'glTF'.")
        if len(head) < 20:
            raise FormatError(f"{self.name} is cut short: {len(head)} bytes are no GLB.")
        version, total, length, kind = struct.unpack("<4xIII4s", head)
        if version != 2:
            raise FormatError(f"{self.name} is glTF version {version}; only version 2 is read.")
        if total != size:
            raise FormatError(f"{self.name} is broken or cut short: it says {total} bytes and has {size}.")
        if kind != _JSON or length > size - 20:
            raise FormatError(f"{self.name} is broken: its first chunk must be JSON and lie within the file.")
        document = _json.parse(file.read(length), f"The JSON of {self.name}")
        head = file.read(8)
        if not head or not self._whole:
            return document, np.zeros(0, np.uint8)
        if len(head) < 8 or head[4:] != _BIN or struct.unpack("<I", head[:4])[0] > size - 28 - length:
            raise FormatError(f"{self.name} is broken: its second chunk must be binary and lie within the file.")
        return document, np.frombuffer(file.read(struct.unpack("<I", head[:4])[0]), np.uint8)

    def item(self, kind: str, index: Any) -> dict[str, Any]:
        """Entry ``index`` of one of the document's lists (``"accessors"``, ``"nodes"``, ...)."""
        entries = _json.as_list(self.json.get(kind, []), f"{self.name}: {kind}")
        where = f"{self.name}: {kind}[{index if isinstance(index, int) else '?'}]"
        index = _json.as_int(index, f"{self.name}: an index into {kind}")
        if index >= len(entries):
            raise FormatError(f"{where} is asked for, and there are {len(entries)}.")
        return _json.as_dict(entries[index], where)

    def view(self, index: Any) -> tuple[np.ndarray, int]:
        """The bytes of a buffer view, and its stride (0: tight)."""
        view, where = self.item("bufferViews", index), f"{self.name}: buffer view {index}"
        if view.get("buffer", 0) != 0:
            raise FormatError(f"{where} is in another file; only a file that is whole in itself is read.")
        start = _json.as_int(view.get("byteOffset", 0), f"{where}: byteOffset")
        length = _json.as_int(view.get("byteLength"), f"{where}: byteLength")
        if start + length > len(self._bin):
            raise FormatError(f"{where} ends at byte {start + length} of a chunk of {len(self._bin)}.")
        stride = _json.as_int(view.get("byteStride", 0), f"{where}: byteStride", high=252)
        return self._bin[start : start + length], stride

    def accessor(self, index: Any, shape: str) -> np.ndarray:
        """The values of an accessor, [n] for ``SCALAR``, [n, k] otherwise; normalised integers as floats."""
        accessor, where = self.item("accessors", index), f"{self.name}: accessor {index}"
        code = accessor.get("componentType")
        if accessor.get("type") != shape or not isinstance(code, int) or code not in _COMPONENTS:
            raise FormatError(f"{where} must be a {shape} of floats or of small integers.")
        if "sparse" in accessor or "bufferView" not in accessor:
            raise FormatError(f"{where} has no buffer view of its own, or is sparse; neither is read.")
        dtype = np.dtype(_COMPONENTS[code]).newbyteorder("<")
        data, stride = self.view(accessor["bufferView"])
        start = _json.as_int(accessor.get("byteOffset", 0), f"{where}: byteOffset")
        count = _json.as_int(accessor.get("count"), f"{where}: count", low=1)
        width = dtype.itemsize * _TYPES[shape]
        stride = stride or width
        if stride < width or start + (count - 1) * stride + width > len(data):
            raise FormatError(f"{where} asks for {count} values where only {len(data)} bytes are.")
        values = np.ndarray(
            (count, _TYPES[shape]), dtype, data, start, (stride, dtype.itemsize)
        )  # A view: nothing is copied until the size is known to be there.
        if accessor.get("normalized") is True and dtype.kind != "f":
            values = np.maximum(values.astype(np.float32) / np.iinfo(dtype).max, -1)
        return values[:, 0] if shape == "SCALAR" else values


class Attributes:
    """The vertex attributes of a primitive of a mesh; without a number it must be the only one."""

    def __init__(self, document: Document, mesh: int, number: int | None = None) -> None:
        self._document, self._where = document, f"{document.name}: meshes[{mesh}]"
        primitives = _json.as_list(document.item("meshes", mesh).get("primitives"), f"{self._where}.primitives")
        if number is None and len(primitives) != 1:
            raise FormatError(f"{self._where} has {len(primitives)} primitives; one is expected.")
        primitive = _json.as_dict(primitives[number or 0], self._where)
        self._indices = _json.as_dict(primitive.get("attributes"), f"{self._where}.attributes")

    def __contains__(self, name: str) -> bool:
        return name in self._indices

    def floats(self, name: str, shape: str) -> np.ndarray:
        """The values of an attribute, as float32: [n] for ``SCALAR``, [n, k] otherwise."""
        return self._values(name, shape).astype(np.float32)

    def bytes(self, name: str) -> np.ndarray:
        """The values of a scalar attribute of unsigned bytes, [n]."""
        values = self._values(name, "SCALAR")
        if values.dtype != np.uint8:
            raise FormatError(f"{self._where}: {name} must be unsigned bytes, not {values.dtype}.")
        return values.copy()

    def _values(self, name: str, shape: str) -> np.ndarray:
        if name not in self._indices:
            raise FormatError(f"{self._where} has no attribute {name}.")
        return self._document.accessor(self._indices[name], shape)
