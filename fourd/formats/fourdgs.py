"""``.4dgs``: a scene with all its moments in some 20 bytes a splat, as github.com/avala-ai/4dgs describes it.

The package ``fourdgs`` reads and writes the container. Its model of time, ``gaussian-birth``, is ours: position,
velocity, time and duration; it also knows windows of time outside of which a splat is not there. The world in the
file is y up and z back, and the metadata says so. Cameras, provenance and the clock's start are in the metadata
``fourd`` exactly; the camera's path is there for other players, too.
"""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from fourd.checked import checked
from fourd.errors import FormatError, InputError
from fourd.files import replacing
from fourd.formats import _json, _notes
from fourd.formats._axes import POINT_SIGNS, half_turned
from fourd.formats.contents import Contents
from fourd.formats.moment import FAINTEST
from fourd.types import SEEN, SH_C0, Cameras, Provenance, Sound, Splats

if TYPE_CHECKING:
    from fourdgs import GaussianSet, Scene

_MAGIC = b"\x894DGS"
_AXES = "y-up-right-handed"
_SH_LOW, _SH_HIGH = -4.0, 4.0
"""The format's own range of higher harmonics, in 8 bits."""
_DEGREES = {1: 0, 4: 1, 9: 2, 16: 3}
_STREAM = struct.Struct("<BBBBBIQ")
_ALWAYS_FINE = 100_000
"""A file that says it has more splats than this, and more than bytes, is no scene but a bomb."""
_BROKEN = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, AssertionError,
    RuntimeError, struct.error, zlib.error, OSError,
)  # fmt: skip
_HALF_LIT = math.sqrt(2 * math.log(2))
"""So many durations from its time a splat has half of its opacity."""


@checked
def write(
    path: str | Path,
    *,
    splats: Splats,
    cameras: Cameras,
    sound: Sound | None = None,
    provenance: Provenance = Provenance(),
) -> None:
    """Write a scene with the finest of the format's own profiles.

    Lossy: places to 2 % of the median scale, scales and durations to 0.5 %, rotations to 0.0005 a component, colour
    (cut to 0..1) and opacity to 8 bits, times to 0.5 ms, higher harmonics to 0.016. Which splat is seen and which
    invented is not kept. The order changes.

    Raises:
        OutputError: If the file system refuses.
        InputError: If the format cannot hold the scene.
    """
    import fourdgs

    from fourd.formats import _fourdgs_sound

    begin = float(cameras.time_s[0])
    turned = half_turned(splats.to("cpu"))
    options = fourdgs.WriteOptions(
        profile="fine",
        cutoff=FAINTEST,
        library="fourd",
        metadata={
            "coordinate_system": _AXES,
            "color_space": "srgb-rec709-display",
            "fourd": _json.dumped(_notes.write(cameras, provenance) | {"start_s": begin}, Path(path).name),
        },
    )
    length_s = float(cameras.time_s[-1]) - begin + _frame_s(cameras)
    try:
        with replacing(path) as fresh:
            fourdgs.write(
                fresh,
                _gaussians(turned, begin),
                length_s,
                options=options,
                audio_sources=[] if sound is None else _fourdgs_sound.written(sound, begin, length_s),
                camera=_trajectory(cameras, begin),
            )
    except (fourdgs.FourdgsError, ValueError, OverflowError) as error:
        raise InputError(f"Cannot write {Path(path).name}: {error}.") from error


def _frame_s(cameras: Cameras) -> float:
    return float(cameras.time_s.diff().median()) if len(cameras) > 1 else 1 / 24


