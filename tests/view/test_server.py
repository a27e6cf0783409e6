"""The web server: who gets what, and who gets nothing."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from fourd import cli
from fourd.errors import InputError, OutputError
from fourd.view import server
from tests.cli.said import paragraph
from tests.scenes import small_scene

TOKEN, PORT = "s3cret-token", 4321
OWN = {"host": f"127.0.0.1:{PORT}"}


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    path = tmp_path / "ball.glb"
    small_scene().save(path)
    return path


def ask(
    scene: Path,
    path: str,
    headers: dict[str, str] = OWN,
    *,
    method: str = "GET",
    any_address: bool = False,
    hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "[::1]"),
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of one answer."""
    gate = server.Gate(TOKEN, PORT, frozenset(hosts), any_address=any_address)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": raw}
    asyncio.run(server.Application(scene, gate)(scope, receive, send))
    fields = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], fields, b"".join(message["body"] for message in sent[1:])


@pytest.mark.parametrize("name", ["", "index.html", "main.js", "worker.js", "style.css"])
def test_the_player_is_served_with_all_guards_up(scene: Path, name: str) -> None:
    status, headers, body = ask(scene, f"/{TOKEN}/{name}")
    assert status == 200 and int(headers["content-length"]) == len(body) > 100
    assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    kinds = {"": "text/html", "html": "text/html", "js": "text/javascript", "css": "text/css"}
    assert headers["content-type"].startswith(kinds[name.rpartition(".")[2]])


def test_the_scene_is_served_whole_and_in_parts(scene: Path) -> None:
    whole = scene.read_bytes()
    status, headers, body = ask(scene, f"/{TOKEN}/scene.glb")
    assert (status, body, headers["accept-ranges"]) == (200, whole, "bytes")
    n = len(whole)
    for asked, part in {
        "bytes=0-3": range(4),
        "bytes=5-": range(5, n),
        "bytes=-7": range(n - 7, n),
        f"bytes={n - 1}-{n + 50}": range(n - 1, n),
        f"bytes=-{2 * n}": range(n),
    }.items():
        status, headers, body = ask(scene, f"/{TOKEN}/scene.glb", OWN | {"range": asked})
        assert (status, body) == (206, whole[part.start : part.stop]), asked
        assert headers["content-range"] == f"bytes {part.start}-{part.stop - 1}/{n}"
    for asked in (f"bytes={n}-", "bytes=-0"):
        status, headers, _ = ask(scene, f"/{TOKEN}/scene.glb", OWN | {"range": asked})
        assert (status, headers["content-range"]) == (416, f"bytes */{n}"), asked
    for asked in (
        "bytes=",
        "bytes=-",
        "bytes=4-2",
        "bytes=0-1,4-5",
        "lines=0-1",
        "bytes=a-b",
        "bytes=" + "9" * 400 + "-",
    ):
        assert ask(scene, f"/{TOKEN}/scene.glb", OWN | {"range": asked})[::2] == (200, whole), asked
    assert ask(scene, f"/{TOKEN}/scene.glb", OWN | {"range": "bytes=0-3", "if-range": '"x"'})[0] == 200
    status, headers, body = ask(scene, f"/{TOKEN}/scene.glb", method="HEAD")
    assert (status, body, int(headers["content-length"])) == (200, b"", n)


STRANGE_HOSTS = [
    *("", "127.0.0.1", "localhost", "evil.example", f"evil.example:{PORT}", "127.0.0.1:1", f"127.0.0.2:{PORT}"),
    *(f"localhost.evil.example:{PORT}", f"127.0.0.1.evil.example:{PORT}", f"[::2]:{PORT}", f"localhost@evil:{PORT}"),
    *(f"2130706433:{PORT}", f"0x7f.1:{PORT}", f"localhost:{PORT}0", f" localhost:{PORT}", f"localhost:{PORT}:{PORT}"),
]
STRANGE_ORIGINS = [
    *(
        "null",
        "",
        "http://evil.example",
        f"http://evil.example:{PORT}",
        "http://127.0.0.1",
        f"https://127.0.0.1:{PORT}",
    ),
    *("http://127.0.0.1:1", f"http://localhost:{PORT}", f"http://127.0.0.1:{PORT}.evil.example", "file://"),
    *(f"http://127.0.0.1:{PORT}/", f"http://evil@127.0.0.1:{PORT}", "*"),
]
STRANGE_TOKENS = [
    *("/", "", "//", "/index.html", "/scene.glb", f"/{TOKEN[:-1]}/", f"/{TOKEN}x/", f"/{TOKEN.upper()}/"),
    *(f"//{TOKEN}/", f"/./{TOKEN}/", "/é/", f"/x/{TOKEN}/"),
]


def test_there_are_forty_cases() -> None:
    assert len({*STRANGE_HOSTS}) + len({*STRANGE_ORIGINS}) + len({*STRANGE_TOKENS}) >= 40


@pytest.mark.parametrize("host", STRANGE_HOSTS)
def test_other_names_get_nothing(scene: Path, host: str) -> None:
    status, _, body = ask(scene, f"/{TOKEN}/", {"host": host})
    assert (status, body) == (403, b"This server does not go by that name.\n")


@pytest.mark.parametrize("origin", STRANGE_ORIGINS)
def test_other_sites_get_nothing(scene: Path, origin: str) -> None:
    status, _, body = ask(scene, f"/{TOKEN}/scene.glb", OWN | {"origin": origin})
    assert (status, body) == (403, b"Pages of other sites get nothing here.\n")


