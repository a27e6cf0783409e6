"""`fourd view`: a scene in the browser."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from fourd.commands.common import SceneArg, check_device, opened
from fourd.errors import InputError
from fourd.view import terminal


def view(
    scene: SceneArg,
    /,
    host: Annotated[str, arg(metavar="ADDRESS")] = "127.0.0.1",
    port: Annotated[int, arg(metavar="NUMBER")] = 0,
    allow_network: Annotated[bool, arg(help_behavior_hint="")] = False,
    browser: Annotated[bool, arg(help_behavior_hint="")] = True,
    remote: Annotated[bool, arg(help_behavior_hint="")] = False,
    device: Literal["cpu", "cuda"] = "cpu",
) -> None:
    """Look at a scene in a browser, until Ctrl-C.

    Args:
        scene: A scene that `fourd lift` made, another program's GLB, or a .4dgs, .splatv, .ply, .spz or .splat.
        host: Where to listen; other machines reach 127.0.0.1 only through a tunnel.
        port: Where to listen; 0 takes any that is free.
        allow_network: Let --host be an address that other machines reach.
        browser: Open no browser; the address is printed in any case.
        remote: Draw the pictures here and send them, for a scene that is too large for the machine that looks.
        device: Where --remote draws them.
    """
    from fourd.view import server

    server.check_host(host, port, allow_network=allow_network)
    if device != "cpu" and not remote:
        raise InputError("--device says where --remote draws; without it the browser draws.")
    check_device(device)

    def ready(address: str) -> None:
        print(address, flush=True)
        shown = browser and server.open_browser(address)
        terminal.say(terminal.console(), f"{'' if shown else 'Open this address in a browser. '}Ctrl-C ends it.")

    if remote:
        from fourd.view.remote import studio

        with studio(opened(scene, device)) as drawn:
            server.serve(drawn.file, host=host, port=port, ready=ready, studio=drawn)
        return
    with playable(scene) as file:
        server.check_scene(file)
        server.serve(file, host=host, port=port, ready=ready)


@contextlib.contextmanager
def playable(scene: Path) -> Iterator[Path]:
    """The file that the player reads: the scene's own, or one made of it that goes when nobody looks any more."""
    from fourd.formats import glb

    if scene.suffix.lower() == ".glb" and glb.is_ours(scene):
        yield scene
        return
    with tempfile.TemporaryDirectory(prefix="fourd-") as folder:
        made = Path(folder) / "scene.glb"
        opened(scene).save(made)
        yield made
