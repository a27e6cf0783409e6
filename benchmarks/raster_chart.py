"""How the rasterizer's times grow, as a chart of four panels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks import charts
from benchmarks.charts import COLOURS, INK
from benchmarks.raster import Case, Timing

_FORWARD, _BOTH = COLOURS[:2]
_PANELS: dict[str, tuple[str, str, list[float], Callable[[Case], float]]] = {
    "splats": ("Splats, at 480x270", "thousand splats", [12.5, 25, 50, 100, 200, 400, 800], lambda c: c.splats / 1e3),
    "pixels": ("Pixels, 100,000 splats", "million pixels", [0.03, 0.1, 0.3, 1, 2], lambda c: c.hw[0] * c.hw[1] / 1e6),
    "threads": ("Threads, 500,000 splats at 960x540", "threads", [], lambda c: c.threads),
    "alive": ("Share alive, of 500,000 at 480x270", "share alive", [0.003, 0.01, 0.03, 0.1, 0.3, 1], lambda c: c.alive),
}
"""What grows -> title, label, ticks, and how far a case is along the axis."""


def draw(timings: list[tuple[str, Timing]], path: Path) -> None:
    """Draw one panel for each thing that grows. Threads are timed by the clock, the others by the processor."""
    figure, axes = charts.pyplot().subplots(2, 2, figsize=(9, 6.4), layout="constrained")
    for axis, (shows, (title, label, ticks, x_of)) in zip(axes.flat, _PANELS.items(), strict=True):
        some = [timing for name, timing in timings if name == shows]
        x = [x_of(t.case) for t in some]
        clock = shows == "threads"
        forward = [t.forward_best_ms if clock else t.forward_cpu_ms for t in some]
        both = [t.both_best_ms if clock else t.both_cpu_ms for t in some]
        for y, colour, name in ((forward, _FORWARD, "forward"), (both, _BOTH, "forward and backward")):
            axis.plot(x, y, color=colour, marker="o", markersize=4, linewidth=1.6, label=name)
        if clock:
            axis.set_xticks(x)
            axis.set_ylim(bottom=0)
        else:
            axis.set_xscale("log")
            axis.set_yscale("log")
            axis.set_xticks(ticks)
            axis.set_yticks([y for y in (1, 3, 10, 30, 100, 300, 1000, 3000) if min(forward) < y < max(both)])
            axis.xaxis.set_major_formatter("{x:g}")
            axis.yaxis.set_major_formatter("{x:g}")
            axis.xaxis.set_minor_formatter("")
            axis.yaxis.set_minor_formatter("")
        axis.set_title(title, loc="left", fontsize=10, color=INK)
        axis.set_xlabel(label, fontsize=9, color=INK)
        axis.set_ylabel("ms, by the clock" if clock else "ms of one core", fontsize=9, color=INK)
        charts.plain(axis)
    axes[0, 0].legend(frameon=False, fontsize=9, loc="upper left")
    charts.write(figure, path)
