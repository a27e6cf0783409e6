"""Between camera axes: ours (OpenCV: x right, y down, z forward) and OpenGL's (x right, y up, z back)."""

from __future__ import annotations

import torch

GL_FROM_CV = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=torch.float64))
"""Its own inverse. ``world_from_cam @ GL_FROM_CV`` is the pose of the same camera in the other's axes."""
