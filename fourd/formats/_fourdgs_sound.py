"""The sounds of a ``.4dgs``: tracks that are heard everywhere, and tracks with places.

A scene's ``samples`` are what the camera heard, its ``sources`` the same by where it comes from. The format plays all
its tracks at once, so where there are sources the camera's track goes along with a gain of 0: other players let the
sources be heard, and nothing is lost. Places are y up in the file.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from fourdgs import AudioSource, AudioSourceKeyframe

from fourd.errors import InputError
from fourd.formats import _wav
from fourd.formats._axes import POINT_SIGNS
from fourd.types import Sound, SoundSource

_LAYOUTS = {1: "mono", 2: "stereo"}
_SHORTEST_S = 1e-9


def written(sound: Sound, begin: float, length_s: float) -> list[AudioSource]:
    """The tracks of a scene whose clock begins at ``begin`` and runs for ``length_s``."""
    start, length = sound.start_s - begin, max(sound.duration_s, _SHORTEST_S)
    layout = _LAYOUTS.get(sound.samples.shape[1], "unspecified")
    gain = 0.0 if sound.sources else 1.0
    tracks = [AudioSource(0, "wav", _wav.encode(sound), "", layout, start, length, gain, spatial=False)]
    for i, source in enumerate(sound.sources):
        data = _wav.encode(Sound(source.samples[:, None], sound.rate_hz))
        places = (source.position_m * POINT_SIGNS).tolist()
        moments = [t - begin for t in source.time_s.tolist()]
        path = [
            AudioSourceKeyframe(t, (x, y, z))
            for t, (x, y, z) in zip(moments, places, strict=True)
            if 0 <= t <= length_s
        ]
        x, y, z = places[0]
        track = AudioSource(i + 1, "wav", data, source.name, "mono", start, length, position=(x, y, z), keyframes=path)
        tracks.append(track)
    return tracks


def read(tracks: Sequence[AudioSource], begin: float, name: str, warnings: list[str]) -> Sound | None:
    """The sound that tracks make; those that cannot be taken in are counted in ``warnings``.

    Raises:
        FormatError: If a WAV file is broken.
    """
    whole: Sound | None = None
    placed: list[tuple[AudioSource, Sound]] = []
    left = 0
    for track in tracks:
        if track.codec.lower() != "wav":
            left += 1
            continue
        heard = _wav.decode(bytes(track.data), begin + track.start_sec, f"The sound '{track.name}' of {name}")
        if track.spatial:
            placed.append((track, heard))
        elif whole is None:
            whole = heard
        else:
            left += 1
    if whole is None and placed:
        # What a camera in the midst of them would hear.
        first = placed[0][1]
        alike = [heard.samples for _, heard in placed if _alike(heard, first) and heard.samples.shape[1] == 1]
        if alike:
            mixed = np.zeros((max(map(len, alike)), 1), np.float32)
            for samples in alike:
                mixed[: len(samples)] += samples.numpy()
            whole = first.replace(samples=torch.from_numpy(mixed))
    sources = []
    for track, heard in placed:
        if whole is None or not _alike(heard, whole) or heard.samples.shape[1] != 1:
            left += 1
            continue
        path = track.keyframes or [AudioSourceKeyframe(0.0, track.position)]
        places = torch.tensor([frame.position for frame in path], dtype=torch.float32) * POINT_SIGNS
        moments = torch.tensor([frame.time + begin for frame in path], dtype=torch.float64)
        try:
            sources.append(SoundSource(heard.samples[:, 0], places, moments, track.name))
        except InputError:
            left += 1
    if left:
        warnings.append(f"{left} sounds of the file were left out.")
    return None if whole is None else whole.replace(sources=tuple(sources))


def _alike(a: Sound, b: Sound) -> bool:
    """Whether two tracks have one rate and begin together."""
    return a.rate_hz == b.rate_hz and abs(a.start_s - b.start_s) < 1 / a.rate_hz
