"""What the pages of docs/ tell people to type works, and what they link to is there."""

from __future__ import annotations

import ast
import functools
import inspect
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fourd import cli
from tests.scenes import small_scene

DOCS = Path(__file__).parents[1] / "docs"
PAGES = {page.name: page.read_text() for page in sorted(DOCS.glob("*.md"))}
WORDS = [
    shlex.split(line, comments=True)[1:]
    for text in PAGES.values()
    for line in re.findall(r"^    (fourd .*)$", text, re.MULTILINE)
]
SNIPPETS = {
    f"{name}:{number}": code
    for name, text in PAGES.items()
    for number, code in enumerate(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
}


def test_there_is_something_to_check() -> None:
    assert len(WORDS) > 10 and len(SNIPPETS) > 3


def stand_in(command: Callable[..., Any], called: list[dict[str, Any]]) -> Callable[..., Any]:
    """A command that takes the same words and does nothing."""

    @functools.wraps(command)
    def noted(*args: Any, **options: Any) -> None:
        called.append({"": args, **options})

    return noted


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_commands_are_understood(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    called: list[dict[str, Any]] = []
    for name, command in cli.COMMANDS.items():
        monkeypatch.setitem(cli.COMMANDS, name, stand_in(command, called))
    assert cli.main(words) == 0, capsys.readouterr().err
    assert len(called) == 1


@pytest.mark.needs("native")
@pytest.mark.parametrize("words", [w for w in WORDS if w[0] == "export"], ids=" ".join)
def test_exports_work_on_a_scene(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    small_scene().save("walk.glb")
    assert cli.main(words) == 0
    assert Path(words[words.index("-o") + 1]).exists()


@pytest.mark.parametrize("name", SNIPPETS)
def test_what_snippets_name_is_there_and_takes_what_it_is_given(name: str) -> None:
    page = name.split(":")[0]
    imports = "\n".join(re.findall(r"^from fourd import .*$", PAGES[page], re.MULTILINE))
    known: dict[str, Any] = {"scene": small_scene()}
    exec(imports, known)
    looked_up = 0
    for node in ast.walk(ast.parse(SNIPPETS[name])):
        if isinstance(node, ast.Call) and (function := _named(node.func, known)) is not None:
            keywords = {word.arg: None for word in node.keywords if word.arg}
            inspect.signature(function).bind_partial(*([None] * len(node.args)), **keywords)
            looked_up += 1
    assert looked_up


def _named(node: ast.expr, known: dict[str, Any]) -> Any:
    """What an expression like ``a.b.c`` stands for, if ``a`` is known; what it leads to must be there then."""
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Attribute) and (owner := _named(node.value, known)) is not None:
        return getattr(owner, node.attr)
    return None


@pytest.mark.needs("kornia")
def test_the_snippet_of_cameras_for_others_runs() -> None:
    lines = [
        line for line in SNIPPETS["cameras.md:0"].splitlines() if "pytorch3d(" not in line and "open3d(" not in line
    ]
    names: dict[str, Any] = {"scene": small_scene()}
    exec("\n".join(lines), names)
    assert names["again"].hw == names["scene"].cameras.hw


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", PAGES[page]):
        file, _, anchor = link.partition("#")
        target = DOCS / file if file else DOCS / page
        assert target.exists(), link
        if anchor:
            titles = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles], link
