"""What all that load published models share: where to look, what to say if there is nothing, and what never to read."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import torch

from fourd.errors import FourdError, InputError, LimitError, MissingError

_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


def offline() -> bool:
    """Whether ``HF_HUB_OFFLINE`` forbids to download, in the words that huggingface_hub understands."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def is_id(name: str) -> bool:
    """Whether this may be the id of a model on the hub: owner/name."""
    return re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", name) is not None


def is_cached(source: str, revision: str | None, files: Sequence[str]) -> bool:
    """Whether these files of a commit, which never changes, lie in the hub's cache, so that nobody need be asked."""
    from huggingface_hub import try_to_load_from_cache

    if revision is None or re.fullmatch("[0-9a-f]{40}", revision) is None:
        return False
    return all(isinstance(try_to_load_from_cache(source, file, revision=revision), str) for file in files)


def device(wanted: Literal["auto", "cpu", "cuda"], what: str) -> str:
    """Where a model shall work.

    Raises:
        InputError: If CUDA is wanted and cannot be used.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise InputError(f"The device of {what} is cuda, and PyTorch finds no CUDA device. Use device='cpu'.")
    return ("cuda" if torch.cuda.is_available() else "cpu") if wanted == "auto" else wanted


def check_folder(folder: Path, index: str, saved_by: str) -> None:
    """Refuse a folder that is no model, or whose weights are pickles only.

    Args:
        folder: The folder.
        index: The file that says what the model is.
        saved_by: Which library saves such folders.

    Raises:
        InputError: Then.
    """
    if not (folder / index).is_file():
        raise InputError(f"{folder} is not a model folder: it has no {index}. Name a folder as {saved_by} saves it.")
    files = [p.name for p in sorted(folder.iterdir())]
    pickles = [f for f in files if f.endswith(_PICKLES)]
    if pickles and not any(f.endswith(".safetensors") for f in files):
        raise InputError(
            f"{folder} holds its weights as a pickle ({pickles[0]}), which could run any code when it is read, so it is"
            " not. Have whoever made it save it as safetensors."
        )


@contextlib.contextmanager
def loading(what: str, source: str, otherwise: str, revision: str | None = None) -> Iterator[None]:
    """Say what can be done about a model that cannot be loaded.

    Args:
        what: What messages call it.
        source: Its id on the hub, or its folder.
        otherwise: What to use instead.
        revision: Of the hub's repository.

    Raises:
        InputError: If what is there is broken, or something else.
        MissingError: If it is neither on this machine nor can be downloaded.
        LimitError: If there is not enough memory.
    """
    log = logging.getLogger("huggingface_hub")
    level = log.level
    log.setLevel(logging.ERROR)  # That it tries again, and again, is of no use to anyone.
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # What libraries have to say of their own calls is of no use to anyone.
            yield
    except FourdError:
        raise
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise LimitError(
            f"{what} does not fit into memory ({_line(error)}). Use a smaller one, or {otherwise}."
        ) from None
    except Exception as error:  # What a broken model makes a library raise may be anything.
        if Path(source).is_dir():
            raise InputError(f"{what}: {source} cannot be loaded as a model: {error}") from None
        if not isinstance(error, OSError):
            raise InputError(f"{what}: {source} cannot be loaded as such a model: {_line(error)}") from None
        why = "HF_HUB_OFFLINE is set" if offline() else _line(error)
        at = f" --revision {revision}" if revision else ""
        raise MissingError(
            f"{what} needs the model {source}, which is not on this machine ({why}).\n"
            f"  Download it:     hf download {source}{at}\n"
            f"  Or name a folder that holds it, or use another: {otherwise}"
        ) from None
    finally:
        log.setLevel(level)


def _line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
