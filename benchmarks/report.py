"""Figures of the quality benchmark as tables: ``python -m benchmarks.report out/quality/quality.json``.

Prints Markdown: a line for each scene and row and, with ``--views``, one for each held-out view.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import tyro
from tyro.conf import Positional, arg

from fourd.errors import FormatError, FourdError

SCHEMA = 1
"""Raised when a figure changes its name, unit or meaning."""

HEADS = [
    "scene",
    "given",
    "PSNR whole",
    "co-visible",
    "sampled",
    "SSIM co-v.",
    "MS-SSIM co-v.",
    "FLIP co-v.",
    "AbsRel / delta1",
    "static",
    "moving",
    "rotation",
    "position",
    "focal",
    "seconds",
]


def _at(figures: Mapping[str, Any], *keys: str) -> float:
    """A figure deep in the file; NaN where it is null or not there."""
    value: Any = figures
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return float(value) if value is not None else math.nan


def _said(value: float, how: str) -> str:
    return "–" if math.isnan(value) else how.format(value)


def _depth(figures: Mapping[str, Any], part: str) -> str:
    absrel, delta = (_at(figures, "depth", part, key) for key in ("absrel", "delta1"))
    return "–" if math.isnan(absrel) else f"{absrel:.3f} / {delta:.3f}"


def _pictures(figures: Mapping[str, Any]) -> list[str]:
    """The six columns that compare pictures."""
    return [
        _said(_at(figures, "whole", "psnr"), "{:.2f}"),
        _said(_at(figures, "covisible", "psnr"), "{:.2f}"),
        _said(_at(figures, "sampled", "psnr"), "{:.2f}"),
        _said(_at(figures, "covisible", "ssim"), "{:.3f}"),
        _said(_at(figures, "covisible", "ms_ssim"), "{:.3f}"),
        _said(_at(figures, "covisible", "flip"), "{:.3f}"),
    ]


def _line(scene: Mapping[str, Any], row: Mapping[str, Any]) -> list[str]:
    name, title = str(scene["name"]), str(row["title"])
    if reason := row.get("error") or row.get("skipped"):
        return [name, f"{title}: {reason}", *["–"] * (len(HEADS) - 2)]
    path = _at(row, "camera", "position_of_path")
    return [
        name,
        title,
        *_pictures(row["mean"]),
        _depth(row, "all"),
        _depth(row, "static"),
        _depth(row, "moving"),
        _said(_at(row, "camera", "rotation_deg"), "{:.2f}°"),
        _said(path * 100, "{:.2f} % of path")
        if not math.isnan(path)
        else _said(_at(row, "camera", "position_of_depth") * 100, "{:.2f} % of depth"),
        _said(_at(row, "camera", "focal") * 100, "{:+.1f} %"),
        _said(sum(row["seconds"].values()), "{:.0f}"),
    ]


def table(figures: Mapping[str, Any]) -> list[list[str]]:
    """A line for each scene and row; the first holds the heads."""
    return [HEADS, *(_line(scene, row) for scene in figures["scenes"] for row in scene["rows"])]


def views_table(figures: Mapping[str, Any]) -> list[list[str]]:
    """A line for each scene, row and held-out view."""
    lines = [[*HEADS[:2], "view", *HEADS[2:8], "share co-v.", "holes co-v."]]
    for scene in figures["scenes"]:
        for row in scene["rows"]:
            for name, view in row.get("views", {}).items():
                share, holes = (_at(view, "covisible", key) * 100 for key in ("share", "holes"))
                said = [_said(share, "{:.0f} %"), _said(holes, "{:.1f} %")]
                lines.append([scene["name"], row["title"], name, *_pictures(view), *said])
    return lines


def markdown(lines: list[list[str]]) -> str:
    """A Markdown table; columns of figures are flush right."""
    head, *body = lines
    figures = [all(cells[i][:1] in "0123456789+-–" for cells in body) for i in range(len(head))]
    rule = ["---:" if flush else "---" for flush in figures]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *body])


def read(path: Path) -> dict[str, Any]:
    """Read what the quality benchmark wrote.

    Raises:
        FormatError: If the file is something else, or of another schema.
    """
    try:
        figures = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FormatError(f"Cannot read {path} as figures of benchmarks.quality: {error}") from error
    if not isinstance(figures, dict) or figures.get("schema") != SCHEMA or "scenes" not in figures:
        raise FormatError(f"{path} holds no figures of benchmarks.quality with schema {SCHEMA}; make it again.")
    return figures


def main(path: Annotated[Path, Positional, arg(metavar="QUALITY.json")], /, views: bool = False) -> None:
    """Print the figures as Markdown.

    Args:
        path: What ``benchmarks.quality`` wrote.
        views: A line for each held-out view, and not only their means.
    """
    figures = read(path)
    print(markdown(views_table(figures) if views else table(figures)))


if __name__ == "__main__":
    try:
        tyro.cli(main, prog="python -m benchmarks.report")
    except FourdError as error:
        sys.exit(f"{error}")
