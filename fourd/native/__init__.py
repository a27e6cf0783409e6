"""The only code that reaches the kernels: each module offers one, and ``reference`` says what they mean."""

from fourd.native.rasterize import Raster, rasterize

__all__ = ["Raster", "rasterize"]
