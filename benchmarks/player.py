"""How true the player is, and how long it takes: for its first picture, an order, a picture; and Spark beside it.

    python -m benchmarks.player SCENE.glb [--splats 100000] [--peer]

Its pictures are held against those of ``scene.render``: five cameras at each of five moments. The first picture is
timed for these splats, and for a rounded scene of ten megabytes.

Everything is drawn in headless Chromium by the processor (SwiftShader), so the figures compare players and versions on
one machine and say nothing about a graphics card. ``--peer`` fetches three.js and Spark from npm into ``out/bench``
and lets them draw the same splats, standing still, in turns with ours. Figures go to ``out/bench/player.json``.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import http.server
import json
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from fourd.geometry import paths
from fourd.scene import Scene
from fourd.types import Cameras, Splats
from tests.view.browser import Browser, Page
from tests.view.pages import SHOWN, picture, psnr

PEER = ("three@0.187.0", "@sparkjsdev/spark@2.2.0")
PLAYER = Path(__file__).parents[1] / "fourd" / "view" / "player"
HW = (270, 480)
TURNS = 3
VIEWS = 5
"""Cameras, and moments, at which pictures are compared."""
MEGABYTES = 10
ROUNDED_BYTES = 36
"""Of a splat in a rounded file."""

# The camera turns a little from picture to picture; reading a pixel waits until the picture is there.
_OURS = """
window.pictures = async (n) => {
  const [gl, pixel, out] = [fourd.renderer.gl, new Uint8Array(4), []];
  for (let i = 0; i < n; i++) {
    const a = 0.025 * Math.sin(i / 3);
    fourd.pose = { p: fourd.pose.p, q: [Math.cos(a), 0, Math.sin(a), 0] };
    const since = performance.now();
    fourd.draw(1);
    gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel);
    out.push(performance.now() - since);
  }
  return out;
}; 0"""

_PEER_PAGE = """<!doctype html><canvas id="c" width="480" height="270"></canvas>
<script type="importmap">{"imports": {"three": "/node_modules/three/build/three.module.js",
  "three/addons/": "/node_modules/three/examples/jsm/", "fflate": "/node_modules/fflate/esm/browser.js",
  "@sparkjsdev/spark": "/node_modules/@sparkjsdev/spark/dist/spark.module.js"}}</script>
