"""Depth files: units, the unknown and the sky, intrinsics of smaller maps, hostile files."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from fourd import formats
from fourd.errors import FormatError, InputError, LimitError
from fourd.formats.depth import read_depth
from fourd.types import Limits
from tests.formats import samples

HW = samples.HW
DEPTH = np.array([[[1.5, 0.0, np.nan], [np.inf, -2.0, 3.0]]] * 2, np.float16)


def K(n: int = 2) -> torch.Tensor:
    return samples.upright(n).K


def pngs(folder: Path, maps: np.ndarray) -> Path:
    for i, depth in enumerate(maps):
        cv2.imwrite(str(folder / f"d{i}.png"), depth)
    return folder


def test_the_unknown_and_the_sky(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "x.npz", depth=DEPTH)
    maps = formats.read_depth(tmp_path / "x.npz", K=K(), hw=HW)
    assert maps.depth_m[0].tolist() == [[1.5, 0, 0], [math.inf, 0, 3]]
    assert maps.confidence[0].tolist() == [[1, 0, 0], [1, 0, 1]]
    assert maps.metric


def test_confidence_scale_and_metric_are_obeyed(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", depth_m=DEPTH, confidence=np.full(DEPTH.shape, 0.25))
    maps = formats.read_depth(tmp_path / "x.npz", K=K(), hw=HW, scale=2.0, metric=False)
    assert maps.depth_m[0].tolist() == [[3, 0, 0], [math.inf, 0, 6]]
    assert maps.confidence[0].tolist() == [[0.25, 0, 0], [0.25, 0, 0.25]]
    assert not maps.metric


def test_intrinsics_follow_the_size_of_the_maps(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", depth=np.ones((2, 36, 32)))
    maps = formats.read_depth(tmp_path / "x.npz", K=K(), hw=HW)
    torch.testing.assert_close(maps.K, K() * torch.tensor([[0.25], [0.5], [1.0]]))
    own = np.array([[10.0, 0, 5], [0, 11, 6], [0, 0, 1]])
    np.savez(tmp_path / "x.npz", depth=np.ones((2, 36, 32)), K=own)
    assert formats.read_depth(tmp_path / "x.npz", K=K(), hw=HW).K[1].tolist() == own.tolist()


def test_pngs_are_millimetres_unless_said_otherwise(tmp_path: Path) -> None:
    maps = np.array([[[1500, 0], [65535, 1]]] * 11, np.uint16)
    maps[10] = 7  # d10 is the last, though "d10" sorts before "d2".
    got = formats.read_depth(pngs(tmp_path, maps), K=K(11), hw=HW)
    torch.testing.assert_close(got.depth_m[0], torch.tensor([[1.5, 0], [65.535, 0.001]]))
    assert got.confidence[0].tolist() == [[1, 0], [1, 1]]
    torch.testing.assert_close(got.depth_m[10], torch.full((2, 2), 0.007))
    assert float(formats.read_depth(tmp_path, K=K(11), hw=HW, scale=1.0).depth_m[0, 0, 0]) == 1500


def test_what_does_not_fit_is_said(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", depth=np.ones((3, 4, 4)))
    with pytest.raises(InputError, match="has 3 depth maps and the clip 2 frames"):
        formats.read_depth(tmp_path / "x.npz", K=K(), hw=HW)
    with pytest.raises(InputError, match="must be above 0"):
        formats.read_depth(tmp_path / "x.npz", K=K(3), hw=HW, scale=0.0)
    with pytest.raises(LimitError, match=r"more than Limits\.pixels"):
        read_depth(tmp_path / "x.npz", K=K(3), hw=HW, limits=Limits(pixels=15))
    pngs(tmp_path, np.ones((3, 2, 2), np.uint16))
    with pytest.raises(InputError, match="has 3 depth maps and the clip 2 frames"):
        formats.read_depth(tmp_path, K=K(), hw=HW)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"z": DEPTH}, "must hold depth_m or depth; it holds z"),
        ({"depth": DEPTH[0]}, r"depth has shape \(2, 3\); it must be \[t, h, w\]"),
        ({"depth": DEPTH, "confidence": DEPTH[:1]}, r"confidence has shape \(1, 2, 3\); it must be \(2, 2, 3\)"),
        ({"depth": DEPTH, "K": np.eye(4)}, r"K has shape \(4, 4\)"),
        ({"depth": np.array([["a"]])}, "must hold numbers"),
    ],
)
def test_what_is_wrong_with_an_npz_is_said(tmp_path: Path, arrays: dict, says: str) -> None:
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(FormatError, match=says):
        formats.read_depth(tmp_path / "x.npz", K=K(), hw=HW)


def test_pictures_that_are_no_depth_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"holds no \.png files"):
        formats.read_depth(tmp_path, K=K(), hw=HW)
    pngs(tmp_path, np.ones((2, 4, 4), np.uint8))
    with pytest.raises(FormatError, match="is not a 16-bit grey PNG"):
        formats.read_depth(tmp_path, K=K(), hw=HW)
    pngs(tmp_path, np.ones((2, 4, 4), np.uint16))
    cv2.imwrite(str(tmp_path / "d1.png"), np.ones((4, 5), np.uint16))
    with pytest.raises(FormatError, match=r"is of another size than d0\.png; all must be 4 x 4"):
        formats.read_depth(tmp_path, K=K(), hw=HW)


def test_a_small_picture_cannot_claim_to_be_a_large_one(tmp_path: Path) -> None:
    pngs(tmp_path, np.ones((2, 4, 4), np.uint16))
    data = bytearray((tmp_path / "d0.png").read_bytes())
    data[16:24] = struct.pack(">II", 8000, 8000)
    (tmp_path / "d0.png").write_bytes(data)
    with pytest.raises(FormatError, match="bytes cannot hold 8000 x 8000 pixels"):
        formats.read_depth(tmp_path, K=K(), hw=HW)


def test_a_chunk_cannot_claim_more_than_the_file(tmp_path: Path) -> None:
    pngs(tmp_path, np.ones((2, 4, 4), np.uint16))
    data = (tmp_path / "d0.png").read_bytes()
    at = data.index(b"IDAT")
    (tmp_path / "d0.png").write_bytes(data[: at - 4] + struct.pack(">I", 2**31 - 1) + data[at:])
    with pytest.raises(FormatError, match="its chunks do not end where the file does"):
        formats.read_depth(tmp_path, K=K(), hw=HW)


@pytest.mark.parametrize("name", ["x.npz", "d0.png"])
def test_hostile_files_never_do_worse_than_a_format_error(tmp_path: Path, name: str, capfd) -> None:
    g = np.random.default_rng(0)
    if name == "x.npz":
        np.savez_compressed(tmp_path / name, depth=g.random((2, 6, 8)), confidence=g.random((2, 6, 8)))
    else:
        pngs(tmp_path, g.integers(0, 60000, (2, 6, 8), dtype=np.uint16))
    target = tmp_path / name if name == "x.npz" else tmp_path

    def read(_: Path) -> None:
        try:
            formats.read_depth(target, K=K(), hw=HW)
        except (InputError, LimitError) as error:  # Another count or size: the file may still be sound.
            raise FormatError(str(error)) from error

    assert samples.survives(read, tmp_path / name, samples.mutants((tmp_path / name).read_bytes(), 300)) > 50
    capfd.readouterr()  # The decoder's own complaints are not ours to judge.
