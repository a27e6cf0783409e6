"""Unknown depth is filled from what surrounds it, and known depth stays."""

from __future__ import annotations

import torch

from fourd.fuse.complete import complete

HW = (24, 32)


def test_known_depth_is_never_changed_and_unknown_is_filled_between() -> None:
    depth = torch.full(HW, 2.0)
    depth[:, 16:] = 6.0
    confidence = torch.ones(HW)
    confidence[5:15, 4:28] = 0
    rgb = torch.zeros(*HW, 3, dtype=torch.uint8)
    rgb[:, 16:] = 255
    filled = complete(depth * (confidence > 0), confidence, rgb, 100.0)
    assert torch.equal(filled[confidence > 0], depth[confidence > 0])
    # The border follows the edge of colour, so each side keeps its own depth.
    torch.testing.assert_close(filled[5:15, 5:15], torch.full((10, 10), 2.0), rtol=0.1, atol=0)
    # Measured: the diffusion stops within 17 % of its end.
    torch.testing.assert_close(filled[5:15, 17:27], torch.full((10, 10), 6.0), rtol=0.2, atol=0)


def test_depth_of_nothing_known_is_far() -> None:
    nothing = torch.zeros(HW)
    filled = complete(nothing, nothing, torch.zeros(*HW, 3, dtype=torch.uint8), 50.0)
    assert (filled == 50).all()
