"""How a lens bends pictures, and pictures made straight again.

One radial term: the division model (Fitzgibbon, "Simultaneous linear estimation of multiple view geometry and lens
distortion", 2001). A place at the distance ``d`` from the principal point belongs at ``d / (1 + bend * d^2)`` in the
picture of a pinhole camera, distances counted in halves of the longer side. Both directions have a closed form, and
near the centre nothing changes, so that the focal length keeps its meaning. Below 0 straight lines bulge outwards (a
barrel, as of wide lenses), above 0 they bend inwards (a cushion).
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float64

from fourd.checked import checked
from fourd.types import Cameras, Clip

LIMITS = (-0.5, 0.1)
"""Bends that are sought."""
_LEAST_ROOT = 0.05
"""A cushion has a last circle beyond which no place is seen; just inside it all grows without bounds."""


def roots(s: Float64[np.ndarray, " m"], bend: float) -> tuple[Float64[np.ndarray, " m"], Float64[np.ndarray, " m"]]:
    """For squared distances of straight places: the factor that bends them, and the root that its slopes divide by."""
    q = np.sqrt(np.maximum(1 - 4 * bend * s, _LEAST_ROOT**2))
    return 2 / (1 + q), q


def bent(xy: Float64[np.ndarray, "m 2"], bend: float, half_px: float) -> Float64[np.ndarray, "m 2"]:
    """Where a lens puts what a pinhole camera sees at some places.

    Args:
        xy: From the principal point, in pixels.
        bend: Of the lens.
        half_px: Half of the picture's longer side.

    Example:
        >>> bent(straight(np.array([[150.0, 80.0]]), -0.2, 192.0), -0.2, 192.0)
        array([[150.,  80.]])
    """
    return xy * roots((xy**2).sum(1) / half_px**2, bend)[0][:, None]


def straight(xy: Float64[np.ndarray, "m 2"], bend: float, half_px: float) -> Float64[np.ndarray, "m 2"]:
    """The inverse of ``bent``: where a pinhole camera sees what a lens puts at some places."""
    return xy / (1 + bend * (xy**2).sum(1) / half_px**2)[:, None]


@checked
def straighten(clip: Clip, cameras: Cameras) -> tuple[Clip, Cameras]:
    """Make the pictures those of pinhole cameras, which everything after this knows alone.

    What a barrel leaves outside the picture is cropped; what a cushion draws in from its rim is enlarged until it fills
    the picture again, and the focal length with it. Pixels are interpolated (bicubic).

    Args:
        clip: As it was filmed.
        cameras: With the bend of its lens, the principal point in the middle.

    Returns:
        The straight clip, and its cameras without a bend; both as they were if the lens does not bend.
    """
    if cameras.bend == 0:
        return clip, cameras
    import cv2

    h, w = clip.hw
    half_px = max(h, w) / 2
    zoom = max(1.0, 1 + cameras.bend * (h * h + w * w) / 4 / half_px**2)
    rows, columns = np.mgrid[0.5:h, 0.5:w]
    middle = np.array([w / 2, h / 2])
    place = (np.stack([columns.ravel(), rows.ravel()], 1) - middle) / zoom
    # In OpenCV's pictures the centre of the first pixel is at (0, 0).
    x, y = (bent(place, cameras.bend, half_px) + middle - 0.5).astype(np.float32).T.reshape(2, h, w)
    pictures = (cv2.remap(f.cpu().numpy(), x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE) for f in clip.frames)
    frames = torch.stack([torch.from_numpy(picture) for picture in pictures]).to(clip.frames.device)
    K = cameras.K.clone()
    K[:, :2, :2] *= zoom
    return clip.replace(frames=frames), cameras.replace(K=K, bend=0.0)
