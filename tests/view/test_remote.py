"""Pictures drawn by the server: what may be asked, what comes, in which order; and once in the browser."""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from fourd.errors import InputError, LimitError
from fourd.scene import Scene
from fourd.types import Cameras
from fourd.view import colour, remote, server
from tests.scenes import HW, small_scene
from tests.view.browser import Browser
from tests.view.pages import SHOWN, Served, picture, psnr

pytestmark = pytest.mark.needs("native")

TOKEN, PORT = "s3cret-token", 4321


@pytest.fixture
def studio() -> Iterator[remote.Studio]:
    with remote.studio(small_scene()) as studio:
        yield studio


def asked(**more: Any) -> dict[str, Any]:
    """What a player says when it wants the picture of the fourth camera."""
    lens = {"fx": 40, "fy": 40, "cx": 24, "cy": 18, "skew": 0, "h": HW[0], "w": HW[1]}
    place = small_scene().cameras.centre_m[3].tolist()
    return {"p": place, "q": [1, 0, 0, 0], "lens": lens, "time_s": 0.3, "viewer": "a", "number": 1, **more}


def parsed(**more: Any) -> remote.Ask:
    return remote.parse(json.dumps(asked(**more)))


def ask_server(
    application: server.Application, name: str, query: str, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    given = {"host": f"127.0.0.1:{PORT}", **headers}
    raw = [(name.encode(), value.encode()) for name, value in given.items()]
    scope = {"type": "http", "method": "GET", "path": f"/{TOKEN}/{name}", "headers": raw}
    asyncio.run(application(scope | {"query_string": urllib.parse.quote(query).encode()}, receive, send))
    fields = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], fields, b"".join(message["body"] for message in sent[1:])


def application(studio: remote.Studio) -> server.Application:
    return server.Application(studio.file, server.Gate(TOKEN, PORT, frozenset({"127.0.0.1"})), studio)


def decoded(jpeg: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)


def test_the_picture_is_that_of_the_scene(studio: remote.Studio) -> None:
    frames = studio.scene.render(studio.scene.cameras[3:4])
    pixels = studio.pixels(parsed()).numpy() / 255
    solid = frames.alpha[0].numpy() > 0.999
    assert psnr(pixels[solid], frames.rgb[0].numpy()[solid]) > 50
    assert psnr(decoded(studio.picture(parsed())) / 255, pixels) > 32
    depth = studio.pixels(parsed(mode="depth", range=[1.5, 5.0]))
    assert torch.equal(depth[~frames.hole[0]], colour.depth_picture(frames, colour.Range(1.5, 5.0))[0][~frames.hole[0]])
    tinted = studio.pixels(parsed(mode="source")).int()
    assert int((tinted[5, 5] - tinted[5, 5, 0]).abs().max()) <= 1  # Filmed: grey.
    assert int(tinted[5, -3, 0] - tinted[5, -3, 2]) > 40  # Invented: tinted.


def test_nothing_is_seen_where_nothing_is(studio: remote.Studio) -> None:
    away = parsed(q=[0, 0, 1, 0])
    assert np.unique(studio.pixels(away).reshape(-1, 3).numpy(), axis=0).tolist() == [[11, 12, 14]]
    assert studio.focus(away) is None


def test_how_far_away_things_are(studio: remote.Studio) -> None:
    pose = small_scene().cameras.cam_from_world[3].flatten()[:12].tolist()
    found = studio.focus(parsed(rows=pose, part=[0.0, 0.0, 1.0, 0.2]))
    assert found is not None and found["median"] == pytest.approx(4.0, abs=0.05) == found["far"]
    ball = studio.focus(parsed(rows=pose))
    assert ball is not None and ball["near"] < 2.5 and ball["far"] == pytest.approx(4.0, abs=0.05)


STRANGE = [
    "",
    "{}",
    "[]",
    "null",
    "7",
    '"x"',
    "{" * 5000,
    "[" * 100_000,
    json.dumps(asked(lens=3)),
    json.dumps(asked(lens={})),
    json.dumps(asked(q=[0, 0, 0, 0])),
    json.dumps(asked(q=[1, 0, 0])),
    json.dumps(asked(p=[1, 2])),
    json.dumps(asked(p=[1, 2, None])),
    json.dumps(asked(p=[1, 2, float("nan")])),
    json.dumps(asked(time_s=float("inf"))),
    json.dumps(asked(time_s="0.3")),
    json.dumps(asked(time_s=True)),
    json.dumps(asked(number="1")),
    json.dumps(asked(number=float("inf"))),
    json.dumps(asked(mode="../colour")),
    json.dumps(asked(mode=["colour"])),
    json.dumps(asked(range=[5, 1])),
    json.dumps(asked(range=[0, 1])),
    json.dumps(asked(range=[1])),
    json.dumps(asked(part=[0, 0])),
    json.dumps(asked(rows=[1, 2, 3])),
    *[json.dumps(asked(lens=asked()["lens"] | {"w": w})) for w in (0, -5, 1e9, 1e300, None)],
    json.dumps(asked(lens=asked()["lens"] | {"h": 8000, "w": 8000})),
    json.dumps(asked(lens=asked()["lens"] | {"fx": 0})),
    json.dumps(asked(rows=[*range(12)])),
]