@pytest.mark.parametrize("path", STRANGE_TOKENS)
def test_nothing_without_the_token(scene: Path, path: str) -> None:
    status, _, body = ask(scene, path)
    assert status == 403 and body.startswith(b"This address lacks the token")


def test_what_a_browser_says_of_its_sites_is_believed(scene: Path) -> None:
    for site, mode, dest, status in [
        ("cross-site", "cors", "empty", 403),
        ("cross-site", "no-cors", "script", 403),
        ("cross-site", "navigate", "iframe", 403),
        ("same-site", "no-cors", "image", 403),
        ("cross-site", "navigate", "document", 200),  # A link that somebody follows.
        ("none", "navigate", "document", 200),
        ("same-origin", "cors", "empty", 200),
    ]:
        more = {"sec-fetch-site": site, "sec-fetch-mode": mode, "sec-fetch-dest": dest}
        assert ask(scene, f"/{TOKEN}/", OWN | more)[0] == status, more


def test_the_own_origin_and_all_loopback_names_are_welcome(scene: Path) -> None:
    for host in (f"127.0.0.1:{PORT}", f"localhost:{PORT}", f"LOCALHOST:{PORT}", f"[::1]:{PORT}"):
        assert ask(scene, f"/{TOKEN}/", {"host": host, "origin": f"http://{host}"})[0] == 200
    for host in (f"192.168.1.5:{PORT}", f"[fe80::1]:{PORT}"):
        assert ask(scene, f"/{TOKEN}/", {"host": host})[0] == 403
        assert ask(scene, f"/{TOKEN}/", {"host": host}, any_address=True)[0] == 200
    assert ask(scene, f"/{TOKEN}/", {"host": f"evil.example:{PORT}"}, any_address=True)[0] == 403


@pytest.mark.parametrize(
    "name",
    ["../server.py", "..%2fserver.py", "/etc/passwd", "%2e%2e/x", "main.js/", "main.js\0", "..\\server.py", "nothing"],
)
def test_no_path_leads_elsewhere(scene: Path, name: str) -> None:
    assert ask(scene, f"/{TOKEN}/{name}")[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_only_reading_is_allowed(scene: Path, method: str) -> None:
    status, headers, _ = ask(scene, f"/{TOKEN}/", method=method)
    assert (status, headers["allow"]) == (405, "GET, HEAD")


def test_a_scene_that_went_away(scene: Path) -> None:
    scene.unlink()
    assert ask(scene, f"/{TOKEN}/scene.glb")[::2] == (404, b"The scene's file is gone.\n")


def test_serving_others_must_be_meant(scene: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for host in ("0.0.0.0", "192.168.1.5", "example.org", "::"):
        assert cli.main(["view", str(scene), "--host", host]) == 1
        said = capsys.readouterr()
        assert said.out == "" and "say --allow-network" in paragraph(said.err)
    for host in ("127.0.0.1", "127.9.9.9", "localhost", "::1"):
        server.check_host(host, 0, allow_network=False)
    server.check_host("0.0.0.0", 8000, allow_network=True)
    with pytest.raises(InputError, match=r"--port is 70000; it must be 0 \(any that is free\) to 65535"):
        server.check_host("127.0.0.1", 70000, allow_network=False)


def test_a_broken_scene_opens_no_browser(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "s.glb").write_bytes(b"glTF")
    assert cli.main(["view", str(tmp_path / "s.glb")]) == 1
    said = capsys.readouterr()
    assert said.out == "" and "s.glb is cut short" in paragraph(said.err)


def test_a_port_that_is_taken(scene: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(OutputError, match=f"Cannot serve at 127.0.0.1, port {port}: .* Choose another --port"):
            server.serve(scene, host="127.0.0.1", port=port, ready=print)


@pytest.mark.needs("native")
def test_the_command_draws_pictures_for_others(scene: Path) -> None:
    words = [sys.executable, "-W", "error", "-m", "fourd.cli", "view", str(scene), "--no-browser", "--remote"]
    lens = {"fx": 40, "fy": 40, "cx": 24, "cy": 18, "skew": 0, "h": 36, "w": 48}
    query = urllib.parse.quote(json.dumps({"p": [0, 0, 0], "q": [1, 0, 0, 0], "lens": lens, "time_s": 0.3}))
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        try:
            address = process.stdout.readline().strip()
            with urllib.request.urlopen(f"{address}frame?{query}", timeout=20) as answer:
                assert answer.headers["content-type"] == "image/jpeg" and answer.read().startswith(b"\xff\xd8")
            with urllib.request.urlopen(address + "scene.glb", timeout=20) as answer:
                assert len(answer.read()) < scene.stat().st_size / 3  # All but the splats.
        finally:
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "Open this address in a browser. Ctrl-C ends it.\n")


def test_a_device_is_for_drawing_here(scene: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["view", str(scene), "--device", "cuda"]) == 1
    assert paragraph(capsys.readouterr().err) == "--device says where --remote draws; without it the browser draws."


def test_the_command_serves_until_it_is_interrupted(scene: Path) -> None:
    words = [sys.executable, "-W", "error", "-m", "fourd.cli", "view", str(scene), "--no-browser"]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        try:
            address = process.stdout.readline().strip()
            with urllib.request.urlopen(address + "scene.glb", timeout=20) as answer:
                assert answer.read() == scene.read_bytes()
            foreign = urllib.request.Request(address, headers={"Origin": "http://evil.example"})
            with pytest.raises(urllib.error.HTTPError, match="403") as refused:
                urllib.request.urlopen(foreign, timeout=20)
            refused.value.close()
        finally:
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, "")
    assert err == "Open this address in a browser. Ctrl-C ends it.\n"
