"""A scene as one HTML file: the player and the splats within, nothing fetched, at home on any disk.

The player's files are data here: they are read, joined and written out. Each of its modules becomes a
function that returns what it exports, so that the names of one never meet those of another, and no build
tool is needed. The scene (``packed``) goes in as gzip in base64.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import importlib.resources
import math
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

from fourd.checked import checked
from fourd.errors import InputError
from fourd.files import replacing
from fourd.formats import packed
from fourd.types import Cameras, Provenance, Sound, Splats

_IMPORT = re.compile(r'^import \{(?P<names>[^}]*)\} from "\./(?P<module>[\w.]+)";[^\n]*\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?P<kind>const|class|function|async function) (?P<name>\w+)", re.MULTILINE)
_LINK = re.compile(r'<link rel="stylesheet" href="([\w.]+)">')
_SCRIPT = re.compile(r'<script type="module" src="([\w.]+)"></script>')


@checked
def write(path: str | Path, text: str) -> None:
    """Write a page as a file.

    Args:
        path: Where to; replaced as a whole or not at all.
        text: The page.

    Raises:
        OutputError: If the file system refuses.
    """
    with replacing(path) as fresh:
        fresh.write_text(text, encoding="utf-8")


@checked
def page(splats: Splats, cameras: Cameras, sound: Sound | None = None, provenance: Provenance = Provenance()) -> str:
    """A page that any current browser plays, from disk as well.

    The splats are rounded (see ``packed``): it is for looking at, and nothing reads it back.

    Args:
        splats: In the world of ``cameras``.
        cameras: The cameras that filmed.
        sound: On the cameras' clock.
        provenance: Its clip's name becomes the title.

    Raises:
        InputError: If the scene cannot be packed.
    """
    scene = base64.b64encode(gzip.compress(packed.pack(splats, cameras, sound, provenance), 6, mtime=0)).decode()
    title = html.escape(Path(provenance.clip).name or "fourd")
    before, after = _shell()
    return (
        before.replace("<title>fourd</title>", f"<title>{title}</title>")
        + f'<script type="text/plain" id="fourd-scene">{scene}</script>\n'
        + after
    )


@cache
def _shell() -> tuple[str, str]:
    """The page before and after its scene."""
    document, style, script = _file("index.html"), _file("style.css"), bundle("main.js")
    worker = bundle("worker.js")
    document = _LINK.sub(lambda _: f"<style>{style}</style>", document)
    document = document.replace(
        '<meta charset="utf-8">',
        f'<meta charset="utf-8">\n<meta http-equiv="content-security-policy" content="{policy()}">',
    )
    before, after = _SCRIPT.split(document)[::2]
    code = f'<script type="text/plain" id="fourd-worker">{worker}</script>\n'
    return before + code, f'<script type="module">{script}</script>{after}'


@cache
def policy(*styles: str) -> str:
    """The content security policy of a page: the player's own script and style, and nothing else.

    A page around the player needs it as well, because the player's frame inherits it.

    Args:
        styles: Style sheets that such a page has besides.
    """
    hashes = " ".join(f"'sha256-{_digest(style)}'" for style in (_file("style.css"), *styles))
    return (
        f"default-src 'none'; script-src 'sha256-{_digest(bundle('main.js'))}' blob:; style-src {hashes};"
        " worker-src blob:; img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def frame(text: str, attributes: str) -> str:
    """A page as a frame within another page, which it cannot reach.

    Args:
        text: The page.
        attributes: Of the frame element: its class or style, as HTML.
    """
    return (
        f'<iframe srcdoc="{html.escape(text)}" sandbox="allow-scripts allow-downloads" allow="fullscreen"'
        f' title="The scene" {attributes}></iframe>'
    )


class Embedded:
    """A page within the page of a notebook: a frame of its own that reaches nothing around it."""

    def __init__(self, make: Callable[[], str], *, height_px: int, limit_mb: float) -> None:
        """Hold what makes the page; it is made when a notebook asks for it."""
        if not 100 <= height_px <= 10_000:
            raise InputError(f"height_px is {height_px}; it must be 100 to 10000.")
        if not 0 < limit_mb < math.inf:
            raise InputError(f"limit_mb is {limit_mb:g}; it must be above 0.")
        self._make = make
        self.height_px = height_px
        self.limit_mb = limit_mb

    def _repr_html_(self) -> str:
        text = self._make()
        size_mb = len(text) / 1e6
        if size_mb > self.limit_mb:
            return (
                f"<p>This scene needs {size_mb:.1f} MB as a page, and the limit is {self.limit_mb:g} MB, because a"
                f" notebook keeps what it shows. Look at it with <code>fourd view</code>, write a page with"
                f" <code>scene.export('scene.html')</code>, or raise the limit:"
                f" <code>scene.show(limit_mb={math.ceil(size_mb)})</code>.</p>"
            )
        return frame(text, f'style="width:100%;height:{self.height_px}px;border:0;border-radius:8px"')

    def __repr__(self) -> str:
        return "A scene for a notebook. Elsewhere, use `fourd view` or scene.export('scene.html')."


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _file(name: str) -> str:
    return importlib.resources.files("fourd").joinpath("view", "player", name).read_text(encoding="utf-8")


def bundle(entry: str) -> str:
    """One script of a module of the player and all that it imports.

    It knows what the player's modules are written in, and no more: imports of names from ``"./file.js"`` at
    the top, and exports of constants, classes and functions where they are declared.

    Args:
        entry: The module to run.
    """
    order: list[str] = []
    _visit(entry, order)
    parts = [f"const {_variable(name)} = (() => {{\n{_inlined(name)}}})();\n" for name in order]
    script = '"use strict";\n' + "".join(parts)
    if "</script" in script.lower() or "<!--" in script:
        raise ValueError(f"{entry}: what would end a script in HTML stands in its text.")
    return script


def _visit(name: str, order: list[str]) -> None:
    """Put a module behind all that it imports."""
    for match in _IMPORT.finditer(_file(name)):
        if match["module"] not in order:
            _visit(match["module"], order)
    order.append(name)


def _variable(module: str) -> str:
    return "module_" + module.removesuffix(".js")


def _inlined(name: str) -> str:
    text = _file(name)
    exported = [match["name"] for match in _EXPORT.finditer(text)]
    text = _IMPORT.sub(lambda m: f"const {{{m['names'].replace(' as ', ': ')}}} = {_variable(m['module'])};\n", text)
    text = _EXPORT.sub(lambda m: f"{m['kind']} {m['name']}", text)
    if re.search(r"^(import|export)\b", text, re.MULTILINE):
        raise ValueError(f"{name} imports or exports in a way that a page cannot hold.")
    return text + f"return {{ {', '.join(exported)} }};\n"
