"""Published models: true classes with tiny random weights, loaded and run as the real ones are."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from fourd import inpaint
from fourd.errors import InputError, LimitError, MissingError
from fourd.events import Progress, Warned, result
from fourd.inpaint import Holes, Pictures, tiles
from fourd.inpaint.hub import Hub
from tests.inpaint import tiny

pytestmark = [pytest.mark.needs("diffusers"), pytest.mark.usefixtures("offline")]


@pytest.fixture(scope="module")
def sd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.stable_diffusion(tmp_path_factory.mktemp("sd"))


@pytest.fixture(scope="module")
def vace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.wan_vace(tmp_path_factory.mktemp("vace"))


def holes(n: int) -> Holes:
    hole = torch.zeros(n, 24, 40, dtype=torch.bool)
    hole[:, 6:18, 10:20] = True
    rgb, rho = torch.rand(n, 24, 40, 3), torch.full((n, 24, 40), 0.25)
    return Holes.plain(Pictures(rgb, rho, ~hole), hole)


def test_an_image_model_fills_picture_after_picture(sd: Path) -> None:
    model = inpaint.backend(sd, steps=2, size=32, device="cpu")
    wanted = holes(2)
    steps = model.fill(wanted, 0)
    assert [next(steps), next(steps)] == [Progress("inpaint", 1, 2), Progress("inpaint", 2, 2)]
    filled, again = result(model.fill(wanted, 0)), result(model.fill(wanted, 0))
    assert bool(filled.known.all())
    assert torch.equal(filled.rgb[~wanted.hole], wanted.pictures.rgb[~wanted.hole])
    torch.testing.assert_close(filled.inverse_depth, torch.full((2, 24, 40), 0.25))  # As the wall around.
    assert torch.equal(filled.rgb, again.rgb)
    other = result(model.fill(wanted, 7))
    assert not torch.equal(filled.rgb, other.rgb)


@pytest.mark.parametrize("count", [1, 3, 5])
def test_a_video_model_fills_any_number_of_pictures_at_once(vace: Path, count: int) -> None:
    model = inpaint.backend("wan-vace", source=vace, steps=2, size=32, device="cpu")
    wanted = holes(count)
    filled = result(model.fill(wanted, 0))
    assert bool(filled.known.all()) and bool(torch.isfinite(filled.rgb).all())
    assert torch.equal(filled.rgb[~wanted.hole], wanted.pictures.rgb[~wanted.hole])


@pytest.mark.parametrize(("name", "made"), [("flux-fill", tiny.flux_fill), ("sdxl", tiny.stable_diffusion_xl)])
def test_other_classes_fill_too(name: str, made: Callable[[Path], Path], tmp_path: Path) -> None:
    wanted = holes(1)
    filled = result(inpaint.backend(name, source=made(tmp_path), steps=2, size=32).fill(wanted, 0))
    assert bool(filled.known.all()) and bool(torch.isfinite(filled.rgb).all())
    assert torch.equal(filled.rgb[~wanted.hole], wanted.pictures.rgb[~wanted.hole])


def test_what_a_video_model_needs_is_named(vace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ftfy" else found(name))
    with pytest.raises(MissingError, match="'wan-vace' needs the package 'ftfy'"):
        result(inpaint.backend("wan-vace", source=vace).fill(holes(1), 0))


def test_steps_may_be_cached_where_there_is_a_transformer(sd: Path, vace: Path) -> None:
    assert bool(result(inpaint.backend(vace, steps=3, size=32, device="cpu", cache=0.1).fill(holes(1), 0)).known.all())
    with pytest.raises(InputError, match="StableDiffusionInpaintPipeline has no transformer that can be cached"):
        result(inpaint.backend(sd, cache=0.1, device="cpu").fill(holes(1), 0))


def test_offline_it_says_how_to_get_the_model() -> None:
    with pytest.raises(MissingError) as caught:
        result(inpaint.backend("sdxl", device="cpu").fill(holes(1), 0))
    assert str(caught.value) == (
        "Inpainter 'sdxl' needs the model diffusers/stable-diffusion-xl-1.0-inpainting-0.1, which is not on this"
        " machine (HF_HUB_OFFLINE is set).\n"
        "  Download it:     hf download diffusers/stable-diffusion-xl-1.0-inpainting-0.1\n"
        "  Or name a folder that holds it, or use another: embedded"
    )


def test_nothing_is_loaded_where_there_is_nothing_to_fill() -> None:
    pictures = holes(1).pictures
    whole = Holes.plain(pictures, torch.zeros_like(pictures.known))
    assert torch.equal(result(inpaint.backend("sd").fill(whole, 0)).rgb, pictures.rgb)


def test_folders_that_hold_no_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not a model folder: it has no model_index.json"):
        inpaint.backend(tmp_path)
    with pytest.raises(InputError, match="is not a model folder"):
        inpaint.backend(str(tmp_path / "nowhere"))
    (tmp_path / "model_index.json").write_text("[]")
    with pytest.raises(InputError, match="does not say which pipeline it is for"):
        inpaint.backend(tmp_path)
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "X", "unet": ["evil_module", "Unet"]}))
    with pytest.raises(InputError, match=r"asks for code of its own \(evil_module\); only models of diffusers"):
        inpaint.backend(tmp_path)
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionInpaintPipeline"}))
    with pytest.raises(InputError, match="cannot be loaded as a model"):
        result(inpaint.backend(tmp_path, device="cpu").fill(holes(1), 0))


def test_pickled_weights_are_not_read(sd: Path, tmp_path: Path) -> None:
    for path in sd.rglob("*"):
        if path.is_file():
            target = tmp_path / path.relative_to(sd)
            target.parent.mkdir(parents=True, exist_ok=True)
            suffix = ".bin" if path.suffix == ".safetensors" else path.suffix
            target.with_suffix(suffix).write_bytes(path.read_bytes())
    with pytest.raises(InputError, match="cannot be loaded as a model"):
        result(inpaint.backend(tmp_path, device="cpu").fill(holes(1), 0))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (dict(steps=0), "takes at least 1 step, not 0"),
        (dict(size=8), "needs pictures of at least 16 pixels, not 8"),
        (dict(strength=0.0), "The strength of inpainting is 0; it must lie above 0"),
    ],
)
def test_options_must_make_sense(options: dict[str, float], said: str) -> None:
    with pytest.raises(InputError, match=said):
        inpaint.backend("sd", **options)


class _Full:
    """A pipeline on a machine whose memory holds pictures of so many pixels."""

    def __init__(self, pipe: object, pixels: int, error: Exception) -> None:
        self._pipe, self._pixels, self._error = pipe, pixels, error
        self.sizes: list[tuple[int, int]] = []

    def __call__(
        self, prompt: str, image: object, mask_image: object, height: int, width: int, generator: torch.Generator,
        num_inference_steps: int, strength: float, output_type: str,
    ) -> object:  # fmt: skip
        self.sizes.append((height, width))
        if height * width > self._pixels:
            raise self._error
        return self._pipe(  # pyright: ignore[reportCallIssue]  # A pipeline of diffusers.
            prompt=prompt, image=image, mask_image=mask_image, height=height, width=width, generator=generator,
            num_inference_steps=num_inference_steps, strength=strength, output_type=output_type,
        )  # fmt: skip


ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
    MemoryError(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
def test_what_does_not_fit_into_memory_is_drawn_in_tiles(
    sd: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = inpaint.backend(sd, steps=1, size=64, device="cpu")
    assert isinstance(model, Hub)
    full = _Full(model._loaded(), 32 * 48, error)
    monkeypatch.setattr(model, "_pipe", full)
    wanted = holes(2)
    heard: list[object] = []
    filled = result(model.fill(wanted, 0), heard.append)
    assert bool(filled.known.all()) and torch.equal(filled.rgb[~wanted.hole], wanted.pictures.rgb[~wanted.hole])
    warned = [e.message for e in heard if isinstance(e, Warned)]
    assert len(warned) == 1, "found once, and kept for the pictures that follow"
    assert warned[0].startswith(f"Inpainter '{sd}' does not fit into memory, so it draws tiles, 2 a side;")
    assert full.sizes[0] == (32, 64) and all(h * w <= 32 * 48 for h, w in full.sizes[1:])
    inside = filled.rgb[wanted.hole]
    assert float(inside.std()) > 0 and bool(torch.isfinite(inside).all())


def test_what_does_not_fit_even_in_tiles_says_what_to_do(sd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = inpaint.backend(sd, steps=1, size=64, device="cpu")
    assert isinstance(model, Hub)
    full = _Full(model._loaded(), 0, ERRORS[0])
    monkeypatch.setattr(model, "_pipe", full)
    with pytest.raises(LimitError) as told:
        result(model.fill(holes(1), 0))
    assert str(told.value) == (
        f"Inpainter '{sd}' does not fit into memory (CUDA out of memory. Tried to allocate 20.00 MiB.).\n"
        "  Make it smaller: size=512, or offload='model', or offload='sequential'\n"
        "  Or use another:  embedded"
    )
    assert len(full.sizes) == 3, "whole, halved and quartered"


def test_other_errors_of_a_model_are_not_taken_for_a_lack_of_memory(sd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = inpaint.backend(sd, steps=1, size=32, device="cpu")
    assert isinstance(model, Hub)
    monkeypatch.setattr(model, "_pipe", _Full(model._loaded(), 0, RuntimeError("mat1 and mat2 do not fit")))
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        result(model.fill(holes(1), 0))


@pytest.mark.parametrize(("hw", "halvings"), [((24, 40), 1), ((25, 41), 2), ((3, 5), 2)])
def test_tiles_cover_every_hole_once(hw: tuple[int, int], halvings: int) -> None:
    def draw(rgb: torch.Tensor, hole: torch.Tensor, seed: int, size: int) -> torch.Tensor:
        assert rgb.shape[:3] == hole.shape and max(hole.shape[1:]) <= max(3, max(hw) / 2**halvings * 1.25 + 1)
        return torch.full_like(rgb, float(seed))

    hole = torch.rand(1, *hw, generator=torch.Generator().manual_seed(0)) < 0.5
    rgb = torch.full((1, *hw, 3), -1.0)
    drawn = tiles.drawn(draw, rgb, hole, 10, 64, halvings)
    assert bool((drawn[hole] > 10).all()) and bool((drawn[~hole] == -1).all())
