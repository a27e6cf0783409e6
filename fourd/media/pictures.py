"""Single pictures, animations, and folders of pictures."""

from __future__ import annotations

import glob
import itertools
import re
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from fourd.checked import checked
from fourd.errors import InputError, LimitError, MediaError
from fourd.files import FILMS, replacing
from fourd.media.colour import on_white
from fourd.media.container import check_file
from fourd.media.stack import Stack
from fourd.media.window import Window, working_hw
from fourd.types import Limits

_FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "AVIF", "BMP", "TIFF", "PPM", "JPEG2000")
_SUFFIXES = {".png", ".apng", ".jpg", ".jpeg", ".gif", ".webp", ".avif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm"}
_ANIMATED = ("GIF", "PNG", "WEBP", "AVIF")
_BROKEN = (OSError, EOFError, SyntaxError, ValueError, LookupError, struct.error)
"""What Pillow raises over broken pictures."""
_FOLDER_FPS = 24.0
_HURRY_MS = 100.0
"""How long browsers show a picture of an animation that asks for less than 11 ms."""


@checked
def read_picture(path: str | Path, *, limits: Limits = Limits()) -> UInt8[Tensor, "h w 3"]:
    """Read one picture, upright, as sRGB.

    EXIF orientation and an embedded colour profile are obeyed; what is transparent is laid on
    white. Of an animation, the first picture is read.

    Raises:
        MediaError: If it cannot be read as a picture.
        LimitError: If it has more than ``limits.pixels`` pixels, before it is decoded.
    """
    path = Path(path)
    check_file(path)
    with _opened(path, limits) as image:
        return torch.from_numpy(_rgb(image))


@checked
def write_picture(path: str | Path, rgb: UInt8[Tensor, "h w 3"]) -> None:
    """Write one sRGB picture as PNG, JPEG or WebP, by the name's suffix.

    Raises:
        InputError: If the suffix is another.
        OutputError: If the file system refuses; an existing file is kept then.
    """
    from PIL import Image

    path = Path(path)
    options: dict[str, dict[str, Any]] = {
        ".png": {},
        ".jpg": {"quality": 95, "subsampling": 0},
        ".jpeg": {"quality": 95, "subsampling": 0},
        ".webp": {"lossless": True},
    }
    if path.suffix.lower() not in options:
        raise InputError(f"Cannot write a picture to {path}: the name must end in .png, .jpg, .jpeg or .webp.")
    if not rgb.numel():
        raise InputError(f"Cannot write {path}: the picture has shape {tuple(rgb.shape)}.")
    with replacing(path) as fresh:
        Image.fromarray(rgb.cpu().contiguous().numpy()).save(fresh, **options[path.suffix.lower()])


