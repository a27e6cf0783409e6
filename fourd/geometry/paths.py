"""Camera paths by name and amount: where to stand, frame by frame, while time runs, slows or stands still.

Every path but ``keyframes`` is relative to the source camera at each moment, so that amount 0 is what
was filmed. Words and signs are those of docs/conventions.md.

Moves go ``there``, from the source view to the full amount, or ``around``, out and home again; both
ease in and out. Where time stands still, a path that comes home ends one frame short of it, so that
the film can be repeated without a seam.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from fourd import fields
from fourd.checked import checked
from fourd.errors import InputError
from fourd.geometry import clock, rigid, trajectory
from fourd.geometry.keyframes import Keyframes, join
from fourd.types import Cameras

FOCUS_SIGMA_S = 0.5
"""Over how long the point that rotations go about is steadied."""


@dataclass(frozen=True, eq=False)
class Move:
    """What a path is given for each frame."""

    base: Cameras
    """The source camera at each output moment."""
    phase: Float64[Tensor, " n"]
    """How far the film is, 0 to 1."""
    focus: Float64[Tensor, "n 3"]
    """The point that rotations go about."""
    amount: float
    """Radians, scene units, seconds or a factor: whatever ``Path.unit`` becomes inside."""
    focus_m: float
    up: Float64[Tensor, " 3"]
    turns: float

    @property
    def there(self) -> Float64[Tensor, " n"]:
        """0 to 1 with ease in and out."""
        return self.phase**2 * (3 - 2 * self.phase)

    @property
    def around(self) -> Float64[Tensor, " n"]:
        """0 to 1, home, to -1 and home again, ``turns`` times, with ease in and out."""
        return torch.sin(2 * math.pi * self.turns * self.there)


@dataclass(frozen=True)
class Path:
    """One kind of path."""

    make: Callable[[Move], Cameras]
    unit: Literal["degrees", "focus distances", "factor", "seconds", ""]
    """Of the amount; empty for a path that takes none."""
    default: float
    says: str
    loops: bool = False
    """True if it comes home."""


def _posed(base: Cameras, pose: Float64[Tensor, "n 4 4"]) -> Cameras:
    return base.replace(world_from_cam=pose.float())


def _about_focus(move: Move, turn: Float64[Tensor, "n 3 3"]) -> Cameras:
    """Rotate each camera about its focus as if both were one rigid thing: the subject stays in its place."""
    pose = move.base.world_from_cam.double().clone()
    away = pose[:, :3, 3] - move.focus
    pose[:, :3, 3] = move.focus + (turn @ away[..., None])[..., 0]
    pose[:, :3, :3] = turn @ pose[:, :3, :3]
    return _posed(move.base, pose)


def _swung(move: Move, right: Float64[Tensor, " n"], above: Float64[Tensor, " n"] | None = None) -> Cameras:
    """Swing about the focus by angles in radians: to the right about ``up``, then above, over the subject."""
    turn = rigid.matrix_from_rotvec(right[:, None] * move.up)
    if above is not None:
        # Rising over the subject turns about the camera's own right, made level.
        level = torch.linalg.cross(move.base.world_from_cam[:, :3, 2].double(), move.up.expand(len(right), 3))
        level = torch.nn.functional.normalize(level, dim=-1)
        turn = turn @ rigid.matrix_from_rotvec(-above[:, None] * level)
    return _about_focus(move, turn)


def _turned(move: Move, axis: tuple[int, int, int]) -> Cameras:
    """Rotate the camera where it stands, about an axis of its own."""
    angle = move.amount * move.there
    pose = move.base.world_from_cam.double().clone()
    pose[:, :3, :3] = pose[:, :3, :3] @ rigid.matrix_from_rotvec(
        angle[:, None] * torch.tensor(axis, dtype=torch.float64)
    )
    return _posed(move.base, pose)


def _shifted(move: Move, axis: tuple[int, int, int]) -> Cameras:
    """Move the camera along an axis of its own, without turning it."""
    pose = move.base.world_from_cam.double().clone()
    step = (move.amount * move.there)[:, None] * torch.tensor(axis, dtype=torch.float64)
    pose[:, :3, 3] += (pose[:, :3, :3] @ step[..., None])[..., 0]
    return _posed(move.base, pose)


def _crane(move: Move) -> Cameras:
    """Rise along ``up``, and tilt so that the subject keeps its place in the picture."""
    pose = move.base.world_from_cam.double().clone()
    before = move.focus - pose[:, :3, 3]
    pose[:, :3, 3] += (move.amount * move.there)[:, None] * move.up
    after = move.focus - pose[:, :3, 3]
    axis = torch.linalg.cross(before, after)
    sine, cosine = axis.norm(dim=1), (before * after).sum(1)
    turn = torch.atan2(sine, cosine)[:, None] * axis / sine.clamp(min=1e-300)[:, None]
    pose[:, :3, :3] = rigid.matrix_from_rotvec(turn) @ pose[:, :3, :3]
    return _posed(move.base, pose)


def _zoom(move: Move) -> Cameras:
    """Multiply the focal length, evenly on a logarithmic scale, as a zoom ring does."""
    K = move.base.K.double().clone()
    K[:, :2, :2] *= (move.amount**move.there)[:, None, None]
    return move.base.replace(K=K.float())


def _dolly_zoom(move: Move) -> Cameras:
    """Zoom, and move back as much as keeps the subject its size: size is focal length over distance."""
    pose = move.base.world_from_cam.double().clone()
    back = move.focus_m * (move.amount**move.there - 1)
    pose[:, :3, 3] -= back[:, None] * pose[:, :3, 2]
    return _posed(_zoom(move), pose)


def _spiral(move: Move) -> Cameras:
    """Circle ever wider about the source view, and back in."""
    radius = move.amount * torch.sin(math.pi * move.phase) ** 2
    angle = 2 * math.pi * (2 * move.turns) * move.phase
    return _swung(move, radius * torch.cos(angle), radius * torch.sin(angle))


def _orbit(move: Move) -> Cameras:
    return _swung(move, move.amount * move.around)


def _as_it_is(move: Move) -> Cameras:
    return move.base


# The documentation of every path is its line here; the command line prints this table.
PATHS: dict[str, Path] = {
    "orbit": Path(_orbit, "degrees", 30.0, "Swing right, left and home about the subject.", True),
    "arc": Path(
        lambda m: _swung(m, m.amount * m.there), "degrees", 30.0, "Move to the right about the subject, one way."
    ),
    "freeze": Path(_orbit, "degrees", 30.0, "Bullet time: orbit while time stands still.", True),
    "spiral": Path(_spiral, "degrees", 10.0, "Circle about the source view, wider and back in.", True),
    "dolly": Path(lambda m: _shifted(m, (0, 0, 1)), "focus distances", 0.3, "Move forward."),
    "truck": Path(lambda m: _shifted(m, (1, 0, 0)), "focus distances", 0.3, "Move to the right."),
    "pedestal": Path(lambda m: _shifted(m, (0, -1, 0)), "focus distances", 0.3, "Move up."),
    "crane": Path(_crane, "focus distances", 0.3, "Rise and tilt down to the subject."),
    "pan": Path(lambda m: _turned(m, (0, 1, 0)), "degrees", 15.0, "Turn to the right on the spot."),
    "tilt": Path(lambda m: _turned(m, (1, 0, 0)), "degrees", 10.0, "Turn up on the spot."),
    "roll": Path(lambda m: _turned(m, (0, 0, 1)), "degrees", 10.0, "Turn clockwise on the spot."),
    "zoom": Path(_zoom, "factor", 1.5, "Lengthen the focal length by a factor."),
    "dolly-zoom": Path(_dolly_zoom, "factor", 1.5, "Zoom while moving back: the subject keeps its size."),
    "source": Path(_as_it_is, "", 0.0, "The camera that filmed."),
    "stabilised": Path(_as_it_is, "seconds", 1.0, "The camera that filmed, smoothed over so much time."),
    "keyframes": Path(_as_it_is, "", 0.0, "Cameras from a file, joined smoothly (nerfstudio camera_path.json)."),
}


@checked
def make(
    name: str,
    source: Cameras,
    *,
    focus_m: float = 1.0,
    degrees: float | None = None,
    amount: float | None = None,
    metres: float | None = None,
    up: Float[Tensor, " 3"] | None = None,
    fps: float | None = None,
    speed: float = 1.0,
    hw: tuple[int, int] | None = None,
    at_s: float | None = None,
    duration_s: float | None = None,
    turns: float = 1.0,
    keyframes: Keyframes | None = None,
) -> Cameras:
    """Cameras along a path, one for each frame of the film.

    The result's ``time_s`` are moments of the scene: at speed 0.5 they advance half a frame per
    frame, in bullet time they stand still. The film plays at ``fps``, by default ``median_fps(source)``.

    Args:
        name: One of ``PATHS``.
        source: The cameras that filmed, at strictly increasing times.
        focus_m: Distance of the subject in front of the source camera, in scene units.
        degrees: How far to rotate, for paths whose unit is degrees.
        amount: How far to go in the path's unit: degrees; shares of the focus distance, so that it
            means the same in every scene; a factor on the focal length; or seconds.
        metres: How far to go in scene units, instead of shares of the focus distance.
        up: What orbits go about and cranes rise along; by default the mean up of the source cameras.
        fps: Frames a second of the film; by default the source's own.
        speed: How fast the scene's time runs; 0.5 is half as fast.
        hw: Size of the pictures. Pixels keep their shape, and the picture is the largest cut from
            the source's that has these proportions, so that no border is shown that was never seen.
        at_s: Let time stand still at this moment (any path); ``freeze`` takes the middle by default.
        duration_s: Length of the film in seconds; by default until the source ends, or 4 s where
            time stands still. Beyond the end of the source, its last moment is held.
        turns: How often ``orbit`` and ``freeze`` swing to both sides; ``spiral`` circles twice as often.
            Halves come home too, from the right; other fractions end elsewhere.
        keyframes: The cameras of the path ``keyframes``.

    Raises:
        InputError: If the name is not known, or a value does not fit the path.
        LimitError: If the film would have more than ``Limits.frames`` frames.
    """
    path = _lookup(name)
    rate = trajectory.median_fps(source) if fps is None else fps
    for what, value in {"fps": rate, "speed": speed, "focus_m": focus_m, "turns": turns}.items():
        if not 0 < value < math.inf:
            raise InputError(f"Camera path '{name}': {what} is {value:g}; it must be above 0.")
    if duration_s is not None and not 0 < duration_s < math.inf:
        raise InputError(f"Camera path '{name}': duration_s is {duration_s:g}; it must be above 0.")
    if at_s is not None and not math.isfinite(at_s):
        raise InputError(f"Camera path '{name}': at_s is {at_s:g}; it must be finite.")
    size = _amount(name, path, degrees, amount, metres, focus_m)
    if (keyframes is None) == (name == "keyframes"):
        raise InputError("The path 'keyframes' needs keyframes, and no other path takes them.")
    if keyframes is not None:
        film = join(keyframes, fps=rate, speed=speed, duration_s=duration_s)
        # Beyond what was filmed there is nothing to show.
        film = film.replace(time_s=film.time_s.clamp(float(source.time_s[0]), float(source.time_s[-1])))
        return resized(film, hw or keyframes.cameras.hw)
    if name == "freeze" and at_s is None:
        at_s = float(source.time_s[0] + source.time_s[-1]) / 2

    time_s, still = clock.run(source, fps=fps, own_fps=rate, speed=speed, duration_s=duration_s, at_s=at_s)
    steady = trajectory.smooth(source, size if name == "stabilised" else FOCUS_SIGMA_S)
    guide = trajectory.at(steady, time_s).world_from_cam.double()
    move = Move(
        base=trajectory.at(steady if name == "stabilised" else source, time_s),
        # A film that comes home while time stands still is repeated: home is its first frame only.
        phase=clock.phase(len(time_s), closed=still and path.loops),
        focus=guide[:, :3, 3] + focus_m * guide[:, :3, 2],
        amount=size,
        focus_m=focus_m,
        up=mean_up(source) if up is None else _unit(up),
        turns=turns,
    )
    return resized(path.make(move), hw or source.hw)


@checked
def resized(cameras: Cameras, hw: tuple[int, int]) -> Cameras:
    """The same cameras for pictures of another size, whose pixels keep their shape.

    Where the proportions differ, the new picture is the largest cut from the old one, about its
    middle. (``Cameras.resized`` keeps the whole picture and lets pixels become oblong.)
    """
    hw = fields.size("Cameras", hw)
    if hw == cameras.hw:
        return cameras
    scale = max(hw[0] / cameras.hw[0], hw[1] / cameras.hw[1])
    K = cameras.K.double() * torch.tensor([[scale], [scale], [1.0]], dtype=torch.float64)
    K[:, 0, 2] += (hw[1] - cameras.hw[1] * scale) / 2
    K[:, 1, 2] += (hw[0] - cameras.hw[0] * scale) / 2
    return cameras.replace(K=K.float(), hw=hw)


def _lookup(name: str) -> Path:
    if name not in PATHS:
        raise InputError(f"Camera path '{name}' is not known. Use one of: {', '.join(PATHS)}.")
    return PATHS[name]


def _amount(
    name: str, path: Path, degrees: float | None, amount: float | None, metres: float | None, focus_m: float
) -> float:
    """The one amount that was given, or the default, in radians, scene units, seconds or as a factor."""
    given = {k: v for k, v in {"degrees": degrees, "amount": amount, "metres": metres}.items() if v is not None}
    fitting = {"": [], "degrees": ["degrees", "amount"], "focus distances": ["amount", "metres"]}.get(
        path.unit, ["amount"]
    )
    wrong = [k for k in given if k not in fitting]
    if wrong or len(given) > 1:
        wants = " or ".join(fitting) or "no amount"
        unit = f" (in {path.unit})" if path.unit else ""
        raise InputError(f"Camera path '{name}' takes {wants}{unit}, not {' and '.join(wrong or given)}.")
    value = next(iter(given.values()), path.default)
    if not math.isfinite(value):
        raise InputError(f"Camera path '{name}': the amount is {value:g}; it must be finite.")
    if path.unit == "factor" and value <= 0:
        raise InputError(f"Camera path '{name}': the factor is {value:g}; it must be above 0 (1 changes nothing).")
    if path.unit == "degrees":
        return math.radians(value)
    return value * focus_m if path.unit == "focus distances" and "metres" not in given else value


def _unit(up: Float[Tensor, " 3"]) -> Float64[Tensor, " 3"]:
    length = float(up.double().norm())
    if not 0 < length < math.inf:
        raise InputError(f"up is {up.tolist()}; it must be a direction, finite and not zero.")
    return up.double() / length


@checked
def mean_up(source: Cameras) -> Float64[Tensor, " 3"]:
    """The mean up of the cameras; of the middle one if they roll all the way round."""
    ups = -source.world_from_cam[:, :3, 1].double()
    mean = ups.mean(0)
    return _unit(mean if float(mean.norm()) > 0.1 else ups[len(ups) // 2])
