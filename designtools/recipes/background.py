"""The main magnet as other parts feel it."""

from __future__ import annotations

import numpy as np

from designtools.sources import Uniform


def magnet_field(spec):
    """The field source of spec.magnet: its coaxial blocks where listed, else a homogeneous field along b0_axis."""
    magnet = spec.magnet
    if magnet.blocks:
        return _blocks(magnet.blocks, spec.frame)
    return Uniform(flux_density=np.asarray(spec.frame.b0_axis, float) * magnet.flux_density)


def _blocks(blocks, frame):
    from designtools.sources import Blocks

    return Blocks(**{name: np.array([getattr(b, name) for b in blocks]) for name in Blocks.__dataclass_fields__})
