"""What each format makes of a scene: ``python -m benchmarks.formats SCENE.glb ...``.

Every scene is written in every format and read back. Pictures of what comes back are compared with pictures of the
scene: five of its own cameras and five of an orbit of 30 degrees, at five moments, the worst of which counts. Formats
of one moment are compared at that moment, the middle, with all ten cameras. The times are processor time.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from fourd import media, pipeline
from fourd.formats import OF_ONE_MOMENT, moment
from fourd.geometry import clock
from fourd.scene import Scene
from fourd.types import Cameras

_CASES = {
    "exact.glb": {"exact": True},
    "quantised.glb": {},
    "x.4dgs": {},
    "x.splatv": {},
    "x.ply": {},
    "v3.spz": {},
    "v4.spz": {"spz_version": 4},
    "x.splat": {},
}
"""Names of files, whose suffix chooses the format, and options of ``Scene.export``."""


@dataclass(frozen=True)
class Row:
    """One scene in one format."""

    name: str
    bytes_a_splat: float
    psnr_db: float
    write_s: float
    read_s: float


def views(scene: Scene) -> Cameras:
    """Five of the scene's own cameras and five of an orbit, at five moments each."""
    orbit = scene.path("orbit", degrees=30)
    parts = [cameras[clock.spread(len(cameras), 5)] for cameras in (scene.cameras, orbit)]
    hw = parts[0].hw
    return Cameras(
        K=torch.cat([part.K for part in parts]),
        world_from_cam=torch.cat([part.world_from_cam for part in parts]),
        hw=hw,
        time_s=torch.cat([part.time_s for part in parts]),
    )


def worst_psnr_db(a: Scene, b: Scene, cameras: Cameras) -> float:
    """Of 8-bit pictures' range, before they are rounded; infinite if there is no difference."""
    one, other = (scene.render(cameras).rgb.clamp(0, 1) for scene in (a, b))
    error = (one - other).double().square().mean((1, 2, 3))
    return float((-10 * torch.log10(error)).min())


def rows(scene: Scene, folder: Path) -> Iterator[Row]:
    """Every format."""
    cameras = views(scene)
    for name, options in _CASES.items():
        path, splats, seen = folder / name, len(scene.splats), cameras
        start = time.process_time()
        scene.export(path, **options)
        written = time.process_time()
        again = Scene.open(path)
        read = time.process_time()
        if path.suffix in OF_ONE_MOMENT:
            splats = len(moment.at(scene.splats, scene.middle_s))
            seen = cameras.replace(time_s=torch.full_like(cameras.time_s, scene.middle_s))
        yield Row(
            name,
            path.stat().st_size / splats,
            worst_psnr_db(scene, replace(again, cameras=scene.cameras), seen),
            written - start,
            read - written,
        )
        path.unlink()


def scene_of(path: Path) -> Scene:
    """A scene file, or a video, which is lifted as a draft."""
    if path.suffix.lower() == ".mp4":
        return pipeline.lift(media.read(path, size=320), pipeline.Config(quality="draft"))
    return Scene.open(path)


def main() -> None:
    """Print a table for each scene."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", nargs="+", type=Path, help="scene files, or videos to lift at 320 pixels")
    for path in parser.parse_args().scenes:
        scene = scene_of(path)
        print(f"{path.name}: {len(scene.splats):,} splats, {len(scene.cameras)} cameras")
        print(f"{'file':<14} {'bytes/splat':>11} {'worst dB':>9} {'write s':>8} {'read s':>7}")
        with tempfile.TemporaryDirectory() as folder:
            for row in rows(scene, Path(folder)):
                psnr = "same" if math.isinf(row.psnr_db) else f"{row.psnr_db:.1f}"
                print(f"{row.name:<14} {row.bytes_a_splat:>11.1f} {psnr:>9} {row.write_s:>8.2f} {row.read_s:>7.2f}")


if __name__ == "__main__":
    main()
