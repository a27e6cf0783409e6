"""The rounded scene file: how exact it is, how large, what strangers find in it, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fourd.errors import FormatError, InputError
from fourd.formats import _gltf, _quantised, glb
from fourd.native import rasterize
from fourd.types import Splats
from tests.formats import samples
from tests.formats.test_glb import rewritten


def mixed(n: int = 60, coefficients: int = 1, seed: int = 0) -> Splats:
    """Splats of which a third stands still, the others move; each knows its number by its opacity and time."""
    made = samples.splats(n, coefficients, seed)
    still = torch.isinf(made.duration_s)[:, None]
    return made.replace(velocity_mps=torch.where(still, torch.zeros(3), made.velocity_mps))


def written(folder: Path, splats: Splats, **more: object) -> Path:
    path = folder / "small.glb"
    glb.write(path, splats=splats, cameras=samples.cameras(), quantised=True, **more)
    return path


def paired(splats: Splats, got: Splats) -> tuple[Splats, Splats]:
    """Both in the order of their places, which come back exactly."""
    assert len(got) == len(splats)
    a, b = (np.lexsort(s.mean_m.numpy().T) for s in (splats, got))
    return splats[torch.from_numpy(a)], got[torch.from_numpy(b)]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**16), coefficients=st.sampled_from([1, 4, 9, 16]), power=st.integers(-6, 6))
def test_it_is_as_exact_as_it_says(seed: int, coefficients: int, power: int, tmp_path_factory) -> None:
    size = 2.0**power
    splats = mixed(40, coefficients, seed)
    splats = splats.replace(mean_m=splats.mean_m * size, scale_m=(splats.scale_m + 0.002) * size)
    splats, got = paired(splats, glb.read(written(tmp_path_factory.mktemp("q"), splats))[0])
    samples.same(got, splats, "mean_m", "source")
    assert float((got.scale_m / splats.scale_m).log().abs().max()) < 0.0202
    cosine = (got.quat_wxyz * splats.quat_wxyz).sum(1).abs().double().clamp(max=1)
    assert float(torch.rad2deg(2 * torch.acos(cosine)).max()) < 0.95
    assert float((got.opacity - splats.opacity).abs().max()) <= 0.5 / 255 + 1e-6
    assert torch.equal(torch.isinf(got.duration_s), torch.isinf(splats.duration_s))
    moves = ~torch.isinf(splats.duration_s)
    life = splats.duration_s[moves]
    octaves = float(torch.log2(life.max() / life.min()))
    assert float(torch.log2(got.duration_s[moves] / life).abs().max()) <= octaves / 254 / 2 + 1e-5
    assert float((got.time_s - splats.time_s)[moves].abs().max()) <= 4 / 65535 / 2 + 1e-6
    fastest = splats.velocity_mps.abs().max()
    share, step = (splats.velocity_mps.abs() / fastest).sqrt(), 0.5 / 32767
    bound = fastest * (2 * share * step + step**2) + 1e-6 * fastest
    assert bool(((got.velocity_mps - splats.velocity_mps).abs() <= bound).all())
    higher = splats.colour[:, 1:]
    if coefficients > 1:
        assert float((got.colour[:, 1:] - higher).abs().max()) <= float(higher.abs().max()) * 0.5 / 127 * 1.001
    inside = (splats.rgb > -0.5) & (splats.rgb < 1.5)
    assert float((got.rgb - splats.rgb).abs()[inside].max()) <= 2 / 255 / 2 + 1e-6


@pytest.mark.needs("native")
def test_a_picture_of_it_is_the_same_at_every_moment(tmp_path: Path) -> None:
    splats = mixed(800)
    g = torch.Generator().manual_seed(3)
    splats = splats.replace(
        mean_m=splats.mean_m * 0.3 + torch.tensor([0.0, 0, 4]),
        scale_m=0.02 + 0.1 * torch.rand(800, 3, generator=g),
        velocity_mps=splats.velocity_mps * 0.2,
        colour=splats.colour * 0.8,
    )
    got, _, _, _ = glb.read(written(tmp_path, splats))
    K = torch.tensor([[60.0, 0, 32], [0, 60, 24], [0, 0, 1]])
    for time_s in (0.0, 0.9, 2.0, 3.7):
        one, other = (rasterize(s, K, torch.eye(4), (48, 64), time_s).rgb for s in (splats, got))
        assert float(one.max()) > 0.5
        assert -10 * math.log10(float((one - other).square().mean())) >= 45


def test_it_is_as_small_as_it_says(tmp_path: Path) -> None:
    """36 bytes what stands or is not shown, 44 what moves and is shown, and the words around it."""
    splats = mixed(4000)
    splats = splats.replace(source=torch.zeros_like(splats.source))
    size = len(written(tmp_path, splats).read_bytes())
    document = _gltf.Document(tmp_path / "small.glb")
    counts = {kind: 0 for kind in _quantised.KINDS}
    for mesh, facts in zip(document.json["meshes"], document.json["extras"]["fourd"]["meshes"], strict=True):
        position = mesh["primitives"][0]["attributes"]["POSITION"]
        counts[facts["kind"]] += document.json["accessors"][position]["count"]
    data = 36 * (counts["standing"] + counts["other"]) + 44 * counts["passing"]
    assert all(counts.values()) and sum(counts.values()) == 4000
    assert data <= size < data + 16_000


def test_the_rest_comes_back_exactly(tmp_path: Path) -> None:
    path = written(tmp_path, mixed(), sound=samples.sound(), provenance=samples.provenance())
    splats, cameras, sound, provenance = glb.read(path)
    samples.same(cameras, samples.cameras(), "K", "world_from_cam", "time_s")
    assert provenance == samples.provenance()
    assert sound is not None and len(splats) == 60
    glb.check(path)


def test_what_it_reads_it_writes_again(tmp_path: Path) -> None:
    """Rounding what is round changes nothing that can be seen; a third round changes no number of importance."""
    first = glb.read(written(tmp_path, mixed()))[0]
    second = glb.read(written(tmp_path, first))[0]
    first, second = paired(first, second)
    samples.same(first, second, "mean_m", "source", "opacity")
    torch.testing.assert_close(first.scale_m, second.scale_m, rtol=1e-6, atol=0)


def test_no_splats_and_splats_of_one_kind(tmp_path: Path) -> None:
    assert len(glb.read(written(tmp_path, mixed()[:0]))[0]) == 0
    for chosen in (torch.isinf(mixed().duration_s), ~torch.isinf(mixed().duration_s)):
        assert len(glb.read(written(tmp_path, mixed()[chosen]))[0]) == int(chosen.sum())


def test_strangers_find_the_moment_in_the_types_that_the_extension_allows(tmp_path: Path) -> None:
    splats = mixed(300)
    path = written(tmp_path, splats)
    document = _gltf.Document(path)
    nodes, meshes = document.json["nodes"], document.json["meshes"]
    (root,) = document.json["scenes"][0]["nodes"]
    shown = {nodes[child]["mesh"]: nodes[child] for child in nodes[root]["children"] if "mesh" in nodes[child]}
    prefix = _quantised.EXTENSION
    allowed = {"ROTATION": (5120, "VEC4"), "SCALE": (5123, "VEC3"), "OPACITY": (5121, "SCALAR")}
    found = 0
    for index, node in shown.items():
        primitive = meshes[index]["primitives"][0]
        assert primitive["extensions"][prefix] == {"kernel": "ellipse", "colorSpace": "srgb_rec709_display"}
        for name, (component, shape) in allowed.items():
            accessor = document.json["accessors"][primitive["attributes"][f"{prefix}:{name}"]]
            assert (accessor["componentType"], accessor["type"], accessor["normalized"]) == (component, shape, True)
            view = document.json["bufferViews"][accessor["bufferView"]]
            assert view.get("byteStride", 4) % 4 == 0 and accessor.get("byteOffset", 0) % 4 == 0
        values, unit = _gltf.Attributes(document, index), node.get("scale", [1.0])[0]
        scale = values.floats(f"{prefix}:SCALE", "VEC3") * unit
        place = values.floats("POSITION", "VEC3") * unit
        for one, size in zip(place, scale, strict=True):
            (match,) = torch.nonzero((splats.mean_m == torch.from_numpy(one)).all(1))[:, 0].tolist()
            assert size == pytest.approx(splats.scale_m[match].numpy(), rel=0.021)
            found += 1
    age = (float(samples.cameras().time_s[2]) - splats.time_s.double()) / splats.duration_s.double()
    assert found == int((torch.exp(-(age**2) / 2) >= 0.5).sum())
    assert [m for m in range(len(meshes)) if m not in shown] == [len(meshes) - 1]
    assert "extensions" not in meshes[-1]["primitives"][0]


def test_sizes_of_any_range_stay_right(tmp_path: Path) -> None:
    """Sky of ten units beside grains of a ten-thousandth: meshes of their own."""
    splats = mixed(200)
    power = torch.linspace(-4, 1, 200)[:, None]
    splats = splats.replace(scale_m=10**power * (0.3 + 0.7 * torch.rand(200, 3)))
    path = written(tmp_path, splats)
    splats, got = paired(splats, glb.read(path)[0])
    assert float((got.scale_m / splats.scale_m).log().abs().max()) < 0.0202
    assert 3 <= len(_gltf.Document(path).json["meshes"]) <= 13


def test_a_place_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    splats = mixed(3).replace(mean_m=torch.full((3, 3), 3e38), scale_m=torch.full((3, 3), 1e-6))
    with pytest.raises(InputError, match="too far away for its size"):
        written(tmp_path, splats)
    assert not list(tmp_path.iterdir())


def _facts(document: dict) -> dict:
    return document["extras"]["fourd"]["meshes"][0]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d["extras"]["fourd"].pop("meshes"), "extras.fourd.meshes must be a JSON array"),
        (lambda d: d["extras"]["fourd"]["meshes"].pop(), "facts about"),
        (lambda d: _facts(d).update(kind="floating"), r"of no kind that is known: standing, passing, other"),
        (lambda d: _facts(d).pop("unit"), "unit must be a finite number, not null"),
        (lambda d: _facts(d).update(unit=0), "is broken: .*scale_m must be positive"),
        (lambda d: _facts(d).update(unit=1e300), "must be a finite number"),
        (lambda d: d["extras"]["fourd"]["meshes"][-1].update(time=[0]), "time must hold 2 numbers"),
        (
            lambda d: d["extras"]["fourd"]["meshes"][-1].update(log2_duration=[-6e3, -5e3]),
            "duration_s must be positive",
        ),
        (lambda d: d["extras"]["fourd"]["meshes"][-1].update(log2_scale=[5e3, 6e3]), "is broken"),
        (lambda d: d["meshes"][0]["primitives"][0]["attributes"].pop("_SOURCE"), "has no attribute _SOURCE"),
        (lambda d: d["meshes"][-1]["primitives"][0]["attributes"].update(_SOURCE=0), "must be a SCALAR"),
        (lambda d: d["accessors"][0].update(count=1), "not equally many"),
        (lambda d: d["extras"]["fourd"].update(coefficients=4), "has no attribute _SH_0"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, change, says: str) -> None:
    path = written(tmp_path, mixed())
    rewritten(path, change)
    with pytest.raises(FormatError, match=says):
        glb.read(path)