def _gaussians(splats: Splats, begin: float) -> GaussianSet:
    import fourdgs

    n, coefficients = splats.colour.shape[:2]
    # All of red, then green, then blue.
    higher = splats.colour[:, 1:].permute(0, 2, 1).reshape(n, 3 * (coefficients - 1)).numpy()
    codes = np.rint((higher - _SH_LOW) / (_SH_HIGH - _SH_LOW) * 255).clip(0, 255).astype(np.uint8)
    return fourdgs.GaussianSet(
        positions=splats.mean_m.numpy(),
        scales=splats.scale_m.numpy(),
        rotations=splats.quat_wxyz[:, [1, 2, 3, 0]].numpy(),
        colors=torch.cat([splats.rgb.clamp(0, 1), splats.opacity[:, None]], 1).numpy(),
        motions=splats.velocity_mps.numpy(),
        mu_t=(splats.time_s.double() - begin).float().numpy(),
        sigma_t=splats.duration_s.numpy(),
        win_lo=np.full(n, -np.inf),
        win_hi=np.full(n, np.inf),
        sh=codes if coefficients > 1 else None,
        sh_degree=_DEGREES[coefficients],
    )


def _trajectory(cameras: Cameras, begin: float) -> Any:
    """Where the cameras stood and looked, for players that know no more than that; y up."""
    import fourdgs

    cameras = cameras.to("cpu")
    pose = cameras.world_from_cam.double()
    place = pose[:, :3, 3] * POINT_SIGNS
    ahead = place + pose[:, :3, 2] * POINT_SIGNS
    h, fy = cameras.hw[0], float(cameras.K[0, 1, 1])
    moves = len(cameras) > 1 and bool((cameras.time_s.diff() > 0).all())
    return fourdgs.CameraTrajectory(
        fov_y_deg=math.degrees(2 * math.atan(h / 2 / fy)),
        position=tuple(place[0].tolist()),
        target=tuple(ahead[0].tolist()),
        times=(cameras.time_s - begin).tolist() if moves else [],
        positions=[tuple(p) for p in place.tolist()] if moves else [],
        targets=[tuple(p) for p in ahead.tolist()] if moves else [],
        interpolation="linear",
        loop=False,
    )


@checked
def read(path: str | Path) -> Contents:
    """Read a scene of the model ``gaussian-birth``.

    What the file has and a scene has not (windows of time, moving objects) is put as well as it goes, and the
    provenance's warnings say so.

    Raises:
        FormatError: If the file is broken, cut short, or of another model of time.
    """
    import fourdgs

    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise FormatError(f"Cannot read {path}: {error.strerror or error}.") from error
    if data[: len(_MAGIC)] != _MAGIC:
        raise FormatError(f"{path} is not a .4dgs file: it does not begin with its eight bytes.")
    try:
        with np.errstate(all="ignore"):
            _weigh(data, str(path))
            scene = fourdgs.read(data, recover_truncated=False)
            return _contents(scene, str(path))
    except FormatError:
        raise
    except (fourdgs.FourdgsError, *_BROKEN) as error:
        raise FormatError(f"{path} is broken: {str(error) or type(error).__name__}") from error