<script type="module">
import * as THREE from "three";
import { SparkRenderer, SplatMesh } from "@sparkjsdev/spark";
const renderer = new THREE.WebGLRenderer({ canvas: document.getElementById("c"), antialias: false });
renderer.setSize(480, 270, false);
const scene = new THREE.Scene();
scene.add(new SparkRenderer({ renderer }));
const mesh = new SplatMesh({ url: "/still.ply" });
mesh.quaternion.set(1, 0, 0, 0);
scene.add(mesh);
await mesh.initialized;
const camera = new THREE.PerspectiveCamera(FOV, 480 / 270, 0.01, 1000);
const [gl, pixel] = [renderer.getContext(), new Uint8Array(4)];
window.pictures = async (n) => {
  const out = [];
  for (let i = 0; i < n; i++) {
    camera.rotation.set(0, 0.05 * Math.sin(i / 3), 0);
    const since = performance.now();
    renderer.render(scene, camera);
    gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel);
    out.push(performance.now() - since);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return out;
};
window.there = true;
</script>"""


def some(splats: Splats, count: int, *, still: bool) -> Splats:
    """Evenly picked splats; of those that never change where ``still``."""
    index = torch.arange(len(splats))
    if still:
        index = index[torch.isinf(splats.duration_s) & (splats.velocity_mps == 0).all(1)]
    return splats[index[torch.linspace(0, len(index) - 1, min(count, len(index))).long()]]


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The files of a folder, at an address of this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def first_picture_s(browser: Browser, url: str) -> float:
    """From the address to the first picture."""
    since = time.perf_counter()
    with browser.open(url, hw=HW) as page:
        page.wait(SHOWN, 120)
        return time.perf_counter() - since


def views(scene: Scene) -> Iterator[Cameras]:
    """Cameras from the first to the last that filmed, at moments from the first to the last: all pairs."""
    some = torch.linspace(0, len(scene.cameras) - 1, VIEWS).long()
    small = paths.resized(scene.cameras[some], HW)
    for camera in range(VIEWS):
        for time_s in scene.cameras.time_s[some]:
            yield small[camera : camera + 1].replace(time_s=time_s[None])


def likeness_db(page: Page, scene: Scene) -> list[float]:
    """PSNR of the player's pictures against the renderer's."""
    return [psnr(picture(page, camera), scene.render(camera).rgb[0].numpy()) for camera in views(scene)]


def pictures_ms(pages: dict[str, Page]) -> dict[str, list[float]]:
    """Times of pictures, in turns, so that all meet the same machine."""
    for page in pages.values():
        page.run("pictures(3)")
    found: dict[str, list[float]] = {name: [] for name in pages}
    for _ in range(TURNS):
        for name, page in pages.items():
            page.bring_to_front()
            found[name] += page.run("pictures(5)")
    return found


def measure(scene: Scene, count: int, folder: Path, *, peer: bool) -> dict[str, Any]:
    """All figures, by name."""
    shutil.copytree(PLAYER, folder, dirs_exist_ok=True)
    moving = dataclasses.replace(scene, splats=some(scene.splats, count, still=False))
    moving.save(folder / "scene.glb")
    figures: dict[str, Any] = {
        "splats": len(moving.splats),
        "scene_mb": round((folder / "scene.glb").stat().st_size / 1e6, 1),
    }
    with serving(folder) as url, tempfile.TemporaryDirectory() as profile:
        browser = Browser(Path(profile))
        try:
            times = [first_picture_s(browser, url) for _ in range(TURNS)]
            figures["first_picture_s"] = round(statistics.median(times), 2)
            with browser.open(url, hw=HW) as page:
                page.wait(SHOWN, 120)
                found = likeness_db(page, moving)
            figures["worst_picture_db"] = round(min(found), 1)
            figures["mean_picture_db"] = round(statistics.mean(found), 1)
            large = some(scene.splats, MEGABYTES * 10**6 // ROUNDED_BYTES, still=False)
            dataclasses.replace(scene, splats=large, sound=None).save(folder / "scene.glb", quantised=True)
            figures["rounded_mb"] = round((folder / "scene.glb").stat().st_size / 1e6, 1)
            times = [first_picture_s(browser, url) for _ in range(TURNS)]
            figures["rounded_first_picture_s"] = round(statistics.median(times), 2)
            still = dataclasses.replace(scene, splats=some(scene.splats, count, still=True), sound=None)
            still.save(folder / "scene.glb")
            figures["still_splats"] = len(still.splats)
            with browser.open(url, hw=HW) as page:
                page.wait(SHOWN, 120)
                page.run(_OURS)
                figures["order_ms"] = round(page.run("fourd.sorted().then(() => fourd.stats.sort_ms)"), 1)
                pages = {"fourd": page}
                if peer:
                    still.export(folder / "still.ply")
                    fov = "2 * Math.atan(135 / fourd.lens.fy / Math.min(270 / fourd.lens.h, 480 / fourd.lens.w))"
                    degrees = page.run(f"{fov} * 180 / Math.PI")
                    (folder / "peer.html").write_text(_PEER_PAGE.replace("FOV", f"{degrees}"))
                    pages["spark"] = browser.open(f"{url}peer.html", hw=HW)
                    pages["spark"].wait("window.there", 120)
                for name, each in pictures_ms(pages).items():
                    figures[f"{name}_picture_ms"] = round(statistics.median(each), 1)
        finally:
            browser.close()
    return figures


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description="Time the player in a headless browser.")
    parser.add_argument("scene", type=Path, help="a scene that fourd lift made")
    parser.add_argument("--splats", type=int, default=100_000, help="how many of its splats")
    parser.add_argument("--peer", action="store_true", help="fetch Spark from npm and time it, too")
    parser.add_argument("--out", type=Path, default=Path("out/bench"))
    options = parser.parse_args()
    folder = options.out / "player"
    folder.mkdir(parents=True, exist_ok=True)
    if options.peer:
        subprocess.run(["npm", "install", "--silent", "--prefix", str(folder), *PEER], check=True)
    figures = measure(Scene.open(options.scene), options.splats, folder, peer=options.peer)
    (options.out / "player.json").write_text(json.dumps(figures, indent=1) + "\n")
    for name, value in figures.items():
        print(f"{name:<20}{value}")


if __name__ == "__main__":
    main()
