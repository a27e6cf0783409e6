"""Small drawings for the report, as SVG that stands in the page itself: no script, no library."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """A curve of a chart."""

    name: str
    kind: str
    """Class of the style sheet: what colour it has."""
    points: Sequence[tuple[float, float]]


_W, _H = 640.0, 200.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 44.0, 10.0, 12.0, 26.0


def step(span: float, most: int) -> float:
    """A round step (1, 2 or 5 times a power of ten), of which at most ``most`` fit into ``span``.

    Example:
        >>> step(7.0, 5), step(0.9, 4)
        (2.0, 0.5)
    """
    if not span > 1e-300:  # Nothing, or next to nothing.
        return 1.0
    unit = 10.0 ** math.floor(math.log10(span / most))
    return next(unit * k for k in (1, 2, 5, 10, 20) if unit * k * most >= span)


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers from ``low`` to ``high``, for an axis.

    Example:
        >>> ticks(-0.1, 2.2, 4)
        [0.0, 1.0, 2.0]
    """
    by = step(high - low, most)
    first = math.ceil(low / by - 1e-9)
    return [i * by + 0.0 for i in range(first, math.floor(high / by + 1e-9) + 1)]


def chart(
    lines: Sequence[Line],
    *,
    label: str,
    across: tuple[float, float],
    up: tuple[float, float],
    units: tuple[str, str],
) -> str:
    """Curves over an axis.

    Args:
        lines: Curves, drawn in order.
        label: What the chart shows, for those who do not see it.
        across: Ends of the horizontal axis.
        up: Ends of the vertical axis.
        units: What to write behind the numbers of the axes, horizontal first.
    """
    width, height = max(across[1] - across[0], 1e-9), max(up[1] - up[0], 1e-9)

    def at(x: float, y: float) -> tuple[float, float]:
        return (
            _LEFT + (x - across[0]) / width * (_W - _LEFT - _RIGHT),
            _H - _BOTTOM - (min(max(y, up[0]), up[1]) - up[0]) / height * (_H - _TOP - _BOTTOM),
        )

    drawn = []
    for y in ticks(*up, most=4):
        px = at(across[0], y)[1]
        drawn.append(f'<path class="grid" d="M{_LEFT:g} {px:.1f}H{_W - _RIGHT:g}"/>')
        drawn.append(f'<text x="{_LEFT - 6:g}" y="{px + 4:.1f}" class="end">{_number(y)}{units[1]}</text>')
    for x in ticks(*across, most=8):
        px = at(x, up[0])[0]
        drawn.append(f'<text x="{px:.1f}" y="{_H - 6:g}" class="middle">{_number(x)}{units[0]}</text>')
    for line in lines:
        path = "L".join("{:.1f} {:.1f}".format(*at(x, y)) for x, y in line.points)
        drawn.append(f'<path class="curve {line.kind}" d="M{path}"/>')
        drawn += [
            f'<circle class="dot {line.kind}" cx="{px:.1f}" cy="{py:.1f}" r="2.5"/>'
            for px, py in (at(x, y) for x, y in line.points)
        ]
    return _svg(_W, _H, label, "".join(drawn))


def bars(rows: Sequence[tuple[str, float, str]], *, label: str) -> str:
    """Horizontal bars: a name, a length of which the longest fills the line, and what to write behind it."""
    longest = max((value for _, value, _ in rows), default=0.0) or 1.0
    pitch, left, right = 26.0, 90.0, 90.0
    drawn = []
    for i, (name, value, text) in enumerate(rows):
        y, w = i * pitch, max(1.5, value / longest * (_W - left - right))
        drawn.append(f'<text x="{left - 10:g}" y="{y + 17:g}" class="end">{html.escape(name)}</text>')
        drawn.append(f'<rect class="bar" x="{left:g}" y="{y + 6:g}" width="{w:.1f}" height="14" rx="3"/>')
        drawn.append(f'<text x="{left + w + 8:.1f}" y="{y + 17:g}">{html.escape(text)}</text>')
    return _svg(_W, max(len(rows), 1) * pitch, label, "".join(drawn))


def shares(parts: Sequence[tuple[str, float]], *, label: str) -> str:
    """One bar that is divided: class of the style sheet and share of each part, which add up to 1."""
    drawn, x = [], 0.0
    for kind, share in parts:
        drawn.append(f'<rect class="{kind}" x="{x:.2f}" y="0" width="{max(0.0, share * _W):.2f}" height="18"/>')
        x += share * _W
    return _svg(_W, 18, label, "".join(drawn), "whole")


def _number(value: float) -> str:
    return f"{value:.6g}".replace("-", "\N{MINUS SIGN}")


def _svg(width: float, height: float, label: str, drawn: str, kind: str = "") -> str:
    return (
        f'<svg class="{kind}" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{html.escape(label)}">'
        f"{drawn}</svg>"
    )