def _weigh(data: bytes, name: str) -> None:
    """Refuse what says that it unpacks to far more than a file of its size should, before anything is unpacked."""
    from fourdgs import opcode, serialization
    from fourdgs.records import parse_chunk
    from fourdgs.stream_reader import chunk_stream_bytes

    most = max(_ALWAYS_FINE, len(data))
    total = 0

    def claim(count: int, channels: int = 1) -> None:
        if count > most or channels > 64:
            raise FormatError(f"{name} is broken: {count} splats of {channels} numbers cannot be in {len(data)} bytes.")

    for record in serialization.iter_records(data, len(serialization.MAGIC)):
        content = record.content
        if record.opcode == opcode.CHUNK:
            head, streams = parse_chunk(content)
            total += head.count
            claim(total)
            claim(head.uncompressed_size // 32)
            at, body = 0, bytes(chunk_stream_bytes(head, streams))
        elif record.opcode == opcode.SH_BAND_STREAM:
            at, body = 1, bytes(content)
        else:
            continue
        while at + _STREAM.size <= len(body):
            _, _, _, _, channels, count, length = _STREAM.unpack_from(body, at)
            claim(count, channels)
            at += _STREAM.size + length


def _contents(scene: Scene, name: str) -> Contents:
    """The scene in our nouns."""
    from fourd.formats import _fourdgs_sound

    attributes = scene.header.attributes
    warnings: list[str] = []
    ours: dict[str, Any] = {}
    if "fourd" in attributes:
        ours = _json.parse(attributes["fourd"].encode(), f"{name}: metadata fourd")
    begin = _json.as_float(ours.get("start_s", 0.0), f"{name}: metadata fourd.start_s")
    splats = _splats(scene, begin, warnings)
    if attributes.get("coordinate_system", _AXES) == _AXES:
        splats = half_turned(splats)
    else:
        axes = attributes["coordinate_system"][:60]
        warnings.append(f"The world of the file is '{axes}', which is not known: it stands as it is stored.")
    if scene.objects.tracks:
        warnings.append(f"{len(scene.objects.tracks)} moving objects of the file stand still: a scene knows none.")
    cameras = None
    if "cameras" in ours:
        entries = _json.as_list(ours["cameras"], f"{name}: cameras")
        cameras = _notes.read_cameras(
            ours.get("hw"), [(e, f"{name}: cameras[{i}]") for i, e in enumerate(entries)], name
        )
    sound = _fourdgs_sound.read(scene.audio_sources, begin, name, warnings)
    span = (begin, begin + float(scene.duration_sec))
    return Contents(splats, cameras, sound, _notes.read_provenance(ours), tuple(warnings), span)


def _splats(scene: Scene, begin: float, warnings: list[str]) -> Splats:
    got = scene.gaussians
    n = got.count
    time_s, duration = got.mu_t.astype(np.float64), got.sigma_t.astype(np.float64)
    mean = got.positions.astype(np.float64)
    low, high = np.asarray(got.win_lo, np.float64), np.asarray(got.win_hi, np.float64)
    # A window becomes the bell that has half of its height at the window's ends.
    windowed = np.isfinite(low) & np.isfinite(high) & ((high - low) / 2 < _HALF_LIT * duration)
    windowed &= (low > 0) | (high < float(scene.duration_sec))
    if windowed.any():
        middle = (low + high) / 2
        mean = np.where(windowed[:, None], mean + got.motions * (middle - time_s)[:, None], mean)
        time_s = np.where(windowed, middle, time_s)
        duration = np.where(windowed, np.maximum((high - low) / 2 / _HALF_LIT, 1e-4), duration)
        warnings.append(f"{int(windowed.sum())} splats begin and end at once in the file; here they fade in and out.")
    base = (got.colors[:, None, :3] - 0.5) / SH_C0
    colour = [base.astype(np.float32)]
    if got.sh is not None and n:
        k = got.sh.shape[1] // 3
        sheen = got.sh.reshape(n, 3, k).transpose(0, 2, 1) / 255 * (_SH_HIGH - _SH_LOW) + _SH_LOW
        colour.append(sheen.astype(np.float32))
    turn = got.rotations[:, [3, 0, 1, 2]].astype(np.float64)
    turn /= np.maximum(np.linalg.norm(turn, axis=1, keepdims=True), 1e-30)
    return Splats(
        mean_m=torch.from_numpy(mean.astype(np.float32)),
        quat_wxyz=torch.from_numpy(turn.astype(np.float32)),
        scale_m=torch.from_numpy(got.scales.astype(np.float32)),
        opacity=torch.from_numpy(got.colors[:, 3].astype(np.float32)),
        colour=torch.from_numpy(np.concatenate(colour, 1)),
        velocity_mps=torch.from_numpy(got.motions.astype(np.float32)),
        time_s=torch.from_numpy((time_s + begin).astype(np.float32)),
        duration_s=torch.from_numpy(duration.astype(np.float32)),
        source=torch.full((n,), SEEN, dtype=torch.uint8),
    )
