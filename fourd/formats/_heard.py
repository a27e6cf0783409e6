"""A sound and its placed sources, inside a scene file: WAV files somewhere in it, and what JSON says of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from fourd.errors import FormatError, InputError
from fourd.formats import _json, _wav
from fourd.types import Sound, SoundSource

MOST = 64
"""So many sources are read at most."""


def write(sound: Sound, keep: Callable[[bytes], dict[str, Any]]) -> dict[str, Any]:
    """What to say of a sound.

    Args:
        sound: Its sources may have places.
        keep: Puts a WAV file into the scene file, and returns what says where it is.
    """
    said = keep(_wav.encode(sound)) | {"mimeType": "audio/wav", "start_s": sound.start_s}
    sources = [
        keep(_wav.encode(Sound(source.samples[:, None], sound.rate_hz)))
        | {"name": source.name, "time_s": source.time_s.tolist(), "position_m": source.position_m.tolist()}
        for source in sound.sources
    ]
    return said | ({"sources": sources} if sources else {})


def read(said: dict[str, Any], fetch: Callable[[dict[str, Any]], bytes], name: str) -> Sound:
    """The sound that ``write`` described.

    Args:
        said: What the file says of it, not yet checked.
        fetch: Returns the WAV file of what ``keep`` returned.
        name: Of the file, for errors.

    Raises:
        FormatError: If something is missing, broken or too much.
    """
    start_s = _json.as_float(said.get("start_s", 0.0), f"{name}: sound.start_s")
    sound = _wav.decode(fetch(said), start_s, f"The sound of {name}")
    entries = _json.as_list(said.get("sources", []), f"{name}: sound.sources")
    if len(entries) > MOST:
        raise FormatError(f"{name} has {len(entries)} sources of sound; at most {MOST} are read.")
    return sound.replace(sources=tuple(_source(entry, fetch, sound, name, i) for i, entry in enumerate(entries)))


def _source(entry: Any, fetch: Callable[[dict[str, Any]], bytes], sound: Sound, name: str, i: int) -> SoundSource:
    where = f"{name}: sound.sources[{i}]"
    told = _json.as_dict(entry, where)
    heard = _wav.decode(fetch(told), sound.start_s, where)
    if heard.samples.shape[1] != 1 or heard.rate_hz != sound.rate_hz:
        raise FormatError(
            f"{where} has {heard.samples.shape[1]} channels at {heard.rate_hz} Hz; one at {sound.rate_hz} is expected."
        )
    times = _json.as_list(told.get("time_s"), f"{where}.time_s")
    places = _json.as_list(told.get("position_m"), f"{where}.position_m")
    try:
        return SoundSource(
            heard.samples[:, 0],
            torch.tensor([_json.as_floats(place, 3, f"{where}.position_m") for place in places]).reshape(-1, 3),
            torch.tensor([_json.as_float(t, f"{where}.time_s") for t in times], dtype=torch.float64),
            _json.as_str(told.get("name", ""), f"{where}.name"),
        )
    except FormatError:
        raise
    except InputError as error:
        raise FormatError(f"{where} is broken: {error}") from error
