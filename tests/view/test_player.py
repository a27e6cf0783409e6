"""The player in a real browser: what it draws, what it does when asked, and what it says when it cannot.

Chromium draws in software here (SwiftShader), so the scenes and pictures are small.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from fourd.formats import camera_path
from fourd.scene import Scene
from fourd.types import Provenance
from fourd.view import colour
from tests.scenes import small_scene
from tests.view.browser import Browser, Page
from tests.view.pages import HW, SHOWN, Served, moments, picture, psnr

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.needs("native")]


def test_pictures_are_those_of_the_renderer(browser: Browser, served: Served, busy: tuple[Scene, Path]) -> None:
    scene, path = busy
    with browser.open(served.serve(path)) as page:
        page.wait(SHOWN)
        found = [psnr(picture(page, camera), scene.render(camera).rgb[0].numpy()) for camera in moments(scene)]
        # 8 bits a channel give 59 dB at best; halves and packed rotations cost a little.
        assert min(found) > 48, found
        # The measure can fail: another moment is another picture.
        early, late = (next(moments(scene)).replace(time_s=torch.tensor([t]).double()) for t in (0.2, 0.5))
        assert psnr(picture(page, early), scene.render(late).rgb[0].numpy()) < 35
        assert page.complaints() == []


def test_a_rounded_file_shows_the_same(
    browser: Browser, served: Served, busy: tuple[Scene, Path], tmp_path: Path
) -> None:
    scene = busy[0]
    scene.save(tmp_path / "small.glb", quantised=True)
    assert (tmp_path / "small.glb").stat().st_size < 0.6 * busy[1].stat().st_size
    with browser.open(served.serve(tmp_path / "small.glb")) as page:
        page.wait(SHOWN)
        found = [psnr(picture(page, camera), scene.render(camera).rgb[0].numpy()) for camera in moments(scene)]
        assert min(found) > 42, found
        assert page.complaints() == []


def test_a_page_from_disk_shows_the_same_and_runs_no_foreign_markup(
    browser: Browser, busy: tuple[Scene, Path], tmp_path: Path
) -> None:
    evil = "</script><script>window.evil=1</script><img src=x onerror='window.evil=1'>\"'&amp;${evil}.mp4"
    scene = Scene(busy[0].splats, busy[0].cameras, busy[0].sound, Provenance(clip=evil))
    scene.export(tmp_path / "a.html")
    with browser.open((tmp_path / "a.html").as_uri()) as page:
        page.wait(SHOWN)
        found = [psnr(picture(page, camera), scene.render(camera).rgb[0].numpy()) for camera in moments(scene)]
        assert min(found) > 42, found  # The page's splats are rounded.
        assert page.run("window.evil") is None and page.complaints() == []
        assert page.text("#name") == evil.split("/")[-1]
        assert page.run("fourd.sound.tracks[0].buffer.duration") == pytest.approx(2.0)


def test_a_notebook_shows_the_scene_in_a_frame(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "cell.html").write_text(f"<title>cell</title>{small_scene()._repr_html_()}")
    with browser.open((tmp_path / "cell.html").as_uri()) as page:
        # The frame is sealed from the page, so it is looked at from outside: the wall is grey to red.
        page.wait("document.querySelector('iframe') !== null")
        for _ in range(100):
            seen = page.screenshot()[20:200, 60:400].astype(int)
            if (seen[..., 0] - seen[..., 2]).mean() > 5:
                break
        assert (seen[..., 0] - seen[..., 2]).mean() > 5 and seen.mean() > 60
        assert page.complaints() == []


def test_everything_can_be_done_with_keys(browser: Browser, served: Served, busy: tuple[Scene, Path]) -> None:
    with browser.open(served.serve(busy[1])) as page:
        page.wait(SHOWN)
        state = "[fourd.playing, fourd.time_s, fourd.mode, fourd.follow, fourd.fly, fourd.keys.length]"
        assert page.run(state) == [False, 0, "colour", True, False, 0]  # Who asked for less motion is not played to.
        page.press("ArrowRight", "ArrowRight")
        assert page.run("fourd.time_s") == pytest.approx(1.0)
        page.press(" ")
        page.wait("fourd.playing && fourd.time_s > 1.0")
        page.press(" ", "2")
        assert page.run("[fourd.playing, fourd.mode]") == [False, "depth"]
        assert page.run("document.getElementById('mode-depth').getAttribute('aria-checked')") == "true"
        page.press("1", "k", "h", "k")
        assert page.run("[fourd.keys.length, fourd.follow, document.getElementById('keys').hidden]") == [
            2,
            False,
            False,
        ]
        page.press("p")
        page.wait("fourd.film !== null && fourd.film.at_s > 0.1")
        page.press("p", "s", "g")
        assert page.run("[fourd.film, fourd.fly]") == [None, True]
        before = page.run("fourd.pose.p[2]")
        page.call("Input.dispatchKeyEvent", type="keyDown", key="w", text="w")
        page.wait(f"fourd.pose.p[2] > {before} + 0.05")
        page.call("Input.dispatchKeyEvent", type="keyUp", key="w")
        page.press("[", "l", "m")
        assert page.run("[fourd.speed, fourd.loop, fourd.sound.muted]") == [0.5, False, True]
        # Tab reaches every button that is shown, in order.
        page.press("Escape")
        page.run("document.getElementById('view').focus()")
        reached = []
        for _ in range(24):
            page.press("Tab")
            reached.append(page.run("document.activeElement.id"))
        shown = page.run(
            "[...document.querySelectorAll('#controls :is(button, input, select)')]"
            ".filter((e) => e.checkVisibility() && !e.disabled).map((e) => e.id)"
        )
        assert set(shown) <= set(reached) and len(shown) >= 14
        assert page.run("[...document.querySelectorAll('button')].every((b) => b.innerText || b.ariaLabel)")
        assert page.complaints() == []


def test_mouse_and_wheel_go_round_and_nearer(browser: Browser, served: Served, busy: tuple[Scene, Path]) -> None:
    with browser.open(served.serve(busy[1])) as page:
        page.wait(SHOWN)
        pivot, distance = page.run("fourd.pivot()"), page.run("fourd.distance")
        page.mouse("mousePressed", 200, 100, button="left", buttons=1, clickCount=1)
        page.mouse("mouseMoved", 260, 120, button="left", buttons=1)
        page.mouse("mouseReleased", 260, 120, button="left", clickCount=1)
        assert page.run("fourd.follow") is False
        np.testing.assert_allclose(page.run("fourd.pivot()"), pivot, atol=1e-6)
        eye = np.array(page.run("fourd.pose.p")) - pivot
        assert np.linalg.norm(eye) == pytest.approx(distance) and eye[0] < -0.2  # The scene goes right, the eye left.
        page.mouse("mouseWheel", 200, 100, deltaX=0, deltaY=-120)
        page.wait(f"fourd.distance < {distance} * 0.9")
        page.press("h")
        page.wait("fourd.glide === null")
        np.testing.assert_allclose(page.run("fourd.pose.p"), busy[0].cameras.centre_m[2], atol=1e-6)


def test_fingers_turn_and_pinch(browser: Browser, served: Served, busy: tuple[Scene, Path]) -> None:
    def touch(page: Page, kind: str, *points: tuple[int, int]) -> None:
        fingers = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)]
        page.call("Input.dispatchTouchEvent", type=kind, touchPoints=fingers)

    with browser.open(served.serve(busy[1])) as page:
        page.call("Emulation.setTouchEmulationEnabled", enabled=True, maxTouchPoints=2)
        page.wait(SHOWN)
        q, distance = page.run("fourd.pose.q"), page.run("fourd.distance")
        touch(page, "touchStart", (200, 100))
        touch(page, "touchMove", (240, 100))
        touch(page, "touchMove", (260, 110))
        touch(page, "touchEnd")
        page.wait(f"JSON.stringify(fourd.pose.q) !== '{q}' && fourd.follow === false")
        touch(page, "touchStart", (200, 100), (260, 100))
        touch(page, "touchMove", (180, 100), (280, 100))
        touch(page, "touchMove", (140, 100), (320, 100))
        touch(page, "touchEnd")
        assert page.run("fourd.distance") == pytest.approx(distance * 60 / 180, rel=1e-3)


def test_time_runs_as_fast_as_it_says(browser: Browser, served: Served, busy: tuple[Scene, Path]) -> None:
    with browser.open(served.serve(busy[1])) as page:
        page.wait(SHOWN)
        page.run("fourd.set({speed: 0.5}); window.since = performance.now(); fourd.play(true)")
        page.wait("fourd.time_s > 0.3")
        passed, shown = page.run("[(performance.now() - since) / 1000, fourd.time_s]")
        assert 0.3 < shown <= 0.5 * passed + 0.05  # A machine that stalls shows less, never more.
        page.run("fourd.set({loop: false, speed: 2})")
        page.wait("!fourd.playing")
        assert page.run("fourd.time_s") == 2.0


def test_a_recorded_path_is_what_render_reads(
    browser: Browser, served: Served, busy: tuple[Scene, Path], tmp_path: Path
) -> None:
    with browser.open(served.serve(busy[1])) as page:
        page.wait(SHOWN)
        page.run("fourd.addKey(); fourd.turn(0.3, 0.1); fourd.seek(1.5); fourd.addKey()")
        (tmp_path / "p.json").write_text(page.run("JSON.stringify(fourd.cameraPath())"))
        keys = camera_path.read(tmp_path / "p.json")
        assert keys.cameras.hw == HW and keys.cameras.time_s[[0, -1]].tolist() == [0, 1.5]
        torch.testing.assert_close(keys.cameras.world_from_cam[0], busy[0].cameras.world_from_cam[0])
        torch.testing.assert_close(keys.cameras.K[0], busy[0].cameras.K[0])
        # The last picture of the film is what the player shows.
        shown = picture(page, keys.cameras[-1:])
        assert psnr(shown, busy[0].render(keys.cameras[-1:]).rgb[0].numpy()) > 48


def test_the_slider_scrubs_and_buttons_record_a_path(
    browser: Browser, served: Served, busy: tuple[Scene, Path], tmp_path: Path
) -> None:
    def click(page: Page, selector: str, share: float = 0.5) -> None:
        left, top, width, height = page.run(
            f"(() => {{ const b = document.querySelector('{selector}').getBoundingClientRect();"
            " return [b.left, b.top, b.width, b.height]; })()"
        )
        x, y = left + share * width, top + height / 2
        page.mouse("mousePressed", x, y, button="left", buttons=1, clickCount=1)
        page.mouse("mouseReleased", x, y, button="left", clickCount=1)

    with browser.open(served.serve(busy[1]), hw=(500, 900)) as page:
        page.wait(SHOWN)
        page.run("URL.createObjectURL = (blob) => { window.saved = blob; return 'data:,'; }; 0")
        click(page, "#play")
        page.wait("fourd.playing && fourd.time_s > 0")
        click(page, "#slider", 0.25)
        page.wait("Math.abs(fourd.time_s - 0.5) < 0.1 && !fourd.playing")
        click(page, "#path")
        click(page, "#key-add")
        click(page, "#slider", 0.75)
        page.wait("Math.abs(fourd.time_s - 1.5) < 0.1")
        page.run("fourd.turn(0.2, 0)")
        click(page, "#key-add")
        click(page, "#key-save")
        page.wait("window.saved?.type === 'application/json'")
        (tmp_path / "p.json").write_text(page.run("saved.text()"))
        moments = camera_path.read(tmp_path / "p.json").cameras.time_s
        assert float(moments[0]) == pytest.approx(0.5, abs=0.1) and float(moments[-1]) == pytest.approx(1.5, abs=0.1)
        click(page, "#key-list li .drop")
        page.wait("fourd.keys.length === 1")
        assert page.complaints() == []


@pytest.mark.parametrize(("hw", "edge"), [((780, 360), 8), ((360, 780), 8), ((600, 1000), 16)], ids=str)
def test_windows_of_all_sizes_hold_all_buttons(
    browser: Browser, served: Served, busy: tuple[Scene, Path], hw: tuple[int, int], edge: int
) -> None:
    with browser.open(served.serve(busy[1]), hw=hw) as page:
        page.wait(SHOWN)
        page.press("k")
        boxes = page.run(
            "[...document.querySelectorAll('button, select, input, #name')].filter((e) => e.checkVisibility())"
            ".map((e) => { const b = e.getBoundingClientRect(); return [b.left, b.top, b.right, b.bottom]; })"
        )
        assert len(boxes) > 15
        for left, top, right, bottom in boxes:
            assert left >= edge and top >= edge and right <= hw[1] - edge and bottom <= hw[0] - edge
        assert page.run("[scrollX, document.documentElement.scrollWidth]") == [0, hw[1]]


def test_a_flat_window_keeps_the_path_above_the_controls(
    browser: Browser, served: Served, busy: tuple[Scene, Path]
) -> None:
    with browser.open(served.serve(busy[1]), hw=(320, 1200)) as page:
        page.wait(SHOWN)
        page.press("k", "k")
        panel, controls = (
            f"document.getElementById('{name}').getBoundingClientRect()" for name in ("keys", "controls")
        )
        assert page.run(f"{panel}.bottom <= {controls}.top")
        assert page.run("document.getElementById('keys').scrollHeight > document.getElementById('keys').clientHeight")
        page.press("?")
        assert page.run("[document.getElementById('sheet').open, document.getElementById('sheet').scrollTop]") == [
            True,
            0,
        ]


def test_tab_finds_the_buttons_while_it_plays(browser: Browser, served: Served, busy: tuple[Scene, Path]) -> None:
    with browser.open(served.serve(busy[1]), calm=False) as page:
        page.wait(SHOWN)
        page.wait("fourd.playing && document.body.classList.contains('idle')")
        page.wait("getComputedStyle(document.getElementById('controls')).visibility === 'hidden'")
        page.press("Tab")  # To the picture.
        page.press("Tab")
        assert page.run("document.activeElement.id") == "slider"


def damaged(path: Path, name: str) -> bytes:
    whole = path.read_bytes()
    if name == "cut short":
        return whole[: len(whole) // 2]
    if name == "text":
        return b"<script>window.evil = 1</script>" * 9
    if name == "empty":
        return b""
    return whole.replace(b'"coefficients":9', b'"coefficients":7')


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("cut short", "cut short"),
        ("text", "does not begin as a GLB does"),
        ("empty", "cut short"),
        ("odd", "unknown number of harmonics"),
    ],
)
def test_a_broken_file_is_said_in_words(
    browser: Browser, served: Served, busy: tuple[Scene, Path], tmp_path: Path, name: str, says: str
) -> None:
    (tmp_path / "s.glb").write_bytes(damaged(busy[1], name))
    with browser.open(served.serve(tmp_path / "s.glb")) as page:
        page.wait("window.fourd && !!fourd.failed")
        assert says in page.text("#cover-title") and "fourd lift" in page.text("#cover-text")
        assert page.run("window.evil") is None
        page.press(" ", "k", "h")  # Nothing answers, and nothing breaks.
        assert page.complaints() == []


def test_no_webgl_and_a_lost_context_are_said_in_words(
    browser: Browser, served: Served, busy: tuple[Scene, Path]
) -> None:
    url = served.serve(busy[1])
    with browser.open(url, before="HTMLCanvasElement.prototype.getContext = () => null") as page:
        page.wait("window.fourd && !!fourd.failed")
        assert page.text("#cover-title") == "This browser does not offer WebGL 2, with which the player draws."
        assert page.complaints() == []
    with browser.open(url) as page:
        page.wait(SHOWN)
        page.run("fourd.renderer.gl.getExtension('WEBGL_lose_context').loseContext()")
        page.wait("!!fourd.failed")
        assert page.text("#cover-title") == "The graphics card was taken away from this page."
        assert page.run("document.getElementById('again').checkVisibility()")


def test_depth_is_shown_as_films_show_it(browser: Browser, served: Served, tmp_path: Path) -> None:
    scene = small_scene()
    scene.save(tmp_path / "s.glb")
    with browser.open(served.serve(tmp_path / "s.glb")) as page:
        page.wait(SHOWN)
        page.run("fourd.ready.then(() => { fourd.renderer.depthRange = [1.5, 5]; })")
        shown = picture(page, scene.cameras[3:4], "depth")
        expected = colour.depth_picture(scene.render(scene.cameras[3:4]), colour.Range(1.5, 5.0))[0].numpy() / 255
        solid = scene.render(scene.cameras[3:4]).alpha[0].numpy() > 0.6  # Edges are soft in the player.
        assert solid.mean() > 0.9 and psnr(shown[solid], expected[solid]) > 38
