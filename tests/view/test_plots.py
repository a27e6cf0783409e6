"""Charts as SVG: everything inside the picture, and true to its numbers."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from hypothesis import given, settings
from hypothesis import strategies as st

from fourd.view import plots

FINITE = st.floats(-1e6, 1e6, allow_nan=False)


@given(low=FINITE, span=st.floats(1e-3, 1e6), most=st.integers(3, 9))
def test_ticks_are_round_few_and_inside(low: float, span: float, most: int) -> None:
    found = plots.ticks(low, low + span, most)
    assert len(found) <= most + 1
    assert all(low - 1e-6 * span <= x <= low + span * (1 + 1e-6) for x in found)
    by = plots.step(span, most)
    assert f"{by:.0e}"[0] in "125" and span / by <= most * (1 + 1e-9)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(FINITE, FINITE), min_size=2, max_size=20))
def test_curves_stay_in_the_picture(points: list[tuple[float, float]]) -> None:
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    svg = plots.chart(
        [plots.Line("a", "seen", points)],
        label="<a> & 'b'",
        across=(min(xs), max(xs)),
        up=(min(ys), max(ys)),
        units=(" s", " dB"),
    )
    root = ET.fromstring(svg)
    assert root.get("aria-label") == "<a> & 'b'"
    path = next(p for p in root.iter("path") if "curve" in p.get("class", ""))
    numbers = [float(x) for x in re.findall(r"-?[\d.]+", path.get("d", ""))]
    assert len(numbers) == 2 * len(points)
    assert all(0 <= x <= 640 for x in numbers[::2]) and all(0 <= y <= 200 for y in numbers[1::2])


def test_bars_are_as_long_as_their_values() -> None:
    root = ET.fromstring(plots.bars([("fuse", 30.0, "30 s"), ("<b>", 15.0, "15 s"), ("none", 0.0, "0 s")], label="x"))
    widths = [float(rect.get("width", "0")) for rect in root.iter("rect")]
    assert abs(widths[0] - 2 * widths[1]) < 0.2 and 0 < widths[2] < 2
    assert [t.text for t in root.iter("text")] == ["fuse", "30 s", "<b>", "15 s", "none", "0 s"]
    assert not list(ET.fromstring(plots.bars([], label="x")))


def test_shares_fill_the_bar() -> None:
    root = ET.fromstring(plots.shares([("seen", 0.75), ("invented", 0.25)], label="x"))
    assert [(float(r.get("x", "")), float(r.get("width", ""))) for r in root.iter("rect")] == [(0, 480), (480, 160)]
