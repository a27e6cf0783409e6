"""Decoded frames, in whatever colours they were coded, to sRGB pictures of the working size.

Standard dynamic range is passed on as coded: screens show the BT.709 and BT.601 curves and sRGB
alike, and so does every player. Wide primaries are brought to those of BT.709.

High dynamic range is decoded to the light of a 1000 cd/m2 screen (ITU-R BT.2100: PQ, or HLG with
system gamma 1.2), brought to BT.709 primaries, and rolled off towards 203 cd/m2, the diffuse white
of ITU-R BT.2408, by the curve of ITU-R BT.2390 section 5.4.1 on the largest of the three channels,
which keeps the hue. Below 45 % of white nothing changes; diffuse white comes out at 90 % sRGB.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8, UInt16

from fourd.srgb import encoded, linear

_WHITE_NITS, _PEAK_NITS = 203.0, 1000.0

# ITU-T H.273 code points, as libavutil numbers them.
_PQ, _HLG = 16, 18
_RGB, _UNSPECIFIED = 0, 2
_MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
"""H.273 matrix coefficients to swscale's names of them."""

# Linear light of other primaries to BT.709's: M_709^-1 @ M_other of the chromaticities in H.273.
_TO_709 = {
    9: [[1.660491, -0.587641, -0.072850], [-0.124550, 1.132900, -0.008349], [-0.018151, -0.100579, 1.118730]],
    12: [[1.224940, -0.224940, 0.0], [-0.042057, 1.042057, 0.0], [-0.019638, -0.078636, 1.098274]],
}


class Painter:
    """Turns decoded frames into sRGB pictures; keeps swscale's tables from frame to frame."""

    def __init__(self) -> None:
        from av.video.reformatter import VideoReformatter

        self._reformatter = VideoReformatter()

    def __call__(self, frame: Any, hw: tuple[int, int]) -> UInt8[np.ndarray, "h w 3"]:
        """Paint a frame at size ``hw`` (before it is turned upright)."""
        light = frame.color_trc in (_PQ, _HLG)
        wide = frame.color_primaries in _TO_709
        alpha = any(c.is_alpha for c in frame.format.components) and frame.format.name != "pal8"
        if light or wide:
            deep = self._scaled(frame, hw, "rgb48le")
            white = _white(frame)
            if light:
                return hdr_to_srgb(deep, white, pq=frame.color_trc == _PQ, primaries=frame.color_primaries)
            return wide_to_srgb(deep, white, frame.color_primaries)
        if alpha or frame.format.name == "pal8":
            return on_white(self._scaled(frame, hw, "rgba"))
        return self._scaled(frame, hw, "rgb24")

    def _scaled(self, frame: Any, hw: tuple[int, int], form: str) -> Any:
        from av.video.reformatter import ColorRange, Interpolation

        # Without these flags swscale takes a short cut that rounds luma down and repeats chroma.
        exact = Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
        smaller = hw[0] < frame.height or hw[1] < frame.width
        how = Interpolation.AREA if smaller else Interpolation.BICUBIC
        return self._reformatter.reformat(
            frame,
            width=hw[1],
            height=hw[0],
            format=form,
            src_colorspace=_matrix(frame),
            src_color_range=_range(frame),
            dst_color_range=ColorRange.JPEG,
            interpolation=how | exact,
        ).to_ndarray()


def _matrix(frame: Any) -> int | None:
    """Swscale's name of the frame's YUV matrix; where a file does not say, players go by the size."""
    if frame.colorspace == _RGB or frame.format.is_rgb:
        return None
    large = frame.width >= 1280 or frame.height > 576
    return _MATRICES.get(frame.colorspace, 1 if large else 5)


def _range(frame: Any) -> int:
    """1 for limited, 2 for full; where a file does not say, YUV is limited."""
    full = frame.format.is_rgb or frame.format.name.startswith("yuvj")
    return frame.color_range or (2 if full else 1)


def _white(frame: Any) -> int:
    """The 16 bit code to which swscale brings full signal: it shifts left and does not fill up (measured)."""
    bits = 8 if _range(frame) == 1 else frame.format.components[0].bits
    return 65536 - (1 << (16 - bits))


