"""Any file, folder or glob to a clip."""

from __future__ import annotations

from pathlib import Path

from fourd.checked import checked
from fourd.errors import MediaError
from fourd.media import pictures
from fourd.media.container import check_file
from fourd.media.sound import read_sound
from fourd.media.video import read_video
from fourd.media.window import Window
from fourd.types import Clip, Limits


@checked
def read(
    path: str | Path,
    *,
    start_s: float = 0.0,
    duration_s: float | None = None,
    fps: float | None = None,
    size: int | None = None,
    limits: Limits = Limits(),
) -> Clip:
    """Read a video, an animation, a picture, or a folder or glob of pictures.

    What a file is, its content says and not its name. Rotation and mirroring stored with the
    pictures are obeyed and pixels made square. Pictures keep their real times; the first one kept
    is at 0. Of a file that is cut short or damaged, the whole pictures are kept, and the clip's
    ``warnings`` say what is missing.

    Args:
        path: The file, folder or glob.
        start_s: Where to begin, in seconds from the first picture.
        duration_s: How much to read, in seconds; everything by default.
        fps: Resample to this frame rate, each tick showing the picture nearest in time; for
            folders and globs, the rate at which the pictures were taken (24 by default).
        size: Longer side of the working picture in pixels. Never enlarges.
        limits: Caps on pixels, frames, seconds and bytes.

    Raises:
        InputError: If an argument makes no sense, or ``start_s`` lies beyond the end.
        MediaError: If the file cannot be read as pictures.
        LimitError: If it is larger than ``limits``.
    """
    window = Window(start_s, duration_s, fps, size)
    if "://" in str(path) and not Path(path).exists():
        raise MediaError(f"Cannot read {path}: addresses are not followed. Download the video first.")
    path = Path(path)
    if (many := pictures.listed(path)) is not None:
        frames, time_s = pictures.read_many(path, many, window, limits).tensors()
        return Clip(frames, time_s, name=path.name)
    check_file(path)
    if pictures.is_picture(path):
        stack, warnings = pictures.read_still_or_animation(path, window, limits)
        frames, time_s = stack.tensors()
        return Clip(frames, time_s, name=path.stem, warnings=tuple(warnings))
    stack, first_s, warnings = read_video(path, window, limits)
    frames, time_s = stack.tensors()
    sound = read_sound(path, first_s, duration_s, limits)
    return Clip(frames, time_s, sound=sound, name=path.stem, warnings=tuple(warnings))
