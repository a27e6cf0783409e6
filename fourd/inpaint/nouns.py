"""What the stage works on: pictures with holes, and all that is known of what belongs into them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import no_type_check

import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from fourd import fields
from fourd.errors import InputError

STAGE = "inpaint"
"""What progress is reported as."""


@no_type_check  # Nouns check themselves, in words of their own.
@dataclass(frozen=True, eq=False)
class Pictures(fields.Noun):
    """Pictures of one place, some of which have holes. n pictures of h x w."""

    rgb: Float32[Tensor, "n h w 3"]
    """sRGB, 0 to 1. Held as 0 where unknown."""
    inverse_depth: Float32[Tensor, "n h w"]
    """1/m along the optical axis; 0 is infinitely far. Held as 0 where unknown."""
    known: Bool[Tensor, "n h w"]
    """What was seen, or is already filled. It is never changed."""

    def __post_init__(self) -> None:
        known = fields.tensor("Pictures", "known", self.known, "n h w", torch.bool)
        rgb = fields.tensor("Pictures", "rgb", self.rgb, "n h w 3", torch.float32)
        inverse_depth = fields.tensor("Pictures", "inverse_depth", self.inverse_depth, "n h w", torch.float32)
        for name, value in (("rgb", rgb), ("inverse_depth", inverse_depth)):
            if value.shape[:3] != known.shape:
                raise InputError(
                    f"Pictures.{name} is for {tuple(value.shape[:3])} pixels and known for {tuple(known.shape)};"
                    " both must be [n, h, w]."
                )
        if known.numel() == 0:
            raise InputError(f"Pictures holds no pixel: known has shape {tuple(known.shape)}.")
        rgb = torch.where(known[..., None], rgb, 0.0)
        inverse_depth = torch.where(known, inverse_depth, 0.0)
        wrong = int((~((rgb >= 0) & (rgb <= 1))).any(-1).sum())  # NaN too.
        if wrong:
            raise InputError(
                f"Pictures.rgb is NaN or outside 0 to 1 in {wrong} known pixels. Clamp it, or say unknown."
            )
        wrong = int((~((inverse_depth >= 0) & (inverse_depth < torch.inf))).sum())
        if wrong:
            raise InputError(
                f"Pictures.inverse_depth is NaN, negative or infinite in {wrong} known pixels; it must be 1/m,"
                " and 0 where infinitely far."
            )
        self._set(rgb=rgb, inverse_depth=inverse_depth, known=known)

    def __len__(self) -> int:
        return len(self.known)

    def __getitem__(self, index: slice | Tensor) -> Pictures:
        """The pictures that a slice, a mask or an index tensor picks."""
        return Pictures(self.rgb[index], self.inverse_depth[index], self.known[index])

    @property
    def hw(self) -> tuple[int, int]:
        """Size of the pictures."""
        return int(self.known.shape[1]), int(self.known.shape[2])

    @staticmethod
    def concat(parts: list[Pictures]) -> Pictures:
        """Lay several sets of pictures of one size together, in order."""
        return Pictures(*(torch.cat([getattr(p, f) for p in parts]) for f in ("rgb", "inverse_depth", "known")))

    @staticmethod
    def unknown(n: int, hw: tuple[int, int]) -> Pictures:
        """Pictures of which nothing is known."""
        return Pictures(torch.zeros(n, *hw, 3), torch.zeros(n, *hw), torch.zeros(n, *hw, dtype=torch.bool))


@no_type_check  # Nouns check themselves, in words of their own.
@dataclass(frozen=True, eq=False)
class Holes(fields.Noun):
    """What to fill, and what is known about it."""

    pictures: Pictures
    hole: Bool[Tensor, "n h w"]
    """To be filled; disjoint from what is known. Pixels that are neither are left alone."""
    behind: Float32[Tensor, "n h w"]
    """Inverse depth that the filling may not exceed, because it lies behind the foreground; infinity where unknown."""
    evidence: Pictures
    """The same pictures as the clip itself saw them, at this or other moments; known where it saw anything. In holes it
    is what may be laid there; among what is known it tells what was filmed from what was made up before."""
    trust: Float32[Tensor, "n h w"]
    """Confidence of the evidence, 0 to 1."""
    neighbours: Int64[Tensor, "n k"]
    """For each picture the k others of this batch that look most alike; k may be 0."""
    grid: Float32[Tensor, "n h w 2"] | None = None
    """A coordinate of each pixel that is the same for one spot of the scene in all pictures, so that they can share
    their noise; a change by 1 is about a pixel. None: each picture has noise of its own."""
    surface: Int64[Tensor, "n h w"] | None = None
    """Number of the large surface (a floor, a wall, the sky) that lies behind all else there, the same for one surface
    in all pictures; -1 where none is known to. None: nothing is known of large surfaces."""
    lies: Float32[Tensor, "n h w"] | None = None
    """Inverse depth of that surface; it is given wherever ``surface`` is."""

    def __post_init__(self) -> None:
        shape = tuple(self.pictures.known.shape)
        hole = fields.tensor("Holes", "hole", self.hole, "n h w", torch.bool)
        behind = fields.tensor("Holes", "behind", self.behind, "n h w", torch.float32)
        trust = fields.tensor("Holes", "trust", self.trust, "n h w", torch.float32)
        neighbours = fields.tensor("Holes", "neighbours", self.neighbours, "n k", torch.int64)
        grid = None
        if self.grid is not None:
            grid = fields.tensor("Holes", "grid", self.grid, "n h w 2", torch.float32)
            fields.finite("Holes", "grid", grid)
        maps = dict(hole=hole, behind=behind, trust=trust, evidence=self.evidence.known)
        maps |= {} if grid is None else dict(grid=grid)
        surface, lies = self.surface, self.lies
        if (surface is None) != (lies is None):
            raise InputError("Holes has one of surface and lies, and not the other; give both, or neither.")
        if surface is not None:
            surface = fields.tensor("Holes", "surface", surface, "n h w", torch.int64)
            lies = fields.tensor("Holes", "lies", lies, "n h w", torch.float32)
            maps |= dict(surface=surface, lies=lies)
        for name, value in maps.items():
            if tuple(value.shape[:3]) != shape:
                raise InputError(
                    f"Holes.{name} is for {tuple(value.shape[:3])} pixels and the pictures have {shape};"
                    " both must be [n, h, w]."
                )
        if len(neighbours) != len(self.pictures):
            raise InputError(f"Holes.neighbours has {len(neighbours)} rows for {len(self.pictures)} pictures.")
        if neighbours.numel() and (int(neighbours.min()) < 0 or int(neighbours.max()) >= len(self.pictures)):
            raise InputError(
                f"Holes.neighbours runs from {int(neighbours.min())} to {int(neighbours.max())};"
                f" there are pictures 0 to {len(self.pictures) - 1}."
            )
        both = int((hole & self.pictures.known).sum())
        if both:
            raise InputError(f"Holes.hole and the known pixels share {both} pixels; what is known is never filled.")
        if bool((~(behind >= 0)).any()):
            raise InputError("Holes.behind is NaN or negative; it must be an inverse depth, infinity where unknown.")
        if bool((~((trust >= 0) & (trust <= 1))).any()):
            raise InputError("Holes.trust must lie between 0 and 1.")
        if lies is not None and bool((~((lies >= 0) & (lies < torch.inf))).any()):
            raise InputError("Holes.lies is NaN, negative or infinite; it must be an inverse depth.")
        self._set(hole=hole, behind=behind, trust=trust, neighbours=neighbours, grid=grid, surface=surface, lies=lies)

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def filmed(self) -> Bool[Tensor, "n h w"]:
        """What of the known pixels is evidence, and so no filling; all of them where there is no evidence."""
        told = self.evidence.known & self.pictures.known & (self.trust > 0)
        return told if bool(told.any()) else self.pictures.known

    @staticmethod
    def plain(pictures: Pictures, hole: Bool[Tensor, "n h w"]) -> Holes:
        """Holes of which nothing is known but what surrounds them."""
        n, h, w = pictures.known.shape
        return Holes(
            pictures=pictures,
            hole=hole,
            behind=torch.full((n, h, w), torch.inf),
            evidence=Pictures.unknown(n, (h, w)),
            trust=torch.zeros(n, h, w),
            neighbours=torch.zeros(n, 0, dtype=torch.int64),
        )

    def to(self, device: str | torch.device) -> Holes:
        """The same holes with every tensor on ``device``."""
        moved = self.replace(pictures=self.pictures.to(device), evidence=self.evidence.to(device))
        return fields.Noun.to(moved, device)

    def filled(self, rgb: Float32[Tensor, "n h w 3"], inverse_depth: Float32[Tensor, "n h w"]) -> Pictures:
        """The pictures with the holes filled; what was known keeps its bits, and the filling stays behind.

        Where a large surface lies, so does the filling.
        """
        hole, had = self.hole, self.pictures
        lies = torch.minimum(inverse_depth.clamp(min=0), self.behind)
        if self.surface is not None and self.lies is not None:
            lies = torch.where(self.surface >= 0, self.lies, lies)
        return Pictures(
            rgb=torch.where(hole[..., None], rgb.clamp(0, 1), had.rgb),
            inverse_depth=torch.where(hole, lies, had.inverse_depth),
            known=had.known | hole,
        )
