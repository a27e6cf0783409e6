"""How props move: poses over time in closed form, so that where a thing is needs no simulation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from fourd.generate.props import Pose


def rotation(axis: Sequence[float], radians: float) -> Float64[np.ndarray, "3 3"]:
    """Rotation matrix about an axis (Rodrigues)."""
    x, y, z = np.asarray(axis, float) / np.linalg.norm(axis)
    hat = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(radians) * hat + (1 - np.cos(radians)) * (hat @ hat)


def placed(
    position_m: Sequence[float], turn: np.ndarray | None = None, stretch: Sequence[float] = (1, 1, 1)
) -> Float64[np.ndarray, "4 4"]:
    """``world_from_prop``: stretched along its own axes, then turned, then moved."""
    pose = np.eye(4)
    pose[:3, :3] = (np.eye(3) if turn is None else turn) * np.asarray(stretch, float)
    pose[:3, 3] = position_m
    return pose


def facing(position_m: Sequence[float], degrees: float = 0.0) -> Float64[np.ndarray, "4 4"]:
    """``world_from_prop`` of a thing that stands upright, turned to the left by ``degrees``."""
    return placed(position_m, rotation((0, 1, 0), np.radians(degrees)))


def spinning(
    position_m: Sequence[float], axis: Sequence[float], turns_per_s: float, start: float = 0.0, lean: float = 0.0
) -> Pose:
    """Turn about an axis of its own; ``lean`` tips it over by as many radians, about x, after that."""
    tip = rotation((1, 0, 0), lean)
    return lambda t: placed(position_m, tip @ rotation(axis, 2 * np.pi * (turns_per_s * t + start)))


def swinging(
    pivot_m: Sequence[float], axis: Sequence[float], swing: float, period_s: float, start: float = 0.0
) -> Pose:
    """Swing about a pivot, which is the prop's own origin, by ``swing`` radians to either side."""
    return lambda t: placed(pivot_m, rotation(axis, swing * np.sin(2 * np.pi * (t / period_s + start))))


def circling(centre_m: Sequence[float], radius_m: float, period_s: float, start: float = 0.0) -> Pose:
    """Drive in a circle on the ground, its own z axis ahead; against the clock seen from above."""

    def pose(t: float) -> np.ndarray:
        angle = 2 * np.pi * (t / period_s + start)
        x, y, z = centre_m
        return placed(
            (x + radius_m * np.sin(angle), y, z + radius_m * np.cos(angle)), rotation((0, 1, 0), angle + np.pi / 2)
        )

    return pose


class Bounce:
    """A ball that falls, bounces and travels, rolling as it goes: parabolas between contacts.

    Calling it gives ``world_from_prop`` of a ball whose origin is its centre.
    """

    def __init__(
        self,
        start_m: Sequence[float],
        velocity_mps: Sequence[float],
        radius_m: float,
        *,
        ground_m: float = 0.0,
        restitution: float = 0.8,
        gravity_mps2: float = 9.81,
        squash: float = 0.0,
        turn_s: float = np.inf,
        turn_share: float = -0.3,
    ) -> None:
        """Throw the ball.

        Args:
            start_m: Its centre at time 0.
            velocity_mps: Its speed at time 0.
            radius_m: Its radius.
            ground_m: Height of the ground.
            restitution: Share of the speed that a bounce keeps.
            gravity_mps2: Pull downwards.
            squash: How far it is pressed flat at the ground, as a share of its height.
            turn_s: When it meets a wall or a thing.
            turn_share: What it keeps of its way along the ground then; negative turns it back.
        """
        self.start, self.velocity = np.asarray(start_m, float), np.asarray(velocity_mps, float)
        self.radius, self.floor, self.gravity, self.squash = radius_m, ground_m + radius_m, gravity_mps2, squash
        self.turn_s, self.turn_share = turn_s, turn_share
        speed = self.velocity[1]
        fall = float(np.sqrt(speed**2 + 2 * gravity_mps2 * (self.start[1] - self.floor)))
        self.contact_s = [float((speed + fall) / gravity_mps2)]
        """When it touches the ground; it rests after the last."""
        self.impact_mps = [fall]
        """How fast it comes down each time."""
        while self.impact_mps[-1] > 0.2 and len(self.contact_s) < 40:
            up = self.impact_mps[-1] * restitution
            self.contact_s.append(self.contact_s[-1] + 2 * up / gravity_mps2)
            self.impact_mps.append(up)

    def height(self, t: float) -> float:
        """Height of its centre."""
        if t <= self.contact_s[0]:
            return self.start[1] + self.velocity[1] * t - self.gravity * t * t / 2
        k = int(np.searchsorted(self.contact_s, t)) - 1
        if k + 1 >= len(self.contact_s):
            return self.floor
        since, up = t - self.contact_s[k], self.impact_mps[k + 1]
        return self.floor + up * since - self.gravity * since * since / 2

    def __call__(self, t: float) -> np.ndarray:
        """``world_from_prop`` at a moment."""
        way = np.array([self.velocity[0], 0, self.velocity[2]])
        travelled = min(t, self.turn_s) + self.turn_share * max(0.0, t - self.turn_s)
        x, z = self.start[0] + way[0] * travelled, self.start[2] + way[2] * travelled
        speed = float(np.linalg.norm(way))
        axis = (way[2], 0, -way[0])
        turn = np.eye(3) if speed < 1e-9 else rotation(axis, speed * travelled / self.radius)
        # Near the ground it is pressed flat for a moment, and its volume is kept.
        near = max(0.0, 1 - (self.height(t) - self.floor) / (0.4 * self.radius))
        flat = 1 - self.squash * near**2 * (t < self.contact_s[-1])
        stretch = np.diag([flat**-0.5, flat, flat**-0.5])
        pose = placed((x, self.height(t) - self.radius * (1 - flat), z))
        pose[:3, :3] = stretch @ turn
        return pose
