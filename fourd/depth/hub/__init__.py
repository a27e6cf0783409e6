"""Published depth models, through transformers: by name, by hub id, or from a local folder.

Each reads single pictures. What the camera's travel tells comes first all the same; a published model stands behind it,
where nothing was measured, and in its place where the camera does not travel (see ``fourd.depth.parallax``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fourd import hub
from fourd.depth.hub.meaning import Meaning, meaning
from fourd.depth.hub.reader import Reader
from fourd.depth.hub.shown import FIXED, shown
from fourd.depth.parallax import Parallax
from fourd.errors import InputError

OTHERWISE = "parallax"


@dataclass(frozen=True)
class Model:
    """A published model."""

    id: str
    revision: str | None = None
    """The commit that is loaded if nobody names another; None for the newest."""


_V2 = "depth-anything/Depth-Anything-V2"
MODELS = {
    "depth-anything": Model(f"{_V2}-Small-hf", "5426e4f0f36572d16453bbda7a8389317b1bef99"),
    "depth-anything-base": Model(f"{_V2}-Base-hf"),
    "depth-anything-large": Model(f"{_V2}-Large-hf"),
    "depth-anything-indoor": Model(f"{_V2}-Metric-Indoor-Small-hf", "4d5187ef4957085a714f15b6ae43230a8b813c03"),
    "depth-anything-outdoor": Model(f"{_V2}-Metric-Outdoor-Small-hf", "2fd93bd764b15eea94dcf7763bba7ddc25007d0f"),
    "depth-pro": Model("apple/DepthPro-hf"),
    "zoedepth": Model("Intel/zoedepth-nyu-kitti", "f364d4c7936e91f465abba182208dd68142bf0ca"),
}
"""Each has a licence of its own; those of Depth Anything's base and large and of Depth Pro forbid commercial use."""


def load(
    name: str,
    source: str | Path | None = None,
    revision: str | None = None,
    size: int | None = None,
    gives: Literal["auto", "inverse", "depth"] = "auto",
    device: Literal["auto", "cpu", "cuda"] = "auto",
) -> Parallax:
    """Parallax with a published model behind it.

    The model is loaded, and shown a picture, at once: what is wrong with it is known before any work begins.

    Args:
        name: One of ``MODELS``, a hub id (``owner/name`` or ``owner/name@revision``), or a folder.
        source: Another hub id or folder to load it from.
        revision: Of the hub's repository: a commit, a tag or a branch. Name a commit, and it never changes.
        size: Longer side in pixels of what the model is shown, where it does not insist on one; smaller is quicker.
        gives: What its numbers mean, where the configuration does not say: inverse depth up to scale and shift, or
            metres.
        device: Where it works.

    Raises:
        InputError: If there is no such model, it is not one of depth, or an option makes no sense.
        MissingError: If it is neither on this machine nor can be downloaded.
        LimitError: If it does not fit into memory.
    """
    return Parallax(reader(name, source, revision, size, gives, device))


def reader(
    name: str,
    source: str | Path | None = None,
    revision: str | None = None,
    size: int | None = None,
    gives: Literal["auto", "inverse", "depth"] = "auto",
    device: Literal["auto", "cpu", "cuda"] = "auto",
) -> Reader:
    """The model alone; see ``load``."""
    what = f"Depth backend '{name}'"
    if size is not None and size < 14:
        raise InputError(f"{what} needs pictures of at least 14 pixels, not {size}.")
    place = hub.device(device, what)
    where, revision = _where(name, source, revision)
    with hub.loading(what, where, OTHERWISE, revision), _silence():
        config, processor = _described(where, revision, what)
        told: Meaning = meaning(what, config) if gives == "auto" else gives
        show, border = shown(what, processor, config.model_type == "zoedepth", size)
    with hub.loading(what, where, OTHERWISE, revision), _silence():
        network, lacks = _network(where, revision, config)
        read = Reader(name, network.to(place), show, told, border)
        # What is wrong with it shall be known before the long work begins.
        ramp = np.broadcast_to(np.linspace(0, 255, 64, dtype=np.uint8)[None, :, None], (48, 64, 3))
        try:
            read.look(np.ascontiguousarray(ramp))
        except InputError as error:
            if not lacks:
                raise
            raise InputError(f"{what}: {where} lacks weights that it needs ({lacks[0]}). {error}") from None
    return read


def _where(name: str, source: str | Path | None, revision: str | None) -> tuple[str, str | None]:
    """The folder or the hub id of a model, and the revision."""
    known = MODELS.get(name)
    wanted = str(source) if source is not None else known.id if known else name
    folder = Path(wanted).expanduser()
    if folder.exists():
        hub.check_folder(folder, "config.json", "transformers")
        return str(folder), None
    if source is None and known:
        return known.id, revision or known.revision
    found, _, at = wanted.partition("@")
    if not hub.is_id(found):
        raise InputError(
            f"'{wanted}' is no depth model: there is no such folder, and on the hub names are owner/name."
            f" By name there are: {', '.join(MODELS)}."
        )
    return found, revision or at or None


def _described(where: str, revision: str | None, what: str) -> tuple[Any, Any]:
    """A model's configuration, and how it wants to be shown pictures."""
    from transformers import AutoConfig, AutoImageProcessor
    from transformers.image_processing_base import ImageProcessingMixin
    from transformers.models.auto.modeling_auto import MODEL_FOR_DEPTH_ESTIMATION_MAPPING_NAMES as KNOWN

    place = _place(where, revision)
    config = AutoConfig.from_pretrained(where, **place)
    if config.model_type not in KNOWN:
        raise InputError(f"{what}: {where} is a model of another kind ('{config.model_type}'): it estimates no depth.")
    if config.model_type in FIXED:
        return config, ImageProcessingMixin.get_image_processor_dict(where, **place)[0]
    # Not through torchvision, so that the same picture is seen whether it is installed or not.
    return config, AutoImageProcessor.from_pretrained(where, backend="pil", **place)


def _place(where: str, revision: str | None) -> dict[str, Any]:
    """Where transformers is to look; nothing of a model's own code is ever run."""
    needed = ("config.json", "preprocessor_config.json", "model.safetensors")
    local = hub.offline() or Path(where).is_dir() or hub.is_cached(where, revision, needed)
    return dict(revision=revision or "main", local_files_only=local, trust_remote_code=False)


def _network(where: str, revision: str | None, config: Any) -> tuple[Any, list[str]]:
    """The network, and the names of weights that its file does not hold."""
    import torch
    from transformers import AutoModelForDepthEstimation

    # Only safetensors: a pickle could run anything.
    model, told = AutoModelForDepthEstimation.from_pretrained(
        where,
        config=config,
        use_safetensors=True,
        dtype=torch.float32,
        output_loading_info=True,
        **_place(where, revision),
    )
    # What is lacking would be drawn at random. Some models have layers that nothing passes (DPT's first fusion), so it
    # is made such that it shows in the depth if it counts.
    lacks = sorted(told["missing_keys"])
    for name in lacks:
        torch.nn.init.constant_(model.state_dict()[name], torch.nan)
    return model.eval(), lacks


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep transformers from writing to the terminal, and leave it as it was."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
