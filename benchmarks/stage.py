"""How fast the stage films: ``python -m benchmarks.stage [scene ...]``.

384 x 216, shadows of every light, 4 samples a pixel, depth and flow included. The wall time depends on
what else the machine does; the processor time says what a quiet one would do.
"""

from __future__ import annotations

import os
import sys
import time

from fourd.generate import SCENES, scene, shoot

HW, FRAMES = (216, 384), 72


def measure(name: str) -> tuple[float, float]:
    """Frames a second by the clock, and seconds of processor time a frame."""
    made = scene(name, hw=HW, frames=FRAMES)
    shoot(made.stage, made.cameras[:2])  # Libraries load, clouds are drawn.
    wall, processor = time.perf_counter(), time.process_time()
    shoot(made.stage, made.cameras)
    return FRAMES / (time.perf_counter() - wall), (time.process_time() - processor) / FRAMES


def main() -> None:
    """Print one line a scene."""
    cores = min(8, os.cpu_count() or 1)
    print(f"{HW[1]} x {HW[0]}, 4 samples a pixel, {cores} cores, load {os.getloadavg()[0]:.1f}")
    for name in sys.argv[1:] or SCENES:
        fps, seconds = measure(name)
        print(f"{name:10} {fps:5.1f} frames/s   {seconds:.3f} s of processor a frame = {cores / seconds:.1f} frames/s")


if __name__ == "__main__":
    main()
