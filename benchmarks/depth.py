"""How good is the depth of single frames? ``python -m benchmarks.depth FOLDER... [--weights FILE] [--model NAME]``.

Each frame's inverse depth is compared with the truth after the best scale and shift. Beside the network stand a
constant and the plain prior (rows of the picture), which any network has to beat. The mean relative error rewards
blur, so edges are counted too: F1 of depth edges within two pixels of the true ones.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cv2
import imageio.v3 as iio
import numpy as np
import tyro
from rich.console import Console
from rich.table import Table
from tyro.conf import Positional, arg

from benchmarks import truth
from fourd.depth import embedded, hub, prior
from fourd.depth.common import Rig
from fourd.depth.embedded import weights
from fourd.depth.reading import Reader

NAMES = ("constant", "prior", "network")
NEAR_M = 0.1
"""Truth nearer than this is not asked, and guesses are cut off there."""
_JUMP = 1.15
"""Ratio of depths within two pixels that makes an edge."""


@dataclass(frozen=True)
class Options:
    """What to judge."""

    folders: Annotated[Positional[tuple[Path, ...]], arg(metavar="FOLDER ...")]
    """Folders of truth with depth."""
    weights: Path = weights.SHIPPED
    """Weights of the network."""
    model: str | None = None
    """A published model to judge in its stead: a name, a hub id or a folder (docs/depth.md)."""
    every: int = 5
    """Judge every so many frames."""
    far_m: float = 10.0
    """Truth beyond is not asked, and guesses are cut off there."""
    sheet: Path | None = None
    """Where to leave a sheet of pictures, truth, guess and prior."""


def fitted(rho: np.ndarray, depth_m: np.ndarray, known: np.ndarray, far_m: float) -> np.ndarray:
    """Depth from inverse depth, with the scale and shift that suit the truth best (least squares in inverse depth)."""
    design = np.stack([rho[known], np.ones(int(known.sum()))], 1).astype(np.float64)
    scale, shift = np.linalg.lstsq(design, 1 / depth_m[known], rcond=None)[0]
    return 1 / np.clip(scale * rho + shift, 1 / far_m, 1 / NEAR_M)


def edges(depth_m: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Pixels at which depth jumps."""
    block = np.ones((3, 3), np.uint8)
    low = cv2.erode(np.where(known, depth_m, 1e6).astype(np.float32), block)
    high = cv2.dilate(np.where(known, depth_m, 0).astype(np.float32), block)
    return (high > _JUMP * low) & known


def boundary_f1(guess: np.ndarray, depth_m: np.ndarray, known: np.ndarray) -> float:
    """Harmonic mean of the shares of edges that have one of the others within two pixels."""
    own, true = edges(guess, known), edges(depth_m, known)
    reach = np.ones((5, 5), np.uint8)
    near_true, near_own = (cv2.dilate(x.astype(np.uint8), reach) > 0 for x in (true, own))
    precision = float((own & near_true).sum() / max(own.sum(), 1))
    recall = float((true & near_own).sum() / max(true.sum(), 1))
    return 2 * precision * recall / max(precision + recall, 1e-9)


def _at(rho: np.ndarray, hw: tuple[int, int]) -> np.ndarray:
    return np.asarray(cv2.resize(rho, hw[::-1], interpolation=cv2.INTER_LINEAR))


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame and what is said of it."""

    picture: np.ndarray
    depth_m: np.ndarray
    known: np.ndarray
    rho: dict[str, np.ndarray]
    """Inverse depth by everyone who is judged."""
    seconds: float
    """That the network took."""


def frames(told: truth.Truth, reader: Reader, options: Options) -> Iterator[Frame]:
    """Ask everyone about every few frames."""
    assert told.depth is not None  # The caller looked.
    for i in range(0, len(told.clip), options.every):
        picture, depth_m = told.clip.frames[i].numpy(), told.depth.depth_m[i].numpy()
        known = (told.depth.confidence[i].numpy() > 0) & (depth_m > NEAR_M) & (depth_m < options.far_m)
        if known.sum() < 100:
            continue
        start = time.perf_counter()
        reading = reader.look(picture)
        seconds = time.perf_counter() - start
        ramp = prior.surface(Rig.of(told.cameras[slice(i, i + 1)], told.clip.hw), 0)
        rho = {"constant": np.ones_like(ramp), "prior": ramp, "network": reading.rho}
        yield Frame(picture, depth_m, known, {k: _at(v, depth_m.shape) for k, v in rho.items()}, seconds)


def main(options: Options) -> None:
    """Judge and print a table."""
    reader = hub.reader(options.model) if options.model else embedded.Reader(options.weights)
    console, rows = Console(), []
    table = Table("scene", "frames", *NAMES, *(f"F1 {n}" for n in NAMES[1:]), "ms a frame")
    for folder in options.folders:
        told = truth.read(folder)
        if told.depth is None:
            console.print(f"{folder} has no depth; left out.")
            continue
        found, seconds = [], []
        for k, frame in enumerate(frames(told, reader, options)):
            depth = {n: fitted(frame.rho[n], frame.depth_m, frame.known, options.far_m) for n in NAMES}
            errors = [float(np.abs(depth[n][frame.known] / frame.depth_m[frame.known] - 1).mean()) for n in NAMES]
            found.append(errors + [boundary_f1(depth[n], frame.depth_m, frame.known) for n in NAMES[1:]])
            seconds.append(frame.seconds)
            if k % 4 == 0:
                maps = [np.where(frame.known, frame.depth_m, 0), depth["network"], depth["prior"]]
                rows.append(_row(frame.picture, maps))
        figures = [f"{x:.3f}" for x in np.mean(found, 0)]
        table.add_row(told.name, str(len(found)), *figures, f"{1000 * np.median(seconds):.0f}")
    console.print(table)
    if options.sheet is not None and rows:
        iio.imwrite(options.sheet, np.concatenate(rows))


def _row(picture: np.ndarray, depths: list[np.ndarray]) -> np.ndarray:
    """A picture beside maps of inverse depth in one colour scale: truth, network, prior."""
    top = np.quantile(1 / depths[0][depths[0] > 0], 0.98)
    panels = [cv2.resize(picture, (240, 180), interpolation=cv2.INTER_AREA)]
    for depth in depths:
        level = np.divide(255 / top, depth, out=np.zeros_like(depth), where=depth > 0)
        colour = cv2.applyColorMap(np.clip(level, 0, 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
        panels.append(cv2.resize(colour, (240, 180))[..., ::-1])
    return np.concatenate([np.asarray(p) for p in panels], 1)


if __name__ == "__main__":
    main(tyro.cli(Options))
