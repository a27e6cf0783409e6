"""The loop that fills what nobody saw, wired: view after view, draw, find holes, inpaint, lift.

Splats ─> holes.look ─> Inpainter ─> continued ─> invented ─┐
^                                                         │
└─────────────── the next view, turned further ───────────┘
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import torch

from fourd.events import Progress, Steps
from fourd.fuse import backs, invent
from fourd.geometry import clock, layout, survey
from fourd.geometry import continued as surfaces
from fourd.geometry.layout import Layout
from fourd.geometry.masks import grown, nearest
from fourd.geometry.unseen import Unseen
from fourd.inpaint import Holes, Inpainter, Pictures
from fourd.inpaint.surfaces import bare
from fourd.render import holes
from fourd.scene import Scene
from fourd.types import Cameras, Clip, Splats

T = TypeVar("T")

_WITNESSES = 16
"""So many source cameras, evenly spread, say where nothing can be because they looked there."""
_LEARNING, _FILLING, _BACKS = 0.5, 0.93, 0.95
"""How far the progress is when the clip is learnt, when all is filled, and when what moves has a back."""
_THROUGH = 0.95
"""A camera that looked so much deeper than a large surface, in inverse depth, looked through it."""
_DEEPER = 1.5
"""What is laid behind cracks lies so many times as far off at most, so that what was filmed hides it wholly."""
_FOUND = 1.001
"""What was moved as far as it may be, but for so little, has found no place there."""
_UNDER_PX = 3
"""So far the sky goes on behind what ends before it."""
_NEAREST = 0.2
"""Nothing is made up nearer than this, in distances of the nearest thing that a view sees."""


class Filled(NamedTuple):
    """A scene without holes, as far as was asked."""

    splats: Splats
    """All that were there before, and after them what was made up, marked ``INVENTED``."""
    evidence: float | None
    """Of what single frames leave open in the views that were filled, the share that other moments show."""


def fill(
    splats: Splats,
    clip: Clip,
    cameras: Cameras,
    inpainter: Inpainter,
    range_deg: float = 30.0,
    seed: int = 0,
    up: torch.Tensor | None = None,
) -> Steps[Filled]:
    """Make up what no source camera saw, and only that, as far as a camera may turn about the subject.

    View after view, the smallest turns first: the still splats are drawn, with all that was made up before;
    holes are filled, colour and depth together; the filling becomes splats, none of them where a source camera
    looked. So what stands still is made up once for all moments, and behind whatever moves. At last what moves is given
    sides and a back.

    Args:
        splats: What was filmed.
        clip: The pictures, to learn from.
        cameras: Those that filmed.
        inpainter: What fills the holes.
        range_deg: How far a camera may turn, to either side.
        seed: The same one gives the same filling.
        up: Which way is up, if that is known: a camera turns about it.
    """
    device, splats = splats.mean_m.device, splats.to("cpu")
    still = splats[torch.isinf(splats.duration_s)]
    rings = survey.rings(cameras, Scene(splats, cameras).focus_m(), range_deg, up)
    picked = clock.spread(len(cameras), _WITNESSES)
    filmed = holes.look(splats, cameras[picked])
    unseen = Unseen(filmed.inverse_depth, filmed.known & ~filmed.crack, cameras[picked])
    opaque = Unseen(filmed.inverse_depth, filmed.known & ~filmed.crack, cameras[picked], filmed.thin | filmed.crack)
    standing = filmed if len(still) == len(splats) else holes.look(still, cameras[picked])
    bounds = layout.found(standing.inverse_depth, standing.known & ~standing.crack, cameras[picked], seed)
    beyond = torch.stack([_beyond(standing, bounds, cameras[picked], i) for i in range(len(picked))])
    doors = Unseen(standing.inverse_depth, beyond, cameras[picked])
    lessons = Pictures(clip.frames[picked].float() / 255, filmed.inverse_depth, filmed.known)
    shapes = torch.cat([holes.look(still, ring).hole for ring in rings])
    told = _evidence(splats, cameras, rings, shapes)
    # On large surfaces nothing is to be learnt: they go on in their own colours.
    nowhere = torch.cat(
        [bounds.behind(ring[i : i + 1])[0][None] == layout.NONE for ring in rings for i in range(len(ring))]
    )
    yield from _part(inpainter.learn(lessons, _cut(shapes & nowhere, cameras.hw), seed), 0.0, _LEARNING)

    made: list[Splats] = []
    for k, ring in enumerate(rings):
        seen = holes.look(Splats.concat([still, *made]), ring)
        if bool((seen.hole | seen.crack | seen.thin).any()) and bool(seen.known.any()):
            asked = _asked(seen, ring, unseen, bounds, doors)
            filling = inpainter.fill(_together(asked, still, cameras, ring, bounds), seed + k)
            start, end = (_LEARNING + (_FILLING - _LEARNING) * x / len(rings) for x in (k, k + 1))
            filled = yield from _part(filling, start, end)
            made += [_lifted(seen, filled, asked, ring, unseen, opaque, i) for i in range(len(ring))]
            made += [_under(filled, asked, ring, bounds, i) for i in range(len(ring))]
    bodies = yield from _part(backs.grow(splats, cameras, Splats.concat([still, *made])), _FILLING, _BACKS)
    solid = Splats.concat([splats, bodies])
    if not made:
        return Filled(solid.to(device), told)
    # The budget for what shines through is that of fillings: bodies keep to a smaller one of their own.
    check = invent.unobtrusive(solid, Splats.concat(made), cameras, clip.frames)
    kept = yield from _part(check, _BACKS, 1.0)
    return Filled(Splats.concat([solid, kept]).to(device), told)


def _asked(seen: holes.Seen, ring: Cameras, unseen: Unseen, bounds: Layout, doors: Unseen) -> Holes:
    """The holes of a ring of views, as the inpainter takes them."""
    pictures = Pictures(seen.rgb, seen.inverse_depth, seen.known)
    behind, surface, lies = [], [], []
    for i in range(len(ring)):
        camera, hole = ring[i : i + 1], seen.hole[i]
        near = seen.inverse_depth[i].max().clamp(min=1e-6) / _NEAREST
        bound = unseen.nearest(camera, hole, near.expand(ring.hw).clone())
        bound = torch.where(hole, bound, torch.inf)
        behind.append(torch.minimum(bound, holes.behind(seen.inverse_depth[i], seen.known[i])))
        number, inverse = bounds.behind(camera)
        # A camera that looked through a wall, and beyond, knows better: there is a door, or a window.
        through = doors.nearest(camera, hole & (number >= 0), inverse) < _THROUGH * inverse
        surface.append(torch.where(through, layout.NONE, number))
        lies.append(inverse)
    asked = Holes.plain(pictures, seen.hole).replace(
        behind=torch.stack(behind), evidence=_filmed(seen), trust=seen.filmed.float()
    )
    asked = asked.replace(surface=torch.stack(surface), lies=torch.stack(lies))
    for i, number in enumerate(surface):
        thing = seen.known[i] & ~bare(asked, i)
        surface[i] = torch.where(holes.within(seen.inverse_depth[i], seen.known[i], thing), layout.NONE, number)
    return asked.replace(surface=torch.stack(surface))


def _filmed(seen: holes.Seen) -> Pictures:
    """What of some pictures was filmed, and not made up before."""
    return Pictures(seen.rgb, seen.inverse_depth, seen.filmed)


def _together(asked: Holes, still: Splats, cameras: Cameras, ring: Cameras, bounds: Layout) -> Holes:
    """The holes of a ring, and after them the same place as the source camera saw it, for all to look at."""
    now = cameras[(cameras.time_s - ring.time_s[0]).abs().argmin().reshape(1)]
    at = survey.wider(now, (ring.hw[0] - now.hw[0]) // 2)
    straight = holes.look(still, at)
    n = len(ring)
    shown = Pictures(straight.rgb, straight.inverse_depth, straight.known)
    number, inverse = bounds.behind(at)
    nothing = torch.zeros_like(straight.hole)
    others = torch.tensor([[j for j in range(n + 1) if j != i] for i in range(n + 1)])
    assert asked.surface is not None and asked.lies is not None
    return Holes.plain(Pictures.concat([asked.pictures, shown]), torch.cat([asked.hole, nothing])).replace(
        behind=torch.cat([asked.behind, torch.full_like(straight.inverse_depth, torch.inf)]),
        evidence=Pictures.concat([asked.evidence, _filmed(straight)]),
        trust=torch.cat([asked.trust, straight.filmed.float()]),
        neighbours=others,
        surface=torch.cat([asked.surface, number[None]]),
        lies=torch.cat([asked.lies, inverse[None]]),
    )


def _beyond(seen: holes.Seen, bounds: Layout, cameras: Cameras, i: int) -> torch.Tensor:
    """Where one camera saw what lies behind the surfaces that bound the scene: through a door, or a window."""
    number, inverse = bounds.behind(cameras[i : i + 1])
    return seen.known[i] & ~seen.crack[i] & (number >= 0) & (seen.inverse_depth[i] < _THROUGH * inverse)


def _lifted(
    seen: holes.Seen, filled: Pictures, asked: Holes, ring: Cameras, unseen: Unseen, opaque: Unseen, i: int
) -> Splats:
    """What was filled into one view, and what belongs behind its cracks, as splats where no source camera looked."""
    assert asked.surface is not None and asked.lies is not None
    hole, known, camera = seen.hole[i], seen.known[i], ring[i : i + 1]
    far = float(seen.inverse_depth[seen.known].min()) / 2  # Further off than all that was filmed: the sky's depth.
    inverse = surfaces.continued(filled.inverse_depth[i], known, hole).clamp(min=far)
    placed = hole & (asked.surface[i] >= 0)
    inverse = torch.where(placed, asked.lies[i].clamp(min=far), inverse)
    # The filling reaches a little under what it is attached to, so that no seam opens from elsewhere.
    wanted = hole | surfaces.attached(inverse, known, hole)
    inverse = torch.where(placed, inverse, unseen.nearest(camera, wanted & ~placed, inverse))
    # Behind what is torn lies what hides best: a little further off, what was filmed may be whole before it.
    lining = holes.lining(seen, i)
    lies = unseen.nearest(camera, lining.wanted, lining.inverse_depth.clamp(min=far))
    hidden = opaque.nearest(camera, lining.wanted, lies, _DEEPER)
    rgb = torch.where(lining.wanted[..., None], lining.rgb, filled.rgb[i])
    inverse = torch.where(lining.wanted, torch.where(hidden * _DEEPER > lies * _FOUND, hidden, lies), inverse)
    return invent.invented(rgb, inverse, wanted | lining.wanted, camera)


def _under(filled: Pictures, asked: Holes, ring: Cameras, bounds: Layout, i: int) -> Splats:
    """The sky that was filled into one view, going on a little behind what ends before it, so that no gap opens."""
    assert asked.surface is not None
    sky = asked.hole[i] & (asked.surface[i] == len(bounds))
    if bounds.sky is None or not bool(sky.any()):
        return invent.invented(filled.rgb[i], filled.inverse_depth[i], torch.zeros_like(sky), ring[i : i + 1])
    under = grown(sky, _UNDER_PX) & ~sky & (filled.inverse_depth[i] > 2 * bounds.sky)
    rgb = filled.rgb[i].reshape(-1, 3)[nearest(sky)]
    return invent.invented(rgb, torch.full_like(filled.inverse_depth[i], bounds.sky), under, ring[i : i + 1])


def _part(work: Steps[T], start: float, end: float) -> Steps[T]:
    """Work that is a part of filling: its progress is brought to the share that it has of the whole."""
    while True:
        try:
            event = next(work)
        except StopIteration as stop:
            return stop.value
        if isinstance(event, Progress):
            share = start + (end - start) * event.done / max(1, event.total)
            event = Progress("inpaint", round(1000 * share), 1000)
        yield event


def _evidence(splats: Splats, cameras: Cameras, rings: list[Cameras], left: torch.Tensor) -> float | None:
    """Which share of the holes that the frame of the same moment alone leaves in some views is not ``left``."""
    opened = []
    for ring in rings:
        now = cameras[(cameras.time_s - ring.time_s[0]).abs().argmin().reshape(1)]
        opened.append(holes.look(single(splats, now), ring).hole)
    hole = torch.cat(opened)
    return round(1 - float((hole & left).sum()) / int(hole.sum()), 3) if bool(hole.any()) else None


def single(splats: Splats, camera: Cameras) -> Splats:
    """What one camera sees of splats, as splats of its own."""
    seen = holes.look(splats, camera)
    return invent.invented(seen.rgb[0], seen.inverse_depth[0].clamp(min=1e-6), seen.known[0], camera)


def _cut(masks: torch.Tensor, hw: tuple[int, int]) -> torch.Tensor:
    """The middle of masks that are larger than ``hw``."""
    top, left = (masks.shape[1] - hw[0]) // 2, (masks.shape[2] - hw[1]) // 2
    return masks[:, top : top + hw[0], left : left + hw[1]].contiguous()
