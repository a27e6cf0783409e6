"""Sound in the player: in step with the slider, and around the viewer where its sources have places."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from fourd.scene import Scene
from fourd.types import Sound, SoundSource
from tests.view.browser import Browser, Page
from tests.view.pages import SHOWN, Served

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.needs("native")]

# How loud each ear hears, tapped behind the volume.
_EARS = """
(() => {
  const { context, volume } = fourd.sound;
  const split = new ChannelSplitterNode(context, { numberOfOutputs: 2 });
  volume.connect(split);
  const ears = [0, 1].map(() => new AnalyserNode(context, { fftSize: 4096 }));
  ears.forEach((ear, i) => split.connect(ear, i));
  window.loudness = () => ears.map((ear) => {
    const wave = new Float32Array(4096);
    ear.getFloatTimeDomainData(wave);
    return Math.sqrt(wave.reduce((sum, x) => sum + x * x, 0) / 4096);
  });
})(); 0"""


def placed_scene(scene: Scene) -> Scene:
    """The scene with a hum that goes from far right of the first camera to its far left."""
    noise = torch.randn(16000, generator=torch.Generator().manual_seed(3)) / 8
    place = torch.tensor([[3.0, 0, 0], [3.0, 0, 0.5], [-3.0, 0, 0.5]])
    source = SoundSource(noise, place, torch.tensor([0.0, 1.0, 2.0]).double(), "hum")
    return Scene(
        scene.splats, scene.cameras, Sound(noise[:, None].repeat(1, 2), 8000, 0.0, (source,)), scene.provenance
    )


@pytest.fixture(scope="module")
def placed(busy: tuple[Scene, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("placed") / "placed.glb"
    placed_scene(busy[0]).save(path)
    return path


def begin(page: Page) -> None:
    page.wait(f"{SHOWN} && fourd.sound.there")
    page.run("fourd.sound.context.resume()")


def test_sound_keeps_step_with_the_slider(browser: Browser, served: Served, busy: tuple[Scene, Path]) -> None:
    with browser.open(served.serve(busy[1])) as page:
        begin(page)
        page.run("fourd.seek(0.5); fourd.play(true)")
        page.wait("fourd.sound.position() > 0.6")
        assert abs(page.run("fourd.sound.position() - fourd.time_s")) < 0.2
        page.run("fourd.seek(1.2)")
        page.wait("fourd.sound.position() > 1.2")
        page.run("fourd.play(false)")
        page.wait("fourd.sound.position() === null")


def test_ears_are_where_the_camera_is_and_sources_where_they_are(
    browser: Browser, served: Served, placed: Path
) -> None:
    with browser.open(served.serve(placed)) as page:
        begin(page)
        assert page.run("fourd.sound.tracks.length") == 1  # What the camera heard of it is not played as well.
        page.run("fourd.play(true)")
        page.wait("fourd.sound.position() > 0.1")
        page.run("fourd.turn(0.4, 0.1)")
        page.wait("fourd.time_s > 1.2")
        # All at one moment, so that nothing moves in between.
        page.run("fourd.play(false); fourd.sound.follow(1.25, true, 1, fourd.pose, 2); 0")
        axes = "['X', 'Y', 'Z']"
        ear = page.run(
            f"['position', 'forward', 'up'].map((n) => {axes}.map((a) => fourd.sound.context.listener[n + a].value))"
        )
        pose = page.run("[fourd.pose.p, fourd.pose.q]")
        w, x, y, z = pose[1]
        R = np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
            ]
        )
        np.testing.assert_allclose(ear, [pose[0], R[:, 2], -R[:, 1]], atol=1e-5)
        source = page.run(f"{axes}.map((a) => fourd.sound.tracks[0].out['position' + a].value)")
        np.testing.assert_allclose(source, [1.5, 0, 0.5], atol=1e-6)  # A quarter of the way across.
        assert page.run("fourd.sound.tracks[0].out.refDistance") == 2
        assert page.complaints() == []


def test_what_is_on_the_right_is_heard_on_the_right(browser: Browser, served: Served, placed: Path) -> None:
    with browser.open(served.serve(placed)) as page:
        begin(page)
        page.run(_EARS)
        # Time stands still for the places, and runs for the sound.
        page.run("window.at = { p: [0, 0, 0], q: [1, 0, 0, 0] }; fourd.seek(0)")
        page.run("fourd.sound.follow(0.2, true, 0.25, at, 3); fourd.sound.stop = () => {}; 0")
        page.wait("loudness()[1] > 0.005")
        page.wait("loudness()[1] > 1.5 * loudness()[0]")
        page.run("at.q = [0, 0, 1, 0]; fourd.sound.follow(0.2, true, 0.25, at, 3); 0")  # It looks back.
        page.wait("loudness()[0] > 1.5 * loudness()[1]")


def test_a_page_from_disk_holds_the_places_as_well(browser: Browser, placed: Path, tmp_path: Path) -> None:
    Scene.open(placed).export(tmp_path / "a.html")
    with browser.open((tmp_path / "a.html").as_uri()) as page:
        begin(page)
        assert page.run("fourd.sound.tracks.map((t) => t.where.position_m[2])") == [[-3, 0, 0.5]]
        assert page.run("fourd.sound.tracks[0].buffer.duration") == pytest.approx(2.0)
        assert page.complaints() == []
