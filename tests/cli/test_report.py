"""`fourd report`: one page with everything in it."""

from __future__ import annotations

import dataclasses
import html
import re
from pathlib import Path

import pytest

from fourd.commands.common import megabytes
from fourd.scene import Scene
from tests.cli.said import Run, paragraph
from tests.scenes import small_scene


@pytest.mark.needs("native")
def test_report_holds_everything_and_asks_for_nothing(run: Run, scene: Path) -> None:
    assert run("render", scene, "--path", "source", "-o", "clip.mp4")[0] == 0
    status, out, err = run("report", scene, "-o", "r.html", "--clip", "clip.mp4")
    text = Path("r.html").read_text()
    assert (status, out) == (0, f"r.html: {megabytes(Path('r.html'))}\n") and "done" not in err
    titles = re.findall("<h2>(.*?)</h2>", re.sub("srcdoc=.*", "", text))
    assert titles == [
        "Filmed and rendered",
        "How well the filmed pictures come back",
        "What is known",
        "The camera",
        "How long it took",
        "In numbers",
    ]
    outer = re.sub('srcdoc="[^"]*"', "", text)
    assert "the wall is [flat]" in outer and "fourd-scene" not in outer  # The player stands in its frame.
    assert outer.count("<img") == 17 and "3.5 s in all" in outer
    assert not re.findall(r'(?:src|href)="(?!data:)', outer) and "<script" not in outer and "style=" not in outer
    again = Path("r.html").read_bytes()
    assert run("report", scene, "-o", "r.html", "--clip", "clip.mp4")[0] == 0 and Path("r.html").read_bytes() == again


@pytest.mark.needs("native")
def test_report_without_its_clip_compares_nothing(run: Run, scene: Path) -> None:
    assert run("report", scene)[0] == 0
    text = re.sub('srcdoc="[^"]*"', "", Path("ball_report.html").read_text())
    assert "<h2>Rendered</h2>" in text and "come back" not in text and text.count("<img") == 13


@pytest.mark.needs("native")
def test_markup_in_names_and_warnings_stays_text(run: Run) -> None:
    evil = "</script><img src=x onerror=alert(1)>\"'"
    lifted = small_scene()
    notes = dataclasses.replace(
        lifted.provenance, clip=evil, warnings=[evil], config={evil: evil}, versions={evil: evil}, seconds={evil: 1.0}
    )
    Scene(lifted.splats, lifted.cameras, None, notes).save("e.glb")
    assert run("report", "e.glb", "-o", "e.html")[0] == 0
    text = Path("e.html").read_text()
    assert "<img src=x" not in text and text.count(html.escape(evil)) >= 5


def test_report_refuses_what_cannot_be(run: Run, scene: Path, clip: Path) -> None:
    status, _, err = run("report", scene, "-o", "r.pdf")
    assert status == 1 and paragraph(err) == "Cannot write 'r.pdf': its name must be NAME.html (a page)."
    status, _, err = run("report", scene, "--start", "1")
    assert status == 1 and "give the clip with --clip, too" in paragraph(err)
    status, out, err = run("report", scene, "-o", "r.html", "--clip", clip, "--start", "0.3")
    assert (status, out) == (1, "") and "lasts 0.30 s and the scene 0.70 s" in paragraph(err)
    assert not Path("r.html").exists()
