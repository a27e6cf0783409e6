"""Confidence against the share of pixels that are right, as a chart: on the diagonal confidence is what it says."""

from __future__ import annotations

from pathlib import Path

from jaxtyping import Float64
from torch import Tensor

from benchmarks import charts
from benchmarks.charts import COLOURS, INK


def draw(scenes: dict[str, Float64[Tensor, "bins 3"]], path: Path) -> None:
    """Draw a line for each scene, and under them how many pixels are in each bin.

    Args:
        scenes: What ``errors.reliability`` says of each.
        path: The PNG to write.
    """
    figure, (upper, lower) = charts.pyplot().subplots(
        2, 1, figsize=(5.6, 6.4), layout="constrained", sharex=True, height_ratios=(3, 1)
    )
    upper.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":")
    for k, (name, bins) in enumerate(scenes.items()):
        told, right, share = bins.numpy().T
        some = share > 0.002  # A handful of pixels is no share.
        colour = COLOURS[k % len(COLOURS)]
        upper.plot(told[some], right[some], color=colour, marker="o", markersize=4, linewidth=1.6, label=name)
        width = 0.8 / len(bins) / len(scenes)
        left = [b / len(bins) + 0.1 / len(bins) + k * width for b in range(len(bins))]
        lower.bar(left, share, width, align="edge", color=colour)
    upper.set_title("Depth within a tenth of the truth", loc="left", fontsize=10, color=INK)
    upper.set_ylabel("share of pixels that are right", fontsize=9, color=INK)
    lower.set_ylabel("share of all", fontsize=9, color=INK)
    lower.set_xlabel("confidence", fontsize=9, color=INK)
    upper.set_ylim(0, 1.02)
    lower.set_xlim(0, 1)
    upper.legend(frameon=False, fontsize=9, loc="upper left")
    for axis in (upper, lower):
        charts.plain(axis)
        axis.set_axisbelow(True)
    charts.write(figure, path)
