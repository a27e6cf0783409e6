"""The scene file: exact round trips, and its bytes as a stranger reads them."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fourd.errors import FormatError, InputError
from fourd.formats import glb
from fourd.types import Provenance, Splats
from tests.formats import samples

SPLAT_FIELDS = [f.name for f in dataclasses.fields(Splats)]
FLOATS, WORDS, BYTES = 5126, 5123, 5121
WIDTH = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}


def stranger(path: Path) -> tuple[dict, bytes]:
    """The two chunks, by the letter of the glTF 2.0 specification, with every rule checked on the way."""
    data = path.read_bytes()
    magic, version, length = struct.unpack("<4sII", data[:12])
    assert (magic, version, length) == (b"glTF", 2, len(data))
    chunks, at = [], 12
    while at < len(data):
        size, kind = struct.unpack("<I4s", data[at : at + 8])
        assert size % 4 == 0, "Chunks are padded to four bytes."
        chunks.append((kind, data[at + 8 : at + 8 + size]))
        at += 8 + size
    assert at == len(data)
    assert [kind for kind, _ in chunks] == [b"JSON", b"BIN\0"]
    document = json.loads(chunks[0][1], parse_constant=lambda c: pytest.fail(f"{c} is not JSON."))
    assert document["buffers"] == [{"byteLength": len(chunks[1][1])}]
    for view in document["bufferViews"]:
        assert view["byteOffset"] % 4 == 0
        assert view["byteOffset"] + view["byteLength"] <= len(chunks[1][1])
    for accessor in document["accessors"]:
        view = document["bufferViews"][accessor["bufferView"]]
        size = {FLOATS: 4, WORDS: 2, BYTES: 1}[accessor["componentType"]] * WIDTH[accessor["type"]]
        stride = view.get("byteStride", size)
        assert stride % 4 == 0 and stride >= size
        assert view["target"] == 34962
        assert (accessor["count"] - 1) * stride + size <= view["byteLength"] <= accessor["count"] * stride
    return document, chunks[1][1]


def attribute(document: dict, data: bytes, mesh: int, name: str) -> np.ndarray:
    accessor = document["accessors"][document["meshes"][mesh]["primitives"][0]["attributes"][name]]
    view = document["bufferViews"][accessor["bufferView"]]
    dtype = {FLOATS: "<f4", WORDS: "<u2", BYTES: "u1"}[accessor["componentType"]]
    size, n = np.dtype(dtype).itemsize * WIDTH[accessor["type"]], accessor["count"]
    stride = view.get("byteStride", size)
    raw = np.frombuffer(data, np.uint8, view["byteLength"], view["byteOffset"])
    rows = [raw[i * stride : i * stride + size].tobytes() for i in range(n)]
    return np.frombuffer(b"".join(rows), dtype).reshape(n, -1)


@settings(max_examples=30, deadline=None)
@given(
    n=st.sampled_from([0, 1, 2, 77]),
    coefficients=st.sampled_from([1, 4, 9, 16]),
    seed=st.integers(0, 2**16),
    power=st.integers(-40, 40),
)
def test_a_scene_comes_back_exactly(
    n: int, coefficients: int, seed: int, power: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    splats, cameras, sound = samples.splats(n, coefficients, seed), samples.cameras(seed=seed), samples.sound()
    splats = splats.replace(mean_m=splats.mean_m * 2.0**power, scale_m=splats.scale_m * 2.0**power)
    path = tmp_path_factory.mktemp("q") / "scene.glb"
    glb.write(path, splats=splats, cameras=cameras, sound=sound, provenance=samples.provenance())
    got, got_cameras, got_sound, got_provenance = glb.read(path)
    samples.same(got, splats, *SPLAT_FIELDS)
    samples.same(got_cameras, cameras, "K", "world_from_cam", "time_s")
    assert got_cameras.hw == cameras.hw
    assert got_provenance == samples.provenance()
    assert got_sound is not None
    assert (got_sound.rate_hz, got_sound.start_s) == (sound.rate_hz, sound.start_s)
    assert float((got_sound.samples - sound.samples).abs().max()) <= 0.5 / 32767 + 1e-7


def test_a_second_round_changes_no_byte(tmp_path: Path) -> None:
    a, b = tmp_path / "a.glb", tmp_path / "b.glb"
    glb.write(a, splats=samples.splats(), cameras=samples.cameras(), sound=samples.sound())
    splats, cameras, sound, provenance = glb.read(a)
    glb.write(b, splats=splats, cameras=cameras, sound=sound, provenance=provenance)
    assert a.read_bytes() == b.read_bytes()


def test_a_silent_scene_of_no_provenance(tmp_path: Path) -> None:
    glb.write(tmp_path / "x.glb", splats=samples.splats(3), cameras=samples.cameras(1))
    _, cameras, sound, provenance = glb.read(tmp_path / "x.glb")
    assert sound is None
    assert provenance == Provenance()
    assert len(cameras) == 1


def test_a_stranger_finds_what_the_extension_promises(tmp_path: Path) -> None:
    path, splats = tmp_path / "x.glb", samples.splats(60, 9)
    splats = splats.replace(duration_s=torch.full((60,), math.inf))  # One mesh.
    glb.write(path, splats=splats, cameras=samples.cameras(), sound=samples.sound())
    document, data = stranger(path)
    assert document["asset"]["version"] == "2.0"
    assert document["extensionsUsed"] == ["KHR_gaussian_splatting"]
    (primitive,) = document["meshes"][0]["primitives"]
    assert primitive["mode"] == 0
    extension = primitive["extensions"]["KHR_gaussian_splatting"]
    assert (extension["kernel"], extension["colorSpace"]) == ("ellipse", "srgb_rec709_display")
    for name, expected in {
        "POSITION": splats.mean_m,
        "KHR_gaussian_splatting:ROTATION": splats.quat_wxyz.roll(-1, 1),
        "KHR_gaussian_splatting:SCALE": splats.scale_m,
        "KHR_gaussian_splatting:OPACITY": splats.opacity[:, None],
        "KHR_gaussian_splatting:SH_DEGREE_0_COEF_0": splats.colour[:, 0],
        "KHR_gaussian_splatting:SH_DEGREE_1_COEF_2": splats.colour[:, 3],
        "KHR_gaussian_splatting:SH_DEGREE_2_COEF_0": splats.colour[:, 4],
        "KHR_gaussian_splatting:SH_DEGREE_2_COEF_4": splats.colour[:, 8],
        "_VELOCITY": splats.velocity_mps,
        "_TIME": splats.time_s[:, None],
        "_SOURCE": splats.source[:, None],
    }.items():
        np.testing.assert_array_equal(attribute(document, data, 0, name), expected.numpy(), err_msg=name)
    assert not any("DEGREE_3" in name for name in primitive["attributes"])
    assert (attribute(document, data, 0, "_DURATION") == np.finfo(np.float32).max).all(), "glTF forbids infinity."
    bounds = document["accessors"][primitive["attributes"]["POSITION"]]
    assert bounds["min"] == splats.mean_m.min(0).values.tolist()
    assert bounds["max"] == splats.mean_m.max(0).values.tolist()


def test_points_have_linear_colours_for_viewers_without_splats(tmp_path: Path) -> None:
    # sRGB 0.5 is 0.214 in linear light, 0.02 is on the straight part of the curve, 1.3 is cut off.
    rgb = torch.tensor([[0.5, 0.02, 1.3]])
    splats = samples.splats(1, 1).replace(colour=((rgb - 0.5) / 0.28209479)[:, None], opacity=torch.tensor([0.25]))
    glb.write(tmp_path / "x.glb", splats=splats, cameras=samples.cameras())
    document, data = stranger(tmp_path / "x.glb")
    colour = attribute(document, data, 0, "COLOR_0")[0] / 65535
    np.testing.assert_allclose(colour, [0.21404114, 0.02 / 12.92, 1, 0.25], atol=1.1e-5)
    index = document["meshes"][0]["primitives"][0]["attributes"]["COLOR_0"]
    assert document["accessors"][index]["normalized"] is True


def test_viewers_without_time_see_one_moment(tmp_path: Path) -> None:
    splats = samples.splats(3, 1).replace(
        time_s=torch.tensor([0.0, 1.0, 2.0]), duration_s=torch.tensor([0.1, math.inf, 0.1])
    )
    glb.write(tmp_path / "x.glb", splats=splats, cameras=samples.cameras(), still_s=2.05)
    document, data = stranger(tmp_path / "x.glb")
    np.testing.assert_array_equal(attribute(document, data, 0, "_TIME")[:, 0], [1, 2])
    np.testing.assert_array_equal(attribute(document, data, 1, "_TIME")[:, 0], [0])

    def hanging(nodes: list[int]) -> set[int]:
        found = set()
        for i in nodes:
            node = document["nodes"][i]
            found |= {node["mesh"]} if "mesh" in node else set()
            found |= hanging(node.get("children", []))
        return found

    assert hanging(document["scenes"][0]["nodes"]) == {0}, "The other moments hang in no scene."
    samples.same(glb.read(tmp_path / "x.glb")[0], splats, *SPLAT_FIELDS)


def test_nodes_make_a_tree_that_glTF_allows(tmp_path: Path) -> None:
    glb.write(tmp_path / "x.glb", splats=samples.splats(), cameras=samples.cameras())
    document, _ = stranger(tmp_path / "x.glb")
    children = [c for node in document["nodes"] for c in node.get("children", [])]
    assert len(children) == len(set(children)), "No node has two parents."
    assert all(0 <= c < len(document["nodes"]) for c in children)
    assert not set(document["scenes"][0]["nodes"]) & set(children), "The roots of a scene have no parent."
    assert {node["camera"] for node in document["nodes"] if "camera" in node} == set(range(len(document["cameras"])))


def test_a_viewer_stands_where_our_camera_stood(tmp_path: Path) -> None:
    """A glTF camera looks along its -z with y up, in a world with y up: by hand, against ours."""
    cameras = samples.cameras(3)
    glb.write(tmp_path / "x.glb", splats=samples.splats(1), cameras=cameras)
    document, _ = stranger(tmp_path / "x.glb")
    (root,) = (document["nodes"][i] for i in document["scenes"][0]["nodes"])
    assert root["rotation"] == [1, 0, 0, 0], "Half a turn about x."
    world = np.diag([1.0, -1, -1])
    for i, node in enumerate(n for n in document["nodes"] if "camera" in n):
        x, y, z, w = node["rotation"]
        R = np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
            ]
        )
        ours = cameras.world_from_cam[i].double().numpy()
        for theirs, axis in (([1, 0, 0], 0), ([0, -1, 0], 1), ([0, 0, -1], 2)):  # Right, down, forward.
            np.testing.assert_allclose(world @ R @ theirs, world @ ours[:3, axis], atol=1e-6)
        np.testing.assert_allclose(world @ node["translation"], world @ ours[:3, 3])
        lens = document["cameras"][node["camera"]]["perspective"]
        fx, fy = float(cameras.K[i, 0, 0]), float(cameras.K[i, 1, 1])
        assert math.tan(lens["yfov"] / 2) == pytest.approx(36 / fy)
        assert math.tan(lens["yfov"] / 2) * lens["aspectRatio"] == pytest.approx(64 / fx)
    assert (world @ [0, -1, 0])[1] == 1, "Our up, -y, is glTF's up."


def test_the_sound_is_a_wav_file_that_others_play(tmp_path: Path) -> None:
    glb.write(tmp_path / "x.glb", splats=samples.splats(1), cameras=samples.cameras(), sound=samples.sound())
    document, data = stranger(tmp_path / "x.glb")
    sound = document["extras"]["fourd"]["sound"]
    view = document["bufferViews"][sound["bufferView"]]
    with wave.open(io.BytesIO(data[view["byteOffset"] :][: view["byteLength"]])) as wav:
        assert (wav.getnchannels(), wav.getsampwidth(), wav.getframerate(), wav.getnframes()) == (2, 2, 8000, 800)
    assert sound["mimeType"] == "audio/wav"


def test_a_failed_save_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.glb"
    path.write_text("old")
    with pytest.raises(InputError, match="the provenance is not plain JSON"):
        glb.write(
            path, splats=samples.splats(1), cameras=samples.cameras(), provenance=Provenance(config={"a": math.nan})
        )
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def rewritten(path: Path, change) -> None:
    """The file with its JSON changed, and its lengths made right again."""
    data = path.read_bytes()
    (length,) = struct.unpack("<I", data[12:16])
    document = json.loads(data[20 : 20 + length])
    change(document)
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    rest = data[20 + length :]
    path.write_bytes(struct.pack("<4sIII4s", b"glTF", 2, 20 + len(text) + len(rest), len(text), b"JSON") + text + rest)


def _count(document: dict) -> None:
    for accessor in document["accessors"]:
        accessor["count"] = 2**40
    document["extras"]["fourd"]["splats"] = 2**40


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_count, r"asks for 1099511627776 values where only"),
        (lambda d: d["accessors"][0].pop("bufferView"), "has no buffer view of its own"),
        (lambda d: d["bufferViews"][0].update(byteLength=2**50), "ends at byte"),
        (lambda d: d["bufferViews"][0].update(byteOffset=-4), "byteOffset must be a whole number"),
        (lambda d: d["bufferViews"][0].update(buffer=1), "only a file that is whole in itself"),
        (lambda d: d["accessors"][0].update(bufferView=99), r"bufferViews\[99\] is asked for, and there are"),
        (lambda d: d["accessors"][0].update(type="VEC4"), "must be a VEC3 of floats"),
        (lambda d: d["extras"].pop("fourd"), "not one that this program saved"),
        (lambda d: d["extras"]["fourd"].update(version=3), "has layout 3; this program reads up to 2. Update fourd"),
        (lambda d: d["extras"]["fourd"].update(splats=3), "3 splats in at most two meshes are expected"),
        (lambda d: d["extras"]["fourd"].update(coefficients=5), "5 coefficients; there must be 1, 4, 9 or 16"),
        (lambda d: d["extras"]["fourd"]["order"].update(bufferView=0), "the order of the splats does not fit"),
        (lambda d: d["meshes"][0]["primitives"][0]["attributes"].pop("_TIME"), "has no attribute _TIME"),
        (lambda d: d["nodes"][0]["extras"]["fourd"].update(K=[1] * 8), "K must hold 9 numbers"),
        (lambda d: d["nodes"][0]["extras"]["fourd"].update(world_from_cam=[0] * 16), "is broken: .* is not rigid"),
        (lambda d: d["nodes"][0]["extras"]["fourd"].update(time_s="0"), 'time_s must be a finite number, not "0"'),
        (lambda d: d.update(nodes=[]), "Cameras holds no camera"),
        (
            lambda d: d["extras"]["fourd"]["provenance"].update(
                uncertainty={"position": 0, "rotation_deg": -1, "focal": None}
            ),
            "provenance.uncertainty is broken: Uncertainty.rotation_deg is -1",
        ),
        (
            lambda d: d["extras"]["fourd"]["provenance"].update(uncertainty={"position": 0}),
            "provenance.uncertainty.rotation_deg must be a finite",
        ),
        (
            lambda d: d["extras"]["fourd"]["provenance"].update(seconds={"a": "b"}),
            "provenance.seconds must be a finite",
        ),
        (lambda d: d.update(extras=[]), "extras must be a JSON object, not an array of 0"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, change, says: str) -> None:
    path = tmp_path / "x.glb"
    glb.write(path, splats=samples.splats(), cameras=samples.cameras(), sound=samples.sound())
    rewritten(path, change)
    with pytest.raises(FormatError, match=says):
        glb.read(path)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "does not begin with 'glTF'"),
        (b"glTF\x02", "cut short: 5 bytes are no GLB"),
        (b"PK\x03\x04" + bytes(40), "does not begin with 'glTF'"),
        (struct.pack("<4sIII4s", b"glTF", 1, 20, 0, b"JSON"), "glTF version 1"),
        (struct.pack("<4sIII4s", b"glTF", 2, 99, 0, b"JSON"), "it says 99 bytes and has 20"),
        (struct.pack("<4sIII4s", b"glTF", 2, 20, 2**32 - 1, b"JSON"), "its first chunk must be JSON"),
        (struct.pack("<4sIII4s", b"glTF", 2, 24, 4, b"JSON") + b"[ ] ", "must be a JSON object"),
        (struct.pack("<4sIII4s", b"glTF", 2, 24, 4, b"JSON") + b"{{{{", "is not JSON"),
        (struct.pack("<4sIII4s", b"glTF", 2, 100020, 100000, b"JSON") + b"[" * 100000, "nested too deeply"),
    ],
)
def test_what_is_no_glb_is_refused(tmp_path: Path, data: bytes, says: str) -> None:
    (tmp_path / "x.glb").write_bytes(data)
    with pytest.raises(FormatError, match=says):
        glb.read(tmp_path / "x.glb")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"Cannot read .*no\.glb: No such file"):
        glb.read(tmp_path / "no.glb")


def test_hostile_files_never_do_worse_than_a_format_error(tmp_path: Path) -> None:
    path = tmp_path / "x.glb"
    glb.write(path, splats=samples.splats(9, 4), cameras=samples.cameras(2), sound=samples.sound())
    data = path.read_bytes()
    (length,) = struct.unpack("<I", data[12:16])
    broken = samples.mutants(data, 200)
    # Broken JSON hides broken values: also change single digits and letters inside it.
    g = torch.Generator().manual_seed(7)
    for at in torch.randint(20, 20 + length, (100,), generator=g).tolist():
        broken.append(data[:at] + b"9" + data[at + 1 :])
    refused = samples.survives(glb.read, path, broken)
    assert refused > len(broken) // 4
