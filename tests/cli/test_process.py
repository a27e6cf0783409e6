"""The command as a process: importing is free, and the shell gets a status."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.said import Run, paragraph

_HEAVY = ("fourd.native._cpu", "gsplat", "embreex", "transformers", "diffusers", "pycolmap")


def _imported(code: str) -> list[str]:
    """The modules that a fresh Python holds after running ``code``."""
    code += "\nimport sys, json; sys.stdout.write('\\n' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_help_loads_nothing_heavy() -> None:
    loaded = _imported("from fourd.cli import main\nassert main(['--help']) == 0")
    assert not set(loaded) & {*_HEAVY, "torch", "cv2", "av", "numpy"}


def test_importing_fourd_loads_no_kernels_and_changes_nothing() -> None:
    # What others do when they are imported is theirs: cv2 sets LD_LIBRARY_PATH, rich draws a number.
    code = """
import os, random, av, cv2, numpy, rich.progress, torch, tyro
def state():
    flags = torch.backends.cudnn.benchmark, torch.are_deterministic_algorithms_enabled(), torch.is_grad_enabled()
    drawn = random.getstate(), str(numpy.random.get_state()), torch.random.get_rng_state().tolist()
    return torch.get_num_threads(), torch.get_default_dtype(), dict(os.environ), flags, drawn
before = state()
import fourd, fourd.pipeline, fourd.scene, fourd.cli, fourd.doctor, fourd.view.film
assert state() == before
"""
    assert not set(_imported(code)) & set(_HEAVY)


def test_the_check_of_imports_can_fail() -> None:
    assert "embreex" in _imported("import embreex")
    with pytest.raises(subprocess.CalledProcessError):
        _imported("assert False")


def test_a_user_sees_a_paragraph_and_the_shell_a_status(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "fourd.cli", "export", "a.glb", "-o", "a.obj"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert paragraph(done.stderr).startswith("Cannot write 'a.obj': its name must be one of")


@pytest.mark.needs("native")
def test_an_interrupt_ends_the_loop_around_it(clip: Path) -> None:
    loop = f'for i in 1 2; do "{sys.executable}" -m fourd.cli lift "{clip}" -o $i.glb --no-sheet; done; echo went on'
    words = ["bash", "-c", loop]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as run:
        assert run.stderr is not None
        assert "6 frames" in run.stderr.readline()
        os.killpg(run.pid, signal.SIGINT)  # As a terminal does: the shell hears it, too.
        out, err = run.communicate(timeout=60)
    assert run.returncode in (130, -signal.SIGINT)
    assert out == "" and err.endswith("fourd: Interrupted; nothing is left half-written.\n")
    assert not list(Path().glob("*.glb"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_behind_the_output_is_no_traceback(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        words = [sys.executable, "-m", "fourd.cli", "--version"]
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1 and paragraph(done.stderr) == "[Errno 28] No space left on device"


def test_a_reader_that_leaves_early_is_nothing_to_talk_about(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    words = [sys.executable, "-m", "fourd.cli", "--version"]
    done = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


def test_unknown_backends_are_named_with_the_known_ones(run: Run, clip: Path) -> None:
    for option, known in {"--camera": "flow", "--depth": "parallax"}.items():
        status, _, err = run("lift", clip, option, "magic")
        lines = err.splitlines()
        assert status == 1 and "'magic'" in lines[-1] and known in lines[-1] and lines[-1].startswith("fourd: ")
