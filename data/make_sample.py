"""Make the sample clip and its exact answer: ``python -m data.make_sample`` writes them beside this file.

It takes a few minutes on two cores. The same versions of the libraries give the same pictures; the
encoder may pack them a little differently from version to version.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from fourd.events import Event, Progress, result
from fourd.files import replacing
from fourd.generate import Take, scene, shooting
from fourd.generate.scenes import Scene
from fourd.media import write_video
from fourd.types import Cameras

HERE = Path(__file__).parent
HW, FRAMES, FPS = (360, 640), 72, 24.0
TRUTH_HW = (180, 320)
DEPTH_EVERY = 3
"""Depth is kept for every third frame, so that the file stays small."""


def film(made: Scene, cameras: Cameras, samples: int, rays: int) -> Take:
    """Film, and say how far it is."""
    steps = shooting(made.stage, cameras, samples=samples, rays=rays, sound=made.sound, name="sample")

    def show(event: Event) -> None:
        if isinstance(event, Progress):
            print(f"\r{event.done} of {event.total} frames", end="", file=sys.stderr, flush=True)

    take = result(steps, show)
    print(file=sys.stderr)
    return take


def main() -> None:
    """Write ``sample.mp4`` and ``sample_truth.npz``."""
    made = scene("terrace", seed=0, hw=HW, frames=FRAMES, fps=FPS)
    take = film(made, made.cameras, samples=12, rays=6)
    write_video(HERE / "sample.mp4", take.clip.frames, fps=FPS, sound=made.sound, crf=19)
    # The truth is that of smaller pixels' middles, traced anew: depth must not be averaged over edges.
    exact = film(made, made.cameras.resized(TRUTH_HW), samples=1, rays=1)
    kept = np.arange(0, FRAMES, DEPTH_EVERY)
    with replacing(HERE / "sample_truth.npz") as fresh:
        np.savez_compressed(
            fresh,
            hw=np.array(HW),
            K=made.cameras.K[0].numpy(),
            world_from_cam=made.cameras.world_from_cam.numpy(),
            time_s=made.cameras.time_s.numpy(),
            focus_m=np.array(made.focus_m),
            depth_m=exact.depth.depth_m[kept].numpy().astype(np.float16),
            depth_frames=kept,
            depth_K=exact.depth.K[0].numpy(),
            moving_bits=np.packbits(exact.motion.moving.numpy() > 0.5, axis=-1),
        )
    for name in ("sample.mp4", "sample_truth.npz"):
        print(f"{name}: {(HERE / name).stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