@pytest.mark.parametrize("query", STRANGE, ids=range(len(STRANGE)))
def test_what_no_player_says_is_refused(studio: remote.Studio, query: str) -> None:
    with pytest.raises(InputError):
        remote.parse(query)
    for name in ("frame", "focus"):
        status, headers, body = ask_server(application(studio), name, query)
        assert status == 400 and headers["content-type"].startswith("text/plain") and 0 < len(body) < 300


def test_the_server_sends_pictures_under_the_same_rules(studio: remote.Studio) -> None:
    app, query = application(studio), json.dumps(asked())
    status, headers, body = ask_server(app, "frame", query)
    assert (status, headers["content-type"], headers["cache-control"]) == (200, "image/jpeg", "no-store")
    assert decoded(body).shape == (*HW, 3)
    assert json.loads(ask_server(app, "focus", query)[2])["median"] > 1
    assert ask_server(app, "frame", query, origin="http://evil.example")[0] == 403
    assert ask_server(app, "frame", query, host=f"evil.example:{PORT}")[0] == 403
    page = ask_server(app, "", "")[2]
    assert b"""<html data-remote='{"splats": 1201, "invented": 300}' lang="en">""" in page
    held = Scene.open(studio.file)
    assert len(held.splats) == 0 and len(held.cameras) == 8 and held.sound is not None
    local = server.Application(studio.file, app.gate)
    assert ask_server(local, "frame", query)[0] == 404 and b"data-remote" not in ask_server(local, "", "")[2]


def test_only_the_latest_picture_of_a_viewer_is_drawn(studio: remote.Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    app, drawn, begun, go_on = application(studio), [], threading.Event(), threading.Event()

    def slow(ask: remote.Ask) -> bytes:
        drawn.append((ask.viewer, ask.number))
        begun.set()
        assert go_on.wait(10)
        return b"jpeg"

    monkeypatch.setattr(studio, "picture", slow)
    statuses: dict[tuple[str, int], int] = {}

    async def want(viewer: str, number: int) -> None:
        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                statuses[viewer, number] = message["status"]

        query = json.dumps(asked(viewer=viewer, number=number)).encode()
        await app._draw(send, studio, "frame", query, False)

    async def all_of_them() -> None:
        tasks = [asyncio.create_task(want("a", 1))]
        await asyncio.to_thread(begun.wait, 10)
        tasks += [asyncio.create_task(want("a", 2)), asyncio.create_task(want("b", 1))]
        tasks += [asyncio.create_task(want("a", 3))]
        await asyncio.sleep(0.05)
        go_on.set()
        await asyncio.gather(*tasks)

    asyncio.run(all_of_them())
    assert drawn == [("a", 1), ("b", 1), ("a", 3)]  # The second was overtaken while it waited; others are others.
    assert statuses == {("a", 1): 200, ("a", 2): 204, ("b", 1): 200, ("a", 3): 200}


def test_viewers_are_forgotten_and_trouble_is_said(studio: remote.Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    app = application(studio)
    monkeypatch.setattr(studio, "picture", lambda ask: b"")
    for i in range(300):
        assert ask_server(app, "frame", json.dumps(asked(viewer=str(i))))[0] == 200
    assert len(app.newest) == server.VIEWERS

    def fail(ask: remote.Ask) -> bytes:
        raise LimitError("too large")

    monkeypatch.setattr(studio, "picture", fail)
    assert ask_server(app, "frame", json.dumps(asked()))[::2] == (500, b"too large\n")


@pytest.mark.needs("chromium")
def test_the_player_shows_what_the_server_draws(browser: Browser, served: Served, busy: tuple[Scene, Path]) -> None:
    scene = busy[0]
    with remote.studio(scene) as drawn:
        served.application = server.Application(
            drawn.file, server.Gate("token", served.port, frozenset({"127.0.0.1"})), drawn
        )
        with browser.open(f"http://127.0.0.1:{served.port}/token/") as page:
            page.wait(SHOWN)
            assert "2,500 splats" in page.text("#facts") and page.run("fourd.sound.there")
            camera: Cameras = scene.cameras[1:2]
            seen = scene.render(camera)
            expected = (seen.rgb + (1 - seen.alpha[..., None]) * torch.tensor([11, 12, 14]) / 255)[0].numpy()
            assert psnr(picture(page, camera), expected) > 30  # JPEG costs some; 35 dB were measured.
            # What is on the canvas follows what people do, and sorting, time and depth work as ever.
            before = page.screenshot()
            page.run("fourd.turn(0.5, 0)")
            page.wait("!fourd.renderer.busy() && !fourd.dirty")
            assert psnr(page.screenshot() / 255, before / 255) < 30
            page.press("2", " ")
            page.wait("fourd.playing && fourd.time_s > 0.3")
            page.press(" ")
            page.run("fourd.aim(240, 135)")
            page.wait("fourd.distance !== fourd.home_m")
            assert page.complaints() == []
            # The server goes away.
            page.run("window.fetch = () => Promise.reject(new TypeError('no'))")
            page.press("1")
            page.wait("!!fourd.failed")
            assert page.text("#cover-title") == "The server draws no more pictures."
            assert page.text("#cover-text") == "Is `fourd view` still running?"
