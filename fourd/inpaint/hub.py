"""Published inpainting models, through diffusers: by name, by hub id, or from a local folder.

They know what the world looks like, which nothing that fits into this package does; and they are large, and want a
GPU. They draw colours only: the depth of what they draw is that of the background, as the embedded inpainter continues
it without lessons.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool
from torch import Tensor

from fourd import hub
from fourd.errors import InputError, LimitError, missing
from fourd.events import Progress, Steps, Warned, result
from fourd.inpaint import embedded, tiles
from fourd.inpaint.nouns import STAGE, Holes, Pictures

_GREY = 0.5
"""What WanVACE wants to see in a hole."""
_FRAMES = 81
"""Pictures of one call of a video model at most."""
_HALVINGS = 2
"""Sides are halved at most so often: smaller tiles show too little for a model to go by."""


@dataclass(frozen=True)
class Model:
    """A published model."""

    id: str
    pipeline: str
    """The class of diffusers that loads it."""
    size: int
    """Longer side in pixels of the pictures that it was made for."""


MODELS = {
    "wan-vace": Model("Wan-AI/Wan2.1-VACE-1.3B-diffusers", "WanVACEPipeline", 832),
    "sd": Model("stable-diffusion-v1-5/stable-diffusion-inpainting", "AutoPipelineForInpainting", 512),
    "sdxl": Model("diffusers/stable-diffusion-xl-1.0-inpainting-0.1", "AutoPipelineForInpainting", 1024),
    "flux-fill": Model("black-forest-labs/FLUX.1-Fill-dev", "FluxFillPipeline", 1024),
    "qwen-image": Model("Qwen/Qwen-Image", "AutoPipelineForInpainting", 1024),
    "z-image": Model("Tongyi-MAI/Z-Image-Turbo", "AutoPipelineForInpainting", 1024),
}
"""Each has a licence of its own; that of FLUX.1-Fill-dev forbids commercial use."""
_DIRECT = {"WanVACEPipeline", "FluxFillPipeline"}
"""Classes that load themselves; all others are asked for through AutoPipelineForInpainting."""


@dataclass(frozen=True)
class Settings:
    """How to use a model."""

    prompt: str = "the empty background, seamlessly continued"
    negative_prompt: str = "people, text, border, frame, blurry"
    steps: int | None = None
    """Of sampling; the pipeline's own number by default."""
    guidance: float | None = None
    strength: float = 1.0
    """Share of noise to begin with, for models that take it; below 1 they begin with a plain filling."""
    size: int | None = None
    """Longer side of the pictures that it draws, in pixels; what it was made for by default."""
    grow_px: int = 4
    """Holes are made larger by so much for the model; what is drawn beyond them is thrown away."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    offload: Literal["none", "model", "sequential"] = "none"
    """What of the model waits in ordinary memory until it is needed; the more, the slower."""
    cache: float | None = None
    """Threshold of the first-block cache, about 0.1: later steps skip most of a transformer where little changes."""

    def __post_init__(self) -> None:
        if self.steps is not None and self.steps < 1:
            raise InputError(f"Inpainting with a model takes at least 1 step, not {self.steps}.")
        if self.size is not None and self.size < 16:
            raise InputError(f"Inpainting with a model needs pictures of at least 16 pixels, not {self.size}.")
        if not 0 < self.strength <= 1:
            raise InputError(f"The strength of inpainting is {self.strength:g}; it must lie above 0 and not above 1.")
        hub.device(self.device, "the inpainter")


class Hub:
    """The backend: a pipeline of diffusers, loaded when it is first needed."""

    def __init__(self, name: str, source: str, revision: str | None, size: int, pipeline: str, how: Settings) -> None:
        self._name, self._source, self._revision, self._how = name, source, revision, how
        self._size, self._class, self._pipe = how.size or size, pipeline, None
        self._halvings = 0  # Of pictures' sides, to tiles that fit into memory; found by trying, and kept.

    def learn(self, clip: Pictures, masks: Bool[Tensor, "m h w"], seed: int) -> Steps[None]:
        """Nothing to learn."""
        yield from ()

    def fill(self, holes: Holes, seed: int) -> Steps[Pictures]:
        """See ``fourd.inpaint.Inpainter``.

        Raises:
            MissingError: If the model is neither here nor can be downloaded.
            LimitError: If it does not fit into memory.
        """
        if not holes.hole.any():
            return holes.filled(holes.pictures.rgb, holes.pictures.inverse_depth)
        # What has learnt nothing fills plainly: a good beginning, and the depth of what is drawn.
        plain = result(embedded.load("embedded", lessons=0, samples=1, detail=0.0).fill(holes, seed))
        rgb = plain.rgb.clone()
        wanted = [i for i in range(len(holes)) if holes.hole[i].any()]
        pipe = self._loaded()
        together = _FRAMES if _is_video(pipe) else 1
        for start in range(0, len(wanted), together):
            index = wanted[start : start + together]
            rgb[index] = yield from self._fitted(pipe, rgb[index], holes.hole[index], seed + start)
            yield Progress(STAGE, start + len(index), len(wanted))
        return holes.filled(rgb, plain.inverse_depth)

    def _loaded(self) -> Any:
        if self._pipe is None:
            pipe = _load(self._name, self._source, self._revision, self._class, self._how)
            try:
                self._pipe = _prepared(pipe, self._how, self._size)
            except (RuntimeError, MemoryError) as error:
                raise self._too_large(error) from error
        return self._pipe

    def _fitted(self, pipe: Any, rgb: Tensor, hole: Tensor, seed: int) -> Steps[Tensor]:
        """Draw pictures, in tiles where they do not fit into memory whole."""

        def draw(rgb: Tensor, hole: Tensor, seed: int, size: int) -> Tensor:
            return self._draw(pipe, rgb, hole, seed, size)

        while True:
            try:
                return tiles.drawn(draw, rgb, hole, seed, self._size, self._halvings)
            except (RuntimeError, MemoryError) as error:
                # What the error holds on to, the pictures half drawn, is let go of with it.
                limit = self._too_large(error)
                if not isinstance(limit, LimitError) or self._halvings == _HALVINGS:
                    raise limit from None
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            self._halvings += 1
            yield Warned(
                STAGE,
                f"Inpainter '{self._name}' does not fit into memory, so it draws tiles, {2**self._halvings} a side;"
                " they agree less well than whole pictures. offload='model' needs less memory, and so does a smaller"
                " size.",
            )

    def _too_large(self, error: Exception) -> Exception:
        """What to do where a model does not fit, or the error itself if it is another one."""
        if not tiles.exhausted(error):
            return error
        return LimitError(
            f"Inpainter '{self._name}' does not fit into memory ({(str(error) or 'MemoryError').splitlines()[0]}).\n"
            "  Make it smaller: size=512, or offload='model', or offload='sequential'\n"
            "  Or use another:  embedded"
        )

    def _draw(self, pipe: Any, rgb: Tensor, hole: Tensor, seed: int, size: int) -> Tensor:
        """Draw pictures [n, h, w, 3] whose holes are filled plainly; returns them at their own size."""
        hw = int(hole.shape[1]), int(hole.shape[2])
        inner = _fitting(hw, size)
        pictures = F.interpolate(rgb.permute(0, 3, 1, 2), inner, mode="bilinear", antialias=True).clamp(0, 1)
        mask = F.interpolate(hole[:, None].float(), inner, mode="area") > 0
        grow = 2 * self._how.grow_px + 1
        mask = F.max_pool2d(mask.float(), grow, 1, self._how.grow_px)
        generator = torch.Generator("cpu").manual_seed(seed)
        asked: dict[str, Any] = dict(
            prompt=self._how.prompt,
            negative_prompt=self._how.negative_prompt,
            height=inner[0],
            width=inner[1],
            generator=generator,
            num_inference_steps=self._how.steps,
            guidance_scale=self._how.guidance,
            strength=self._how.strength,
        )
        if _is_video(pipe):
            # A video model takes 4 k + 1 pictures: the last one is shown until they are.
            extra = -(len(pictures) - 1) % 4
            shown = torch.cat([torch.where(mask > 0, _GREY, pictures), pictures[-1:].expand(extra, -1, -1, -1)])
            masks = torch.cat([mask, torch.zeros_like(mask[-1:]).expand(extra, -1, -1, -1)])
            asked |= dict(video=_pil(shown), mask=_pil(masks.expand(-1, 3, -1, -1)), num_frames=len(shown))
            asked |= dict(output_type="np")
            out = self._called(pipe, asked).frames[0][: len(pictures)]
        else:
            asked |= dict(image=_pil(pictures)[0], mask_image=_pil(mask.expand(-1, 3, -1, -1))[0], output_type="np")
            out = self._called(pipe, asked).images
        drawn = torch.from_numpy(np.nan_to_num(np.asarray(out, np.float32))).permute(0, 3, 1, 2)
        return F.interpolate(drawn, hw, mode="bilinear", antialias=True).permute(0, 2, 3, 1).clamp(0, 1)

    def _called(self, pipe: Any, asked: dict[str, Any]) -> Any:
        takes = inspect.signature(pipe.__call__).parameters
        with torch.no_grad():
            return pipe(**{k: v for k, v in asked.items() if k in takes and v is not None})


def _is_video(pipe: Any) -> bool:
    return "video" in inspect.signature(pipe.__call__).parameters


def _fitting(hw: tuple[int, int], longer: int) -> tuple[int, int]:
    """A size of about the same shape whose sides are multiples of 16."""
    scale = longer / max(hw)
    h, w = (max(16, 16 * round(x * scale / 16)) for x in hw)
    return h, w


def _pil(pictures: Tensor) -> list[Any]:
    from PIL import Image

    arrays = (pictures.permute(0, 2, 3, 1).cpu().numpy() * 255 + 0.5).astype(np.uint8)
    return [Image.fromarray(a) for a in arrays]


def _load(name: str, source: str, revision: str | None, pipeline: str, how: Settings) -> Any:
    import diffusers

    if pipeline == "WanVACEPipeline" and importlib.util.find_spec("ftfy") is None:
        raise missing(f"Inpainter '{name}'", "ftfy", "fourd[hub]", "embedded")
    dtype = torch.float32 if _device(how) == "cpu" else torch.bfloat16
    with hub.loading(f"Inpainter '{name}'", source, "embedded", revision):
        # Only safetensors: a pickle could run anything. Nothing of the model's own code is ever run.
        return getattr(diffusers, pipeline).from_pretrained(
            source, revision=revision, dtype=dtype, use_safetensors=True, local_files_only=hub.offline()
        )


def _device(how: Settings) -> str:
    return hub.device(how.device, "the inpainter")


def _prepared(pipe: Any, how: Settings, size: int) -> Any:
    """Put a pipeline where it shall work, as the settings say."""
    pipe.set_progress_bar_config(disable=True)
    if _is_video(pipe) and "flow_shift" in pipe.scheduler.config:
        # Wan's own advice: 3 for 480 lines, 5 for 720.
        shift = 3.0 if size <= 832 else 5.0
        pipe.scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config, flow_shift=shift)
    if how.cache is not None:
        inner: Any = getattr(pipe, "transformer", None)
        if not hasattr(inner, "enable_cache"):
            raise InputError(f"{type(pipe).__name__} has no transformer that can be cached; leave cache out.")
        from diffusers.hooks.first_block_cache import FirstBlockCacheConfig

        inner.enable_cache(FirstBlockCacheConfig(threshold=how.cache))
    if _device(how) == "cpu":
        return pipe
    if how.offload == "model":
        pipe.enable_model_cpu_offload()
    elif how.offload == "sequential":
        pipe.enable_sequential_cpu_offload()
    else:
        pipe.to("cuda")
    return pipe


def _class_of(folder: Path) -> str:
    """The pipeline of a local folder.

    Raises:
        InputError: If it holds no model that can fill holes.
    """
    index = folder / "model_index.json"
    hub.check_folder(folder, index.name, "diffusers")
    try:
        told = json.loads(index.read_text(encoding="utf-8"))
        name = str(told["_class_name"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{index} does not say which pipeline it is for ({error}).") from None
    foreign = [
        v[0] for v in told.values() if isinstance(v, list) and v and v[0] not in (None, "diffusers", "transformers")
    ]
    if foreign and not all(str(f).isidentifier() and hasattr(_pipelines(), str(f)) for f in foreign):
        raise InputError(f"{index} asks for code of its own ({foreign[0]}); only models of diffusers are loaded.")
    return name if name in _DIRECT else "AutoPipelineForInpainting"


def _pipelines() -> Any:
    import diffusers.pipelines

    return diffusers.pipelines


def load(
    name: str,
    source: str | Path | None = None,
    revision: str | None = None,
    prompt: str = Settings.prompt,
    negative_prompt: str = Settings.negative_prompt,
    steps: int | None = None,
    guidance: float | None = None,
    strength: float = 1.0,
    size: int | None = None,
    grow_px: int = 4,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    offload: Literal["none", "model", "sequential"] = "none",
    cache: float | None = None,
) -> Hub:
    """A published model: one of ``MODELS``, or a local folder.

    Args:
        name: Which; a path for a folder.
        source: Another hub id or folder to load it from, of the same kind.
        revision: Of the hub's repository: a commit, a tag or a branch. Name a commit, and it never changes.
        prompt: What shall be seen in the holes.
        negative_prompt: What shall not.
        steps: See ``Settings``, as for all that follow.
        guidance: How much the prompt counts; the pipeline's own by default.
        strength: See ``Settings``.
        size: See ``Settings``.
        grow_px: See ``Settings``.
        device: See ``Settings``.
        offload: See ``Settings``.
        cache: See ``Settings``.

    Raises:
        InputError: If a folder holds no model, or an option makes no sense.
    """
    how = Settings(prompt, negative_prompt, steps, guidance, strength, size, grow_px, device, offload, cache)
    known = MODELS.get(name)
    where = str(source) if source is not None else known.id if known else name
    local = Path(where).expanduser()
    if local.exists() or known is None:
        pipeline = _class_of(local)
        return Hub(name, str(local), None, known.size if known else MODELS["sd"].size, pipeline, how)
    return Hub(name, where, revision, known.size, known.pipeline, how)
