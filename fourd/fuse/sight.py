"""Nothing stands before what was filmed: still splats that hide it go.

Depth that is wrong in one frame hangs in the air before all others: a passer-by taken for a thing that stands, a
floor on which nothing can be measured. Depth alone cannot convict such a splat where the frames that it hides
are unsure of theirs; their pictures can. A pixel in another colour than was filmed, and drawn nearer than the frame
has it, is *hidden*; one in the colour that was filmed is *shown*. A splat that hides much for what it shows goes, and
frames that lose by it get short-lived splats of their own.

A clip that was filmed from one place has one still depth for all frames, which cannot say that a thing came or went:
there a pixel that shows another thing, and not the same one in another light, is *wrong*, wherever it is drawn. Where
the camera travels that would cost more than it is worth: what is a little displaced is of another colour, too.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float32
from torch import Tensor

from fourd import native
from fourd.events import Progress, Steps
from fourd.fuse.keyframes import LOST
from fourd.fuse.views import View, Views, pick
from fourd.geometry import pinhole
from fourd.poses import inverse
from fourd.types import SH_C0, Splats

ROUNDS = 3
"""What stood behind a splat that went may hide something, too."""

CLEAN = 0.002
"""Share of a picture that may be hidden before it is looked at again."""

OTHER = 0.15
"""Difference of colour (0 to 1) in the best common light from which a pixel shows another thing."""

DARKEST = 2.5
"""How much darker shadows are."""

ONE_PLACE = 0.005
"""Way of the camera, as a share of the median depth, up to which the clip is filmed from one place."""

OPINION_PX = 1.0
"""What every splat may hide, in pixels of all frames: a little is rounding."""


def cleared(still: Splats, views: Views, frames: Sequence[int], tolerance: float, unlike: float) -> Steps[Splats]:
    """Let go of the still splats that hide what was filmed.

    Args:
        still: They do not move and are always there.
        views: All frames of the clip.
        frames: Those that are asked.
        tolerance: Relative difference of depth below which two frames see the same surface.
        unlike: Difference of colour (0 to 1) from which a pixel is not what was filmed.
    """
    shown, asked = torch.zeros(len(still)), list(frames)
    one_place = views.way_m < ONE_PLACE * float(views[asked[0]].depth_m.median())
    for k in range(ROUNDS):
        hidden, again = torch.zeros(len(still)), []
        for done, i in enumerate(asked):
            hides, shows, share = _judged(still, views[i], tolerance, unlike, one_place)
            hidden += hides
            if k == 0:  # Hardly changes with what goes.
                shown += shows
            if share > CLEAN:
                again.append(i)
            yield Progress("fuse", k * len(asked) + done + 1, ROUNDS * len(asked))
        keep = hidden <= LOST * shown + OPINION_PX
        still, shown, asked = still[keep], shown[keep], again
    return still


def _judged(
    still: Splats, view: View, tolerance: float, unlike: float, one_place: bool
) -> tuple[Float32[Tensor, " n"], Float32[Tensor, " n"], float]:
    """How many pixels of a frame each splat hides, and how many it shows; and the share of all that are hidden."""
    colour = still.colour.clone().requires_grad_(True)
    drawn = native.rasterize(still.replace(colour=colour), view.K, view.world_from_cam, view.hw, view.time_s)
    # The mean over a few pixels: a texture half a pixel aside is no other colour.
    ours, theirs = (
        F.avg_pool2d(x.permute(2, 0, 1), 3, 1, 1, count_include_pad=False) for x in (drawn.rgb.detach(), view.rgb)
    )
    off = (ours - theirs).abs().mean(0)
    light = ((ours * theirs).sum(0) / ours.square().sum(0).clamp(min=1e-6)).clamp(1 / DARKEST, DARKEST)
    other = (light * ours - theirs).abs().mean(0) > OTHER
    there = (off > unlike) & (drawn.alpha > 0.5)
    nearer = there & (drawn.median_m < (1 - 2 * tolerance) * view.depth_m)
    hidden, wrong, shown = nearer, there & other & ~nearer & one_place, off <= unlike
    # What a splat adds to a pixel is the derivative of the pixel by the splat's colour; each channel asks one thing.
    asked = (drawn.rgb * torch.stack([hidden, wrong, shown], -1)).sum()
    (weight,) = torch.autograd.grad(asked, colour)
    hides, errs, shows = weight[:, 0].div(SH_C0).unbind(1)
    return hides * _before(still, view, tolerance) + errs, shows, float((hidden | wrong).float().mean())


def _before(still: Splats, view: View, tolerance: float) -> Bool[Tensor, " n"]:
    """Which splats stand nearer than the frame has their pixel: what shines through beside them is not to blame."""
    h, w = view.hw
    xy, z = pinhole.project(pinhole.transform(inverse(view.world_from_cam), still.mean_m), view.K)
    outside = (xy < 0).any(-1) | (xy[:, 0] >= w) | (xy[:, 1] >= h)
    return outside | (z < (1 - tolerance) * pick(view.depth_m, xy))
