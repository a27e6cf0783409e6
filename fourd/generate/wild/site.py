"""A place that is being furnished: meshes gathered by what they are made of, then handed to a stage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from fourd.generate import meshes
from fourd.generate.meshes import Mesh
from fourd.generate.motions import rotation
from fourd.generate.props import Prop
from fourd.generate.wild.materials import Bank, Material


@dataclass(frozen=True)
class Top:
    """A level surface on which things may stand."""

    pose: np.ndarray
    """[4, 4]: from the frame of its middle to the world."""
    size_m: tuple[float, float]


class Site:
    """Things in a frame that can be moved about, so that furniture is built around its own origin."""

    def __init__(self, rng: np.random.Generator, bank: Bank) -> None:
        self.rng, self.bank = rng, bank
        self._pose = np.eye(4)
        self._parts: dict[tuple[int, bool], tuple[Material, list[Mesh]]] = {}
        self.tops: list[Top] = []
        self.sights: list[np.ndarray] = []
        """Points that are worth looking at."""
        self.people: list[np.ndarray] = []
        """The middles of people and animals."""

    def between(self, low: float, high: float) -> float:
        """A random number."""
        return float(self.rng.uniform(low, high))

    def count(self, low: int, high: int) -> int:
        """A random whole number, ``high`` included."""
        return int(self.rng.integers(low, high + 1))

    def chance(self, share: float) -> bool:
        """True in that share of cases."""
        return bool(self.rng.random() < share)

    def material(self, plain: float = 0.5) -> Material:
        """What the next thing is made of."""
        return self.bank.any(self.rng, plain)

    @contextmanager
    def at(self, x: float, y: float, z: float, turn: float = 0.0) -> Iterator[None]:
        """Build in a frame that stands at (x, y, z) of the present one, turned about the vertical by ``turn``."""
        before = self._pose
        step = np.eye(4)
        step[:3, :3], step[:3, 3] = rotation((0, 1, 0), turn), (x, y, z)
        self._pose = before @ step
        try:
            yield
        finally:
            self._pose = before

    def world(self, point: tuple[float, float, float]) -> np.ndarray:
        """A point of the present frame in the world."""
        return self._pose[:3, :3] @ np.asarray(point) + self._pose[:3, 3]

    def add(
        self,
        mesh: Mesh,
        material: Material,
        place: tuple[float, float, float] = (0.0, 0.0, 0.0),
        turn: np.ndarray | None = None,
        alive: bool = False,
    ) -> None:
        """Put a mesh into the present frame; ``alive`` marks what could walk or drive away."""
        mesh = mesh.tiled(material.repeats, material.repeats).shifted(*self.rng.uniform(size=2).tolist())
        mesh = mesh.moved(place, turn).moved(self._pose[:3, 3].tolist(), self._pose[:3, :3])
        self._parts.setdefault((id(material), alive), (material, []))[1].append(mesh)

    def box(
        self,
        size: tuple[float, float, float],
        place: tuple[float, float, float],
        material: Material,
        turn: np.ndarray | None = None,
        alive: bool = False,
    ) -> None:
        """A box that stands at a place."""
        self.add(meshes.box(size), material, place, turn, alive)

    def top(self, x: float, y: float, z: float, width: float, depth: float) -> None:
        """Note a surface for things to stand on."""
        pose = np.eye(4)
        pose[:3, 3] = x, y, z
        self.tops.append(Top(self._pose @ pose, (width, depth)))

    @contextmanager
    def on(self, top: Top, x: float, z: float) -> Iterator[None]:
        """Build on such a surface."""
        before = self._pose
        step = np.eye(4)
        step[0, 3], step[2, 3] = x, z
        self._pose = top.pose @ step
        try:
            yield
        finally:
            self._pose = before

    def props(self) -> list[Prop]:
        """One prop a material; the names of living things begin with ``alive``."""
        made = []
        for k, ((_, alive), (m, parts)) in enumerate(self._parts.items()):
            name = f"{'alive' if alive else 'thing'} {k}"
            prop = Prop(name, meshes.merge(parts), m.texture, gloss=m.gloss, shininess=m.shininess, glow=m.glow)
            made.append(prop)
        return made
