"""What a report measures: how true the rendered pictures are, and how far round the camera may go."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from fourd import render
from fourd.checked import checked
from fourd.events import Progress, Steps
from fourd.geometry import clock
from fourd.scene import Scene
from fourd.types import INVENTED, SH_C0, Clip, Splats
from fourd.view import overview
from fourd.view.film import small

ANGLES_DEG = (-45.0, -30.0, -20.0, -10.0, 0.0, 10.0, 20.0, 30.0, 45.0)
_LOOK_PX = 240
"""Longer side of the pictures on which coverage is counted."""


@dataclass(frozen=True)
class Known:
    """What of the picture is known, from one angle; the three shares add up to 1."""

    degrees: float
    seen: float
    """The share of its pixels that shows what was filmed."""
    invented: float
    hole: float
    """The share that nothing covers."""


@checked
def known(scene: Scene) -> Steps[list[Known]]:
    """How much of the picture is known when the camera goes round its subject, in the middle of the clip.

    A pixel is a hole if less than half of it is covered (as ``Frames.hole`` has it), and invented if most of
    what covers it is.

    Yields:
        Progress of the stage "coverage".
    """
    told = _told(scene.splats)
    focus_m = scene.focus_m()
    found = []
    for i, degrees in enumerate(ANGLES_DEG):
        camera = small(overview.turned(scene, scene.middle_s, degrees, focus_m), _LOOK_PX)
        frames = render.render(told, camera)
        hole = frames.hole
        invented = ~hole & (frames.rgb[..., 0] > frames.alpha / 2)
        shares = [float(part.double().mean()) for part in (~hole & ~invented, invented, hole)]
        found.append(Known(degrees, *shares))
        yield Progress("coverage", i + 1, len(ANGLES_DEG))
    return found


def _told(splats: Splats) -> Splats:
    """The same splats in white where they were invented, and in black where they were seen."""
    colour = torch.where(splats.source == INVENTED, 0.5, -0.5).to(splats.mean_m) / SH_C0
    return splats.replace(colour=colour[:, None, None].expand(-1, 1, 3).contiguous())


@checked
def truth(scene: Scene, clip: Clip, *, count: int = 24) -> Steps[list[tuple[float, float]]]:
    """How well the pictures that were filmed come back: (moment in seconds, PSNR in dB) at up to ``count`` frames.

    Yields:
        Progress of the stage "compare".
    """
    picked = clock.spread(len(scene.cameras), count).tolist()
    found = []
    for i, index in enumerate(picked):
        camera = scene.cameras[index : index + 1]
        time_s = float(camera.time_s[0])
        ours = scene.render(camera).rgb[0].cpu().double()
        theirs = overview.filmed(clip, time_s, camera.hw).double() / 255
        off = float((ours - theirs).square().mean())
        found.append((time_s, -10 * math.log10(max(off, 1e-10))))
        yield Progress("compare", i + 1, len(picked))
    return found
