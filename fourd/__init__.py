"""fourd: one ordinary video becomes a 4D scene that anyone can fly through.

>>> import fourd
>>> clip = fourd.Clip.open("walk.mp4")                         # doctest: +SKIP
>>> scene = fourd.lift(clip, fourd.Config(quality="standard"))  # doctest: +SKIP
>>> scene.save("walk.glb")                                     # doctest: +SKIP
"""

from fourd.errors import FourdError
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
    "steps",
]
