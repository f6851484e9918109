"""Uniformly polarised bodies bounded by flat triangles, inside and out.

With J the polarization, n the outward normal of a face, W its solid angle and I, V its integrals (`triangle`):

    B = 1/4pi sum_faces (J x n) x I,    A = 1/4pi sum_faces (J x n) V,    mu0 phi = 1/4pi sum_faces (J.n) V.

The first is the field of the bound current; it equals that of the surface charge, sum (J.n) I, plus J times the winding
number -sum W/4pi, which is 1 inside and 0 outside (Meyer et al., J. Appl. Phys. 1998; Jacobson et al., ACM Trans. Graph.
32 (2013) 33), so nothing has to decide where inside is.  Beyond 30 times the body's size, where faces nearly cancel, each
face and the body's middle span a tetrahedron of 125 Gauss points of dipoles (error (1/30)^10).

On a face the value is the mean of both sides; on an edge, where the field may be infinite, its logarithm is left out.
"""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from designtools.kernels.dipole import flux_of, potential_of, scalar_potential_of
from designtools.kernels.elementary import arctan2, log1p
from designtools.kernels.segment import _cross, _dot, _minus
from designtools.kernels.streaming import contract
from designtools.kernels.triangle import inverse_distance, solid_angle
from designtools.units import MU_0

_FAR = 30.0  # times the distance of the farthest vertex from the middle


def field(points, corners, polarization, middle, size):
    """Flux density (P,3) T at points (P,3) m.

    corners (F,3,3) m of the faces; of the body of each face: polarization (F,3) T, middle (F,3) m and size (F,) m.
    """
    return _sum(_near_field, flux_of, 3, points, corners, polarization, middle, size)


def potential(points, corners, polarization, middle, size):
    """Vector potential (P,3) T·m of the same bodies."""
    return _sum(_near_vector, potential_of, 3, points, corners, polarization, middle, size)


def scalar_potential(points, corners, polarization, middle, size):
    """Scalar potential (P,) A of the same bodies."""
    return _sum(_near_scalar, scalar_potential_of, 1, points, corners, polarization, middle, size)[:, 0] / MU_0


def _sum(near, dipole, count, points, corners, polarization, middle, size):
    sources = (corners[:, 0], corners[:, 1], corners[:, 2], polarization, middle, size)
    kernel = _KERNELS[near, dipole, count]
    return contract(kernel, points, sources, jnp.ones((size.shape[0], 1)), chunk=64)[:, :, 0]


def _near_or_far(near, dipole, count):
    """Each form runs only if some point of the tile needs it; points that the far form does not serve are moved away."""

    def kernel(xyz, first, second, third, polarization, middle, size):
        away = _minus(xyz, middle)
        far = _dot(away, away) > (_FAR * size) ** 2
        there = tuple(jnp.where(far, p, m + 1e3 * size) for p, m in zip(xyz, middle))
        nothing = (jnp.zeros_like(away[0]),) * count
        on_faces = lambda: near(xyz, first, second, third, polarization)
        in_volume = lambda: _cubature(dipole, there, (first, second, third), middle, polarization)
        from_near = jax.lax.cond(jnp.all(far), lambda: nothing, on_faces)
        from_far = jax.lax.cond(jnp.any(far), in_volume, lambda: nothing)
        return tuple(jnp.where(far, a, b) for a, b in zip(from_far, from_near))

    return kernel


def _near_field(xyz, first, second, third, polarization):
    normal = _normal(first, second, third)
    bound = _cross(polarization, normal)
    angle, along, longest = 0.0, 0.0, 0.0
    for start, end in ((first, second), (second, third), (third, first)):
        side = _minus(end, start)
        share, log = _edge(xyz, start, end, side, normal)
        angle, along = angle + share, along + _dot(bound, side) * log
        longest = jnp.maximum(longest, _dot(side, side))
    away = _minus(xyz, first)
    (whole,) = solid_angle(xyz, first, second, third)  # exact from afar, where the edges' shares nearly cancel
    angle = jnp.where(_dot(away, away) > 4 * longest, whole, angle)
    return tuple((angle * c - along * n) / (4 * jnp.pi) for c, n in zip(_cross(bound, normal), normal))


