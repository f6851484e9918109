"""Concomitant (Maxwell) fields: what |B| has beyond the component that encodes.

    |B0 + B| - (|B0| + B.b) = |B_across|^2 / (|B0 + B| + |B0| + B.b),        b = B0/|B0|

exactly, with B_across the part of the gradient coil's field across B0; to second order |B_across|^2 / 2 B0.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from designtools._pytree import pytree
from designtools.units import GAMMA_BAR


@pytree
class LinearField:
    """B = slope (3,3) @ (r - centre (3,)), T/m and m: trace-free and symmetric where no current flows."""

    slope: jax.Array
    centre: jax.Array

    def field(self, points):
        """Flux density (P,3) T at points (P,3) m."""
        return (jnp.asarray(points) - self.centre) @ jnp.asarray(self.slope).T


def ideal_gradient(gradient, symmetry: float = 0.5) -> LinearField:
    """The linear Maxwell field whose z component has `gradient` (3,) T/m; B0 along z.

    symmetry: share of Gz that dB_x/dx takes with opposite sign, dB_y/dy taking the rest; 1/2 for coils round about z
    (M. A. Bernstein et al., Magn. Reson. Med. 39 (1998) 300).
    """
    gx, gy, gz = np.asarray(gradient, float)
    slope = [[-symmetry * gz, 0, gx], [0, (symmetry - 1) * gz, gy], [gx, gy, gz]]
    return LinearField(np.array(slope), np.zeros(3))


def concomitant_field(coil, main, points):
    """Concomitant field (P,) T of `coil` in the field of `main` (sources) at points (P,3) m; exact, free of cancellation."""
    inner, parallel, across = _split(coil, main, points)
    total = inner + parallel
    return across / (jnp.sqrt(total**2 + across) + total)


def second_order(coil, main, points):
    """|B_across|^2 / 2 B0 (P,) T: the leading term of `concomitant_field`; for ideal gradients that of Bernstein 1998."""
    inner, _, across = _split(coil, main, points)
    return across / (2 * inner)


def beyond_encoding(coil, main, points):
    """|B0 + B| - |B0| (P,) T: all that the spins see of the coil."""
    return _split(coil, main, points)[1] + concomitant_field(coil, main, points)


def to_hertz(field, gyromagnetic_ratio: float = GAMMA_BAR):
    """Frequency (Hz) of a flux density (T); proton unless told."""
    return gyromagnetic_ratio * field


def displacement(coil, main, points, gradient: float):
    """Shift (P,) m along an encoding direction of `gradient` (T/m) that the concomitant field makes, at the coil's drive."""
    return concomitant_field(coil, main, points) / gradient


def _split(coil, main, points):
    """|B0|, B.b and |B_across|^2 at points."""
    points = jnp.asarray(points, float)
    strong, weak = main.field(points), coil.field(points)
    size = jnp.linalg.norm(strong, axis=1)
    along = strong / size[:, None]
    parallel = jnp.sum(weak * along, axis=1)
    rest = weak - parallel[:, None] * along
    return size, parallel, jnp.sum(rest * rest, axis=1)
