"""Metrics against a committed baseline: what got worse than its tolerance allows ends a run with status 1.

``benchmarks/baseline.json`` holds a section for each benchmark: the machine, its yardstick, and each metric's value.
Times are compared as multiples of the yardstick, a fixed piece of work that this project does not change, so that
another machine may be compared with the one that made the baseline, roughly.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from fourd.errors import FormatError, FourdError
from fourd.files import replacing

BASELINE = Path(__file__).with_name("baseline.json")


@dataclass(frozen=True)
class Metric:
    """One figure, of which less is better."""

    name: str
    value: float
    unit: str
    """``ms`` are compared as multiples of the yardstick; anything else as it stands."""
    tolerance: float
    """By which share it may grow before it counts as worse."""


def yardstick_ms(repeats: int = 5) -> float:
    """Least processor time of arithmetic, sorting and fetching here and there, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        x = torch.rand(1_000_000, generator=torch.Generator().manual_seed(0))
        where = x.argsort()
        taken = []
        for _ in range(repeats):
            start = time.process_time()
            x.exp().log().sqrt().sum()
            x[:200_000].sort()
            x[where].cumsum(0)
            taken.append(time.process_time() - start)
        return 1e3 * min(taken)
    finally:
        torch.set_num_threads(threads)


def machine() -> str:
    """The processor's name and how many threads torch would use."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        name = names[0] if names else name
    return f"{name}, {torch.get_num_threads()} threads"


def compare(metrics: Sequence[Metric], yardstick: float, section: Mapping[str, object]) -> list[str]:
    """A sentence for each metric that is worse than the baseline's section allows.

    A metric that the baseline does not know is not judged; neither is one that it alone knows.

    Example:
        >>> compare([Metric("a", 30.0, "ms", 0.2)], 10.0, {"yardstick_ms": 20.0, "metrics": {"a": 40.0}})
        ['a: 30.0 ms, where 20.0 ms are expected here and 24.0 ms allowed.']
    """
    old, before = section.get("metrics"), section.get("yardstick_ms")
    if not isinstance(old, Mapping) or not isinstance(before, int | float) or before <= 0:
        raise FormatError("A section of the baseline must hold 'metrics' and a positive 'yardstick_ms'.")
    worse = []
    for metric in metrics:
        if metric.name not in old:
            continue
        scale = yardstick / before if metric.unit == "ms" else 1.0
        expected = float(old[metric.name]) * scale
        allowed = expected * (1 + metric.tolerance)
        if not metric.value <= allowed:
            unit = f" {metric.unit}" if metric.unit else ""
            worse.append(
                f"{metric.name}: {metric.value:.1f}{unit}, where {expected:.1f}{unit} are expected here"
                f" and {allowed:.1f}{unit} allowed."
            )
    return worse


def read(name: str, path: Path = BASELINE) -> Mapping[str, object] | None:
    """A benchmark's section of the baseline, or None where it has none.

    Raises:
        FormatError: If the file is no JSON object of sections.
    """
    sections = _sections(path)
    section = sections.get(name)
    if section is not None and not isinstance(section, Mapping):
        raise FormatError(f"{path}: section '{name}' must be a JSON object.")
    return section


def update(name: str, metrics: Sequence[Metric], yardstick: float, path: Path = BASELINE) -> None:
    """Write a benchmark's section anew, and leave the others as they are."""
    sections = dict(_sections(path))
    sections[name] = {
        "machine": machine(),
        "yardstick_ms": round(yardstick, 2),
        "metrics": {metric.name: round(metric.value, 2) for metric in metrics},
    }
    with replacing(path) as fresh:
        fresh.write_text(json.dumps(sections, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def settle(name: str, metrics: Sequence[Metric], yardstick: float, anew: bool, path: Path = BASELINE) -> int:
    """Make a run the baseline of its benchmark, or say what is worse than that; the command's status."""
    if anew:
        update(name, metrics, yardstick, path)
        print(f"The baseline is now this run: {path.name}.")
        return 0
    try:
        section = read(name, path)
        if section is None:
            print("There is no baseline yet: --update makes this run the baseline.")
            return 0
        worse = compare(metrics, yardstick, section)
    except FourdError as error:
        print(error)
        return 1
    print("\n".join(worse) if worse else f"No worse than the baseline ({section.get('machine')}).")
    return 1 if worse else 0


def _sections(path: Path) -> Mapping[str, object]:
    if not path.is_file():
        return {}
    try:
        sections = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FormatError(f"Cannot read {path} as JSON: {error}") from error
    if not isinstance(sections, Mapping):
        raise FormatError(f"{path} must hold a JSON object with a section for each benchmark.")
    return sections