def is_picture(path: Path) -> bool:
    """True if the file's content, whatever its name, is a picture or an animation."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(path, formats=_FORMATS):
                return True
        except Image.DecompressionBombError:
            return True
        except _BROKEN:
            return False


def listed(path: Path) -> list[Path] | None:
    """The pictures of a folder or a glob in natural order; None if ``path`` is neither."""
    if path.is_dir():
        found = [p for p in path.iterdir() if p.is_file() and not p.name.startswith(".")]
        found = [p for p in found if p.suffix.lower() in _SUFFIXES]
        kind = "folder"
    elif not path.exists() and glob.has_magic(str(path)):
        found = [p for p in map(Path, glob.glob(str(path))) if p.is_file() and p.suffix.lower() not in FILMS]
        kind = "pattern"
    else:
        return None
    if not found:
        raise MediaError(f"Cannot read {path}: there is no picture in this {kind}.{_films(path)}")
    return sorted(found, key=_natural)


def _films(path: Path) -> str:
    """What to do about a folder or a glob of videos, which somebody wants to lift all at once."""
    found = sorted(path.iterdir()) if path.is_dir() else [Path(name) for name in sorted(glob.glob(str(path)))]
    films = [file for file in found if file.suffix.lower() in FILMS]
    return f" Each of its videos is a clip of its own: give {films[0]}, and so on." if films else ""


def _natural(path: Path) -> tuple[list[tuple[int, int, str]], str]:
    """Sort 2 before 10, upper case beside lower."""
    parts = re.findall(r"\d+|\D+", str(path).casefold())
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts], str(path)


def read_many(path: Path, files: list[Path], window: Window, limits: Limits) -> Stack:
    """Read pictures that are frames of one clip, at a steady rate."""
    fps = window.fps or _FOLDER_FPS
    steady = ((i / fps, file) for i, file in enumerate(files))
    wanted = [file for _, file in window.picked(steady, lambda: len(files) / fps)]
    _check_any(path, len(wanted), len(files) / fps, window)
    stack = Stack(path.name, limits)
    first: tuple[int, int] | None = None
    for i, file in enumerate(wanted):
        check_file(file)
        with _opened(file, limits) as image:
            rgb = _rgb(image)
        first = first or rgb.shape[:2]
        if rgb.shape[:2] != first:
            raise MediaError(
                f"Cannot read {path} as one clip: {wanted[0].name} has {first[1]} x {first[0]} pixels"
                f" and {file.name} {rgb.shape[1]} x {rgb.shape[0]}. All pictures must be of one size."
            )
        stack.add(i / fps, smaller(rgb, window.size))
    return stack


def read_still_or_animation(path: Path, window: Window, limits: Limits) -> tuple[Stack, list[str]]:
    """Read a picture as a clip of one frame, or an animation at its own times, and say what is missing."""
    stack = Stack(path.name, limits)
    shown = _Shown()
    with _opened(path, limits) as image:
        for time_s, rgb in window.paced(_from_zero(shown, image, window), lambda: shown.last_s):
            if time_s > limits.seconds:
                raise LimitError(f"{path} is longer than {limits.seconds:g} seconds (limits.seconds).")
            stack.add(time_s, smaller(rgb, window.size))
    _check_any(path, len(stack), shown.end_s, window)
    return stack, [f"{path.name}: it was cut short and ends after {shown.end_s:.3g} seconds."] if shown.cut else []


class _Shown:
    """The pictures of an animation with the times at which they are shown."""

    end_s = 0.0
    """When the last picture so far is over."""
    last_s = 0.0
    """How long it stays; a lone picture has no length of its own."""
    cut = False
    """Whether there should have been more."""

    def pictures(self, image: Any) -> Iterator[tuple[float, UInt8[np.ndarray, "h w 3"]]]:
        animated = image.format in _ANIMATED and self._moves(image)
        start_ms, length_ms = 0.0, 1000 / _FOLDER_FPS
        # The stand-in that a PNG shows where animation is not known is no part of the animation.
        begin = 1 if animated and getattr(image, "default_image", False) else 0
        for index in itertools.count(begin) if animated else (0,):
            try:
                if index:
                    image.seek(index)
            except EOFError:
                return
            except _BROKEN:
                self.cut = True
                return
            try:
                rgb = _rgb(image)
            except _BROKEN:
                if index == begin:
                    raise
                self.cut = True
                return  # What came before is whole.
            if animated:
                asked_ms = float(image.info.get("duration") or 0)
                length_ms = asked_ms if asked_ms > 10 else _HURRY_MS
                self.last_s = length_ms / 1000
            self.end_s = (start_ms + length_ms) / 1000
            yield start_ms / 1000, rgb
            start_ms += length_ms

    def _moves(self, image: Any) -> bool:
        try:
            return getattr(image, "is_animated", False)
        except _BROKEN:  # Its second picture does not even begin whole.
            self.cut = True
            return False


def _from_zero(shown: _Shown, image: Any, window: Window) -> Iterator[tuple[float, Any]]:
    first: float | None = None
    for time_s, picture in window.picked(shown.pictures(image), lambda: shown.end_s):
        first = time_s if first is None else first
        yield time_s - first, picture


def _check_any(path: Path, kept: int, end_s: float, window: Window) -> None:
    if not kept:
        raise InputError(f"{path} lasts {end_s:.3g} seconds; start_s={window.start_s:g} lies beyond its end.")


def smaller(rgb: UInt8[np.ndarray, "h w 3"], size: int | None) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Shrink a picture to a longer side of ``size`` by averaging areas."""
    import cv2

    h, w = working_hw(rgb.shape[:2], size)
    return rgb if (h, w) == rgb.shape[:2] else cv2.resize(rgb, (w, h), interpolation=cv2.INTER_AREA)


@contextmanager
def _opened(path: Path, limits: Limits) -> Iterator[Any]:
    """Open a picture's header, check its size, and turn Pillow's many errors into ours."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata, and of sizes that we check ourselves.
        try:
            with Image.open(path, formats=_FORMATS) as image:
                if image.width * image.height > limits.pixels:
                    raise LimitError(
                        f"{path} has {image.width} x {image.height} pixels; the limit is {limits.pixels} pixels"
                        " (limits.pixels). Make it smaller, or raise the limit."
                    )
                yield image
        except Image.DecompressionBombError as error:
            raise LimitError(f"{path} is too large: {error}") from error
        except Image.UnidentifiedImageError as error:
            raise MediaError(f"Cannot read {path}: it is not a picture of a known format.") from error
        except (*_BROKEN, MemoryError) as error:
            if isinstance(error, InputError):
                raise
            raise MediaError(f"Cannot read {path}: the picture is broken or cut short ({error}).") from error


def _rgb(image: Any) -> UInt8[np.ndarray, "h w 3"]:
    """Decode to upright sRGB; transparency is laid on white."""
    from PIL import ImageOps

    image.load()
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16") or image.mode == "I":
        deep = np.asarray(image).astype(np.float32)
        grey = np.clip(np.rint(deep / 257), 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=-1)
    transparent = "A" in image.getbands() or "transparency" in image.info
    array = np.array(_to_srgb_profile(image).convert("RGBA" if transparent else "RGB"))
    return on_white(array) if transparent else array


def _to_srgb_profile(image: Any) -> Any:
    """Obey an embedded colour profile where there is a usable one."""
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "RGBA", "CMYK"):
        return image
    import io

    from PIL import ImageCms

    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        changed = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode=mode)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image  # A broken profile says nothing; nearly every picture is sRGB anyway.
    return changed if changed is not None else image
