"""Fields of flat triangles with a uniform surface current density K (A/m), exact and stable everywhere.

    B = mu0/4pi K x I,  I = integral (r - r')/|r - r'|^3 dA' = n W + sum_edges (l x n) g
    A = mu0/4pi K V,    V = integral dA'/|r - r'| = sum_edges (v - r).(l x n) g - h W

with n the right-hand-rule normal, h = (r - v).n, W the signed solid angle (positive for h > 0; van Oosterom &
Strackee, IEEE Trans. Biomed. Eng. 30 (1983) 125), l the edge vector and g = log((a+b+L)/(a+b-L))/L its
logarithm (`segment.potential_factor`), Wilton et al., IEEE Trans. Antennas Propag. 32 (1984) 276.
In the plane of a triangle n.I is the mean of both sides, zero; on an edge its logarithm counts zero.
"""

from __future__ import annotations

import jax.numpy as jnp

from designtools.kernels.elementary import arctan2
from designtools.kernels.segment import _cross, _dot, _minus, potential_factor
from designtools.kernels.streaming import contract
from designtools.units import MU_0

_ROUNDING = 8 * 2.2e-16


def field(points, corners, surface_current, sharing=None):
    """Flux density (P,3) T at points (P,3) m of triangles corners (F,3,3) m with K = surface_current (F,3) A/m.

    K lies in the plane of its face: then K x I = K x n W - sum n (K.l) g, and the faces at an edge share its g.
    sharing = (first (E,), edge_of (3F,)): for each edge one of the 3F sides (face by face, corner i to i+1), and
    for each side its edge; None keeps every side apart.
    """
    normal, side = _normals_and_sides(corners)
    weight = -jnp.einsum("fc,fk,fik->fic", normal, surface_current, side)
    ends, weight = _gather(corners, weight, sharing)
    total = contract(solid_angle, points, _corner_columns(corners), jnp.cross(surface_current, normal))
    total = total + contract(potential_factor, points, ends, weight)
    return MU_0 / (4 * jnp.pi) * total[:, 0]


def potential(points, corners, surface_current, sharing=None):
    """Vector potential (P,3) T·m of the same triangles."""
    normal, side = _normals_and_sides(corners)
    outward = jnp.cross(side, normal[:, None, :])
    weight = (outward[..., :, None] * surface_current[:, None, None, :]).reshape(*outward.shape[:2], 9)
    ends, weight = _gather(corners, weight, sharing)
    total = -contract(_height_angle, points, _corner_columns(corners), surface_current)[:, 0]
    edge = contract(_edge_reach, points, ends, weight).reshape(-1, 3, 3, 3)
    return MU_0 / (4 * jnp.pi) * (total + jnp.einsum("pccj->pj", edge))


def _gather(corners, weight, sharing):
    """Start and end of every edge, and the sum of the weights (F,3,n) of its sides (E,n)."""
    start, end = corners.reshape(-1, 3), jnp.roll(corners, -1, axis=1).reshape(-1, 3)
    weight = weight.reshape(start.shape[0], -1)
    if sharing is None:
        return (start, end), weight
    first, edge_of = sharing
    return (start[first], end[first]), jnp.zeros((len(first), weight.shape[1])).at[edge_of].add(weight)


def _normals_and_sides(corners):
    """Unit normals (F,3) by the right-hand rule, and the edge vectors (F,3,3) from corner i to i+1."""
    side = jnp.roll(corners, -1, axis=1) - corners
    normal = jnp.cross(side[:, 0], side[:, 1])
    return normal / jnp.linalg.norm(normal, axis=1, keepdims=True), side


def _height_angle(xyz, first, second, third):
    """h W in m: one array (F, P)."""
    normal = _unit_normal(first, second, third)
    return (_dot(_minus(xyz, first), normal) * solid_angle(xyz, first, second, third)[0],)


def _edge_reach(xyz, start, end):
    """(v - r) g, dimensionless: three arrays (E, P)."""
    log = potential_factor(xyz, start, end)[0]
    return tuple(component * log for component in _minus(start, xyz))


def inverse_distance(xyz, first, second, third):
    """V = integral dA'/|r - r'| in m: one array (F, P)."""
    normal = _unit_normal(first, second, third)
    total = -_dot(_minus(xyz, first), normal) * solid_angle(xyz, first, second, third)[0]
    for start, end in ((first, second), (second, third), (third, first)):
        outward = _cross(_minus(end, start), normal)
        total = total + _dot(_minus(start, xyz), outward) * potential_factor(xyz, start, end)[0]
    return (total,)


def solid_angle(xyz, first, second, third):
    """Signed solid angle in sr, positive on the side of the right-hand normal: one array (F, P)."""
    r1, r2, r3 = (_minus(xyz, corner) for corner in (first, second, third))
    a, b, c = (_safe_sqrt(_dot(r, r)) for r in (r1, r2, r3))
    twice_area = _cross(_minus(second, first), _minus(third, first))
    triple = _dot(r1, twice_area)
    scale = a * b * c + _dot(r1, r2) * c + _dot(r2, r3) * a + _dot(r3, r1) * b
    extent = _dot(first, first) + _dot(xyz, xyz)  # rounding of the coordinates moves a point off the plane
    in_plane = triple**2 <= _ROUNDING**2 * extent * _dot(twice_area, twice_area)
    on_edge = in_plane & (jnp.abs(scale) <= _ROUNDING * (a * b * c))  # whichever sign rounding gave it
    inside = in_plane & (scale < 0)  # mean of +2 pi and -2 pi, slope of either side
    sign = jnp.where(inside, -1.0, 1.0)
    triple = jnp.where(on_edge, 0.0, triple * sign)
    scale = jnp.where(on_edge, 1.0, scale * sign)
    return (2 * arctan2(triple, scale),)


def _corner_columns(corners):
    return corners[:, 0], corners[:, 1], corners[:, 2]


def _unit_normal(first, second, third):
    twice_area = _cross(_minus(second, first), _minus(third, first))
    size = _safe_sqrt(_dot(twice_area, twice_area))
    return tuple(component / jnp.where(size > 0, size, 1.0) for component in twice_area)


def _safe_sqrt(square):
    """Square root with zero slope at zero."""
    positive = square > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1.0)), 0.0)
