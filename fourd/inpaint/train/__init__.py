"""Makes the weights that the embedded inpainter begins with, from pictures that the stage films.

It is a room of its own above the stages, because it wires them: ``python -m fourd.inpaint.train --help``.
"""
