"""What there is to know about a scene, as plain values."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import torch

from fourd.geometry import trajectory
from fourd.geometry.clock import even_fps
from fourd.scene import Scene
from fourd.types import INVENTED

_CAMERA = {"still": "stands still", "rotation": "turns on the spot", "moving": "travels"}


def facts(scene: Scene) -> dict[str, Any]:
    """Length, size, splats, cameras, sound, unit and provenance of a scene, as JSON values.

    Angles are in degrees, times in seconds, focal lengths in pixels of the source picture. Uncertainties are standard
    deviations, as ``fourd.types.Uncertainty`` has them.
    """
    splats, cameras, from_ = scene.splats, scene.cameras, scene.provenance
    h, w = cameras.hw
    focal = cameras.K.diagonal(dim1=1, dim2=2)[:, :2].double()
    still = torch.isinf(splats.duration_s) & (splats.velocity_mps == 0).all(1)
    fps = even_fps(cameras.time_s)
    sound = scene.sound
    return {
        "clip": from_.clip,
        "frames": len(cameras),
        "fps": round(fps, 3),
        "duration_s": round(float(cameras.time_s[-1] - cameras.time_s[0]) + 1 / fps, 3),
        "hw": [h, w],
        "splats": {
            "total": len(splats),
            "still": int(still.sum()),
            "moving": int((~still).sum()),
            "invented": int((splats.source == INVENTED).sum()),
        },
        "evidence": from_.evidence,
        "camera": {
            "motion": trajectory.kind(cameras, scene.focus_m()),
            "focal_px": [round(float(f), 1) for f in (focal.min(), focal.max())],
            "fov_across_deg": round(math.degrees(2 * math.atan(w / 2 / float(focal[:, 0].median()))), 1),
            "fov_down_deg": round(math.degrees(2 * math.atan(h / 2 / float(focal[:, 1].median()))), 1),
            "uncertainty": from_.uncertainty and dataclasses.asdict(from_.uncertainty),
        },
        "up": from_.up,
        "sound": sound
        and {
            "duration_s": round(sound.duration_s, 3),
            "rate_hz": sound.rate_hz,
            "channels": sound.samples.shape[1],
        },
        "metric": from_.metric,
        "config": from_.config,
        "versions": from_.versions,
        "seconds": from_.seconds,
        "warnings": list(from_.warnings),
    }


def rows(known: dict[str, Any]) -> list[tuple[str, str]]:
    """The same for people: a name and a sentence each."""
    splats, camera, sound = known["splats"], known["camera"], known["sound"]
    low, high = camera["focal_px"]
    focal = f"{low:g} px" if high - low < 0.5 else f"{low:g} to {high:g} px"
    total = max(splats["total"], 1)
    said = [
        ("clip", known["clip"] or "unknown"),
        ("length", f"{known['duration_s']:g} s: {known['frames']} frames at {known['fps']:g} a second"),
        ("picture", f"{known['hw'][1]} x {known['hw'][0]} pixels (width x height)"),
        ("splats", f"{splats['total']:,}"),
        ("  still", f"{splats['still']:,} ({splats['still'] / total:.0%})"),
        ("  moving", f"{splats['moving']:,} ({splats['moving'] / total:.0%})"),
        ("  invented", f"{splats['invented']:,} ({splats['invented'] / total:.0%})"),
        *_evidence(known["evidence"]),
        ("camera", _CAMERA[camera["motion"]]),
        ("  focal length", f"{focal}, which sees {camera['fov_across_deg']:g} x {camera['fov_down_deg']:g} degrees"),
        *_uncertainty(camera["uncertainty"]),
        ("  up", "as the clip says it" if known["up"] else "unknown; the mean up of the cameras stands in"),
        ("sound", _sound(sound) if sound else "none"),
        ("unit", _unit(known)),
    ]
    if known["seconds"]:
        said.append(("lifted in", ", ".join(f"{k} {v:.1f} s" for k, v in known["seconds"].items())))
    if known["config"]:
        said.append(("config", ", ".join(f"{k}={v}" for k, v in known["config"].items() if v is not None)))
    if known["versions"]:
        said.append(("made with", ", ".join(f"{k} {v}" for k, v in known["versions"].items())))
    return said + [("warning", text) for text in known["warnings"]]


def _evidence(share: float | None) -> list[tuple[str, str]]:
    """What was not made up of that which a single frame leaves open, where something was filled."""
    said = f"{share:.0%} of what single frames leave open beside the camera's way" if share is not None else ""
    return [("  shown by other moments", said)] if said else []


def _uncertainty(known: dict[str, Any] | None) -> list[tuple[str, str]]:
    """How far cameras that were found may be off."""
    if known is None:
        return []
    parts = [f"{known['position']:.2%} of the path's length"] if known["position"] > 0 else []
    parts.append(f"{known['rotation_deg']:.2f} degrees")
    parts.append(
        "a focal length that was guessed" if known["focal"] is None else f"{known['focal']:.1%} of the focal length"
    )
    return [("  sure to", ", ".join(parts) + " (standard deviations)")]


def _sound(sound: dict[str, Any]) -> str:
    channels = f"{sound['channels']} channel{'s' if sound['channels'] > 1 else ''}"
    return f"{sound['duration_s']:g} s, {channels} at {sound['rate_hz']} Hz"


def _unit(known: dict[str, Any]) -> str:
    if known["metric"]:
        return "the metre"
    if any(known["config"].get(what) in ("file", "given") for what in ("camera", "depth")):
        return "that of the cameras or depth that were given; the true size is unknown"
    return "the median depth of the first frame; the true size is unknown"
