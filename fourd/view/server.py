"""A small web server for one scene and its player, for the browser of the person who started it.

Whoever can reach the port still needs the token in the address; other sites that the browser has open get
nothing (the Host and Origin headers are checked, so that neither a rebound name nor a foreign page helps);
and only the files of a fixed table are ever sent, so that no path can lead elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import importlib.resources
import ipaddress
import json
import logging
import os
import re
import secrets
import socket
import sys
import urllib.parse
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fourd.errors import FourdError, InputError, OutputError
from fourd.formats import glb
from fourd.view import remote
from fourd.view.remote import Studio

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

PIECE_BYTES = 1 << 18
VIEWERS = 256
"""Of so many viewers it is known which picture they asked for last."""

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
}

_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; worker-src 'self';"
        " img-src 'self' data: blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


def player_files() -> dict[str, bytes]:
    """The files of the player, by name."""
    folder = importlib.resources.files("fourd").joinpath("view", "player")
    return {entry.name: entry.read_bytes() for entry in folder.iterdir() if Path(entry.name).suffix in _TYPES}


@dataclass(frozen=True)
class Gate:
    """Who may ask."""

    token: str
    port: int
    hosts: frozenset[str]
    """Names that the Host header may give; all in lower case."""
    any_address: bool = False
    """Accept every numeric address as well: a rebound name is never one."""

    def refuses(self, headers: Mapping[str, str]) -> str:
        """Why a request with these headers is refused; empty if it is not."""
        host = headers.get("host", "").lower()
        name, _, port = host.rpartition(":")
        if port != str(self.port) or not (name in self.hosts or (self.any_address and _is_address(name))):
            return "This server does not go by that name."
        if "origin" in headers and headers["origin"].lower() != f"http://{host}":
            return "Pages of other sites get nothing here."
        site, mode = headers.get("sec-fetch-site", "none"), headers.get("sec-fetch-mode", "navigate")
        if site not in ("none", "same-origin") and (mode != "navigate" or headers.get("sec-fetch-dest") != "document"):
            return "Pages of other sites get nothing here."
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


class Application:
    """The ASGI application: a page, its modules and style, and the scene."""

    def __init__(self, scene: Path, gate: Gate, studio: Studio | None = None) -> None:
        self.scene = scene
        self.gate = gate
        self.files = player_files()
        self.studio = studio
        self.drawing = asyncio.Lock()
        self.newest: dict[str, int] = {}
        """Number of the last picture that each viewer has asked for."""
        if studio is not None:
            facts = f"<html data-remote='{json.dumps(studio.facts)}'".encode()
            self.files["index.html"] = self.files["index.html"].replace(b"<html", facts, 1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        head = scope["method"] == "HEAD"
        reason = self.gate.refuses(headers)
        token, slash, name = scope["path"].removeprefix("/").partition("/")
        if reason:
            await _say(send, 403, reason, head)
        elif not hmac.compare_digest(token.encode(), self.gate.token.encode()):
            await _say(send, 403, "This address lacks the token that `fourd view` has printed.", head)
        elif scope["method"] not in ("GET", "HEAD"):
            await _say(send, 405, "Only GET and HEAD are answered.", head, {"allow": "GET, HEAD"})
        elif not slash:
            await _say(send, 308, "", head, {"location": f"/{token}/"})
        elif name == "scene.glb":
            await self._send_scene(send, headers, head)
        elif self.studio is not None and name in ("frame", "focus"):
            await self._draw(send, self.studio, name, scope.get("query_string", b""), head)
        elif (name or "index.html") in self.files:
            name = name or "index.html"
            await _answer(send, 200, self.files[name], head, {"content-type": _TYPES[Path(name).suffix]})
        else:
            await _say(send, 404, "There is no such file here.", head)

    async def _draw(self, send: Send, studio: Studio, name: str, query: bytes, head: bool) -> None:
        """A picture, or how far away things are. Of a viewer's pictures only the latest is drawn: none queues up."""
        try:
            ask = remote.parse(urllib.parse.unquote(query.decode("latin-1")))
        except InputError as error:
            await _say(send, 400, str(error), head)
            return
        if name == "frame":
            if ask.viewer not in self.newest and len(self.newest) >= VIEWERS:
                self.newest.pop(next(iter(self.newest)))
            self.newest[ask.viewer] = max(ask.number, self.newest.get(ask.viewer, 0))
        async with self.drawing:
            if name == "frame" and ask.number < self.newest.get(ask.viewer, 0):
                await _answer(send, 204, b"", head, {})
                return
            try:
                if name == "frame":
                    kind, body = "image/jpeg", await asyncio.to_thread(studio.picture, ask)
                else:
                    kind, body = "application/json", json.dumps(await asyncio.to_thread(studio.focus, ask)).encode()
            except (FourdError, MemoryError, RuntimeError) as error:
                await _say(send, 500, str(error) or "The memory is full. Make the window smaller.", head)
                return
        await _answer(send, 200, body, head, {"content-type": kind})

    async def _send_scene(self, send: Send, headers: Mapping[str, str], head: bool) -> None:
        try:
            file = await asyncio.to_thread(self.scene.open, "rb")
        except OSError:
            await _say(send, 404, "The scene's file is gone.", head)
            return
        with file:
            size = os.fstat(file.fileno()).st_size
            wanted = None if "if-range" in headers else byte_range(headers.get("range", ""), size)
            more = {"content-type": "model/gltf-binary", "accept-ranges": "bytes"}
            if wanted is not None and len(wanted) == 0:
                await _say(send, 416, "The file is not that long.", head, {"content-range": f"bytes */{size}"})
                return
            status, part = (200, range(size)) if wanted is None else (206, wanted)
            if wanted is not None:
                more["content-range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
            await _start(send, status, len(part), more)
            file.seek(part.start)
            left = 0 if head else len(part)
            while left:
                piece = await asyncio.to_thread(file.read, min(left, PIECE_BYTES))
                if not piece:
                    break  # It has shrunk meanwhile; the server closes the connection, and the player says so.
                left -= len(piece)
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})


