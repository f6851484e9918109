"""Point dipoles, alone or as the cubature of a magnetised volume seen from afar.

With d from the dipole to the point and strength s = mu0 m (T·m3):

    B = (3 (s.d) d / d^5 - s / d^3) / 4 pi,    A = s x d / (4 pi d^3),    mu0 phi = s.d / (4 pi d^3).

At a dipole itself its own contribution counts as 0.
"""

from __future__ import annotations

import jax.numpy as jnp

from designtools.kernels.segment import _cross, _dot, _minus
from designtools.kernels.streaming import contract
from designtools.units import MU_0


def field(points, centre, moment):
    """Flux density (P,3) T at points (P,3) m of dipoles at centre (N,3) m with moment (N,3) A·m2."""
    table = contract(_field_matrix, points, (centre,), moment)  # (P, 9, 3)
    return MU_0 / (4 * jnp.pi) * jnp.einsum("pijj->pi", table.reshape(-1, 3, 3, 3))


def potential(points, centre, moment):
    """Vector potential (P,3) T·m of the same dipoles."""
    table = contract(_pull, points, (centre,), moment)  # (P, d, m)
    cross = [table[:, (i + 2) % 3, (i + 1) % 3] - table[:, (i + 1) % 3, (i + 2) % 3] for i in range(3)]
    return MU_0 / (4 * jnp.pi) * jnp.stack(cross, axis=1)


def scalar_potential(points, centre, moment):
    """Scalar potential (P,) A of the same dipoles."""
    return jnp.einsum("pii->p", contract(_pull, points, (centre,), moment)) / (4 * jnp.pi)


def flux_of(d, strength):
    """B (three arrays, T) at d (three arrays, m) from dipoles of strength mu0 m (three arrays, T·m3)."""
    square, cube = _distance(d)
    along = 3 * _dot(strength, d) / square
    return tuple((along * x - s) * cube for x, s in zip(d, strength))


def potential_of(d, strength):
    """A (three arrays, T·m), arguments as for `flux_of`."""
    cube = _distance(d)[1]
    return tuple(cube * component for component in _cross(strength, d))


def scalar_potential_of(d, strength):
    """mu0 phi (one array in a tuple, T·m), arguments as for `flux_of`."""
    return (_dot(strength, d) * _distance(d)[1],)


def _field_matrix(xyz, centre):
    """The matrix m -> B without mu0/4pi, in 1/m3: nine arrays (S, P), row by row."""
    d = _minus(xyz, centre)
    square, cube = _distance(d)
    entry = lambda i, j: 4 * jnp.pi * (3 * d[i] * d[j] / square - (i == j)) * cube
    return [entry(i, j) for i in range(3) for j in range(3)]


def _pull(xyz, centre):
    """d / d^3 in 1/m2: three arrays (S, P)."""
    d = _minus(xyz, centre)
    cube = 4 * jnp.pi * _distance(d)[1]
    return [component * cube for component in d]


def _distance(d):
    """d^2 (1 at the dipole) and 1/(4 pi d^3) (0 there)."""
    square = _dot(d, d)
    away = square > 0
    safe = jnp.where(away, square, 1.0)  # the inner half of a double where: no NaN in value or slope
    return safe, jnp.where(away, 1 / (4 * jnp.pi * safe * jnp.sqrt(safe)), 0.0)
