"""The only code that reaches the kernels: each module offers one, and ``reference`` says what they mean."""

from fourd.native.contribution import Contribution, contribution
from fourd.native.device import require_cuda
from fourd.native.draw import Picture, draw
from fourd.native.inputs import EPS2D_PX
from fourd.native.rasterize import Raster, rasterize

__all__ = ["EPS2D_PX", "Contribution", "Picture", "Raster", "contribution", "draw", "rasterize", "require_cuda"]
