"""`fourd view`: a scene in the browser."""

from __future__ import annotations

from typing import Annotated

from tyro.conf import arg

from fourd.commands.common import SceneArg
from fourd.view import terminal


def view(
    scene: SceneArg,
    /,
    host: Annotated[str, arg(metavar="ADDRESS")] = "127.0.0.1",
    port: Annotated[int, arg(metavar="NUMBER")] = 0,
    allow_network: Annotated[bool, arg(help_behavior_hint="")] = False,
    browser: bool = True,
) -> None:
    """Look at a scene in a browser, until Ctrl-C.

    Args:
        scene: A scene that `fourd lift` made.
        host: Where to listen; other machines reach 127.0.0.1 only through a tunnel.
        port: Where to listen; 0 takes any that is free.
        allow_network: Let --host be an address that other machines reach.
        browser: Open a browser; its address is printed in any case.
    """
    from fourd.view import server

    server.check_host(host, port, allow_network=allow_network)
    server.check_scene(scene)

    def ready(address: str) -> None:
        print(address, flush=True)
        shown = browser and server.open_browser(address)
        terminal.say(terminal.console(), f"{'' if shown else 'Open this address in a browser. '}Ctrl-C ends it.")

    server.serve(scene, host=host, port=port, ready=ready)
