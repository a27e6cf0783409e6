"""Pictures of the stage: light and shadow where they must fall, textures that stick, hostile input."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch

from fourd.errors import InputError
from fourd.events import Progress
from fourd.generate import Lamp, Prop, Sky, Stage, Sun, meshes, motions, rigs, scene, shoot, shooting, textures
from fourd.generate.tracing import Geometry
from fourd.geometry.pinhole import pixel_grid
from tests.generate.conftest import HW, cameras, wall

WHITE = np.full((16, 16, 3), 230, np.uint8)
DOWN = rigs.looking(  # From above; the picture's up is the world's -z.
    torch.tensor([[0, 6, 0.001]]).double(), torch.zeros(1, 3).double(), rigs.times(1, 1), HW, 60.0
)


def floor() -> Prop:
    return Prop("floor", meshes.sheet((20, 20)), WHITE)


def at(take_frames: torch.Tensor, x: float, z: float) -> float:
    """Brightness of the floor at a place in the world, in a picture by DOWN."""
    focal = float(DOWN.K[0, 0, 0])
    column, row = HW[1] / 2 + focal * x / 6, HW[0] / 2 + focal * z / 6
    return float(take_frames[0, int(row), int(column)].float().mean())


def test_the_same_seed_is_the_same_bit_for_bit_and_another_is_not() -> None:
    made = [scene("room", seed=seed, hw=(36, 64), frames=3) for seed in (3, 3, 4)]
    one, same, other = (shoot(m.stage, m.cameras) for m in made)
    assert torch.equal(one.clip.frames, same.clip.frames)
    assert torch.equal(one.depth.depth_m, same.depth.depth_m)
    for name in ("flow_forward", "flow_backward", "visible_forward", "visible_backward", "moving"):
        assert torch.equal(getattr(one.motion, name), getattr(same.motion, name))
    assert float((one.clip.frames.float() - other.clip.frames.float()).abs().mean()) > 3


def test_a_shadow_falls_away_from_the_sun() -> None:
    block = Prop("block", meshes.box((0.8, 0.2, 0.8)).moved((0, 1.4, 0)), WHITE)
    sky = Sky(reach_m=0.01)
    sun = Sun(towards=(1, 1, 0), radius_deg=0.2)
    open_ = shoot(Stage([floor()], sun=sun, sky=sky), DOWN).clip.frames
    shaded = shoot(Stage([floor(), block], sun=sun, sky=sky), DOWN).clip.frames
    # The sun stands at 45 degrees in the east: the block's shadow lies 1.5 m to the west of it.
    assert at(shaded, -1.5, 0) < 0.75 * at(open_, -1.5, 0)
    for x, z in ((1.5, 0), (-1.5, 1.2), (-2.8, 0), (0, 1.5)):
        assert at(shaded, x, z) == at(open_, x, z)
    dark = shoot(Stage([floor()], sun=None, sky=sky), DOWN).clip.frames
    assert at(shaded, -1.5, 0) == pytest.approx(at(dark, -1.5, 0), abs=2)


def test_a_wider_sun_makes_softer_shadows() -> None:
    def slope(radius_deg: float) -> float:
        block = Prop("block", meshes.box((3, 0.2, 3)).moved((-1.5, 2, 0)), WHITE)
        overhead = Sun(towards=(0, 1, 0), radius_deg=radius_deg)
        side = rigs.fixed((0, 1.2, 4), (0, 0, 0), rigs.times(1, 1), (48, 64), 40.0)
        frames = shoot(Stage([floor(), block], sun=overhead, sky=Sky(reach_m=0.01)), side, rays=8).clip.frames
        row = frames[0, 30].float().mean(-1)
        return float(row.diff().abs().max())

    assert slope(0.1) > 2 * slope(12.0)


def test_a_lamp_lights_what_it_faces_and_is_blocked() -> None:
    lamp = Lamp((0, 2, 0), (0.2, 0, 0), (0, 0, 0.2), rgb=(3, 3, 3))  # u x v points down.
    night = Sky(light=(0, 0, 0), bounce=(0, 0, 0))
    lit = shoot(Stage([floor()], sun=None, sky=night, lamp=lamp), DOWN).clip.frames
    up = Lamp((0, 2, 0), (0, 0, 0.2), (0.2, 0, 0), rgb=(3, 3, 3))
    assert int(shoot(Stage([floor()], sun=None, sky=night, lamp=up), DOWN).clip.frames.max()) == 0
    assert at(lit, 0, 0) > at(lit, 2, 0) > at(lit, 3, 1.5) > 0
    plate = Prop("plate", meshes.box((0.5, 0.05, 0.5)).moved((0.8, 1.0, 0)), WHITE)
    shaded = shoot(Stage([floor(), plate], sun=None, sky=night, lamp=lamp), DOWN).clip.frames
    assert at(shaded, 1.6, 0) < 0.1 * at(lit, 1.6, 0)  # In line with the lamp and the plate.
    assert at(shaded, -1.6, 0) == at(lit, -1.6, 0)


def test_corners_are_darker_than_open_ground() -> None:
    block = Prop("block", meshes.box((1, 1, 1)), WHITE)
    sky = Sky(reach_m=1.0)
    frames = shoot(Stage([floor(), block], sun=None, sky=sky), DOWN, rays=8).clip.frames
    assert at(frames, 0.75, 0) < 0.96 * at(frames, 3, 0)


@pytest.mark.parametrize("kind", ["turns", "deforms"])
def test_a_texture_sticks_to_what_moves(kind: str, even: Callable[..., Stage]) -> None:
    picture = textures.clouded((0, 0, 0.3), (1, 1, 0.4), np.random.default_rng(1), 2.2)
    if kind == "turns":
        thing = Prop("ball", meshes.sphere(1.2, 64), picture, motions.spinning((0, 0, -3), (0.3, 1, 0), 0.5))
    else:
        sheet = meshes.surface(*_square(24))

        def bulge(rest: np.ndarray, t: float) -> np.ndarray:
            return rest * np.array([1 + t, 1 - t, 1], np.float32) + np.sin(8 * t + rest[:, :1]) * np.float32(
                [0, 0, 0.5]
            )

        thing = Prop("cloth", sheet, picture, motions.placed((0, 0, -3)), bulge)
    take = shoot(even(thing), cameras((0, 0, 0), (0, 0, 0), hw=(96, 128)), samples=9)
    where = (pixel_grid((96, 128)) + take.motion.flow_forward[0].float() - 0.5).numpy()
    now, then = (f.float() for f in take.clip.frames)
    followed = torch.from_numpy(cv2.remap(then.numpy(), where[..., 0], where[..., 1], cv2.INTER_LINEAR))
    inside = cv2.erode((take.prop[0] == 0).numpy().astype(np.uint8), np.ones((7, 7))) > 0
    seen = torch.from_numpy(inside) & take.motion.visible_forward[0]
    moved = (then - now)[seen].abs().mean()
    assert float(moved) > 6
    assert float((followed - now)[seen].abs().mean()) < 0.15 * float(moved)


def _square(n: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.meshgrid(np.linspace(-1, 1, n), np.linspace(-1, 1, n))
    return np.stack([x, y, 0 * x], -1), np.stack([x, y], -1) * 0.5


def test_edges_are_smooth_with_several_samples() -> None:
    night = Sky(zenith=(0, 0, 0), horizon=(0, 0, 0), clouds=0.0, light=(1, 1, 1), bounce=(1, 1, 1), reach_m=1e-4)
    plate = meshes.sheet((2, 2)).moved(rotation=motions.rotation((1, 0, 0), np.pi / 2)).moved((0, 0, -4))
    slanted = Prop("plate", plate, WHITE, motions.placed((0, 0, 0), motions.rotation((0, 0, 1), 0.3)))
    rough, fine = (
        shoot(Stage([slanted], sun=None, sky=night), cameras((0, 0, 0)), samples=n).clip.frames for n in (1, 16)
    )
    assert len(np.unique(rough[0, ..., 0].numpy())) == 2
    assert len(np.unique(fine[0, ..., 0].numpy())) > 8


def test_textures_far_away_become_even_and_not_noise(even: Callable[..., Stage]) -> None:
    checks = textures.checker((0, 0, 0), (1, 1, 1), np.random.default_rng(0), 16)
    far = Prop("far", meshes.sheet((900, 900)).moved(rotation=motions.rotation((1, 0, 0), np.pi / 2)), checks,
               motions.placed((0, 0, -300)))  # fmt: skip
    frames = shoot(even(far), cameras((0, 0, 0))).clip.frames.float()
    assert float(frames.std()) < 4


def test_events_count_the_frames_and_stopping_cancels() -> None:
    steps = shooting(Stage([wall(-4.0)]), cameras(*[(0, 0, 0)] * 3), samples=1, rays=1)
    assert [next(steps), next(steps)] == [Progress("generate", 1, 3), Progress("generate", 2, 3)]
    steps.close()


def test_one_frame_has_no_flow_and_an_empty_view_is_all_sky() -> None:
    behind = Prop("behind", meshes.sphere(1.0), WHITE, lambda t: motions.placed((0, 0, 9)))
    take = shoot(Stage([behind]), cameras((0, 0, 0)))
    assert bool(torch.isinf(take.depth.depth_m).all()) and bool((take.prop == -1).all())
    assert float(take.motion.flow_forward.abs().max()) == 0 and not take.motion.visible_forward.any()
    assert int(take.clip.frames.float().mean()) > 60  # A bright day.


def test_bad_input_is_refused_with_one_clear_error() -> None:
    with pytest.raises(InputError, match=r"samples is 0 and rays is 3; both must be at least 1\."):
        shoot(Stage([floor()]), cameras((0, 0, 0)), samples=0)
    with pytest.raises(InputError, match="Stage has no props"):
        Stage([])
    with pytest.raises(InputError, match="several props named floor"):
        Stage([floor(), floor()])
    with pytest.raises(InputError, match=r"gloss of 2; it must lie between 0 and 1\."):
        Prop("x", meshes.sphere(1.0), WHITE, gloss=2)
    with pytest.raises(InputError, match=r"Prop 'x' has no usable pose at 0 s: .* world_from_prop\."):
        Prop("x", meshes.sphere(1.0), WHITE, np.zeros((4, 4)))
    lost = Prop("lost", meshes.sphere(1.0), WHITE, lambda t: np.eye(4) * (np.nan if t > 0.05 else 1))
    with pytest.raises(InputError, match=r"Prop 'lost' has no usable pose at 0\.1 s"):
        shoot(Stage([lost]), cameras((0, 0, 0), (0, 0, 0)))
    torn = Prop("torn", meshes.sphere(1.0), WHITE, deform=lambda v, t: v[:3])
    with pytest.raises(InputError, match=r"Prop 'torn' deforms to vertices of shape \(3, 3\) at 0 s"):
        shoot(Stage([torn]), cameras((0, 0, 0)))
    odd = Prop("odd", meshes.sphere(1.0), np.zeros((20, 20, 3), np.uint8))
    with pytest.raises(
        InputError, match=r"Texture 0 is uint8 of shape \(20, 20, 3\); .* a power of two from 8 to 4096"
    ):
        shoot(Stage([odd]), cameras((0, 0, 0)))


def test_a_stage_that_was_filmed_is_forgotten_at_once(even: Callable[..., Stage]) -> None:
    gc.collect()
    gc.disable()
    try:
        mover = wall(-2.0, 1.0, name="mover", pose=motions.circling((0.0, 0.0, 0.0), 0.2, 2.0))
        geometry = Geometry(even(wall(-3.0), mover))
        geometry.at(0.0), geometry.at(0.5)
        assert geometry.at(0.0) is geometry.at(0.0)
        gone = weakref.ref(geometry)
        del geometry
        assert gone() is None, "something holds it that only a search for cycles would find"
    finally:
        gc.enable()
