"""Pages that hold a scene: whole, small, sealed, and the same every time."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import hashlib
import html as html_
import json
import re
import struct
from pathlib import Path

import pytest
import torch

from fourd.errors import InputError, OutputError
from fourd.formats import html, packed
from fourd.types import Provenance
from tests.formats import samples
from tests.scenes import small_scene


def scene_of(text: str) -> bytes:
    """The packed scene within a page."""
    found = re.findall(r'<script type="text/plain" id="fourd-scene">([A-Za-z0-9+/=]*)</script>', text)
    assert len(found) == 1
    return gzip.decompress(base64.b64decode(found[0]))


def test_a_page_holds_the_scene_and_asks_for_nothing() -> None:
    text = html.page(samples.splats(), samples.cameras(), samples.sound())
    assert scene_of(text) == packed.pack(samples.splats(), samples.cameras(), samples.sound())
    assert not re.search(r"""\b(src|href)=["'](?!data:|#)""", text) and "https://" not in text and "http://" not in text
    assert text.count("</script>") == text.count("<script ") == 3
    assert text == html.page(samples.splats(), samples.cameras(), samples.sound())


def test_the_policy_of_a_page_lets_its_own_script_run_and_no_other() -> None:
    text = html.page(samples.splats(), samples.cameras())
    policy = re.findall(r'http-equiv="content-security-policy" content="([^"]*)"', text)[0]
    script = re.findall(r'<script type="module">(.*?)</script>', text, re.DOTALL)[0]
    style = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)[0]
    for kind, body in (("script-src", script), ("style-src", style)):
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy and "unsafe" not in policy and "connect-src" not in policy


EVIL = [
    "<script>x()</script>", "</title><script>x()</script>", "<img src=x onerror=x()>", '"><svg onload=x()>', "'-x()-'",
    "</script><script>x()</script>", "<!--", "-->", "${x()}", "`${x()}`", "javascript:x()", "\u2028x()", "&lt;b&gt;",
    "<style>*{}</style>", "]]>", "{{x}}", "<iframe srcdoc='<script>x()</script>'>", "\\u003cscript>",
    "a\0b", "\ud7ff\ufffe",
]  # fmt: skip


@pytest.mark.parametrize("name", [*EVIL, *(f"a {evil} b" * 2 for evil in EVIL)], ids=range(2 * len(EVIL)))
def test_names_with_markup_stay_text(name: str) -> None:
    text = html.page(samples.splats(3), samples.cameras(), provenance=Provenance(clip=name, config={"prompt": name}))
    plain = html.page(samples.splats(3), samples.cameras())
    for mark in ("<script", "</script", "<style", "<img", "<svg", "<iframe", "<!--"):
        assert text.count(mark) == plain.count(mark), mark
    title = re.findall(r"<title>(.*?)</title>", text, re.DOTALL)
    assert title == [html_.escape(Path(name).name)]


def test_scripts_are_joined_in_the_order_that_they_need() -> None:
    for entry in ("main.js", "worker.js"):
        script = html.bundle(entry)
        made = [match[0] for match in re.finditer(r"^const module_\w+", script, re.MULTILINE)]
        assert len(made) == len(set(made)) > 5 and made[-1] == f"const module_{entry.removesuffix('.js')}"
        for used in re.finditer(r"= (module_\w+);", script):
            assert script.index(f"const {used[1]} = ") < used.start()


def test_writing_replaces_as_a_whole(tmp_path: Path) -> None:
    small_scene().export(tmp_path / "a.html")
    whole = (tmp_path / "a.html").read_text()
    assert whole.startswith("<!doctype html>") and whole.rstrip().endswith("</html>")
    with pytest.raises(OutputError, match="the folder does not exist"):
        small_scene().export(tmp_path / "no" / "a.html")


def test_a_notebook_gets_a_sealed_frame_or_a_sentence() -> None:
    scene = small_scene()
    shown = scene.show(height_px=300)._repr_html_()
    assert shown.startswith("<iframe srcdoc=") and shown.count("<") == 2  # Of the frame itself; the rest is escaped.
    assert 'sandbox="allow-scripts allow-downloads"' in shown and "height:300px" in shown
    assert html_.unescape(re.findall(r'srcdoc="([^"]*)"', shown)[0]) == scene._page()
    small = scene.show(limit_mb=0.01)._repr_html_()
    assert "iframe" not in small and "MB as a page, and the limit is 0.01 MB" in small and "fourd view" in small
    assert "limit_mb=1)" in small and scene._repr_html_().startswith("<iframe")
    assert repr(scene.show()).startswith("A scene for a notebook.")
    for wrong in ({"height_px": 5}, {"limit_mb": 0.0}, {"limit_mb": float("nan")}):
        with pytest.raises(InputError, match=f"{next(iter(wrong))} is "):
            scene.show(**wrong)


def test_a_packed_scene_is_small() -> None:
    many = samples.splats(20_000, 1)
    many = many.replace(velocity_mps=torch.where(many.duration_s[:, None] == torch.inf, 0.0, many.velocity_mps))
    data = packed.pack(many, samples.cameras())
    still = int(torch.isinf(many.duration_s).sum())
    assert len(data) < 22 * still + 36 * (len(many) - still) + 4000


def test_a_packed_scene_says_where_its_columns_are() -> None:
    data = packed.pack(samples.splats(7, 4), samples.cameras(), samples.sound())
    length = struct.unpack("<I", data[8:12])[0]
    document = json.loads(data[12 : 12 + length])
    assert sum(size for _, size in document["columns"].values()) == len(data) - 12 - length
    assert document["columns"]["position"] == [0, 63] and document["columns"]["harmonics"][1] == 7 * 9
    assert set(document["provenance"]) == {"clip", "metric", "up"}  # Folders of the maker's machine stay there.


def test_no_splats_can_be_packed_too() -> None:
    splats = samples.splats(4)[torch.zeros(4, dtype=torch.bool)]
    data = packed.pack(splats, samples.cameras())
    assert json.loads(data[12 : 12 + struct.unpack("<I", data[8:12])[0]])["splats"] == 0


def test_what_cannot_be_packed_is_said() -> None:
    splats = samples.splats(4)
    fast = dataclasses.replace(splats, velocity_mps=splats.velocity_mps * 1e6)
    with pytest.raises(InputError, match=r"A splat moves .* a second; a page holds up to 65504"):
        packed.pack(fast, samples.cameras())