def on_white(rgba: UInt8[np.ndarray, "h w 4"]) -> UInt8[np.ndarray, "h w 3"]:
    """Lay a picture with straight alpha on white, blending in sRGB as browsers do."""
    alpha = rgba[..., 3:].astype(np.uint32)
    return ((rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def srgb(light: Float32[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    """Linear light, 0 to 1, to sRGB (IEC 61966-2-1)."""
    return np.rint(encoded(np.clip(light, 0, 1)) * 255).astype(np.uint8)


def pq_to_nits(code: Any) -> Any:
    """The PQ curve of SMPTE ST 2084 and ITU-R BT.2100: code 0 to 1, light in cd/m2."""
    power = np.power(code, 32 / 2523)
    return 10000 * np.power(np.maximum(power - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * power), 8192 / 1305)


def nits_to_pq(nits: Any) -> Any:
    """The inverse of ``pq_to_nits``."""
    power = np.power(np.maximum(nits, 0) / 10000, 1305 / 8192)
    return np.power((107 / 128 + 2413 / 128 * power) / (1 + 2392 / 128 * power), 2523 / 32)


def hlg_to_scene(code: Any) -> Any:
    """The HLG curve of ITU-R BT.2100 (inverse OETF): code 0 to 1, light of the scene 0 to 1."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(code <= 0.5, np.square(code) / 3, (np.exp((code - c) / a) + b) / 12)


@cache
def _curve(white: int, pq: bool) -> Float32[np.ndarray, " 65536"]:
    code = np.minimum(np.arange(65536) / white, 1)
    return (pq_to_nits(code) if pq else hlg_to_scene(code)).astype(np.float32)


@cache
def _sdr_curve(white: int) -> Float32[np.ndarray, " 65536"]:
    code = np.minimum(np.arange(65536) / white, 1)
    return linear(code).astype(np.float32)


def _to_709(light: Float32[np.ndarray, "h w 3"], primaries: int) -> Float32[np.ndarray, "h w 3"]:
    matrix = _TO_709.get(primaries)
    return light if matrix is None else np.maximum(light @ np.array(matrix, dtype=np.float32).T, 0)


def roll_off(nits: Float32[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
    """The curve of ITU-R BT.2390 from a peak of 1000 to one of 203 cd/m2, black staying black."""
    peak = nits_to_pq(_PEAK_NITS)
    top = nits_to_pq(_WHITE_NITS) / peak
    knee = 1.5 * top - 0.5
    x = np.minimum(nits_to_pq(nits) / peak, 1)
    t = np.maximum(x - knee, 0) / (1 - knee)
    t2, t3 = t**2, t**3
    bent = (2 * t3 - 3 * t2 + 1) * knee + (t3 - 2 * t2 + t) * (1 - knee) + (3 * t2 - 2 * t3) * top
    return np.where(x <= knee, nits, pq_to_nits(bent * peak)).astype(np.float32)


def hdr_to_srgb(code: UInt16[np.ndarray, "h w 3"], white: int, pq: bool, primaries: int) -> UInt8[np.ndarray, "h w 3"]:
    """PQ or HLG codes, ``white`` being full signal, to sRGB; see the head of this file."""
    light = _curve(white, pq)[code]
    if primaries == _UNSPECIFIED:
        primaries = 9  # BT.2100 knows no others.
    if not pq:
        luma = light @ np.array([0.2627, 0.6780, 0.0593], dtype=np.float32)
        light = _PEAK_NITS * light * np.power(luma, np.float32(0.2))[..., None]
    light = _to_709(light, primaries)
    largest = light.max(axis=-1, keepdims=True)
    return srgb(light * (roll_off(largest) / np.maximum(largest, 1e-6) / _WHITE_NITS))


def wide_to_srgb(code: UInt16[np.ndarray, "h w 3"], white: int, primaries: int) -> UInt8[np.ndarray, "h w 3"]:
    """Standard dynamic range with wide primaries to sRGB; colours outside are clipped."""
    return srgb(_to_709(_sdr_curve(white)[code], primaries))
