"""`fourd info`: what is in a scene."""

from __future__ import annotations

import json as json_
from typing import Annotated

from tyro.conf import arg

from fourd.commands.common import SceneArg, megabytes, opened, size_bytes
from fourd.view import terminal


def info(scene: SceneArg, /, json: Annotated[bool, arg(help_behavior_hint="")] = False) -> None:
    """Say what is in a scene.

    Args:
        scene: A scene that `fourd lift` made.
        json: Print JSON, for programs.
    """
    from fourd.view import facts

    known = {"file": str(scene), "bytes": size_bytes(scene)} | facts.facts(opened(scene))
    if json:
        print(json_.dumps(known, indent=2))
        return
    terminal.table([("file", f"{scene}, {megabytes(scene)}"), *facts.rows(known)])