def _edge(xyz, start, end, side, normal):
    """An edge's share in the solid angle of its face and its logarithm g (1/m), both exact beside the edge, 0 on it.

    With s along the edge, p across it, h above the face, q = p^2 + h^2: sgn(h) atan(p s/(q + |h| R)) from one end to the
    other (Wilton et al., IEEE Trans. Antennas Propag. 32 (1984) 276, eq. 5), merged into one angle; g as in `segment`.
    p and h are taken from the nearer end, so that the two faces at an edge round alike.
    """
    length = jnp.sqrt(_dot(side, side))
    safe = jnp.where(length > 0, length, 1.0)
    along = tuple(c / safe for c in side)
    ends = _minus(start, xyz), _minus(end, xyz)
    first = _dot(ends[0], ends[0]) <= _dot(ends[1], ends[1])
    nearer = tuple(jnp.where(first, a, b) for a, b in zip(*ends))
    height, across = -_dot(nearer, normal), _dot(nearer, _cross(along, normal))
    square = across * across + height * height
    s1, s2 = (_dot(d, along) for d in ends)
    r1, r2 = (jnp.sqrt(jnp.maximum(square + s * s, 1e-200)) for s in (s1, s2))
    d1, d2 = (square + jnp.abs(height) * r for r in (r1, r2))
    sine, cosine = across * (s2 * d1 - s1 * d2), d1 * d2 + across * across * s1 * s2
    defined = (jnp.abs(sine) > 1e-120) | (jnp.abs(cosine) > 1e-120)
    angle = arctan2(jnp.where(defined, sine, 0.0), jnp.where(defined, cosine, 1.0))
    dot = square + s1 * s2
    dense = jnp.where(dot < 0, square * length**2 / (r1 * r2 + jnp.abs(dot)), r1 * r2 + jnp.abs(dot))
    off = dense > 1e-120
    log = log1p(jnp.where(off, length * (r1 + r2 + length) / jnp.where(off, dense, 1.0), 0.0)) / safe
    return jnp.sign(height) * angle, log


def _near_vector(xyz, first, second, third, polarization):
    (reach,) = inverse_distance(xyz, first, second, third)
    bound = _cross(polarization, _normal(first, second, third))
    return tuple(c * reach / (4 * jnp.pi) for c in bound)


def _near_scalar(xyz, first, second, third, polarization):
    (reach,) = inverse_distance(xyz, first, second, third)
    return (_dot(polarization, _normal(first, second, third)) * reach / (4 * jnp.pi),)


def _normal(first, second, third):
    twice_area = _cross(_minus(second, first), _minus(third, first))
    size = jnp.sqrt(_dot(twice_area, twice_area))
    return tuple(c / jnp.where(size > 0, size, 1.0) for c in twice_area)


def _cubature(dipole, xyz, corners, middle, polarization):
    """Dipoles on the Gauss points of the tetrahedron from the middle to a face, whose volume is signed."""
    sides = [_minus(corner, middle) for corner in corners]
    six_volumes = _dot(sides[0], _cross(sides[1], sides[2]))
    strength = tuple(six_volumes * j for j in polarization)

    def add(total, node):
        *share, weight = node
        place = tuple(m + sum(s * side[i] for s, side in zip(share, sides)) for i, m in enumerate(middle))
        return tuple(t + weight * part for t, part in zip(total, dipole(_minus(xyz, place), strength))), None

    count = len(jax.eval_shape(dipole, xyz, strength))
    nothing = (jnp.zeros(jnp.broadcast_shapes(xyz[0].shape, six_volumes.shape)),) * count
    return jax.lax.scan(jax.checkpoint(add), nothing, jnp.asarray(_tetrahedron_rule()))[0]


def _tetrahedron_rule(order=5):
    """Shares of the three sides and weight of 125 points (125,4); the weights sum to 1/6 (a collapsed cube, Duffy)."""
    t, w = np.polynomial.legendre.leggauss(order)
    t, w = (t + 1) / 2, w / 2
    rows = []
    for (a, wa), (b, wb), (c, wc) in itertools.product(zip(t, w), repeat=3):
        rows.append((a * (1 - b), a * b * (1 - c), a * b * c, a * a * b * wa * wb * wc))
    return np.array(rows)


_KERNELS = {
    key: _near_or_far(*key)
    for key in (
        (_near_field, flux_of, 3),
        (_near_vector, potential_of, 3),
        (_near_scalar, scalar_potential_of, 1),
    )
}
