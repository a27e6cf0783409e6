"""Scene: the one object that users hold. It renders, saves and opens itself by handing on to the stages."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from fourd import exports, formats, media, render
from fourd.errors import InputError
from fourd.formats import glb, html
from fourd.geometry import clock, paths
from fourd.types import Cameras, Frames, Provenance, Sound, Splats

_IN_STEP_S = 0.04
"""Pictures and sound may be so far apart before anybody minds (ITU-R BT.1359: 45 ms early is noticed)."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A 4D scene: splats that live in time, the cameras that filmed them, and the sound."""

    splats: Splats
    cameras: Cameras
    """The source cameras, one for each frame of the clip."""
    sound: Sound | None = None
    provenance: Provenance = field(default_factory=Provenance)

    @staticmethod
    def open(path: str | Path) -> Scene:
        """Read a scene that ``save`` wrote, or a ``.4dgs``, ``.splatv``, ``.ply``, ``.spz`` or ``.splat`` of others.

        Where a file has no cameras, one is put where it has everything in view, and the provenance's warnings say so.

        Raises:
            FormatError: If the file is broken or is of no format that can be read.
        """
        return Scene(*formats.read_scene(path))

    def save(self, path: str | Path, *, quantised: bool = False) -> None:
        """Write the scene to a ``.glb`` file, whole or not at all.

        Args:
            path: Where to.
            quantised: Round the splats to some 36 bytes each, which nobody sees; exact ones take 88.

        Raises:
            InputError: If the path has another suffix.
            OutputError: If the file cannot be written.
        """
        if Path(path).suffix.lower() != ".glb":
            raise InputError(f"A scene is saved as .glb, not as '{Path(path).name}'; export writes other formats.")
        glb.write(path, **self._whole(), quantised=quantised)

    def _whole(self) -> dict[str, Any]:
        parts = ("splats", "cameras", "sound", "provenance")
        return {name: getattr(self, name) for name in parts}

    def export(
        self,
        path: str | Path,
        *,
        time_s: float | None = None,
        kind: exports.Kind = "splats",
        exact: bool = False,
        spz_version: Literal[3, 4] = 3,
    ) -> None:
        """Write what others read; the kind and the suffix of the path choose the format (docs/formats.md).

        Args:
            path: Where to. Splats: ``.glb``, ``.4dgs``, ``.splatv`` and ``.html`` hold all moments, ``.ply``, ``.spz``
                and ``.splat`` one, a new folder a ``.ply`` for each frame; ``.json`` the cameras. Points and meshes:
                ``.ply`` or ``.glb``, of one moment. Depth: ``.png`` or ``.exr`` of one moment, a new folder of PNGs
                of all frames. Cameras: ``.json`` (transforms.json), ``.npz``, ``.txt`` (a TUM trajectory), a new folder
                (a COLMAP text model).
            time_s: The moment of a format of one moment; the middle of the clip by default.
            kind: Splats; the centres of splats as points; the surface that the cameras see as a mesh; the depth
                that the source cameras see; or these cameras.
            exact: Do not round the splats of a ``.glb``.
            spz_version: Version of an ``.spz``.

        Raises:
            InputError: If kind and suffix make nothing together, the scene does not fit into the format, or it is not
                there at that moment.
            OutputError: If the file system refuses.
        """
        self._check_moment(time_s)
        exports.write(Path(path), **self._whole(), time_s=time_s, kind=kind, exact=exact, spz_version=spz_version)

    def show(self, *, height_px: int = 480, limit_mb: float = 32.0) -> html.Embedded:
        """The scene with its player, for a notebook, which displays what the last line of a cell returns.

        Args:
            height_px: Height of the player in the notebook.
            limit_mb: The notebook keeps all that it shows. A scene that needs more megabytes gives a sentence
                that says so, and what to do.

        Example:
            ``scene.show(height_px=600)``
        """
        return html.Embedded(self._page, height_px=height_px, limit_mb=limit_mb)

    def _repr_html_(self) -> str:
        return self.show()._repr_html_()

    def _page(self) -> str:
        return html.page(self.splats, self.cameras, self.sound, self.provenance)

    def _check_moment(self, time_s: float | None) -> None:
        """Refuse a moment before the scene begins or after it ends: what moves is not there any more."""
        first_s, last_s = float(self.cameras.time_s[0]), float(self.cameras.time_s[-1])
        frame_s = 1 / self.fps
        if time_s is not None and not first_s - frame_s <= time_s <= last_s + frame_s:
            raise InputError(f"The moment {time_s:g} s is not in the scene: it lasts from {first_s:g} to {last_s:g} s.")

    @property
    def middle_s(self) -> float:
        """The moment half way through the clip."""
        return float(self.cameras.time_s[0] + self.cameras.time_s[-1]) / 2

    @property
    def up(self) -> Tensor:
        """The world's direction up [3], unit: as the clip says it, or else the mean up of its cameras."""
        up = self.provenance.up
        return paths.mean_up(self.cameras) if up is None else torch.tensor(up, dtype=torch.float64)

    def focus_m(self) -> float:
        """Distance from the middle camera to what it looks at: the median depth in the middle of its picture."""
        middle = len(self.cameras) // 2
        frames = self.render(self.cameras[middle : middle + 1])
        h, w = self.cameras.hw
        centre = (slice(None), slice(h // 4, h - h // 4), slice(w // 4, w - w // 4))
        seen = frames.depth_m[centre][frames.alpha[centre] > 0.5]
        return float(seen.median()) if len(seen) else 1.0

    def path(self, name: str, **options: Any) -> Cameras:
        """Cameras that move through the scene, one for each frame of a film.

        Args:
            name: ``orbit``, ``arc``, ``freeze``, ``spiral``, ``dolly``, ``truck``, ``pedestal``, ``crane``, ``pan``,
                ``tilt``, ``roll``, ``zoom``, ``dolly-zoom``, ``source``, ``stabilised`` or ``keyframes``.
            options: ``degrees``, or ``amount`` in the path's own unit; ``at_s``, where time stands still, in
                seconds; ``duration_s``, ``fps``, ``speed`` and ``hw`` (height, width) of the film, and whatever else
                ``fourd.geometry.paths.make`` takes. By default the path's own amount, and the rest as it was filmed.

        Raises:
            InputError: If the path is not known, an option does not fit it, or the scene is not there at ``at_s``.
            LimitError: If the film would have too many frames.

        Example:
            ``scene.render(scene.path("orbit", degrees=30))``
        """
        self._check_moment(options.get("at_s"))
        return paths.make(name, self.cameras, **{"focus_m": self.focus_m(), "up": self.up, **options})

    def render(self, cameras: Cameras) -> Frames:
        """Render the scene as each of ``cameras`` sees it, at that camera's own moment.

        Args:
            cameras: ``scene.cameras``, some of them (``scene.cameras[:10]``), or a path's; ``write_video`` is the one
                for long films, of which memory would not hold all pictures.

        Returns:
            ``rgb`` [t, h, w, 3] (sRGB, 0 to 1), ``alpha`` [t, h, w], ``depth_m`` [t, h, w] and ``hole`` [t, h, w].

        Raises:
            InputError: If a picture is larger than can be drawn.
            MissingError: If what draws is not installed: the extension, or on CUDA gsplat and NVRTC.
        """
        return render.render(self.splats, cameras)

    def write_video(self, path: str | Path, cameras: Cameras, *, fps: float | None = None) -> None:
        """Render to a video file, picture by picture, so that memory does not grow with its length.

        The source's sound goes along where the scene's time runs as fast as the video's.

        Args:
            path: An ``.mp4``; written whole or not at all.
            cameras: One for each frame of the video.
            fps: Frame rate of the video; that of the source by default.

        Raises:
            InputError: If the name or the frame rate makes no video.
            OutputError: If the file cannot be written.
        """
        fps = self.fps if fps is None else fps
        pictures = (_u8(frames.rgb[0]) for frames in render.stream(self.splats, cameras))
        media.write_video(path, pictures, fps=fps, sound=self.heard(cameras, fps))

    @property
    def fps(self) -> float:
        """The steady frame rate that fits the source best."""
        return clock.even_fps(self.cameras.time_s)

    def heard(self, cameras: Cameras, fps: float) -> Sound | None:
        """The sound of a film through ``cameras``, on the film's clock; none where time runs otherwise.

        After the scene has ended, and its last moment is held, time may stand.
        """
        times = cameras.time_s
        runs = times < times.max()
        if self.sound is None or not bool(runs.any()):
            return None
        played = torch.arange(len(times), dtype=torch.float64) / fps
        late = (times - times[0] - played)[runs].abs().max()
        return self.sound.replace(start_s=self.sound.start_s - float(times[0])) if late < _IN_STEP_S else None


def _u8(rgb: Tensor) -> Tensor:
    return (rgb.clamp(0, 1) * 255 + 0.5).to(torch.uint8).cpu()
