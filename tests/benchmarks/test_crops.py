"""The pictures of the page on filling are made by one command."""

from __future__ import annotations

from pathlib import Path

import imageio.v3 as iio
import pytest

from benchmarks import crops


@pytest.mark.needs("native")
def test_each_view_has_three_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "made" / "pictures.jpg"
    asked = crops.Options(
        stage=("room",), views=("R20",), inpainter="stretch", frames=3, hw=(36, 64), crop_hw=(30, 40), out=out
    )
    assert crops.main(asked) == 0 and capsys.readouterr().out == f"{out}\n"
    picture = iio.imread(out)
    assert picture.shape == (30 + 18 + 4, 3 * (40 + 4), 3)
    empty, filled, truth = (picture[20:48, k : k + 38].astype(float) for k in (1, 45, 89))
    assert abs(filled - truth).mean() < 0.8 * abs(empty - truth).mean()
