"""Cameras as other libraries hold them, and back: one module a library, which is imported when it is needed.

ours                       kornia        pytorch3d               open3d
x right, y down, z ahead   the same      x left, y up, z ahead   the same
world_from_cam             its inverse   its inverse, on rows    its inverse
first pixel at 0.5         at 0          at 0.5, as NDC          at 0
"""

from __future__ import annotations

from fourd.interop.kornia import from_kornia, to_kornia
from fourd.interop.open3d import from_open3d, to_open3d
from fourd.interop.pytorch3d import from_pytorch3d, to_pytorch3d

__all__ = ["from_kornia", "from_open3d", "from_pytorch3d", "to_kornia", "to_open3d", "to_pytorch3d"]
