"""What moves on its own, once the cameras are known."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from fourd.checked import checked
from fourd.errors import InputError
from fourd.geometry.correspondence import Chains, sample
from fourd.geometry.parallax import NOISE_PX, Still, still_world
from fourd.geometry.pinhole import pixel_grid
from fourd.geometry.regions import whole
from fourd.motion.flow import grey
from fourd.motion.texture import flow_error_px
from fourd.types import Cameras, Clip, DepthMaps, Motion

_LONGEST_PX = 384
"""Longer side of the maps on which motion is judged; the result has the size of the motion's maps."""
_EVEN = 8.0
"""Residual, in units of the frame's usual one, at which motion is as likely as not: large, because flow
is often wrong by much more than usual."""
_USUAL = (0.35, 1.2)
"""Between these, in units of the expected noise, the median residual of a frame is taken to be its usual
one: flow is never perfect, and more than half of a frame may move."""
_LEAST, _MOST = -1.0, 4.0
"""Log-odds that one frame may add. Little speaks for rest: things may move so that nobody can tell."""
_PRIOR = -0.5
"""Log-odds before anything is seen."""
_SHARE = 0.25
"""Part of the log-odds that one frame adds: neighbouring frames look at the same flow."""
_MEMORY = 0.97
"""Part of the log-odds that is kept from frame to frame."""
_CAP = 4.0
_DEPTH_ERROR = 0.1
"""Relative error of depth that is given."""
_DEPTH_SAYS = 0.75
"""What disagreement with given depth counts: given depth is worst at the rims of things, where flow is, too."""
_BELIEVED = 0.5
"""Confidence from which given depth is asked."""
_TOLD = -3.0, 12.0
"""Log-odds of what given depth itself takes for still, and for moving: it has looked at flow, and at more."""


@checked
def refine(motion: Motion, cameras: Cameras, depth: DepthMaps | None = None, clip: Clip | None = None) -> Motion:
    """Judge anew which pixels move on their own, by the solved cameras.

    Every pixel is followed 1, 2, 4 and 8 frames ahead and back. In a still world one depth explains
    all these places; how far they are from that, in units of the flow's noise, speaks for motion.
    What is found is carried along the flow to the frames around, because things that move were
    there before and will be there after, and is then made whole.

    Args:
        motion: Flow, and where it can be believed.
        cameras: One a frame.
        depth: If given, flow has to agree with it, too, where it is confident; and what it takes for a thing that
            moves most likely moves.
        clip: If given, flow counts less where the picture is plain.

    Returns:
        The motion with a new ``moving``.

    Raises:
        InputError: If there are not as many cameras, depth maps or pictures as frames.
    """
    t, hw = len(motion), _work_size(motion.hw)
    for name, value in (("cameras", cameras), ("depth maps", depth), ("pictures", clip)):
        if value is not None and len(value) != t:
            raise InputError(f"There are {len(value)} {name} for {t} frames of motion; there must be one a frame.")
    cpu = motion.to("cpu")
    small = cameras.to("cpu").resized(hw)
    chains = (
        Chains(cpu.flow_forward, cpu.visible_forward, 1, hw),
        Chains(cpu.flow_backward, cpu.visible_backward, -1, hw),
    )
    odds = []
    for i in range(t):
        told = _log_odds(still_world(chains, small, i), None if depth is None else _inverse(depth, i, hw))
        odds.append(told if clip is None else told * _trust(clip, i, hw))
    ahead = _carry(odds, range(t), chains[1])
    back = _carry(odds, range(t - 1, -1, -1), chains[0])
    moving = torch.zeros(t, *motion.hw, dtype=torch.float16)
    for i in range(t):
        # What the frame itself says is in both.
        p = torch.sigmoid(_PRIOR + ahead[i] + back[i] - _SHARE * odds[i] + _told(depth, i, hw))
        moving[i] = _enlarged(torch.from_numpy(whole(p.numpy())), motion.hw).half()
    return motion.replace(moving=moving.to(motion.moving.device))


def _work_size(hw: tuple[int, int]) -> tuple[int, int]:
    scale = min(1.0, _LONGEST_PX / max(hw))
    return max(1, round(hw[0] * scale)), max(1, round(hw[1] * scale))


def _enlarged(p: Float[Tensor, "h w"], hw: tuple[int, int]) -> Float[Tensor, "h2 w2"]:
    if tuple(p.shape) == hw:
        return p
    return torch.nn.functional.interpolate(p[None, None], hw, mode="bilinear", align_corners=False)[0, 0]


def _inverse(depth: DepthMaps, i: int, hw: tuple[int, int]) -> Float[Tensor, "h w"]:
    """Inverse depth of one frame at the working size; -1 where it is not known well."""
    known = (depth.confidence[i] >= _BELIEVED).cpu()
    q = torch.where(known, 1 / depth.depth_m[i].cpu().clamp(min=1e-9), -1.0)
    return torch.nn.functional.interpolate(q[None, None], hw, mode="nearest-exact")[0, 0]


def _told(depth: DepthMaps | None, i: int, hw: tuple[int, int]) -> Float[Tensor, "h w"]:
    """Log-odds of motion that depth itself tells."""
    if depth is None or depth.moving is None:
        return torch.zeros(hw)
    share = torch.nn.functional.interpolate(depth.moving[i].cpu().float()[None, None], hw, mode="area")[0, 0]
    return _TOLD[0] + (_TOLD[1] - _TOLD[0]) * share


def _trust(clip: Clip, i: int, hw: tuple[int, int]) -> Float[Tensor, "h w"]:
    """How far flow is to be believed for the sake of the picture, 0 to 1."""
    error = torch.from_numpy(flow_error_px(grey(clip.frames[i].cpu().numpy(), hw)))
    return 1 / (1 + (error / NOISE_PX) ** 2)


def _log_odds(still: Still, given: Float[Tensor, "h w"] | None) -> Float[Tensor, "h w"]:
    if not len(still.e):
        return torch.zeros(still.e.shape[1:3])
    excess = still.excess(still.inverse_depth()[0])
    heard = still.heard
    usual = min(max(float(excess[heard].median()), _USUAL[0]), _USUAL[1]) if heard.any() else _USUAL[1]
    if given is not None:
        against = still.excess(given.clamp(min=0), _DEPTH_ERROR)
        excess = torch.where(given >= 0, torch.maximum(excess, _DEPTH_SAYS * against), excess)
    odds = 2 * torch.log(excess.clamp(min=1e-3) / (_EVEN * usual))
    return odds.clamp(_LEAST, _MOST) * heard


def _carry(odds: list[Tensor], order: Iterable[int], chain: Chains) -> list[Tensor]:
    """Gather log-odds along the flow, in one direction of time.

    Args:
        odds: What each frame says.
        order: The frames in the order in which they are visited.
        chain: Flow from each frame to the one visited before it.
    """
    gathered: list[Tensor] = [torch.zeros(0)] * len(odds)
    grid = pixel_grid(chain.hw)
    before: int | None = None
    for i in order:
        sum_ = _SHARE * odds[i]
        if before is not None:
            flow, followed = chain(i, 1)
            sum_ = sum_ + _MEMORY * followed * sample(gathered[before][..., None], grid + flow)[..., 0]
        gathered[i] = sum_.clamp(-_CAP, _CAP)
        before = i
    return gathered
