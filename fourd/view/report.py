"""A report on a scene: one page with everything in it, to look at, to send and to print."""

from __future__ import annotations

import base64
import html
import importlib.resources
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxtyping import UInt8
from torch import Tensor

from fourd.checked import checked
from fourd.events import Progress, Steps
from fourd.formats import html as page_
from fourd.scene import Scene
from fourd.types import Clip
from fourd.view import facts, measures, overview, plan, plots
from fourd.view.overview import Glance
from fourd.view.terminal import said

_WEBP_QUALITY = 84
_LOOK_PX = 480


@checked
def page(scene: Scene, clip: Clip | None = None) -> Steps[str]:
    """The report as HTML, with the player and all pictures inside.

    Args:
        scene: What to report on.
        clip: The clip that it was lifted from, on the clock of the scene. Without it, nothing is compared.

    Yields:
        Progress of the stages "look", "coverage", "compare" and "page".

    Raises:
        InputError: If the clip cannot be the one that became the scene, or the scene cannot be packed.
    """
    if clip is not None:
        overview.check_clip(scene, clip)
    known = facts.facts(scene)
    looks = yield from overview.glances(scene, clip, size=_LOOK_PX)
    covered = yield from measures.known(scene)
    true = (yield from measures.truth(scene, clip)) if clip is not None else []
    yield Progress("page", 0, 1)
    style = importlib.resources.files("fourd").joinpath("view", "report.css").read_text(encoding="utf-8")
    player = page_.page(scene.splats, scene.cameras, scene.sound, scene.provenance)
    name = html.escape(Path(known["clip"]).name or "Scene")
    body = "\n".join(
        filter(
            None,
            [
                f"<header><h1>{name}</h1><p>{html.escape(_summary(known))}</p></header>",
                page_.frame(player, 'class="player"'),
                f'<img class="print" alt="" src="{_data(looks[len(looks) // 2].rendered)}">',
                _notes(known["warnings"]),
                _looks(looks, known["splats"]["invented"] > 0),
                _true(true),
                _known(known, covered),
                _camera(scene, known),
                _work(known),
                _made(known),
            ],
        )
    )
    text = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="content-security-policy" content="{page_.policy(style)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n<link rel="icon" href="data:,">\n'
        f"<title>{name} – report</title>\n<style>{style}</style>\n</head>\n<body>\n<main>\n{body}\n"
        "<footer>Made by fourd. This page holds everything within itself and asks nothing of the network.</footer>\n"
        "</main>\n</body>\n</html>\n"
    )
    yield Progress("page", 1, 1)
    return text


def _summary(known: dict[str, Any]) -> str:
    h, w = known["hw"]
    return (
        f"{known['duration_s']:.2f} s · {known['frames']} frames at {known['fps']:g} a second · {w} × {h} pixels"
        f" · {known['splats']['total']:,} splats"
    )


def _notes(warnings: Sequence[str]) -> str:
    items = "".join(f"<li>{html.escape(text)}</li>" for text in warnings)
    return f'<ul class="notes" aria-label="Warnings">{items}</ul>' if items else ""


def _looks(looks: list[Glance], filled: bool) -> str:
    columns = {
        "Filmed": [g.filmed for g in looks],
        "Rendered": [g.rendered for g in looks],
        "Depth": [g.depth for g in looks],
        f"{overview.ASIDE_DEG:g}° aside": [g.aside for g in looks],
    }
    columns = {name: pictures for name, pictures in columns.items() if pictures[0] is not None}
    cells = [f"<h3>{name}</h3>" for name in columns]
    for i, glance in enumerate(looks):
        for name, pictures in columns.items():
            alt = f"{name} at {glance.time_s:.2f} seconds"
            cells.append(
                f'<figure><img alt="{alt}" src="{_data(pictures[i])}">'
                f'<figcaption><span class="only">{name} · </span>{glance.time_s:.2f} s</figcaption></figure>'
            )
    both = "Filmed" in columns
    lead = (
        f"{'What was filmed, the' if both else 'The'} same view of the scene, its depth (near is light), and the view"
        f" from {overview.ASIDE_DEG:g} degrees to the right. What was never filmed is"
        f" {'invented there, or black' if filled else 'black there'}."
    )
    return _section(
        "Filmed and rendered" if both else "Rendered",
        lead if both else lead.replace("The same view of the scene", "The view of the camera that filmed"),
        f'<div class="looks {"four" if both else "three"}">{"".join(cells)}</div>',
    )


