"""All textures of a stage in one picture, at every level of detail, so that one call looks up any of them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float32, Int, UInt8

from fourd.errors import InputError
from fourd.srgb import encoded, linear

_BORDER = 2  # Texels around every level, copied from its far side, so that bilinear look-ups wrap.


class Atlas:
    """Textures and their smaller copies (a mip pyramid each), packed into strips."""

    def __init__(self, pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]]) -> None:
        """Pack the pictures.

        Raises:
            InputError: If a picture is not u8, square and a power of two wide.
        """
        for k, picture in enumerate(pictures):
            n = picture.shape[0]
            if picture.dtype != np.uint8 or picture.shape != (n, n, 3) or n & (n - 1) or not 8 <= n <= 4096:
                raise InputError(
                    f"Texture {k} is {picture.dtype} of shape {picture.shape}; it must be uint8 [n, n, 3]"
                    " with n a power of two from 8 to 4096."
                )
        pyramids = [_pyramid(picture) for picture in pictures]
        strips = [
            np.concatenate([_on_strip(_wrapped(level), p[0].shape[0] + 2 * _BORDER) for level in p], 1)
            for p in pyramids
        ]
        height, width = sum(len(s) for s in strips), max(s.shape[1] for s in strips)
        if max(height, width) > 32_000:  # cv2.remap counts in 16 bits.
            raise InputError(f"{len(pictures)} textures need {height} rows together; at most 32000 fit one stage.")
        self._picture = np.zeros((height, width, 3), np.uint8)
        most = max(len(p) for p in pyramids)
        self._x0, self._y0 = np.zeros((2, len(pictures), most), np.float32)
        self._size = np.zeros((len(pictures), most), np.float32)
        self._levels = np.array([len(p) for p in pyramids], np.float32)
        top = 0
        for k, (pyramid, strip) in enumerate(zip(pyramids, strips, strict=True)):
            self._picture[top : top + len(strip), : strip.shape[1]] = strip
            left = 0
            for level, picture in enumerate(pyramid):
                self._x0[k, level], self._y0[k, level] = left + _BORDER - 0.5, top + _BORDER - 0.5
                self._size[k, level] = len(picture)
                left += len(picture) + 2 * _BORDER
            top += len(strip)
        self._x0, self._y0, self._size = self._x0.ravel(), self._y0.ravel(), self._size.ravel()
        self._most = most

    def width(self) -> Float32[np.ndarray, " k"]:
        """How many texels wide each texture is."""
        return self._size.reshape(-1, self._most)[:, 0]

    def look_up(
        self,
        texture: Int[np.ndarray, " n"],
        u: Float32[np.ndarray, " n"],
        v: Float32[np.ndarray, " n"],
        level: Float32[np.ndarray, " n"],
    ) -> UInt8[np.ndarray, "n 3"]:
        """The sRGB colours of textures at (u, v), bilinear, v upwards.

        Args:
            texture: Which texture.
            u: Rightwards; repeats every 1.
            v: Upwards; repeats every 1.
            level: Level of detail, log2 of the texels that the footprint is wide; rounded to the nearest.
        """
        index = np.clip(level + 0.5, 0, self._levels[texture] - 1).astype(np.int32)
        index += texture.astype(np.int32) * self._most
        size = self._size[index]
        x = (u - np.floor(u)) * size + self._x0[index]
        y = (np.ceil(v) - v) * size + self._y0[index]
        # cv2.remap wants a picture of coordinates, no side longer than 32767.
        columns = 4096
        rows = -(-len(x) // columns)
        maps = np.zeros((2, rows * columns), np.float32)
        maps[0, : len(x)], maps[1, : len(x)] = x, y
        maps = maps.reshape(2, rows, columns)
        colours = cv2.remap(self._picture, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return colours.reshape(-1, 3)[: len(x)]


def _pyramid(picture: np.ndarray) -> list[np.ndarray]:
    """The picture and its halves down to 4 texels, averaged in linear light."""
    levels, linear = [picture], linear_from_srgb(picture)
    while len(linear) > 4:
        linear = (linear[::2, ::2] + linear[1::2, ::2] + linear[::2, 1::2] + linear[1::2, 1::2]) / 4
        levels.append(srgb_from_linear(linear))
    return levels


def _wrapped(picture: np.ndarray) -> np.ndarray:
    return np.pad(picture, ((_BORDER, _BORDER), (_BORDER, _BORDER), (0, 0)), mode="wrap")


def _on_strip(picture: np.ndarray, height: int) -> np.ndarray:
    return np.pad(picture, ((0, height - len(picture)), (0, 0), (0, 0)))


_LINEAR = linear(np.arange(256) / 255).astype(np.float32)


def linear_from_srgb(rgb: UInt8[np.ndarray, "*n 3"]) -> Float32[np.ndarray, "*n 3"]:
    """Light from display values (IEC 61966-2-1)."""
    return _LINEAR[rgb]


def srgb_from_linear(light: np.ndarray) -> UInt8[np.ndarray, "*n 3"]:
    """Display values from light (IEC 61966-2-1); what is brighter than white becomes white."""
    return (encoded(np.clip(light, 0, 1)) * 255 + 0.5).astype(np.uint8)
