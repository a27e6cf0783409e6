"""The architecture, as a test: every import goes downhill, and no stage imports a stage."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

STAGES = {"media", "generate", "motion", "camera", "depth", "fuse", "inpaint", "render", "effects", "formats"}

TIERS: list[set[str]] = [
    {"errors", "checked"},
    {"backends", "events", "fields", "files", "hub", "notes", "poses", "sounds", "srgb", "workers"},
    {"types"},
    {"native"},
    {"geometry"},
    STAGES,
    {"exports", "interop"},
    {"scene"},
    {"filling"},
    {"pipeline"},
    {"view", "batch", "doctor", "train"},
    {"commands"},
    {"cli"},
]

# A noun's front door: `Clip.open` hands on to the stage that reads files, when it is called.
DOORS = {("types", "media")}

# Commands that live beside what they make: they film scenes and fit a network to them, so they wire stages as the
# pipeline does. They are a room of their own, at the top: no stage may import it, the ones around it least of all.
TRAIN = (["depth", "train"], ["inpaint", "train"])


def room(module: str) -> str | None:
    """The part of fourd that a dotted module name belongs to; None for what is not fourd."""
    head, *rest = module.split(".")
    if head == "fourd" and rest[:2] in TRAIN:
        return "train"
    return (rest[0] if rest else "fourd") if head == "fourd" else None


def imports(source: str) -> Iterator[str]:
    """Every module that a source file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "Relative imports hide the layer they reach."
            base = node.module or ""
            yield from (f"{base}.{a.name}" if base == "fourd" else base for a in node.names)


def tier(name: str) -> int:
    found = [i for i, names in enumerate(TIERS) if name in names]
    assert found, f"fourd/{name} belongs to no tier: name it in TIERS."
    return found[0]


def uphill(name: str, source: str) -> list[str]:
    """The rooms that the source of room ``name`` imports and must not."""
    wrong = []
    for module in imports(source):
        other = room(module)
        if other is None or other == name or (name, other) in DOORS:
            continue
        # Rooms of one tier are strangers to each other, stages above all; only the errors are shared.
        if other == "fourd" or tier(other) > tier(name) or (tier(other) == tier(name) and tier(name) > 1):
            wrong.append(other)
    return wrong


def sources() -> list[Path]:
    return sorted(p for p in (ROOT / "fourd").rglob("*.py") if p != ROOT / "fourd" / "__init__.py")


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_downhill(path: Path) -> None:
    name = room(".".join(path.relative_to(ROOT).with_suffix("").parts))
    assert name is not None
    assert not uphill(name, path.read_text())


def test_the_check_can_fail() -> None:
    assert uphill("depth", "from fourd.camera import tracks") == ["camera"]
    assert uphill("types", "def f():\n    from fourd import scene") == ["scene"]
    assert uphill("geometry", "import fourd.render") == ["render"]
    assert uphill("depth", "from fourd.depth.train import fitting") == ["train"]
    assert uphill("inpaint", "from fourd.inpaint.train import fitting") == ["train"]
    assert uphill("train", "from fourd.generate import wild") == []
    assert uphill("depth", "from fourd import types, geometry\nimport torch") == []


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_files_stay_small(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= 400, f"{path.name} has {lines} lines: is it still one idea?"
