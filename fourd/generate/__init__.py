"""Clips made from nothing, with their exact truth: a stage of textured props, filmed by a small ray tracer.

stage = Stage([Prop("floor", meshes.sheet((4, 4)), textures.grass(..., rng)), ...])
take = shoot(stage, cameras)          # take.clip, take.depth, take.motion: exact
other = shoot(stage, held_out(cameras, focus_m, 20))
"""

from fourd.generate.props import Lamp, Prop, Sky, Stage, Sun
from fourd.generate.rigs import held_out
from fourd.generate.scenes import SCENES, Scene, scene
from fourd.generate.stage import Take, shoot, shooting

__all__ = ["SCENES", "Lamp", "Prop", "Scene", "Sky", "Stage", "Sun", "Take", "held_out", "scene", "shoot", "shooting"]
