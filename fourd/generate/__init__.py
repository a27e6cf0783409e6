"""Clips made from nothing, with their exact truth: a stage of textured props, filmed by a small ray tracer.

A ready-made ``scene`` or a ``Stage`` of your own is filmed by ``shoot``, from its own cameras or from elsewhere::

    made = scene("room", seed=0)
    take = shoot(made.stage, made.cameras)  # take.clip; take.depth and take.motion are exact.
    right = shoot(made.stage, held_out(made.cameras, made.focus_m, degrees=20))

Shapes are in ``meshes`` and ``things``, what is painted on them in ``textures``, how they move in
``motions``, cameras in ``rigs``, what is heard in ``sound``.
"""

from fourd.generate.props import Lamp, Prop, Sky, Stage, Sun
from fourd.generate.rigs import held_out
from fourd.generate.scenes import SCENES, Scene, scene
from fourd.generate.stage import Take, shoot, shooting

__all__ = ["SCENES", "Lamp", "Prop", "Scene", "Sky", "Stage", "Sun", "Take", "held_out", "scene", "shoot", "shooting"]
