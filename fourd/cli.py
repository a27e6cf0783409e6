"""The command line: ``fourd lift``, ``render``, ``view``, ``report``, ``info``, ``export`` and ``doctor``.

Each command is a file of ``fourd.commands``; here they get their names, and what goes wrong in them becomes a
paragraph and a status. What is heavy is imported when a command runs, so that ``fourd --help`` answers at once.
Results go to the standard output, everything else to the standard error.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
from collections.abc import Iterator, Sequence

import tyro

from fourd.commands.doctor import doctor
from fourd.commands.export import export
from fourd.commands.info import info
from fourd.commands.lift import lift
from fourd.commands.render import render
from fourd.commands.report import report
from fourd.commands.view import view
from fourd.errors import FourdError

COMMANDS = {
    "lift": lift,
    "render": render,
    "view": view,
    "report": report,
    "info": info,
    "export": export,
    "doctor": doctor,
}

_NO_SENSE = 2
"""What the parser ends with where the words make no sense."""
_INTERRUPTED = 130
"""What a shell says of a process that died of SIGINT: 128 + 2."""
_DESCRIPTION = """Turn one ordinary video into a 4D scene that anyone can fly through.

  fourd lift walk.mp4 -o walk.glb
  fourd view walk.glb
  fourd render walk.glb --path orbit --degrees 30 -o orbit.mp4

`fourd COMMAND --help` says more about each command, `fourd --version` which version this is."""


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        args: The words after ``fourd``; those of the process by default.

    Returns:
        0 if all went well, 1 if the work could not be done, 2 if the words make no sense, and 130 if it was
        interrupted.
    """
    words = list(sys.argv[1:] if args is None else args)
    try:
        with _one_paragraph():
            if words == ["--version"]:
                import importlib.metadata

                print(f"fourd {importlib.metadata.version('fourd')}", flush=True)
                return 0
            status = tyro.extras.subcommand_cli_from_dict(
                COMMANDS,
                prog="fourd",
                description=_DESCRIPTION,
                args=words or ["--help"],
                config=(tyro.conf.DisallowNone, tyro.conf.FlagCreatePairsOff),
            )
            sys.stdout.flush()
            return status or 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(bool(end.code))
        if status == _INTERRUPTED and args is None:
            _die_of_interrupt()
        if status == _NO_SENSE and (hint := _hint(words)):
            print(f"fourd: {hint}", file=sys.stderr)
        return status


def _hint(words: Sequence[str]) -> str:
    """What the words were probably meant to be, where a parser of options cannot know it."""
    for word in words:
        if word.startswith("-") and os.path.isfile(word):
            return f"A name that begins with a dash is given as ./{word}"
    loose = [word for word in words[1:] if os.path.isfile(word) or (word.endswith(".glb") and not word.startswith("-"))]
    if words[:1] == ["lift"] and len(loose) > 1 and "-o" not in words and "--out" not in words:
        return "One clip is lifted at a time, and -o names the scene: fourd lift CLIP -o SCENE.glb"
    return ""


def _die_of_interrupt() -> None:
    """End as what was interrupted ends: a shell that runs a loop sees the signal, and stops the loop, too."""
    if os.name == "posix":
        sys.stdout.flush()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)


def _with_options(text: str) -> str:
    """An error in the words of the command line: the engine's names of what was asked for become options.

    Example:
        >>> _with_options("Config.range_deg is 100, start_s=9 lies beyond the end of fps.mp4; raise limits.frames.")
        '--range is 100, --start=9 lies beyond the end of fps.mp4; raise --limits.frames.'
    """
    options = {"range_deg": "range", "start_s": "start", "duration_s": "duration", "at_s": "at"}
    return re.sub(
        r"(?<![\w./-])(?:Config\.)?(?P<name>(?<=Config\.)\w+|limits\.\w+|start_s|duration_s|at_s|fps)(?!\.\w|[\w/-])",
        lambda found: "--" + options.get(found["name"], found["name"].replace("_", "-")),
        text,
    )


@contextlib.contextmanager
def _one_paragraph() -> Iterator[None]:
    """Turn what a user can do something about into a paragraph on the standard error, and a status."""
    try:
        yield
    except FourdError as error:
        print(f"fourd: {_with_options(str(error))}", file=sys.stderr)
        sys.exit(1)
    except (MemoryError, RuntimeError) as error:
        # PyTorch has errors of its own for this, on CPU and GPU.
        if not isinstance(error, MemoryError) and "memory" not in str(error):
            raise
        print("fourd: The memory is full. Use a smaller --size, --duration or --fps.", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("\nfourd: Interrupted; nothing is left half-written.", file=sys.stderr)
        sys.exit(_INTERRUPTED)
    except OSError as error:
        # Whoever read the output has gone, or its disk is full. Python would try, and complain, again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            print(f"fourd: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    sys.exit(main())
