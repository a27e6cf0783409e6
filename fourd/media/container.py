"""Opening video files, and only files, and only video."""

from __future__ import annotations

import contextlib
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

from fourd.errors import MediaError
from fourd.types import Limits

# Demuxers that read one file and follow no reference to another. Everything else, above all the
# playlists (hls, dash, concat, sdp, imf, ...), is refused whatever the file is called.
_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,flv,asf,ogg,mxf,nut,dv,rm,wtv,"
    "ivf,obu,h261,h263,h264,hevc,vvc,mjpeg,yuv4mpegpipe,dirac,vc1,vc1test,cavsvideo,amv,swf,"
    "mp3,wav,w64,flac,aac,ac3,eac3,aiff,caf,amr,au,dts,wv,ape,tta"
)
_BOXES = 1000
"""So many boxes are looked at for the index; most files have half a dozen."""
_PLAYLISTS = {b"#EXTM3U": "an HLS", b"ffconcat": "a concat", b"<?xml": "a DASH", b"<MPD": "a DASH", b"v=0": "an SDP"}


def check_file(path: Path) -> None:
    """Refuse what is not a readable regular file with something in it, with the reason."""
    if not path.exists():
        raise MediaError(f"Cannot read {path}: there is no such file.")
    if not path.is_file():
        raise MediaError(f"Cannot read {path}: it is not a regular file.")
    if path.stat().st_size == 0:
        raise MediaError(f"Cannot read {path}: it is empty (0 bytes).")
    try:
        with path.open("rb") as file:
            head = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
    except OSError as error:
        raise MediaError(f"Cannot read {path}: {error.strerror}.") from error
    for magic, what in _PLAYLISTS.items():
        if head.startswith(magic):
            raise MediaError(
                f"Cannot read {path}: it is {what} playlist, which points to other files and is never followed."
                " Give the video itself."
            )


def open_container(path: Path, limits: Limits) -> Any:
    """Open a video or sound file for reading, as an ``av.container.InputContainer``.

    Raises:
        MediaError: If it is none, or of a kind that follows references to other files.
    """
    import av
    from av.error import FFmpegError

    options = {
        "format_whitelist": _CONTAINERS,
        "protocol_whitelist": "file",
        "max_pixels": str(limits.pixels),  # Decoders are asked for a first frame at opening already.
    }
    try:
        # The prefix keeps libavformat from taking a file named "http:..." or "pipe:1" at its word.
        return av.open(f"file:{os.path.abspath(path)}", options=options, metadata_errors="replace")
    except (FFmpegError, ValueError, UnicodeError) as error:
        if _lacks_index(path):
            raise MediaError(
                f"Cannot read {path}: it was cut short, or its recording never ended: the index at its end is missing."
                " Copy it once more."
            ) from error
        if path.suffix.lower() == ".glb":
            raise MediaError(
                f"Cannot read {path}: it is a scene already, or another model; `fourd view` shows it."
            ) from error
        raise MediaError(
            f"Cannot read {path}: it is neither a video nor a picture that can be decoded ({reason(error)})."
        ) from error


def _lacks_index(path: Path) -> bool:
    """Whether it begins as an MP4 or MOV does and has no whole ``moov`` box (ISO/IEC 14496-12, 4.2)."""
    with path.open("rb") as file:
        at, end = 0, os.fstat(file.fileno()).st_size
        for _ in range(_BOXES):
            file.seek(at)
            head = file.read(16)
            size, kind = int.from_bytes(head[:4], "big"), head[4:8]
            if at == 0 and kind != b"ftyp":
                return False
            if size == 1:
                size = int.from_bytes(head[8:], "big")
            at += size
            if kind == b"moov":
                return at > end
            if size < 8 or at >= end:
                return True
    return False


def seek(container: Any, stream: Any, time_s: Fraction) -> None:
    """Go to the last key frame before ``time_s`` on the clock of the file; stay where that fails."""
    from av.error import FFmpegError

    with contextlib.suppress(FFmpegError, OverflowError):
        container.seek(int(time_s / stream.time_base), stream=stream, backward=True)


def reason(error: Exception) -> str:
    """What libav said went wrong, in its own words."""
    return str(getattr(error, "strerror", None) or error).rstrip(".")
