"""The nouns that stages hand to each other: frozen, shaped, and checked once, at construction.

Constructors take tensors, numpy arrays or lists, and hold contiguous CPU or CUDA tensors of the
stated dtype. Every check on values happens here, so that no kernel has to ask again.
Units, axes and conventions are those of docs/conventions.md.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Float16, Float32, Float64, UInt8
from torch import Tensor

from fourd import fields, poses
from fourd.errors import InputError
from fourd.notes import Provenance as Provenance
from fourd.notes import Uncertainty as Uncertainty
from fourd.sounds import Sound as Sound
from fourd.sounds import SoundSource as SoundSource

SEEN, INVENTED = 0, 1
"""Values of ``Splats.source``: filmed by the camera, or made up by the inpainter."""

SH_C0 = 0.28209479177387814
"""The constant spherical harmonic: ``rgb = 0.5 + SH_C0 * colour[:, 0]``, as in 3D Gaussian splatting."""


@dataclass(frozen=True)
class Limits:
    """Caps on what is read from a file, so that a small hostile file cannot fill the memory."""

    pixels: int = 64_000_000
    """Pixels of one picture as stored: 8000 x 8000."""
    frames: int = 10_000
    """Frames kept."""
    seconds: float = 3600.0
    """Seconds read."""
    bytes: int = 8_000_000_000
    """Bytes of all frames kept, at the working size."""


@dataclass(frozen=True, eq=False, repr=False)
class Clip(fields.Noun):
    """A video in memory: upright pictures at real times, and its sound."""

    frames: UInt8[Tensor, "t h w 3"]
    """sRGB."""
    time_s: Float64[Tensor, " t"]
    """When each frame is shown, strictly increasing; frame rates may vary."""
    sound: Sound | None = None
    name: str = "clip"
    warnings: tuple[str, ...] = ()
    """What of its file is damaged or missing; a lift says it, and the scene keeps it."""

    def __post_init__(self) -> None:
        self._set(
            frames=fields.tensor("Clip", "frames", self.frames, "t h w 3", torch.uint8),
            time_s=fields.tensor("Clip", "time_s", self.time_s, "t", torch.float64),
        )
        fields.same_length("Clip", frames=self.frames, time_s=self.time_s)
        fields.finite("Clip", "time_s", self.time_s)
        if not isinstance(self.sound, Sound | None):
            what = type(self.sound).__name__
            raise InputError(f"Clip.sound is a {what}; it must be a Sound(samples, rate_hz), or None.")
        if self.frames.numel() == 0:
            raise InputError(f"Clip '{self.name}' is empty: frames have shape {tuple(self.frames.shape)}.")
        if bool((self.time_s.diff() <= 0).any()):
            raise InputError("Clip.time_s must increase strictly from frame to frame.")

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def hw(self) -> tuple[int, int]:
        """Size of the pictures."""
        return int(self.frames.shape[1]), int(self.frames.shape[2])

    @property
    def frame_s(self) -> float:
        """Median time from frame to frame, in seconds; 1/24 if there is but one frame."""
        return float(self.time_s.diff().median()) if len(self) > 1 else 1 / 24

    @property
    def duration_s(self) -> float:
        """From the first frame to the end of the last, which stays for ``frame_s``."""
        return float(self.time_s[-1] - self.time_s[0]) + self.frame_s

    @staticmethod
    def open(
        path: str | Path,
        *,
        start_s: float = 0.0,
        duration_s: float | None = None,
        fps: float | None = None,
        size: int | None = None,
        limits: Limits = Limits(),
    ) -> Clip:
        """Read a video, an animation, a picture, or a folder or glob of pictures.

        Args:
            path: The file, folder or glob.
            start_s: Where to begin, in seconds from the first frame.
            duration_s: How much to read, in seconds; everything by default.
            fps: Resample to this frame rate (nearest frame); the real time stamps by default.
            size: Longer side of the working picture in pixels. Never enlarges.
            limits: Caps on pixels, frames and seconds.

        Raises:
            MediaError: If the file cannot be read as pictures.
            LimitError: If it is larger than ``limits``.
        """
        from fourd import media  # The one door from a noun to a stage; tests/test_layers.py names it.

        return media.read(path, start_s=start_s, duration_s=duration_s, fps=fps, size=size, limits=limits)


@dataclass(frozen=True, eq=False, repr=False)
class Cameras(fields.Noun):
    """Pinhole cameras, each with a moment."""

    K: Float32[Tensor, "t 3 3"]
    """Intrinsics in pixels of a picture of size ``hw``; the centre of the first pixel is (0.5, 0.5)."""
    world_from_cam: Float32[Tensor, "t 4 4"]
    """Rigid, OpenCV axes: x right, y down, z forward; metres or scene units."""
    hw: tuple[int, int]
    time_s: Float64[Tensor, " t"]
    bend: float = 0.0
    """How much the lens bent the pictures in which the cameras were found (see ``camera.lens``); these are the cameras
    of the pictures made straight. 0 in every scene: the pipeline goes on with straight pictures."""
    uncertainty: Uncertainty | None = None
    """How far they may be off, where they were found in the clip and do not stand still."""

    def __post_init__(self) -> None:
        self._set(
            K=fields.tensor("Cameras", "K", self.K, "t 3 3", torch.float32),
            world_from_cam=fields.tensor("Cameras", "world_from_cam", self.world_from_cam, "t 4 4", torch.float32),
            hw=fields.size("Cameras", self.hw),
            time_s=fields.tensor("Cameras", "time_s", self.time_s, "t", torch.float64),
        )
        fields.same_length("Cameras", K=self.K, world_from_cam=self.world_from_cam, time_s=self.time_s)
        for name in ("K", "world_from_cam", "time_s"):
            fields.finite("Cameras", name, getattr(self, name))
        if not -1 < self.bend < 1:
            raise InputError(f"Cameras.bend is {self.bend:g}; it must lie between -1 and 1.")
        if len(self.K) == 0:
            raise InputError("Cameras holds no camera; there must be at least one.")
        focal = self.K.diagonal(dim1=1, dim2=2)[:, :2]
        if bool((focal <= 0).any()):
            raise InputError(f"Cameras.K has a focal length of {float(focal.min()):g} px; it must be positive.")
        R = self.world_from_cam[:, :3, :3].double()
        off = float((R @ R.mT - torch.eye(3, device=R.device)).abs().max())
        if off > 1e-3 or bool((torch.linalg.det(R) < 0).any()):
            raise InputError(
                f"Cameras.world_from_cam is not rigid: R R^T differs from the identity by {off:.2g}"
                " or R is mirrored. It must be a rotation and a translation, without scale."
            )

    def __len__(self) -> int:
        return len(self.K)

    def __getitem__(self, index: slice | Tensor) -> Cameras:
        """The cameras that a slice, a mask or an index tensor picks."""
        return self.replace(K=self.K[index], world_from_cam=self.world_from_cam[index], time_s=self.time_s[index])

    @property
    def cam_from_world(self) -> Float32[Tensor, "t 4 4"]:
        """The inverse poses, which take the world's points to the camera's."""
        return poses.inverse(self.world_from_cam)

    @property
    def centre_m(self) -> Float32[Tensor, "t 3"]:
        """Where the cameras stand in the world."""
        return self.world_from_cam[:, :3, 3]

    def resized(self, hw: tuple[int, int]) -> Cameras:
        """The same cameras for pictures of another size; pixels may become oblong."""
        scale = torch.tensor([hw[1] / self.hw[1], hw[0] / self.hw[0], 1.0], device=self.K.device)
        return self.replace(K=self.K * scale[:, None], hw=hw)

    def scaled(self, factor: float) -> Cameras:
        """The same cameras in a world that is ``factor`` times as large."""
        world_from_cam = self.world_from_cam.clone()
        world_from_cam[:, :3, 3] *= factor
        return self.replace(world_from_cam=world_from_cam)


@dataclass(frozen=True, eq=False, repr=False)
class Motion(fields.Noun):
    """How the pixels of a clip move, and which of them move on their own.

    Maps may be smaller than the clip's pictures; flow is in pixels of the maps.
    """

    flow_forward: Float16[Tensor, "t h w 2"]
    """Pixels (x, y) from frame i to frame i + 1; zero in the last frame."""
    flow_backward: Float16[Tensor, "t h w 2"]
    """Pixels (x, y) from frame i to frame i - 1; zero in the first frame."""
    visible_forward: Bool[Tensor, "t h w"]
    """True where going forward and back again ends where it began; false in the last frame."""
    visible_backward: Bool[Tensor, "t h w"]
    """The same for the frame before; false in the first frame."""
    moving: Float16[Tensor, "t h w"]
    """Probability that a pixel moves on its own, and not only because the camera does."""

    def __post_init__(self) -> None:
        for name in ("flow_forward", "flow_backward"):
            self._set(**{name: fields.tensor("Motion", name, getattr(self, name), "t h w 2", torch.float16)})
        for name in ("visible_forward", "visible_backward"):
            self._set(**{name: fields.tensor("Motion", name, getattr(self, name), "t h w", torch.bool)})
        self._set(moving=fields.tensor("Motion", "moving", self.moving, "t h w", torch.float16))
        shapes = {tuple(getattr(self, f.name).shape[:3]) for f in dataclasses.fields(self)}
        if len(shapes) > 1:
            raise InputError(f"Motion has maps of different sizes: {sorted(shapes)}.")
        for name in ("flow_forward", "flow_backward", "moving"):
            fields.finite("Motion", name, getattr(self, name))

    def __len__(self) -> int:
        return len(self.moving)

    @property
    def hw(self) -> tuple[int, int]:
        """Size of the maps."""
        return int(self.moving.shape[1]), int(self.moving.shape[2])


@dataclass(frozen=True, eq=False, repr=False)
class DepthMaps(fields.Noun):
    """Depth for every frame of a clip."""

    depth_m: Float32[Tensor, "t h w"]
    """Distance along the optical axis (not along the ray). Infinity is the sky. Meaningless, and
    held as 0, where ``confidence`` is 0."""
    confidence: Float32[Tensor, "t h w"]
    """0 (unknown) to 1 (sure)."""
    K: Float32[Tensor, "t 3 3"]
    """Pinhole intrinsics in pixels of ``depth_m``."""
    metric: bool = False
    """True if ``depth_m`` is in real metres and not only in units of the scene."""
    moving: Bool[Tensor, "t h w"] | None = None
    """Where the depth is that of a thing that moves on its own; None if whoever found the depth did not tell."""
    unit_m: float | None = None
    """How many metres one unit of ``depth_m`` is, by what somebody guessed; None if nobody did, or if it is metric."""

    def __post_init__(self) -> None:
        depth_m = fields.tensor("DepthMaps", "depth_m", self.depth_m, "t h w", torch.float32)
        confidence = fields.tensor("DepthMaps", "confidence", self.confidence, "t h w", torch.float32)
        self._set(K=fields.tensor("DepthMaps", "K", self.K, "t 3 3", torch.float32))
        fields.same_length("DepthMaps", depth_m=depth_m, confidence=confidence, K=self.K)
        if depth_m.shape != confidence.shape:
            raise InputError(
                f"DepthMaps.depth_m is {tuple(depth_m.shape)} and confidence {tuple(confidence.shape)};"
                " they must be of one size."
            )
        if self.moving is not None:
            self._set(moving=fields.tensor("DepthMaps", "moving", self.moving, "t h w", torch.bool))
            if self.moving.shape != depth_m.shape:
                raise InputError(
                    f"DepthMaps.depth_m is {tuple(depth_m.shape)} and moving {tuple(self.moving.shape)};"
                    " they must be of one size."
                )
        if self.unit_m is not None and not 0 < self.unit_m < float("inf"):
            raise InputError(f"DepthMaps.unit_m is {self.unit_m}; it must be a number of metres above 0, or None.")
        fields.finite("DepthMaps", "confidence", confidence)
        fields.finite("DepthMaps", "K", self.K)
        if bool(((confidence < 0) | (confidence > 1)).any()):
            raise InputError("DepthMaps.confidence must lie between 0 and 1.")
        wrong = (confidence > 0) & ~(depth_m > 0)  # NaN too.
        if bool(wrong.any()):
            raise InputError(
                f"DepthMaps.depth_m is zero, negative or NaN in {int(wrong.sum())} pixels whose confidence"
                " is above 0. Set the confidence of unknown pixels to 0."
            )
        self._set(depth_m=torch.where(confidence > 0, depth_m, 0.0), confidence=confidence)

    def __len__(self) -> int:
        return len(self.depth_m)

    def __getitem__(self, index: slice | Tensor) -> DepthMaps:
        """The maps that a slice, a mask or an index tensor picks."""
        moving = None if self.moving is None else self.moving[index]
        return self.replace(
            depth_m=self.depth_m[index], confidence=self.confidence[index], K=self.K[index], moving=moving
        )

    @property
    def hw(self) -> tuple[int, int]:
        """Size of the maps."""
        return int(self.depth_m.shape[1]), int(self.depth_m.shape[2])

    def scaled(self, factor: float) -> DepthMaps:
        """The same depth in a world that is ``factor`` times as large."""
        unit_m = None if self.unit_m is None else self.unit_m / factor
        return self.replace(depth_m=self.depth_m * factor, unit_m=unit_m)


@dataclass(frozen=True, eq=False, repr=False)
class Splats(fields.Noun):
    """Gaussians that live in time.

    At time t a splat stands at ``mean_m + velocity_mps * (t - time_s)`` and has the opacity
    ``opacity * exp(-((t - time_s) / duration_s)**2 / 2)``.
    """

    mean_m: Float32[Tensor, "n 3"]
    quat_wxyz: Float32[Tensor, "n 4"]
    """Unit; turns the splat's own axes into the world's."""
    scale_m: Float32[Tensor, "n 3"]
    """Standard deviation along each of the splat's own axes."""
    opacity: Float32[Tensor, " n"]
    colour: Float32[Tensor, "n k 3"]
    """Spherical harmonics, k = 1, 4, 9 or 16; see ``SH_C0``."""
    velocity_mps: Float32[Tensor, "n 3"]
    time_s: Float32[Tensor, " n"]
    duration_s: Float32[Tensor, " n"]
    """Standard deviation of the life in time; infinity for what is always there."""
    source: UInt8[Tensor, " n"]
    """``SEEN`` or ``INVENTED``."""

    def __post_init__(self) -> None:
        shapes = dict(mean_m="n 3", quat_wxyz="n 4", scale_m="n 3", opacity="n", colour="n k 3")
        shapes |= dict(velocity_mps="n 3", time_s="n", duration_s="n")
        for name, shape in shapes.items():
            self._set(**{name: fields.tensor("Splats", name, getattr(self, name), shape, torch.float32)})
            if name != "duration_s":
                fields.finite("Splats", name, getattr(self, name))
        self._set(source=fields.tensor("Splats", "source", self.source, "n", torch.uint8))
        fields.same_length("Splats", source=self.source, **{name: getattr(self, name) for name in shapes})
        if self.colour.shape[1] not in (1, 4, 9, 16):
            raise InputError(f"Splats.colour has {self.colour.shape[1]} coefficients; it must be 1, 4, 9 or 16.")
        rules = {
            "scale_m must be positive": self.scale_m > 0,
            "opacity must lie between 0 and 1": (self.opacity >= 0) & (self.opacity <= 1),
            "duration_s must be positive": self.duration_s > 0,
            "quat_wxyz must be of unit length": (self.quat_wxyz.norm(dim=1) - 1).abs() < 1e-3,
        }
        for rule, holds in rules.items():
            if not bool(holds.all()):
                raise InputError(f"Splats.{rule}; {int((~holds).sum())} values are not.")

    def __len__(self) -> int:
        return len(self.mean_m)

    def __getitem__(self, index: slice | Tensor) -> Splats:
        """The splats that a slice, a mask or an index tensor picks."""
        return Splats(*(getattr(self, f.name)[index] for f in dataclasses.fields(self)))

    @property
    def rgb(self) -> Float32[Tensor, "n 3"]:
        """The constant part of the colour, as sRGB; may leave 0..1."""
        return 0.5 + SH_C0 * self.colour[:, 0]

    @staticmethod
    def concat(parts: list[Splats]) -> Splats:
        """Lay several sets of splats together, in order; they must have equally many coefficients."""
        if not parts:
            raise InputError("Splats.concat needs at least one set of splats.")
        return Splats(*(torch.cat([getattr(p, f.name) for p in parts]) for f in dataclasses.fields(Splats)))


@dataclass(frozen=True, eq=False, repr=False)
class Frames(fields.Noun):
    """Rendered pictures."""

    rgb: Float[Tensor, "t h w 3"]
    """sRGB, 0 to 1, already weighted by ``alpha``: what is not covered is black."""
    alpha: Float[Tensor, "t h w"]
    """How much of each pixel the splats cover, 0 to 1."""
    depth_m: Float[Tensor, "t h w"]
    """Alpha-weighted mean distance along the optical axis; 0 where ``alpha`` is 0."""
    time_s: Float64[Tensor, " t"]

    def __len__(self) -> int:
        return len(self.rgb)

    @property
    def hole(self) -> Bool[Tensor, "t h w"]:
        """True where less than half of a pixel is covered."""
        return self.alpha < 0.5
