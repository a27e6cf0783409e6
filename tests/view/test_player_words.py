"""Words of others in the browser: names, prompts and warnings with markup in them stay words."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path

import pytest

from fourd.events import result
from fourd.formats import html
from fourd.scene import Scene
from fourd.types import Provenance
from fourd.view import report
from tests.scenes import small_scene
from tests.view.browser import Browser, Page
from tests.view.pages import SHOWN, Served

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.needs("native")]

_RUN = "window.top.evil=1,window.evil=1"
_MARKUP = [
    f"<script>{_RUN}</script>",
    f"</script><script>{_RUN}</script>",
    f"<img src=x onerror='{_RUN}'>",
    f"<svg onload='{_RUN}'></svg>",
    f"<svg><script>{_RUN}</script></svg>",
    f"<iframe srcdoc='<script>{_RUN}</script>'></iframe>",
    f"<details open ontoggle='{_RUN}'>",
    f"<input autofocus onfocus='{_RUN}'>",
    f"<body onpageshow='{_RUN}'>",
    f"<a href='javascript:{_RUN}' autofocus>x</a>",
    f"<video><source onerror='{_RUN}'></video>",
    f"<style>@import 'javascript:{_RUN}'</style><b onanimationstart='{_RUN}'>",
    f"<math><mtext></form><form><mglyph><style></math><img src onerror='{_RUN}'>",
    f"<template><script>{_RUN}</script></template><script>{_RUN}</script>",
    f"<meta http-equiv=refresh content='0;url=javascript:{_RUN}'>",
    f"<object data='javascript:{_RUN}'></object>",
    f"<base href='javascript:{_RUN}//'>",
    f"${{{_RUN}}}`${{{_RUN}}}`",
    f"--><script>{_RUN}</script><!--",
    f"]]><script>{_RUN}</script>",
]
_AROUND = ["{}", '"{}', "'>{}", "'\"></title></textarea></style>{}", "a\u2028b\x0b\u202e{}&lt;&#x27;"]
STRINGS = [around.format(markup) for markup, around in itertools.product(_MARKUP, _AROUND)]


def test_there_are_a_hundred() -> None:
    assert len(set(STRINGS)) == 100


def calm(page: Page) -> None:
    """Nothing ran, and nothing was even tried: the content security policy would have complained."""
    page.run("new Promise((resolve) => setTimeout(resolve, 200))")
    assert page.run("window.evil") is None and page.complaints() == []


def test_the_player_shows_names_as_they_are(browser: Browser, served: Served, busy: tuple[Scene, Path]) -> None:
    with browser.open(served.serve(busy[1])) as page:
        page.wait(SHOWN)
        shown = page.run(
            f"""{json.dumps(STRINGS)}.map((name) => {{
              fourd.dispatchEvent(new CustomEvent("scene", {{ detail: {{ ...fourd.facts, name }} }}));
              fourd.dispatchEvent(new CustomEvent("progress", {{ detail: {{ done: 1, total: 2 }} }}));
              return [document.getElementById("name").textContent, document.getElementById("cover-title").textContent];
            }})"""
        )
        for name, (heading, cover) in zip(STRINGS, shown, strict=True):
            last = name.replace("\\", "/").split("/")[-1]
            assert heading == cover == (last or "Scene")
        failed = "fourd.dispatchEvent(new CustomEvent('failed', { detail: { message: x, todo: x } }))"
        page.run(f"for (const x of {json.dumps(STRINGS)}) {failed}; 0")
        calm(page)


def test_a_page_from_disk_holds_names_as_they_are(browser: Browser, tmp_path: Path) -> None:
    scene = small_scene()
    # A path's last part becomes the title.
    name = "".join(STRINGS).replace("/", "\N{FRACTION SLASH}") + "</script><script>window.evil=1</script>"
    html.write(tmp_path / "a.html", html.page(scene.splats, scene.cameras, None, Provenance(clip=name)))
    with browser.open((tmp_path / "a.html").as_uri()) as page:
        page.wait(SHOWN)
        calm(page)


def test_a_report_holds_all_words_as_they_are(browser: Browser, tmp_path: Path) -> None:
    scene = small_scene()
    notes = dataclasses.replace(
        scene.provenance,
        clip=STRINGS[0],
        config={text: text for text in STRINGS},  # Prompts and paths stand here.
        versions={text: text for text in STRINGS},
        seconds={text: 1.0 for text in STRINGS},
        warnings=STRINGS,
    )
    text = result(report.page(dataclasses.replace(scene, provenance=notes)))
    html.write(tmp_path / "r.html", text)
    with browser.open((tmp_path / "r.html").as_uri()) as page:
        page.wait("document.readyState === 'complete'")
        said = page.run("[...document.querySelectorAll('.notes li')].map((item) => item.textContent)")
        # HTML knows no vertical tab, which a parser may keep or replace.
        assert said == [text.replace("\r", "\n") for text in STRINGS]
        assert page.run("document.querySelectorAll('main > section').length") == 5
        assert page.run("document.scripts.length") == 0
        calm(page)