def byte_range(header: str, size: int) -> range | None:
    """The bytes that a Range header asks for (RFC 9110, 14.1).

    Args:
        header: Its value; may be empty.
        size: Bytes there are.

    Returns:
        None if the whole is to be sent (no range, several, or one that makes no sense), an empty range if
        it cannot be met.

    Example:
        >>> byte_range("bytes=2-", 10)
        range(2, 10)
    """
    match = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", header.strip())
    if not match or match.group(1) + match.group(2) == "":
        return None
    first, last = match.groups()
    if not first:
        return range(max(0, size - int(last)), size)
    if last and int(last) < int(first):
        return None
    stop = min(size, int(last) + 1) if last else size
    return range(int(first), max(int(first), stop))


async def _say(send: Send, status: int, text: str, head: bool, more: Mapping[str, str] = {}) -> None:
    await _answer(send, status, f"{text}\n".encode(), head, {"content-type": "text/plain; charset=utf-8", **more})


async def _answer(send: Send, status: int, body: bytes, head: bool, more: Mapping[str, str]) -> None:
    await _start(send, status, len(body), more)
    await send({"type": "http.response.body", "body": b"" if head else body})


async def _start(send: Send, status: int, length: int, more: Mapping[str, str]) -> None:
    fields = {**_HEADERS, **more, "content-length": str(length)}
    headers = [(name.encode(), value.encode("latin-1")) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    if host.lower() == "localhost":
        return True
    return _is_address(host) and ipaddress.ip_address(host.strip("[]")).is_loopback


def serve(scene: Path, *, host: str, port: int, ready: Callable[[str], None], studio: Studio | None = None) -> None:
    """Serve a scene until Ctrl-C.

    Args:
        scene: A GLB that `Scene.save` wrote.
        host: Address or name to listen at.
        port: 0 takes any that is free.
        ready: Called with the address to open, once it can be opened.
        studio: Draws the pictures, if the player is not to draw them itself.

    Raises:
        OutputError: If the port cannot be had.
    """
    import uvicorn

    try:
        listener = _listen(host, port)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"Cannot serve at {host}, port {port}: {reason}. Choose another --port or --host.") from error
    with listener:
        port = listener.getsockname()[1]
        name = f"[{host}]" if ":" in host else host
        wildcard = _is_address(host) and ipaddress.ip_address(host).is_unspecified
        hosts = {name.lower(), "localhost", "127.0.0.1", "[::1]"} | (
            {socket.gethostname().lower()} if wildcard else set()
        )
        gate = Gate(secrets.token_urlsafe(16), port, frozenset(hosts), any_address=wildcard)
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        config = uvicorn.Config(
            Application(scene, gate, studio),
            log_config=None,
            access_log=False,
            interface="asgi3",
            lifespan="off",
            ws="none",
            http="h11",
            server_header=False,
            limit_concurrency=64,
            timeout_graceful_shutdown=1,
        )
        ready(f"http://{'localhost' if wildcard else name}:{port}/{gate.token}/")
        with contextlib.suppress(KeyboardInterrupt):  # uvicorn ends politely and then raises it again.
            uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, proto)
    try:
        if sys.platform != "win32":  # There it would let others take the port as well.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def check_scene(scene: Path) -> None:
    """Refuse a file that the player could not show, before a browser opens.

    Raises:
        FormatError: If it is broken or is no scene of ours.
    """
    glb.check(scene)


def check_host(host: str, port: int, *, allow_network: bool) -> None:
    """Refuse to serve to others by accident.

    Raises:
        InputError: If others could reach ``host`` and that was not allowed, or ``port`` is no port.
    """
    if not 0 <= port <= 65535:
        raise InputError(f"--port is {port}; it must be 0 (any that is free) to 65535.")
    if not is_loopback(host) and not allow_network:
        raise InputError(
            f"--host {host} would let other machines see the scene. If that is meant, say --allow-network;"
            " whoever has the address that is printed can then look at it."
        )


def open_browser(address: str) -> bool:
    """Open the address in a browser with windows, if there is one; never one that takes the terminal."""
    import webbrowser

    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    return webbrowser.open(address)
