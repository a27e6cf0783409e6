"""The exception tree: everything that fourd raises on purpose is a ``FourdError``.

A message names the thing, the value that was found, what was expected and the next step. The
command line prints it as one paragraph; nothing else does.
"""

from __future__ import annotations


class FourdError(Exception):
    """Base of every error that fourd raises on purpose."""


class InputError(FourdError, ValueError):
    """A value, a shape or a file handed in by the caller cannot be used."""


class MediaError(InputError):
    """A video, picture or sound file cannot be read as what it claims to be."""


class FormatError(InputError):
    """A scene, camera or depth file is broken or is not of the format it claims."""


class LimitError(InputError):
    """An input is larger than the limits in force; the message names the option that raises them."""


class OutputError(FourdError, OSError):
    """A file cannot be written; whatever stood at that path before stands there still."""


class MissingError(FourdError, ImportError):
    """Something optional is needed and is not installed; the message says how to get it."""


def missing(what: str, package: str, install: str, otherwise: str = "") -> MissingError:
    """Build the error for an optional package that is not there.

    Args:
        what: The thing that needs it, as the user named it (``"Depth backend 'moge'"``).
        package: The importable name that was not found.
        install: What to give to pip.
        otherwise: Something that works without it, if there is one.

    Example:
        >>> print(missing("Depth backend 'moge'", "moge", "fourd[moge]", "embedded"))
        Depth backend 'moge' needs the package 'moge', which is not installed.
          Install it:      pip install 'fourd[moge]'
          Or use another:  embedded
    """
    text = f"{what} needs the package '{package}', which is not installed.\n"
    text += f"  Install it:      pip install '{install}'"
    return MissingError(text + (f"\n  Or use another:  {otherwise}" if otherwise else ""))
