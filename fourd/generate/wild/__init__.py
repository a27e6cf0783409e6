"""Random everyday places, different for every seed, to train networks on: rooms, table tops, streets, parks.

The stage films them like any other::

    bank = Bank(np.random.default_rng(0))
    place = wild(np.random.default_rng(1), bank, hw=(144, 192), views=6)
    take = shoot(place.stage, place.cameras, samples=1, rays=1)

Everything stands still; what could walk or drive away has a prop whose name begins with ``alive``.
"""

from fourd.generate.wild.materials import Bank
from fourd.generate.wild.wild import Place, wild

__all__ = ["Bank", "Place", "wild"]
