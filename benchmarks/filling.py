"""What the benchmark of inpainting measures: pictures of a filled scene, and how they compare with the truth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from benchmarks import metrics, sheets
from benchmarks.covisible import covisible
from benchmarks.truth import Truth, View
from fourd import events, native
from fourd.filling import single
from fourd.geometry import clock, survey
from fourd.inpaint import Holes, Inpainter, Pictures
from fourd.render import holes, render
from fourd.scene import Scene
from fourd.types import Cameras, Frames, Splats

MOMENTS = 8
"""Flicker is measured over so many frames of the source that follow each other."""

COVERED = 0.5
"""Pixels covered less are empty."""

ORBITS, TURNS = 3, 13
"""Moments at which an orbit is looked at for what shows through, and views of each."""


@dataclass(frozen=True, eq=False)
class Filler:
    """A scene, and how its pictures come by their fillings."""

    splats: Splats
    inpainter: Inpainter | None = None
    """Fills each picture by itself; None where the splats were filled, or nothing is."""
    source: Cameras | None = None
    """Given where fillings are copied from other moments: then single frames are filled, by what all of them show."""

    def pictures(self, cameras: Cameras) -> Frames:
        """Draw what some cameras see, and fill it if that is to be done picture by picture."""
        drawn = render(self.splats, cameras)
        if self.inpainter is None:
            return drawn
        filled = [self._filled(drawn, cameras, i) for i in range(len(cameras))]
        rgb = torch.stack([rgb for rgb, _ in filled])
        alpha = torch.stack([torch.where(hole, 1.0, drawn.alpha[i]) for i, (_, hole) in enumerate(filled)])
        return drawn.replace(rgb=rgb, alpha=alpha)

    def _filled(self, drawn: Frames, cameras: Cameras, i: int) -> tuple[Tensor, Tensor]:
        assert self.inpainter is not None
        camera = cameras[i : i + 1]
        seen = everything = holes.look(self.splats, camera)
        if self.source is not None:
            same = (self.source.time_s - camera.time_s).abs().argmin().reshape(1)
            seen = holes.look(single(self.splats, self.source[same]), camera)
        asked = Holes.plain(Pictures(seen.rgb, seen.inverse_depth, seen.known), seen.hole).replace(
            behind=holes.behind(seen.inverse_depth[0], seen.known[0])[None],
            evidence=Pictures(everything.rgb, everything.inverse_depth, everything.known),
            trust=everything.known.float(),
        )
        made = events.result(self.inpainter.fill(asked, 0))
        new = seen.hole[0] | seen.crack[0]
        return torch.where(new[..., None], made.rgb[0], drawn.rgb[i].clamp(0, 1)), new


def unseen_at_its_moment(view: View, truth: Truth) -> Bool[Tensor, "t h w"]:
    """Pixels that the source's frame of the same moment did not see."""
    parts = []
    for k in range(len(view)):
        at, here = view.source_index[k : k + 1], torch.tensor([k])
        assert truth.depth is not None and view.depth is not None
        depth = truth.depth[at]
        own = view.depth[here]
        moving = None if truth.moving is None else truth.moving[at]
        clip = truth.clip.replace(frames=truth.clip.frames[at], time_s=truth.clip.time_s[at], sound=None)
        one = Truth(truth.name, clip, truth.cameras[at], depth, moving, ())
        moves = None if view.moving is None else view.moving[here]
        alone = View(view.name, view.frames[here], view.cameras[here], torch.zeros(1).long(), own, moves)
        seen = covisible(alone, one)
        assert seen is not None
        parts.append(~seen)
    return torch.cat(parts)


def energy(rgb: Float[Tensor, "h w 3"], part: Bool[Tensor, "h w"]) -> float:
    """Sum of squared differences of grey between neighbours that both belong to the part."""
    grey = rgb.mean(-1)
    total = 0.0
    for axis in (0, 1):
        n = grey.shape[axis]
        a, b = grey.narrow(axis, 0, n - 1), grey.narrow(axis, 1, n - 1)
        both = part.narrow(axis, 0, n - 1) & part.narrow(axis, 1, n - 1)
        total += float((a - b)[both].double().square().sum())
    return total


