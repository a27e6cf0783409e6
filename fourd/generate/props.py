"""What stands on a stage: textured things that may move and deform, the sun, the sky and a lamp.

The world is right-handed with y up, in metres; cameras keep their OpenCV axes, so a camera that looks
level has its own y along the world's -y. Time is in seconds and may be any number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, UInt8

from fourd.errors import InputError
from fourd.generate.meshes import Mesh

Rgb = tuple[float, float, float]
Pose = Callable[[float], np.ndarray]
"""Time in seconds to ``world_from_prop`` [4, 4], affine: a thing may be stretched as it moves."""
Deform = Callable[[np.ndarray, float], np.ndarray]
"""Vertices at rest [v, 3] and time in seconds to vertices [v, 3], both in the prop's own frame."""


@dataclass(frozen=True, eq=False)
class Prop:
    """One thing: a mesh, what is painted on it, and where it is when."""

    name: str
    mesh: Mesh
    texture: UInt8[np.ndarray, "n n 3"]
    """sRGB picture that repeats; see fourd.generate.textures. It sticks to the mesh."""
    pose: Pose | Float[np.ndarray, "4 4"] = field(default_factory=lambda: np.eye(4))
    """``world_from_prop``, or a function of time that returns it."""
    deform: Deform | None = None
    gloss: float = 0.0
    """Strength of the highlight, 0 (chalk) to 1 (lacquer)."""
    shininess: float = 40.0
    """Exponent of the highlight (Blinn, 1977): larger is smaller and sharper."""
    glow: float = 0.0
    """Light that it sends out by itself, in units of its own colour; it lights nothing else."""

    def __post_init__(self) -> None:
        if not callable(self.pose):
            object.__setattr__(self, "pose", _affine(self, np.asarray(self.pose, np.float64), 0.0))
        if not 0 <= self.gloss <= 1:
            raise InputError(f"Prop '{self.name}' has a gloss of {self.gloss}; it must lie between 0 and 1.")

    @property
    def moves(self) -> bool:
        """True if where it is depends on time."""
        return callable(self.pose) or self.deform is not None

    def pose_at(self, time_s: float) -> Float[np.ndarray, "4 4"]:
        """``world_from_prop`` at a moment."""
        return _affine(self, np.asarray(self.pose(time_s), np.float64), time_s) if callable(self.pose) else self.pose

    def vertices_at(self, time_s: float) -> Float[np.ndarray, "v 3"]:
        """Vertices in the prop's own frame at a moment."""
        if self.deform is None:
            return self.mesh.vertices_m
        vertices = np.asarray(self.deform(self.mesh.vertices_m, time_s), np.float32)
        if vertices.shape != self.mesh.vertices_m.shape or not np.isfinite(vertices).all():
            raise InputError(
                f"Prop '{self.name}' deforms to vertices of shape {vertices.shape} at {time_s:g} s;"
                f" they must be finite and {self.mesh.vertices_m.shape}."
            )
        return vertices


def _affine(prop: Prop, pose: np.ndarray, time_s: float) -> np.ndarray:
    if pose.shape != (4, 4) or not np.isfinite(pose).all() or abs(np.linalg.det(pose[:3, :3])) < 1e-12:
        raise InputError(
            f"Prop '{prop.name}' has no usable pose at {time_s:g} s: {pose.round(3).tolist()}."
            " It must be an invertible matrix [4, 4], world_from_prop."
        )
    return pose


@dataclass(frozen=True)
class Sun:
    """Light from very far away."""

    towards: Rgb = (0.4, 0.8, 0.45)
    """Direction from the world to the sun; need not be of unit length."""
    rgb: Rgb = (1.05, 0.95, 0.8)
    """Light on a surface that faces it; with white, 1 is the brightest that a picture holds."""
    radius_deg: float = 1.2
    """Half of its width: larger gives softer shadows (the real sun has 0.27)."""


@dataclass(frozen=True)
class Sky:
    """The far background and the even light that comes from it."""

    zenith: Rgb = (0.18, 0.36, 0.75)
    horizon: Rgb = (0.72, 0.82, 0.92)
    clouds: float = 0.6
    """How much of the sky is covered by clouds, about 0 to 1."""
    light: Rgb = (0.34, 0.4, 0.5)
    """Light on a surface that faces straight up, under an open sky."""
    bounce: Rgb = (0.16, 0.14, 0.11)
    """Light on a surface that faces straight down, and what reaches closed corners."""
    reach_m: float = 2.0
    """How near other surfaces must be to dim the light of the sky."""
    haze_m: float = np.inf
    """Distance over which the air takes two thirds of the light and gives the horizon's colour."""


@dataclass(frozen=True)
class Lamp:
    """A rectangle that shines to one side."""

    centre_m: Rgb
    half_u_m: Rgb
    half_v_m: Rgb
    """Half of its two edges; it shines along their cross product, u x v."""
    rgb: Rgb = (2.0, 1.8, 1.5)
    """Light on a surface one metre away that faces it, for every square metre of lamp."""


@dataclass(frozen=True, eq=False)
class Stage:
    """Everything there is to see, at all times."""

    props: Sequence[Prop]
    sun: Sun | None = Sun()
    sky: Sky = Sky()
    lamp: Lamp | None = None
    exposure: float = 1.0
    """Factor on all light."""

    def __post_init__(self) -> None:
        if not self.props:
            raise InputError("Stage has no props; there must be something to see.")
        names = [p.name for p in self.props]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise InputError(f"Stage has several props named {', '.join(twice)}; every prop needs a name of its own.")
        object.__setattr__(self, "props", tuple(self.props))
