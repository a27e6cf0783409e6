"""Light for random places, indoors and outdoors, from noon to dusk."""

from __future__ import annotations

import numpy as np

from fourd.generate.props import Lamp, Prop, Rgb, Sky, Stage, Sun
from fourd.generate.wild.places import Ground
from fourd.generate.wild.site import Site


def _tint(site: Site, low: float, high: float, spread: float = 0.1) -> Rgb:
    """Light of a random strength, warm or cool."""
    bright, warm = site.between(low, high), float(site.rng.normal(0, spread))
    return bright * (1 + warm), bright, max(bright * (1 - warm), 0.01)


def lit(site: Site, ground: Ground, props: list[Prop]) -> Stage:
    """The stage with a sun, a sky and, indoors, a lamp."""
    exposure = site.between(0.8, 1.5)
    towards = (float(site.rng.normal()), site.between(0.25, 1.6), float(site.rng.normal()))
    if ground.indoors:
        low, high = np.asarray(ground.low_m), np.asarray(ground.high_m)
        x, _, z = site.rng.uniform(low, high).tolist()
        half = site.between(0.05, 0.6)
        lamp = Lamp(
            (x, float(high[1]) * site.between(0.8, 1.05), z),
            (half, 0, 0),
            (0, 0, site.between(0.05, 0.6)),
            rgb=_tint(site, 0.3, 2.5) if half > 0.25 else _tint(site, 3, 12),
        )
        sky = Sky(light=_tint(site, 0.2, 0.7), bounce=_tint(site, 0.1, 0.4), clouds=0.8, reach_m=site.between(0.3, 1.2))
        # Under a ceiling the sun reaches nothing; over an open table it is another lamp.
        sun = Sun(towards, _tint(site, 0.2, 0.9), site.between(0.5, 8)) if site.chance(0.6) else None
        return Stage(props, sun=sun, sky=sky, lamp=lamp, exposure=exposure)
    overcast = site.chance(0.35)
    grey = site.between(0.5, 1.1)
    sky = Sky(
        zenith=(grey, grey, grey) if overcast else (site.between(0.05, 0.35), site.between(0.25, 0.5), 0.75),
        horizon=_tint(site, 0.6, 1.1),
        clouds=site.between(0, 1.2),
        light=_tint(site, 0.5, 0.95) if overcast else _tint(site, 0.25, 0.5),
        bounce=_tint(site, 0.1, 0.3),
        reach_m=site.between(0.8, 3),
        haze_m=site.between(40, 400) if site.chance(0.4) else np.inf,
    )
    strength = (0.0, 0.15) if overcast else (0.5, 1.3)
    return Stage(props, sun=Sun(towards, _tint(site, *strength), site.between(0.3, 3)), sky=sky, exposure=exposure)