def figures(ours: Frames, view: View, picked: list[int], parts: dict[str, Tensor]) -> dict[str, dict[str, float]]:
    """PSNR, SSIM, detail, and the shares of what is empty and of the picture, for each part and for what was seen.

    Args:
        ours: Pictures of the view.
        view: The truth.
        picked: Which of its pictures.
        parts: Name to masks of the view's pictures; "seen" is the rest of the one called "unseen".
    """
    said = {}
    for name, masks in {**parts, "seen": ~parts["unseen"]}.items():
        errors, ssims, empty, pixels, energies = [], [], 0.0, 0, np.zeros(2)
        for j, k in enumerate(picked):
            true, mine, mask = view.frames[k].float() / 255, ours.rgb[j].float().clamp(0, 1), masks[k]
            if not bool(mask.any()):
                continue
            errors.append((mine - true).square().mean(-1)[mask])
            ssims.append(metrics.ssim(true, mine, mask))
            empty += float((ours.alpha[j] < COVERED)[mask].sum())
            pixels += int(mask.sum())
            energies += [energy(mine, mask), energy(true, mask)]
        mse = float(torch.cat(errors).double().mean()) if errors else math.nan
        usable = [x for x in ssims if not math.isnan(x)]
        said[name] = {
            "psnr": -10 * math.log10(max(mse, 1e-12)) if mse == mse else math.nan,
            "ssim": float(np.mean(usable)) if usable else math.nan,
            "detail": float(energies[0] / energies[1]) if energies[1] else math.nan,
            "empty": empty / pixels if pixels else math.nan,
            "share": pixels / (len(picked) * ours.alpha[0].numel()),
        }
    return said


def flicker(made: Filler, before: Splats, view: View, truth: Truth) -> float:
    """Mean change of colour from frame to frame where a camera that stands sees filled background.

    The camera is the view's middle one; time runs over ``MOMENTS`` frames of the source. Judged are pixels that the
    scene before it was filled leaves empty and over which nothing moves at any of these moments.

    Returns:
        A share of the range of colour; NaN if there is no such pixel.
    """
    middle = len(view) // 2
    first = max(0, min(int(view.source_index[middle]) - MOMENTS // 2, len(truth.clip) - MOMENTS))
    times = truth.clip.time_s[first : first + MOMENTS]
    cameras = view.cameras[torch.full((len(times),), middle)].replace(time_s=times)
    momentary = before[~torch.isinf(before.duration_s)]
    still = before[torch.isinf(before.duration_s)]
    part = (render(still, cameras[:1]).alpha[0] < COVERED) & (render(momentary, cameras).alpha < 0.02).all(0)
    if not bool(part.any()) or len(times) < 2:
        return math.nan
    rgb = made.pictures(cameras).rgb
    return float((rgb[1:] - rgb[:-1]).abs().mean(-1)[:, part].mean())


def open_shares(splats: Splats, cameras: Cameras, range_deg: float) -> dict[str, float]:
    """Which shares of pictures are covered by less than half, and less than nine tenths: whole orbits, at some moments.

    Returns:
        "half" and "tenth": shares of all pixels of alpha below 0.5 and below 0.9.
    """
    focus_m, below = Scene(splats, cameras).focus_m(), {"half": 0.5, "tenth": 0.9}
    turns = torch.linspace(-range_deg, range_deg, TURNS, dtype=torch.float64).deg2rad()
    picked = clock.spread(len(cameras), ORBITS).repeat_interleave(TURNS)
    views = survey.turned(cameras[picked], focus_m, turns.repeat(len(picked) // TURNS))
    total = dict.fromkeys(below, 0.0)
    for i in range(len(views)):
        alpha = render(splats, views[i : i + 1]).alpha
        for name, limit in below.items():
            total[name] += float((alpha < limit).double().mean()) / len(views)
    return total


def change_db(before: Splats, after: Splats, cameras: Cameras) -> float:
    """How little filled splats change the pixels that source cameras see covered: PSNR over all of them together."""
    total, count = 0.0, 0
    for i in range(len(cameras)):
        had, has = (
            native.draw(s, cameras.K[i], cameras.world_from_cam[i], cameras.hw, float(cameras.time_s[i]))
            for s in (before, after)
        )
        change = (had.rgb - has.rgb)[had.alpha > COVERED].double().square()
        total, count = total + float(change.sum()), count + change.numel()
    return -10 * math.log10(max(total / max(count, 1), 1e-12))


def evidence(splats: Splats, cameras: Cameras, source: Cameras) -> float:
    """Which share of the holes that single frames leave in some views the splats of other moments fill.

    Args:
        splats: A scene that was not filled.
        cameras: The views.
        source: For each view the source camera of the same moment, whose picture alone is looked at.
    """
    left, opened = 0, 0
    for i in range(len(cameras)):
        hole = holes.look(single(splats, source[i : i + 1]), cameras[i : i + 1]).hole
        opened += int(hole.sum())
        left += int((hole & (render(splats, cameras[i : i + 1]).alpha < COVERED)).sum())
    return 1 - left / opened if opened else math.nan


def sheet(path: Path, view: View, pictures: list[Tensor], names: tuple[str, ...]) -> None:
    """The middle picture of a view as each row has it, and the truth last, as one PNG."""
    tiles = [(p.clamp(0, 1) * 255 + 0.5).to(torch.uint8).numpy() for p in pictures]
    tiles.append(view.frames[len(view) // 2].numpy())
    named = [sheets.tile(t, name) for t, name in zip(tiles, [*names, "truth"], strict=True)]
    half = -(-len(named) // 3)
    sheets.write_sheet(path, [np.concatenate(named[k : k + 3], 1) for k in range(0, 3 * half, 3)])
