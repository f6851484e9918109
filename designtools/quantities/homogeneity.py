"""How even the main field is."""

from __future__ import annotations

import jax.numpy as jnp

from designtools.problem import Quantity
from designtools.regions import Region


def variation(region: Region, direction, name: str = "homogeneity") -> Quantity:
    """(B.b - mean)/mean (P,), each entry times the root of its weight: the sum of squares is the squared relative rms.

    `direction` (3,) is the unit vector b, usually b0_axis; the mean is that over the region.  An optimiser cheats
    between the points, and by letting the field fall: hold the field as a limit.
    """
    points, weights, b = jnp.asarray(region.points), jnp.asarray(region.weights), jnp.asarray(direction, float)

    def of(design):
        along = design.field(points) @ b
        mean = weights @ along
        return (along - mean) / mean * jnp.sqrt(weights)

    return Quantity(name, "1", of, cheat="a low field is as even as a high one")
