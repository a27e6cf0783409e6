"""Nouns refuse what makes no sense, once, with words that name the field."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from fourd.errors import InputError
from fourd.types import SH_C0, Cameras, Clip, DepthMaps, Motion, Sound, Splats

EYE = torch.eye(4)[None]
K = torch.tensor([[[50.0, 0, 32], [0, 50, 24], [0, 0, 1]]])
T0 = torch.zeros(1, dtype=torch.float64)


def splats(n: int = 3, **changes: torch.Tensor) -> Splats:
    fields = dict(
        mean_m=torch.zeros(n, 3),
        quat_wxyz=torch.tensor([1.0, 0, 0, 0]).repeat(n, 1),
        scale_m=torch.ones(n, 3),
        opacity=torch.ones(n),
        colour=torch.zeros(n, 1, 3),
        velocity_mps=torch.zeros(n, 3),
        time_s=torch.zeros(n),
        duration_s=torch.full((n,), math.inf),
        source=torch.zeros(n, dtype=torch.uint8),
    )
    return Splats(**(fields | changes))


def test_clip_times_must_increase() -> None:
    frames = torch.zeros(2, 4, 4, 3, dtype=torch.uint8)
    with pytest.raises(InputError, match=r"Clip\.time_s must increase strictly"):
        Clip(frames, torch.tensor([1.0, 1.0], dtype=torch.float64))
    with pytest.raises(InputError, match=r"different lengths: frames 2, time_s 3"):
        Clip(frames, torch.arange(3, dtype=torch.float64))
    with pytest.raises(InputError, match=r"Clip 'clip' is empty"):
        Clip(frames[:0], torch.zeros(0, dtype=torch.float64))
    with pytest.raises(InputError, match=r"Clip\.frames has dtype torch\.float32; it must be torch\.uint8"):
        Clip(frames.float(), torch.arange(2, dtype=torch.float64))


def test_clip_takes_arrays_and_lists_as_people_have_them() -> None:
    frames = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
    time_s = [0.1, 0.3]
    backwards = Clip(frames[..., ::-1], time_s)  # As from a library whose channels are BGR.
    assert torch.equal(backwards.frames, torch.from_numpy(frames).flip(-1))
    assert backwards.time_s.tolist() == time_s, "lists of numbers keep all of their digits"
    frames.flags.writeable = False
    for given in (frames, list(frames), [torch.tensor(f) for f in frames], frames.tolist()):
        if isinstance(given, list) and isinstance(given[0], list):
            with pytest.raises(InputError, match=r"dtype torch\.int64; it must be torch\.uint8"):
                Clip(given, time_s)
        else:
            assert torch.equal(Clip(given, time_s).frames, backwards.frames.flip(-1))
    for wrong in (None, "walk.mp4", [frames[0], frames[1, :2]]):
        with pytest.raises(InputError, match=r"Clip\.frames must be an array \[t h w 3\], not (NoneType|str|list)"):
            Clip(wrong, time_s)


def test_sound_of_a_clip_is_a_sound() -> None:
    with pytest.raises(InputError, match=r"Clip\.sound is a ndarray; it must be a Sound\(samples, rate_hz\), or None"):
        Clip(torch.zeros(1, 2, 2, 3, dtype=torch.uint8), T0, sound=np.zeros((3, 1)))  # type: ignore[arg-type]


def test_nouns_say_shapes_and_not_numbers() -> None:
    clip = Clip(torch.zeros(2, 4, 6, 3, dtype=torch.uint8), torch.arange(2, dtype=torch.float64), name="walk")
    assert repr(clip) == "Clip(frames=uint8[2, 4, 6, 3], time_s=float64[2], sound=None, name='walk', warnings=())"
    assert "mean_m=float32[3, 3]" in repr(splats()) and len(repr(splats())) < 400


def test_clip_knows_its_duration() -> None:
    clip = Clip(torch.zeros(3, 4, 6, 3, dtype=torch.uint8), torch.tensor([0, 0.1, 0.2], dtype=torch.float64))
    assert (clip.hw, len(clip)) == ((4, 6), 3)
    assert clip.duration_s == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(K=K * torch.tensor([-1.0, 1, 1])), "focal length of -50 px"),
        (dict(world_from_cam=EYE * 2), "not rigid"),
        (dict(world_from_cam=torch.diag(torch.tensor([-1.0, 1, 1, 1]))[None]), "not rigid"),
        (dict(world_from_cam=EYE[:, :3]), r"shape \(1, 3, 4\); it must be \[t, 4, 4\]"),
        (dict(hw=(0, 3)), r"Cameras\.hw is \(0, 3\)"),
        (dict(K=K * math.nan), "NaN or infinity"),
        (dict(time_s=T0[:0]), "different lengths"),
    ],
)
def test_cameras_refuse(change: dict, words: str) -> None:
    good = dict(K=K, world_from_cam=EYE, hw=(48, 64), time_s=T0)
    Cameras(**good)
    with pytest.raises(InputError, match=words):
        Cameras(**(good | change))


def test_cameras_invert_scale_and_resize() -> None:
    pose = EYE.clone()
    pose[0, :3, 3] = torch.tensor([1.0, 2, 3])
    cameras = Cameras(K, pose, (48, 64), T0)
    torch.testing.assert_close(cameras.cam_from_world @ cameras.world_from_cam, EYE)
    torch.testing.assert_close(cameras.scaled(2.0).centre_m, 2 * cameras.centre_m)
    half = cameras.resized((24, 32))
    torch.testing.assert_close(half.K[0, :2], cameras.K[0, :2] / 2)
    assert half.hw == (24, 32)


def test_depth_is_zero_where_unknown_and_may_be_infinite_where_sky() -> None:
    depth = torch.tensor([[[1.0, math.nan, math.inf, -3.0]]])
    maps = DepthMaps(depth, torch.tensor([[[1.0, 0, 1, 0]]]), K)
    assert maps.depth_m.tolist() == [[[1.0, 0.0, math.inf, 0.0]]]
    with pytest.raises(InputError, match="NaN in 2 pixels whose confidence"):
        DepthMaps(depth, torch.ones(1, 1, 4), K)
    with pytest.raises(InputError, match="between 0 and 1"):
        DepthMaps(depth.abs().nan_to_num(1), torch.full((1, 1, 4), 1.5), K)
    with pytest.raises(InputError, match=r"unit_m is -1.0; it must be a number of metres above 0, or None"):
        DepthMaps(depth.abs().nan_to_num(1), torch.ones(1, 1, 4), K, unit_m=-1.0)
    with pytest.raises(InputError, match=r"moving \(1, 4, 1\); they must be of one size"):
        DepthMaps(depth.abs().nan_to_num(1), torch.ones(1, 1, 4), K, moving=torch.zeros(1, 4, 1, dtype=torch.bool))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(scale_m=torch.zeros(3, 3)), "scale_m must be positive"),
        (dict(opacity=torch.full((3,), 1.5)), "opacity must lie between 0 and 1"),
        (dict(duration_s=torch.zeros(3)), "duration_s must be positive"),
        (dict(quat_wxyz=torch.ones(3, 4)), "quat_wxyz must be of unit length"),
        (dict(mean_m=torch.full((3, 3), math.nan)), r"Splats\.mean_m holds NaN"),
        (dict(colour=torch.zeros(3, 2, 3)), "2 coefficients; it must be 1, 4, 9 or 16"),
        (dict(time_s=torch.zeros(2)), "different lengths"),
    ],
)
def test_splats_refuse(change: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        splats(**change)


def test_splats_pick_lay_together_and_show_their_colour() -> None:
    s = splats(4, colour=torch.full((4, 1, 3), 0.5 / SH_C0), mean_m=torch.arange(12.0).reshape(4, 3))
    torch.testing.assert_close(s.rgb, torch.ones(4, 3))
    both = Splats.concat([s[:1], s[torch.tensor([False, True, True, True])]])
    assert torch.equal(both.mean_m, s.mean_m)
    with pytest.raises(InputError, match="at least one"):
        Splats.concat([])


def test_motion_maps_are_of_one_size() -> None:
    flow, seen = torch.zeros(2, 4, 6, 2).half(), torch.zeros(2, 4, 6, dtype=torch.bool)
    moving = torch.zeros(2, 4, 6).half()
    assert Motion(flow, flow, seen, seen, moving).hw == (4, 6)
    with pytest.raises(InputError, match="maps of different sizes"):
        Motion(flow, flow, seen, seen, moving[:, :3])


def test_sound_has_a_rate_and_a_length() -> None:
    assert Sound(torch.zeros(4800, 2), 48000).duration_s == pytest.approx(0.1)
    with pytest.raises(InputError, match="rate_hz is 0"):
        Sound(torch.zeros(10, 1), 0)
