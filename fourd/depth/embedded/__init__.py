"""The small network that comes with the package, as a reader of single pictures.

The weights lie beside this module, if there are any; ``weights.md`` says what they were trained on.
"""

from __future__ import annotations

from fourd.depth.embedded import weights
from fourd.depth.embedded.reader import Reader
from fourd.depth.single import SinglePictures


def available() -> bool:
    """Whether the weights are there."""
    return weights.SHIPPED.is_file()


def load(name: str = "embedded") -> SinglePictures:
    """The backend ``"embedded"``: the network alone.

    Raises:
        MissingError: If the weights are not there.
        FormatError: If they are broken.
    """
    return SinglePictures(Reader())
