"""How the pixels of a clip move, and which of them move on their own."""

from fourd.motion.estimate import estimate
from fourd.motion.refine import refine

__all__ = ["estimate", "refine"]
