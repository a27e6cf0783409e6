"""What the numbers of a published depth model mean: read from its configuration, never guessed from the numbers."""

from __future__ import annotations

from typing import Any, Literal

from fourd.errors import InputError

Meaning = Literal["inverse", "depth", "canonical"]
"""``inverse``: inverse depth up to scale and shift; ``depth``: metres; ``canonical``: inverse depth in 1/m for a focal
length of one picture's width, which the model says beside it."""


def meaning(what: str, config: Any) -> Meaning:
    """What a model of transformers gives.

    Args:
        what: What messages call it.
        config: Its configuration.

    Raises:
        InputError: If it does not say, or if what it gives is not the depth of a picture.
    """
    kind = config.model_type
    if kind == "depth_anything":
        return "depth" if config.depth_estimation_type == "metric" else "inverse"
    if kind == "depth_pro":
        return "canonical"
    if kind in ("zoedepth", "glpn", "tipsv2_dpt"):
        return "depth"
    if kind == "dpt":
        # Intel's own give inverse depth. Those on DINOv2 were fitted to metres (of NYU or KITTI), and they alone
        # have this layer.
        return "depth" if config.add_projection else "inverse"
    if kind == "prompt_depth_anything":
        raise InputError(f"{what} wants measured depth beside the picture (a prompt), and there is none.")
    if kind == "chmv2":
        raise InputError(f"{what} tells the height of trees seen from above, which is not the depth of a picture.")
    raise InputError(
        f"{what} is of the kind '{kind}', of which it is not known what it gives."
        " Say it: gives='inverse' (up to scale and shift) or gives='depth' (metres)."
    )
