"""A file is written whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from fourd.errors import OutputError
from fourd.files import growing, replacing


def test_a_failure_keeps_the_old_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "scene.glb"
    target.write_text("old")
    with pytest.raises(RuntimeError, match="halfway"), replacing(target) as fresh:
        fresh.write_text("new, but")
        raise RuntimeError("halfway")
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["scene.glb"]


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    target = tmp_path / "scene.glb"
    with pytest.raises(OutputError, match=r"Cannot write .*scene\.glb: the disk is full\."), replacing(target):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert os.listdir(tmp_path) == []


def test_a_missing_folder_and_a_folder_in_the_way_are_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="the folder does not exist"), replacing(tmp_path / "no" / "x.mp4"):
        pass
    with pytest.raises(OutputError, match="a folder is in the way"), replacing(tmp_path):
        pass


def test_a_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with replacing(tmp_path / "ours") as fresh:
        fresh.write_text("x")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_folder_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "all"
    with pytest.raises(OutputError) as error, growing(target) as folder:
        (folder / "0.ply").touch()
        with replacing(folder / "1.ply"):
            raise OSError(errno.ENOSPC, "No space left on device")
    assert str(error.value) == f"Cannot write {target / '1.ply'}: the disk is full."
    assert os.listdir(tmp_path) == []
    with growing(target) as folder:
        (folder / "0.ply").touch()
    assert os.listdir(target) == ["0.ply"]
    with pytest.raises(OutputError, match=r"Cannot write .*all: it exists and is not an empty folder"), growing(target):
        pass
    assert os.listdir(tmp_path) == ["all"]
