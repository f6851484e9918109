"""What a shim is asked: the frequency it leaves, and the current it draws."""

from __future__ import annotations

import jax.numpy as jnp

from designtools.problem import Quantity
from designtools.units import GAMMA_BAR


def residual_frequency(points, frequency, direction, name: str = "off-resonance") -> Quantity:
    """Measured off-resonance (P,) Hz plus gamma/2pi B.b0 of the design at the same points (P,3) m.

    An optimiser cheats where the mask ends: what lies outside may get worse.
    """
    points, frequency, direction = (jnp.asarray(v, float) for v in (points, frequency, direction))
    of = lambda design: frequency + GAMMA_BAR * (design.field(points) @ direction)
    return Quantity(name, "Hz", of, cheat="voxels outside the mask")


def loop_currents(part: str, turns: int, name: str = "channel currents") -> Quantity:
    """Currents (1,N) A of the loops of `part`, each of `turns` turns, as one row: its l1 norm is the total current."""
    return Quantity(name, "A", lambda design: jnp.asarray(design.parts[part].current)[None, :] / turns)
