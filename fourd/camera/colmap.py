"""Cameras by COLMAP, through pycolmap: features where nothing moves, matches along the clip, incremental mapping.

It is slower than ``flow`` and leaves frames out where it is not sure; its answer is another opinion.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Float64, Int64
from numpy import ndarray as Array

from fourd.errors import InputError
from fourd.events import Progress, Steps, Warned
from fourd.geometry import masks, trajectory
from fourd.types import Cameras, Clip, Motion

_MOVES = 0.5
"""Probability of moving on its own above which a pixel gives no features; and so many pixels around it, because
features are larger than points."""
_AROUND_PX = 4
_PLACED = 0.5
"""Share of the frames that must be placed: the others are interpolated."""
_OVERLAP = 10
"""Each frame is matched with so many that follow, and with those 1, 2, 4, 8, ... frames on."""


@dataclass(frozen=True, eq=False)
class _Placed:
    """What COLMAP found."""

    frame: Int64[Array, " n"]
    """The frames that have a camera, rising."""
    cam_from_world: Float64[Array, "n 3 4"]
    focal_px: float
    centre_px: tuple[float, float]
    unit: float
    """Median depth of the points that the first of these frames sees."""


@dataclass(frozen=True)
class Colmap:
    """Structure from motion with SIFT features, on the CPU."""

    seed: int = 0
    """Of everything that COLMAP draws by chance."""

    def __call__(self, clip: Clip, motion: Motion) -> Steps[Cameras]:
        """See ``fourd.camera.Backend``. All frames have one focal length, and the picture's middle as principal point.

        Yields:
            Progress and Warned of stage "camera": frames that could not be placed are interpolated, or hold the
            nearest camera before the first and after the last that was.

        Raises:
            InputError: If fewer than half of the frames can be placed.
        """
        pycolmap = _library()
        with tempfile.TemporaryDirectory(prefix="fourd-") as folder, _silent(pycolmap):
            placed = yield from self._place(pycolmap, clip, motion, Path(folder))
        count, total = 0 if placed is None else len(placed.frame), len(clip)
        if placed is None or count < max(2, _PLACED * total):
            raise InputError(
                f"COLMAP could place {count} of the {total} frames of clip '{clip.name}'. It needs a camera that"
                " travels past things with texture that stand still. Use the camera backend 'flow', which needs less."
            )
        if count < total:
            yield Warned("camera", f"COLMAP could not place {total - count} of {total} frames; they are interpolated.")
        yield Progress("camera", 4, 4)
        return _cameras(clip, placed)

    def _place(self, pycolmap: Any, clip: Clip, motion: Motion, folder: Path) -> Steps[_Placed | None]:
        names = _write_pictures(clip, motion, folder)
        yield Progress("camera", 1, 4)
        database, pictures = folder / "database.db", folder / "pictures"
        pycolmap.set_random_seed(self.seed)
        pycolmap.extract_features(
            database,
            pictures,
            camera_mode=pycolmap.CameraMode.SINGLE,
            reader_options=dict(camera_model="SIMPLE_PINHOLE", mask_path=folder / "masks"),
            extraction_options=dict(num_threads=1),  # Several would number the pictures as they finish.
            device=pycolmap.Device.cpu,
        )
        yield Progress("camera", 2, 4)
        pycolmap.match_sequential(
            database,
            matching_options=dict(num_threads=1),
            pairing_options=dict(overlap=_OVERLAP),
            verification_options=dict(ransac=dict(random_seed=self.seed)),
            device=pycolmap.Device.cpu,
        )
        yield Progress("camera", 3, 4)
        (folder / "models").mkdir()
        # One thread: several would add in another order each time.
        options = dict(random_seed=self.seed, num_threads=1, min_model_size=3)
        models = pycolmap.incremental_mapping(database, pictures, folder / "models", options=options)
        whole = max(models.values(), key=lambda model: model.num_reg_images(), default=None)
        return None if whole is None else _placed(whole, names)


def _library() -> Any:
    import av  # noqa: F401  With pycolmap first, decoding a video later aborts the process.
    import pycolmap

    return pycolmap


@contextlib.contextmanager
def _silent(pycolmap: Any) -> Iterator[None]:
    """Nothing is printed meanwhile, not even warnings: what matters is in the result."""
    logging = pycolmap.logging
    before = logging.minloglevel
    logging.minloglevel = int(logging.FATAL)
    try:
        yield
    finally:
        logging.minloglevel = before


def _write_pictures(clip: Clip, motion: Motion, folder: Path) -> dict[str, int]:
    """Frames, and masks that are black on what moves; returns which name is which frame."""
    names = {f"{i:05d}.png": i for i in range(len(clip))}
    for kind in ("pictures", "masks"):
        (folder / kind).mkdir()
    for name, i in names.items():
        cv2.imwrite(
            str(folder / "pictures" / name),
            cv2.cvtColor(clip.frames[i].cpu().numpy(), cv2.COLOR_RGB2BGR),
            [cv2.IMWRITE_PNG_COMPRESSION, 1],
        )
        moving = cv2.resize(motion.moving[i].float().cpu().numpy(), clip.hw[::-1], interpolation=cv2.INTER_LINEAR)
        moves = masks.grown(torch.from_numpy(moving > _MOVES), _AROUND_PX)
        cv2.imwrite(str(folder / "masks" / f"{name}.png"), np.where(moves.numpy(), 0, 255).astype(np.uint8))
    return names


def _placed(model: Any, names: dict[str, int]) -> _Placed:
    images = sorted((names[image.name], image) for image in model.images.values() if image.has_pose)
    lens = next(iter(model.cameras.values()))
    focal_px, cx, cy = (float(x) for x in lens.params)
    poses = np.stack([image.cam_from_world().matrix() for _, image in images]).astype(np.float64)
    seen = [p.point3D_id for p in images[0][1].points2D if p.has_point3D()]
    points = np.array([model.points3D[i].xyz for i in seen]).reshape(-1, 3)
    depth = points @ poses[0, 2, :3] + poses[0, 2, 3]
    unit = float(np.median(depth[depth > 0])) if (depth > 0).any() else 1.0
    return _Placed(np.array([i for i, _ in images]), poses, focal_px, (cx, cy), unit)


def _cameras(clip: Clip, placed: _Placed) -> Cameras:
    """A camera for every frame, in the first one's frame and unit."""
    count = len(placed.frame)
    R = placed.cam_from_world[:, :, :3]
    pose = np.tile(np.eye(4), (count, 1, 1))
    pose[:, :3, :3] = R.transpose(0, 2, 1)
    pose[:, :3, 3] = -(R.transpose(0, 2, 1) @ placed.cam_from_world[:, :, 3:])[..., 0] / placed.unit
    pose = np.linalg.inv(pose[0]) @ pose
    K = np.array([[placed.focal_px, 0, placed.centre_px[0]], [0, placed.focal_px, placed.centre_px[1]], [0, 0, 1]])
    known = Cameras(
        K=torch.from_numpy(K).float().expand(count, 3, 3),
        world_from_cam=torch.from_numpy(pose).float(),
        hw=clip.hw,
        time_s=clip.time_s.cpu()[torch.from_numpy(placed.frame)],
    )
    return trajectory.at(known, clip.time_s.cpu())


def load(name: str = "colmap") -> Colmap:
    """The backend ``"colmap"``."""
    return Colmap()
