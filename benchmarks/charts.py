"""What charts of the documentation have in common: their colours, and how they are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fourd.files import replacing

INK, GRID = "#1f2933", "#d9dee4"
COLOURS = ("#0b6e99", "#c2571a", "#3f7d3a", "#8a4f9e", "#7a6a2f", "#a3304f")


def pyplot() -> Any:
    """Matplotlib's, without a window."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    return pyplot


def plain(axis: Any) -> None:
    """A light grid, small numbers, and no frame."""
    axis.grid(True, color=GRID, linewidth=0.6)
    axis.tick_params(labelsize=8, colors=INK)
    axis.spines[["top", "right"]].set_visible(False)


def write(figure: Any, path: Path) -> None:
    """Write a figure as PNG, whole or not at all, and let go of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as fresh:
        figure.savefig(fresh, dpi=110, format="png", metadata={"Software": None})
    pyplot().close(figure)
