"""Pictures side by side, at full size, and the page that shows them."""

from __future__ import annotations

import html
from pathlib import Path

import cv2
import imageio.v3 as iio
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from benchmarks import metrics
from fourd.files import replacing

GAP, HEAD = 4, 18
"""Pixels between pictures, and above them for their names."""


def tile(picture: UInt8[np.ndarray, "h w 3"], name: str) -> UInt8[np.ndarray, "hh ww 3"]:
    """A picture with its name above it and a gap around it."""
    framed = np.pad(picture, [(HEAD, GAP), (0, GAP), (0, 0)], constant_values=255)
    cv2.putText(framed, name, (2, HEAD - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    return framed


def _u8(picture: Tensor) -> np.ndarray:
    return (picture.clamp(0, 1) * 255 + 0.5).to(torch.uint8).numpy()


def strip(
    title: str,
    truth: Float[Tensor, "h w 3"],
    ours: Float[Tensor, "h w 3"],
    covisible: Bool[Tensor, "h w"] | None,
) -> UInt8[np.ndarray, "hh ww 3"]:
    """Truth, ours, the FLIP error (black is none, light is much), and the truth where it is co-visible."""
    heat = cv2.applyColorMap(_u8(metrics.flip_map(truth, ours)), cv2.COLORMAP_MAGMA)[..., ::-1]
    tiles = [tile(_u8(truth), f"{title}: truth"), tile(_u8(ours), "ours"), tile(heat, "FLIP error")]
    if covisible is not None:
        tiles.append(tile(_u8(truth * covisible[..., None]), "co-visible"))
    return np.concatenate(tiles, 1)


def write_sheet(path: Path, strips: list[np.ndarray]) -> None:
    """Strips below each other, in one PNG."""
    width = max(s.shape[1] for s in strips)
    padded = [np.pad(s, [(0, 0), (0, width - s.shape[1]), (0, 0)], constant_values=255) for s in strips]
    with replacing(path) as fresh:
        iio.imwrite(fresh, np.concatenate(padded), extension=".png")


_STYLE = """body{font:15px/1.4 sans-serif;margin:2em auto;max-width:1700px;padding:0 1em}
table{border-collapse:collapse}td,th{padding:.2em .7em;border-bottom:1px solid #ccc;text-align:right}
td:first-child,th:first-child,td:nth-child(2),th:nth-child(2){text-align:left}
img{max-width:100%;image-rendering:auto;display:block;margin:.5em 0 2em}"""


def write_page(path: Path, table: list[list[str]], sheets: list[tuple[str, str]]) -> None:
    """The page: a table, its first line the heads of the columns, and sheets as (title, file name)."""

    def line(cells: list[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in cells) + "</tr>"

    rows = [line(table[0], "th"), *(line(cells, "td") for cells in table[1:])]
    pictures = [
        f'<h2>{html.escape(title)}</h2><a href="{html.escape(name)}"><img src="{html.escape(name)}" '
        f'alt="{html.escape(title)}"></a>'
        for title, name in sheets
    ]
    parts = ['<!doctype html><html lang="en"><meta charset="utf-8"><title>fourd: quality</title>']
    parts += [f"<style>{_STYLE}</style><h1>Quality</h1><table>", *rows, "</table>", *pictures, "</html>\n"]
    with replacing(path) as fresh:
        fresh.write_text("\n".join(parts), encoding="utf-8")
