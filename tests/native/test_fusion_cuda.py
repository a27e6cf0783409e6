"""Fusion's CUDA kernels against the CPU's, which their plain twins judge in test_fusion.py and test_evidence.py."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from fourd.errors import InputError
from fourd.geometry import pinhole, rigid
from fourd.native import evidence, fusion, fusion_cuda
from fourd.native.fusion import Planes
from tests.native.cuda_shim import Shim

OPS = torch.ops.fourd
DEFINED = fusion, evidence  # Importing them defines the operators.
HW = (24, 37)
M = 5


class World:
    """Frames that jitter around the origin, before a slope with a step in it; noise on it, holes, some sky."""

    def __init__(self, hw: tuple[int, int] = HW, seed: int = 0) -> None:
        g = torch.Generator().manual_seed(seed)
        h, w = hw
        self.K = pinhole.intrinsics(hw, 40.0).repeat(M, 1, 1)
        self.pose = torch.eye(4).repeat(M, 1, 1)
        self.pose[:, :3, :3] = rigid.matrix_from_rotvec(0.03 * torch.randn(M, 3, generator=g))
        self.pose[:, :3, 3] = 0.1 * torch.randn(M, 3, generator=g)
        y, x = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
        slope = 3 + 0.02 * x + 0.01 * y + (x > w / 2)
        self.depth_m = slope * (1 + 0.01 * torch.randn(M, h, w, generator=g))
        self.depth_m[:, : h // 8, : w // 5] = torch.inf
        self.confidence = torch.rand(M, h, w, generator=g) * (torch.rand(M, h, w, generator=g) > 0.1)
        self.still = (torch.rand(M, h, w, generator=g) < 0.9).to(torch.uint8)
        self.rgb = torch.randint(0, 256, (M, h, w, 3), generator=g, dtype=torch.uint8)

    def planes(self, op: Any, device: str = "cpu") -> Planes:
        """The frames as ``op`` keeps them."""
        like = self.depth_m.to(device)
        maps = [torch.empty_like(like, dtype=d) for d in (torch.float32, torch.uint8, torch.float32, torch.uint8)]
        kept = Planes(*maps, self.K.to(device), self.pose.to(device))
        for k in range(M):
            given = (like[k], self.confidence[k].to(device), self.still[k].to(device), kept.K[k])
            op(*given, kept.inverse[k], kept.sure[k], kept.pitch_m[k], kept.edge[k])
        return kept

    def discs(self, edge: Tensor) -> tuple[Any, ...]:
        """What ``fourd::discs`` takes, of the first frame."""
        wanted = (self.still[0] > 0) & (self.confidence[0] > 0) & self.depth_m[0].isfinite()
        maps = (self.depth_m[0], self.depth_m[0] * 1.01, wanted, edge, self.rgb[0], self.K[0], self.pose[0])
        return *maps, 0.5, 1.5, 2.0, int(wanted.sum())

    def evidence(self, planes: Planes, n: int = 600) -> tuple[Any, ...]:
        """What ``fourd::evidence`` takes: points on and off the slope."""
        g = torch.Generator().manual_seed(1)
        mean_m = torch.randn(n, 3, generator=g) * torch.tensor([1.0, 0.6, 0.3]) + torch.tensor([0, 0, 3.6])
        radius_m, own = 0.02 + 0.05 * torch.rand(n, generator=g), torch.rand(n, 3, generator=g)
        frames = (planes.K, planes.cam_from_world, self.rgb, planes.inverse, planes.sure, planes.pitch_m)
        return mean_m, radius_m, own, *frames, 0.05, 0.5, 0.12


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def planes(world: World) -> Planes:
    return world.planes(OPS.planes)


def nearly(actual: Tensor, expected: Tensor, flips: float = 0.0) -> None:
    """The same to a few ulp of the largest value; but for a share of values on which a decision may hang.

    The CPU contracts to fused multiply-add where it can, CUDA is told not to: so what lies on a border can fall on
    either side of it.
    """
    assert actual.dtype == expected.dtype and actual.shape == expected.shape
    finite = expected.isfinite()
    off = ~torch.isclose(actual, expected, rtol=1e-5, atol=1e-6 * float(expected[finite].double().abs().amax() or 1))
    assert float(off.float().mean()) <= flips if flips else not off.any()


def sent(arguments: tuple[Any, ...], device: str) -> list[Any]:
    return [x.to(device) if isinstance(x, Tensor) else x for x in arguments]


# Each check takes the module of operators to judge and the device of their tensors: on the CPU the shim runs them.


def judge_planes(ops: Any, device: str, world: World, planes: Planes) -> None:
    found = world.planes(ops.planes, device)
    for name in ("inverse", "pitch_m"):
        nearly(getattr(found, name).cpu(), getattr(planes, name))
    for name in ("sure", "edge"):
        assert torch.equal(getattr(found, name).cpu(), getattr(planes, name))
    assert planes.edge.any() and not planes.edge.all() and (planes.inverse < 0).any()


def judge_consistency(ops: Any, device: str, planes: Planes) -> None:
    for frame, others in ((1, [0, 2, 3, 4]), (4, [3]), (0, [])):
        case = (planes.inverse, planes.sure, planes.K, planes.world_from_cam, frame, others, 0.02)
        expected = OPS.consistency(*case)
        for a, b in zip(ops.consistency(*sent(case, device)), expected, strict=True):
            nearly(a.cpu(), b, flips=2e-3)
        assert bool(others) == bool((expected[1] > 0).any())


def judge_agreement(ops: Any, device: str, planes: Planes) -> None:
    case = (
        planes.inverse,
        planes.sure,
        planes.K,
        planes.world_from_cam,
        [1, 2, 0, 0, 3, 4],
        [2, 1, 2, 0, 1],
        0.01,
        0.2,
    )
    (fused, left), (expected, stays) = ops.agree(*sent(case, device)), OPS.agree(*case)
    nearly(fused.cpu(), expected, flips=2e-3)
    assert float((left.cpu() != stays).float().mean()) <= 2e-3
    assert 0 < float((stays != planes.sure).float().mean()) < 0.5


def judge_redundant(ops: Any, device: str, world: World, planes: Planes) -> None:
    for coarse, alike in ((1.1, 0.2), (3.0, 0.0)):
        case = (planes.inverse, planes.sure, world.rgb, planes.K, planes.world_from_cam, 4, [3, 2, 1, 0], 0.01)
        pitch_m = planes.pitch_m.clone(), planes.pitch_m.to(device, copy=True)
        expected = OPS.redundant(*case, coarse, alike, pitch_m[0])
        found = ops.redundant(*sent(case, device), coarse, alike, pitch_m[1]).cpu()
        assert float((found != expected).float().mean()) <= 2e-3
        same = found == expected
        nearly(pitch_m[1].cpu()[4][same], pitch_m[0][4][same])
        assert torch.equal(pitch_m[1].cpu()[:4], planes.pitch_m[:4]), "only its own"
        assert 0.2 < float(expected.float().mean()) < 0.8


def judge_discs(ops: Any, device: str, world: World, planes: Planes) -> None:
    case = world.discs(planes.edge[0])
    names = "mean_m quat_wxyz scale_m rgb soft_rgb behind_m backs".split()
    for name, a, b in zip(names, ops.discs(*sent(case, device)), OPS.discs(*case), strict=True):
        # Axes of nearly round discs are badly determined, and their quaternions with them.
        nearly(a.cpu(), b, flips=0.02 if name == "quat_wxyz" else 0.0)
        assert len(b) == case[-1] > 100


def judge_evidence(ops: Any, device: str, world: World, planes: Planes) -> None:
    case = world.evidence(planes)
    expected = OPS.evidence(*case)
    for a, b in zip(ops.evidence(*sent(case, device)), expected, strict=True):
        nearly(a.cpu(), b, flips=5e-3)
    assert (expected[0] > 0).sum() > 50 and (expected[1] > 0).sum() > 50, "the world must exercise both verdicts"


@pytest.mark.needs("native")
def test_planes_are_those_of_the_cpu(world: World, planes: Planes, shim: Shim) -> None:
    judge_planes(fusion_cuda, "cpu", world, planes)
    assert shim.launched == ["fusion_planes", "fusion_widen"] * M


@pytest.mark.needs("native")
@pytest.mark.parametrize("hw", [(1, 1), (1, 9), (7, 1), (2, 2)], ids=str)
def test_small_frames_are_those_of_the_cpu(hw: tuple[int, int], shim: Shim) -> None:
    small = World(hw)
    kept = small.planes(OPS.planes)
    found = small.planes(fusion_cuda.planes)
    for a, b in zip(found, kept, strict=True):
        nearly(a, b)
    case = (kept.inverse, kept.sure, kept.K, kept.world_from_cam, 1, [0, 2], 0.02)
    for a, b in zip(fusion_cuda.consistency(*case), OPS.consistency(*case), strict=True):
        nearly(a, b)


@pytest.mark.needs("native")
def test_frames_agree_as_on_the_cpu(planes: Planes, shim: Shim) -> None:
    judge_consistency(fusion_cuda, "cpu", planes)
    assert shim.launched[:2] == ["fusion_passages", "fusion_consistency"]


@pytest.mark.needs("native")
def test_all_frames_agree_as_on_the_cpu(planes: Planes, shim: Shim) -> None:
    judge_agreement(fusion_cuda, "cpu", planes)
    assert shim.launched[:3] == ["fusion_passages", "fusion_consistency", "fusion_left"]


@pytest.mark.needs("native")
def test_what_is_redundant_is_so_on_the_cpu(world: World, planes: Planes, shim: Shim) -> None:
    judge_redundant(fusion_cuda, "cpu", world, planes)
    assert shim.launched[:2] == ["fusion_passages", "fusion_redundant"]


@pytest.mark.needs("native")
def test_discs_are_those_of_the_cpu(world: World, planes: Planes, shim: Shim) -> None:
    judge_discs(fusion_cuda, "cpu", world, planes)
    assert shim.launched == ["fusion_discs"]


@pytest.mark.needs("native")
def test_evidence_is_that_of_the_cpu(world: World, planes: Planes, shim: Shim) -> None:
    judge_evidence(fusion_cuda, "cpu", world, planes)
    assert shim.launched == ["fusion_evidence"]


@pytest.mark.needs("native")
def test_little_room_for_colours_changes_nothing(
    world: World, planes: Planes, shim: Shim, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = world.evidence(planes)
    whole = fusion_cuda.evidence(*case)
    monkeypatch.setattr(fusion_cuda, "_SAMPLES_BYTES", 16 * M * 250)
    for a, b in zip(fusion_cuda.evidence(*case), whole, strict=True):
        assert torch.equal(a, b)
    assert shim.launched == ["fusion_evidence"] * 4
    for x in fusion_cuda.evidence(*(x[:0] for x in case[:3]), *case[3:]):
        assert len(x) == 0


def test_room_is_made_where_the_cameras_are(world: World) -> None:
    room = Planes.empty(world.K.to("meta"), world.pose.to("meta"), HW)  # It stands for any device that is not the CPU.
    here = Planes.empty(world.K, world.pose, HW)
    for a, b in zip(room, here, strict=True):
        assert a.device.type == "meta" and (a.shape, a.dtype) == (b.shape, b.dtype)


def test_dtypes_are_checked(world: World, shim: Shim) -> None:
    case = world.discs(torch.zeros(HW, dtype=torch.uint8))
    with pytest.raises(InputError, match=r"fourd::discs: depth_m has dtype torch\.float64; it must be torch\.float32"):
        fusion_cuda.discs(case[0].double(), *case[1:])
    assert not shim.launched


@pytest.mark.needs("native", "cuda")
def test_cuda_fuses_as_the_cpu_does(world: World, planes: Planes) -> None:
    judge_planes(OPS, "cuda", world, planes)
    judge_consistency(OPS, "cuda", planes)
    judge_agreement(OPS, "cuda", planes)
    judge_redundant(OPS, "cuda", world, planes)
    judge_discs(OPS, "cuda", world, planes)
    judge_evidence(OPS, "cuda", world, planes)
