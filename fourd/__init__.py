"""fourd: one ordinary video becomes a 4D scene that anyone can fly through.

>>> import fourd
>>> clip = fourd.Clip.open("walk.mp4")                         # doctest: +SKIP
>>> scene = fourd.lift(clip, fourd.Config(quality="standard"))  # doctest: +SKIP
>>> scene.save("walk.glb")                                     # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fourd.errors import FourdError

if TYPE_CHECKING:
    from fourd.media.cutting import shots
    from fourd.pipeline import Config, lift, steps
    from fourd.scene import Scene
    from fourd.types import Cameras, Clip, DepthMaps, Motion, Sound, Splats

__version__ = "0.1.0"

__all__ = [
    "Cameras",
    "Clip",
    "Config",
    "DepthMaps",
    "FourdError",
    "Motion",
    "Scene",
    "Sound",
    "Splats",
    "__version__",
    "lift",
    "shots",
    "steps",
]

# A name is fetched when it is first used (PEP 562), so that `fourd --help` need not wait for torch.
_HOMES = {
    **dict.fromkeys(("Cameras", "Clip", "DepthMaps", "Motion", "Sound", "Splats"), "fourd.types"),
    **dict.fromkeys(("Config", "lift", "steps"), "fourd.pipeline"),
    "Scene": "fourd.scene",
    "shots": "fourd.media.cutting",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'fourd' has no attribute '{name}'")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
