"""Coded colours to sRGB: matrices and ranges exactly, high dynamic range by the standards' own figures."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from fourd.media import colour, read
from fourd.media.colour import Painter
from tests.media.films import film

WEIGHTS = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}


def flat(
    y: int, u: int, v: int, hw: tuple[int, int] = (32, 32), matrix: int = 1, limited: bool = True
) -> av.VideoFrame:
    frame = av.VideoFrame(hw[1], hw[0], "yuv420p")
    for plane, value in zip(frame.planes, (y, u, v), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    frame.colorspace, frame.color_range = matrix, 1 if limited else 2
    return frame


def exact(y: int, u: int, v: int, matrix: int, limited: bool) -> np.ndarray:
    """ITU-T H.273, equations 20 ff. and 36 ff., the other way round."""
    kr, kb = WEIGHTS[matrix]
    luma, pb, pr = ((y - 16) / 219, (u - 128) / 224, (v - 128) / 224) if limited else (y / 255, *_full(u, v))
    r, b = luma + 2 * (1 - kr) * pr, luma + 2 * (1 - kb) * pb
    return np.clip(255 * np.array([r, (luma - kr * r - kb * b) / (1 - kr - kb), b]), 0, 255)


def _full(u: int, v: int) -> tuple[float, float]:
    return (u - 128) / 255, (v - 128) / 255


@pytest.mark.parametrize("limited", [True, False])
@pytest.mark.parametrize("matrix", [1, 5, 6, 9])
@pytest.mark.parametrize("hw", [(32, 32), (16, 16)], ids=str)
def test_matrices_and_ranges_are_those_of_the_file(matrix: int, limited: bool, hw: tuple[int, int]) -> None:
    for code in [(81, 90, 200), (145, 54, 34), (16, 128, 128), (235, 128, 128), (120, 140, 110)]:
        got = Painter()(flat(*code, matrix=matrix, limited=limited), hw)
        assert got.shape == (*hw, 3)
        # One step: integer arithmetic inside swscale, measured.
        np.testing.assert_allclose(got[3, 5], exact(*code, matrix, limited), atol=1.01)
        assert (got == got[0, 0]).all()


def test_where_the_file_does_not_say_the_size_does() -> None:
    for hw, matrix in (((480, 720), 5), ((576, 720), 5), ((720, 1280), 1)):
        got = Painter()(flat(81, 90, 200, hw, matrix=2), (8, 8))[4, 4]
        np.testing.assert_allclose(got, exact(81, 90, 200, matrix, True), atol=1.01)


def test_shrinking_averages_areas() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    frame = av.VideoFrame.from_ndarray(noise, format="rgb24")
    expected = noise.reshape(8, 8, 12, 8, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(Painter()(frame, (8, 12)), expected, atol=1.01)


@pytest.mark.parametrize(("limited", "top"), [(True, 940), (False, 1023)])
def test_full_signal_of_deep_video_is_white(limited: bool, top: int) -> None:
    frame = av.VideoFrame(16, 16, "yuv420p10le")
    for plane, value in zip(frame.planes, (top, 512, 512), strict=True):
        plane.update(np.full(plane.buffer_size // 2, value, np.uint16).tobytes())
    frame.colorspace, frame.color_range, frame.color_primaries = 9, 1 if limited else 2, 9
    for trc in (14, 16, 18):  # SDR, PQ, HLG.
        frame.color_trc = trc
        assert (Painter()(frame, (8, 8)) == 255).all()


def test_transparency_is_laid_on_white() -> None:
    rgba = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 0, 0, 128]]], dtype=np.uint8)
    np.testing.assert_array_equal(colour.on_white(rgba), [[[10, 20, 30], [255] * 3, [127] * 3]])
    frame = av.VideoFrame.from_ndarray(np.repeat(rgba, 2, axis=0), format="rgba")
    np.testing.assert_allclose(Painter()(frame, (2, 3))[0], [[10, 20, 30], [255] * 3, [127] * 3], atol=1)


def test_pq_and_hlg_meet_the_figures_of_the_standards() -> None:
    # ITU-R BT.2408, table 1: diffuse white is 203 cd/m2, 58 % PQ and 75 % HLG.
    assert colour.nits_to_pq(203.0) == pytest.approx(0.58, abs=0.002)
    assert 1000 * colour.hlg_to_scene(0.75) ** 1.2 == pytest.approx(203, abs=1)
    # ITU-R BT.2100: ends of the scales.
    assert colour.pq_to_nits(1.0) == pytest.approx(10000)
    assert colour.pq_to_nits(0.0) == 0
    assert colour.hlg_to_scene(1.0) == pytest.approx(1, abs=1e-6)
    assert colour.hlg_to_scene(0.5) == pytest.approx(1 / 12)
    nits = np.geomspace(0.01, 10000, 50)
    np.testing.assert_allclose(colour.pq_to_nits(colour.nits_to_pq(nits)), nits, rtol=1e-9)


def test_the_roll_off_rises_leaves_the_dark_alone_and_ends_at_white() -> None:
    nits = np.geomspace(0.01, 10000, 400).astype(np.float32)
    out = colour.roll_off(nits)
    assert (np.diff(out) >= 0).all()
    np.testing.assert_array_equal(out[nits < 90], nits[nits < 90])
    assert np.abs(np.diff(np.log(out)) - np.diff(np.log(nits))).max() < 0.06  # No kink, no step.
    assert out[-1] == pytest.approx(203, rel=1e-3)
    assert colour.srgb(colour.roll_off(np.float32([203])) / 203) == pytest.approx(0.9 * 255, abs=2)


def pq_codes(nits: tuple[float, ...], hw: tuple[int, int] = (32, 32)) -> np.ndarray:
    """Flat light of BT.2020 primaries as 10 bit limited-range PQ 4:2:0, written from BT.2100."""
    y = np.array(nits) / 10000
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    e = ((c1 + c2 * y**m1) / (1 + c3 * y**m1)) ** m2
    luma = e @ [0.2627, 0.6780, 0.0593]
    code = (876 * luma + 64, 896 * (e[2] - luma) / 1.8814 + 512, 896 * (e[0] - luma) / 1.4746 + 512)
    h, w = hw
    planes = np.concatenate([np.full(n, round(c)) for c, n in zip(code, (h * w, h * w // 4, h * w // 4), strict=True)])
    return planes.astype(np.uint16).reshape(h * 3 // 2, w)


RED = (0.627404, 0.069097, 0.016391)  # BT.709 red in BT.2020 primaries (ITU-R BT.2087).


@pytest.mark.parametrize(
    ("nits", "expected"),
    [
        ((50.75, 50.75, 50.75), [137] * 3),  # A quarter of diffuse white, untouched: sRGB 0.537.
        (tuple(80 * x for x in RED), [168, 0, 0]),  # 80 / 203 of full red, whatever the gamut of the file.
        ((4000, 4000, 4000), [255] * 3),
        ((0, 0, 0), [0] * 3),
    ],
    ids=["grey", "red", "glare", "black"],
)
def test_hdr_video_comes_out_as_srgb(tmp_path: Path, nits: tuple[float, ...], expected: list[int]) -> None:
    path = film(
        tmp_path / "pq.mkv",
        [pq_codes(nits)] * 2,
        codec="ffv1",
        pix_fmt="yuv420p10le",
        tags=(9, 9, 16, 1),
    )
    got = read(path).frames[1, 16, 16].numpy()
    np.testing.assert_allclose(got, expected, atol=2)  # Steps of 10 bit PQ.


def test_wide_primaries_keep_greys_and_bring_their_red_back() -> None:
    grey = np.full((2, 2, 3), 40000, np.uint16)
    for primaries in (9, 12):
        np.testing.assert_allclose(colour.wide_to_srgb(grey, 65535, primaries), 40000 / 257, atol=1)
        matrix = np.array(colour._TO_709[primaries])
        np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-5)  # White stays white.
    light = np.array([[RED]], dtype=np.float32)
    np.testing.assert_allclose(light @ np.array(colour._TO_709[9], np.float32).T, [[[1, 0, 0]]], atol=1e-5)