def _true(true: list[tuple[float, float]]) -> str:
    if not true:
        return ""
    mean = sum(db for _, db in true) / len(true)
    worst = min(true, key=lambda each: each[1])
    top = max(40.0, *(db for _, db in true))
    label = f"PSNR of the rendered pictures over time: {mean:.1f} dB in the mean."
    drawn = plots.chart(
        [plots.Line("PSNR", "seen", true)],
        label=label,
        across=(true[0][0], true[-1][0]),
        up=(0.0, top),
        units=(" s", " dB"),
    )
    return _section(
        "How well the filmed pictures come back",
        f"{mean:.1f} dB in the mean, {worst[1]:.1f} dB at the worst, at {worst[0]:.2f} s (PSNR, whole pictures).",
        f'<div class="alone">{drawn}</div>',
    )


def _known(known: dict[str, Any], covered: list[measures.Known]) -> str:
    parts = {"seen": "filmed", "invented": "invented", "hole": "nothing there"}
    lines = [
        plots.Line(name, kind, [(k.degrees, 100 * getattr(k, kind)) for k in covered]) for kind, name in parts.items()
    ]
    if not any(k.invented for k in covered):
        lines, parts = [line for line in lines if line.kind != "invented"], {k: parts[k] for k in ("seen", "hole")}
    graph = plots.chart(
        lines,
        label="Shares of the picture that were filmed, were invented, or are empty, by the angle of the camera.",
        across=(covered[0].degrees, covered[-1].degrees),
        up=(0.0, 100.0),
        units=("°", " %"),
    )
    splats = known["splats"]
    origin = {"seen": (splats["total"] - splats["invented"], "filmed"), "invented": (splats["invented"], "invented")}
    life = {"still": (splats["still"], "always there"), "moving": (splats["moving"], "moving or brief")}
    bars = _shares("Splats by origin", origin) + _shares("Splats by life", life)
    return _section(
        "What is known",
        "Shares of the picture, when the camera goes round the subject in the middle of the clip.",
        f'<div class="two"><div>{graph}{_legend(parts)}</div><div class="stack">{bars}</div></div>',
    )


def _shares(title: str, parts: dict[str, tuple[int, str]]) -> str:
    """A divided bar of counts and their names, by class of the style sheet."""
    total = max(sum(count for count, _ in parts.values()), 1)
    drawn = plots.shares([(kind, count / total) for kind, (count, _) in parts.items()], label=title)
    legend = {kind: f"{count:,} {name}" for kind, (count, name) in parts.items()}
    return f"<div><h3>{title}</h3>{drawn}{_legend(legend)}</div>"


def _camera(scene: Scene, known: dict[str, Any]) -> str:
    above, side = plan.plans(scene)
    drawn = ""
    for name, each in {"From above": above, "From the side": side}.items():
        label = f"The way of the camera, {name.lower()}"
        drawn += f"<div><h3>{name}</h3>{plan.drawing(each, label=label, metric=known['metric'])}</div>"
    said_ = dict(facts.rows(known))
    return _section(
        "The camera",
        f"It {said_['camera']}. The ring is where it begins, the cross is its subject in the middle of the clip."
        f" The unit is {said_['unit']}.",
        f'<div class="two plan">{drawn}</div>',
    )


def _work(known: dict[str, Any]) -> str:
    seconds = known["seconds"]
    if not seconds:
        return ""
    rows = [(stage, spent, said(spent)) for stage, spent in seconds.items()]
    drawn = plots.bars(rows, label="Seconds of each stage")
    return _section("How long it took", f"{said(sum(seconds.values()))} in all.", f'<div class="alone">{drawn}</div>')


def _made(known: dict[str, Any]) -> str:
    skipped = {"warning", "lifted in", "camera", "unit"}
    rows = "".join(
        f"<tr><th>{html.escape(name.strip().capitalize())}</th><td>{html.escape(text)}</td></tr>"
        for name, text in facts.rows(known)
        if name not in skipped
    )
    return _section("In numbers", "", f"<table>{rows}</table>")


def _section(title: str, lead: str, content: str) -> str:
    words = f'<p class="lead">{html.escape(lead)}</p>' if lead else ""
    return f"<section><h2>{title}</h2>{words}{content}</section>"


def _legend(parts: dict[str, str]) -> str:
    return f'<ul class="legend">{"".join(f"<li class={kind}>{name}</li>" for kind, name in parts.items())}</ul>'


def _data(picture: UInt8[Tensor, "h w 3"] | None) -> str:
    """A picture as an address that holds it."""
    from PIL import Image

    assert picture is not None  # Columns without pictures were dropped.
    file = io.BytesIO()
    Image.fromarray(picture.cpu().numpy()).save(file, "WEBP", quality=_WEBP_QUALITY)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()
