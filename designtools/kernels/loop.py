"""Field and vector potential of a circular current loop, exact everywhere.

Cylindrical coordinates of the loop: z along its normal, r from its axis, radius a, current 1 A.
With g = r^2 - a^2 + z^2 and

    T = sqrt(g^2 + 4 a^2 z^2)                      product of nearest and farthest distance to the wire
    alpha^2 = (g + 2 a^2 + T) / 2,   m = (a r / alpha^2)^2,   1 - m = T / alpha^2

(one descending Landen step from the textbook modulus) every quantity depends on r only through r^2
and none of the terms cancels on the axis, beside the wire or far away:

    A_phi / r = mu0 a^2 D / (pi alpha^3)
    B_r / r   = mu0 a^2 z G / (pi alpha T^2)
    B_z       = mu0 a^2 [(2 z^2 - g) G + T^2 D / alpha^2] / (2 pi alpha T^2)

D and G as in `elliptic`.  On the wire itself the field is infinite; the value returned is 0.
With d from the centre to the point, B = (B_z - z B_r/r) n + (B_r/r) d, so that the centres and normals enter the sum
over loops as its weights, and two numbers per loop and point remain.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from designtools.kernels.elliptic import potential_integral, ring_integrals
from designtools.kernels.streaming import contract, in_pairs, real
from designtools.units import MU_0


def field(points, centre, normal, radius, current):
    """Flux density (P,3) T at points (P,3) m: centre (N,3) m, unit normal (N,3), radius (N,) m, current (N,) A."""
    if radius.shape[0] == 0:
        return jnp.zeros(points.shape)
    current = real(current)
    points, centre, normal, radius = (array.astype(current.dtype) for array in (points, centre, normal, radius))
    weights = _field_weights(centre, normal, current)
    along, radial = contract(field_factors, points, (centre, normal, radius), weights, single=True)
    return _assemble_field(points - centre[:1], along, radial)


def component_per_ampere(points, centre, normal, radius, direction):
    """Field along `direction` (3,) of each loop by itself, per ampere: (P,N) T/A."""
    points, centre, normal, radius = (real(jnp.asarray(array)) for array in (points, centre, normal, radius))
    along, radial = contract(field_factors, points, (centre, normal, radius), (jnp.diag(normal @ direction), jnp.eye(radius.shape[0])), single=True)
    return along + radial * ((points @ direction)[:, None] - centre @ direction)


def flow_per_ampere(points, centre, normal, radius, flow):
    """A.flow of each loop by itself, per ampere: (P,N) Wb for elements `flow` (P,3) m at points (P,3) m; 0 on its own wire."""
    swirl = contract(potential_factor, points, (centre, normal, radius), jnp.eye(radius.shape[0]), single=True)[:, 0]
    turned = jnp.einsum("nc,pnc->pn", normal, jnp.cross(points[:, None] - centre[None], flow[:, None]))
    return swirl * turned


def potential(points, centre, normal, radius, current):
    """Vector potential (P,3) T·m of the same loops."""
    return _swirl(potential_factor, points, (centre, normal, radius), current)


def soft_potential(points, centre, normal, radius, current, distance):
    """As `potential`, with the distance from each wire never taken below `distance` (m), for self-inductance."""
    return _swirl(soft_potential_factor, points, (centre, normal, radius, jnp.full(radius.shape[0], distance)), current)


def _swirl(kernel, points, sources, current):
    """Sum of I (A_phi/r) n x d over the loops: n and n x (centre - origin) are its weights."""
    if current.shape[0] == 0:
        return jnp.zeros(points.shape)
    current = real(current)
    points, *sources = (array.astype(current.dtype) for array in (points, *sources))
    centre, normal = sources[:2]
    total = contract(kernel, points, tuple(sources), _potential_weights(centre, normal, current), single=True)
    return _assemble_potential(points - centre[:1], total[:, 0])


@jax.jit
def _field_weights(centre, normal, current):
    """For B_z - z B_r/r: I n; for B_r/r: I and its moment about the first centre."""
    current = current[:, None]
    return current * normal, jnp.concatenate([current, current * (centre - centre[:1])], axis=1)


@jax.jit
def _assemble_field(points, along, radial):
    return along + radial[:, :1] * points - radial[:, 1:]


@jax.jit
def _potential_weights(centre, normal, current):
    return jnp.concatenate([normal, jnp.cross(normal, centre - centre[:1])], axis=1) * current[:, None]


@jax.jit
def _assemble_potential(points, total):
    return jnp.cross(total[:, :3], points) - total[:, 3:]


@jax.custom_jvp
def field_factors(xyz, centre, normal, radius):
    """B_z - z B_r/r in T/A and B_r/r in T/m per ampere: two arrays (N, P)."""
    return _field_values(xyz, centre, normal, radius)


@field_factors.defjvp
def _field_slopes(primals, tangents):
    """The tangents of z, g and a, and so the adjoints, are small matrix products; the slope by a is Euler's.

    Those by z follow from those by g, because div B and curl B vanish: with f = B_z - z B_r/r and q = B_r/r,
    q_z = 2 f_g and f_z = -3 q - 2 (r^2 + z^2) q_g - 4 z f_g.
    """
    values, by_excess = _smooth_values(*primals), _field_by_excess(*primals)
    z, g, a = _coordinates(*primals)
    by_height = (-3 * values[1] - 2 * (g + a * a) * by_excess[1] - 4 * z * by_excess[0], 2 * by_excess[0])
    return values, _homogeneous(primals, tangents, values, by_height, by_excess, (1, 2))


@jax.custom_jvp
def potential_factor(xyz, centre, normal, radius):
    """A_phi/r in T per ampere: one array (N, P)."""
    return (_swirl_of(*_coordinates(xyz, centre, normal, radius)),)


@potential_factor.defjvp
def _potential_slopes(primals, tangents):
    value, by_height = _potential_by_height(*primals)
    (by_excess,) = _potential_by_excess(*primals)
    return (value,), _homogeneous(primals, tangents, (value,), (by_height,), (by_excess,), (1,))


def soft_potential_factor(xyz, centre, normal, radius, distance):
    """As `potential_factor` for `soft_potential`."""
    height, across, r2 = _cylindrical(xyz, centre, normal)
    gap = (jnp.sqrt(r2) - radius) ** 2 + height * height
    lifted = jnp.sqrt(height * height + jnp.maximum(distance**2 - gap, 0.0))
    return (loop_potential(r2, lifted, radius),)


def loop_field(r2, z, a):
    """(B_z, B_r / r) in T and T/m per ampere at squared radius r2 and height z, for radius a (all m)."""
    across, radial = _field_of(z, _difference_of_squares(r2, a) + z * z, a)
    return across + z * radial, radial


def loop_potential(r2, z, a):
    """A_phi / r in T per ampere at squared radius r2 and height z, for radius a (all m)."""
    return _swirl_of(z, _difference_of_squares(r2, a) + z * z, a)


def _field_of(z, g, a, smooth=True):
    """B_z - z B_r/r and B_r/r by height, excess g and radius; of degree -1 and -2 in metres."""
    t2, product, shrink, off_wire = _shape(z, g, a, smooth)
    d, g_integral = ring_integrals(product * shrink * shrink)
    scale = MU_0 / (2 * jnp.pi) * a * a * shrink
    steep = jnp.where(off_wire, scale * g_integral / t2, 0.0)
    flat = jnp.where(off_wire, scale * (shrink * shrink) * d, 0.0)
    return flat - g * steep, 2 * z * steep


def _swirl_of(z, g, a):
    """A_phi/r by height, excess g and radius; of degree -1 in metres."""
    _, product, shrink, off_wire = _shape(z, g, a)
    d = potential_integral(product * shrink * shrink)
    return jnp.where(off_wire, MU_0 / jnp.pi * a * a * d * shrink * shrink * shrink, 0.0)


def _shape(z, g, a, smooth=True):
    """T^2, T, 1/alpha and whether the point is off the wire; where slopes are taken T^2 is 1 on it (double where)."""
    side = 2 * a * z
    t2 = g * g + side * side
    off_wire = t2 > 0
    t2 = jnp.where(off_wire, t2, 1.0) if smooth else t2
    product = jnp.sqrt(t2)
    return t2, product, jax.lax.rsqrt((g + 2 * a * a + product) / 2), off_wire


def _coordinates(xyz, centre, normal, radius):
    """Height z, excess g = r^2 - a^2 + z^2, and radius."""
    height, _, r2 = _cylindrical(xyz, centre, normal)
    return height, _difference_of_squares(r2, radius) + height * height, radius


def _cylindrical(xyz, centre, normal):
    """Height along the normal, the vector across it, and the squared distance from the axis."""
    d = tuple(p - c for p, c in zip(xyz, centre))
    height = d[0] * normal[0] + d[1] * normal[1] + d[2] * normal[2]
    across = tuple(component - height * n for component, n in zip(d, normal))
    return height, across, across[0] ** 2 + across[1] ** 2 + across[2] ** 2


@in_pairs
def _field_values(xyz, centre, normal, radius):
    height, _, r2 = _cylindrical(xyz, centre, normal)
    r = jnp.sqrt(r2)  # has no slope on the axis: `_coordinates` is what is differentiated
    return _field_of(height, (r - radius) * (r + radius) + height * height, radius, smooth=False)


@in_pairs
def _smooth_values(xyz, centre, normal, radius):
    return _field_of(*_coordinates(xyz, centre, normal, radius))


@in_pairs
def _field_by_excess(xyz, centre, normal, radius):
    z, g, a = _coordinates(xyz, centre, normal, radius)
    return _slope(lambda g: _field_of(z, g, a), g)[1]


@in_pairs
def _potential_by_height(xyz, centre, normal, radius):
    z, g, a = _coordinates(xyz, centre, normal, radius)
    return _slope(lambda z: _swirl_of(z, g, a), z)


def _potential_by_excess(xyz, centre, normal, radius):
    z, g, a = _coordinates(xyz, centre, normal, radius)
    return (_slope(lambda g: _swirl_of(z, g, a), g)[1],)


def _slope(function, at):
    return jax.jvp(function, (at,), (jnp.ones_like(at),))


def _homogeneous(primals, tangents, values, by_height, by_excess, degrees):
    """Tangents of functions of z, g, a of degree -1 or -2 in metres, where a f_a = -degree f - z f_z - 2 g f_g."""
    z, g, a = _coordinates(*primals)
    dz, half_dg, da = jax.lax.optimization_barrier(_coordinate_tangents(primals, tangents))

    def tangent(value, by_z, by_g, degree):
        by_a = -(degree * value + z * by_z + 2 * g * by_g) / a
        return by_z * dz + 2 * by_g * half_dg + by_a * da

    return tuple(map(tangent, values, by_height, by_excess, degrees))


def _coordinate_tangents(primals, tangents):
    """dz and d.dd - a da, half of dg, each (N, P), and da (N, 1), where n.dn = 0: linear in the tangents."""
    p, c, n = (jnp.concatenate(group, axis=k) for k, group in zip((0, 1, 1), primals))
    dp, dc, dn = (jnp.concatenate(group, axis=k) for k, group in zip((0, 1, 1), tangents))
    a, da = primals[3], tangents[3]
    row = lambda u, v: jnp.sum(u * v, axis=1, keepdims=True)
    dz = n @ dp + jnp.concatenate([dn, -row(c, dn) - row(n, dc)], axis=1) @ jnp.concatenate([p, jnp.ones_like(p[:1])])
    of_point = jnp.concatenate([dp, jnp.sum(p * dp, axis=0, keepdims=True)])
    known = jnp.concatenate([-c, jnp.ones_like(a)], axis=1)
    linear = jnp.concatenate([-dc, row(c, dc) - a * da], axis=1)
    return dz, known @ of_point + linear @ jnp.concatenate([p, jnp.ones_like(p[:1])]), da


def _difference_of_squares(r2, a):
    """r^2 - a^2 with the digits of (r - a)(r + a), lost to r^2 within 1e-6 a of the wire, but without a root's slope."""
    r, fixed = jnp.sqrt(jax.lax.stop_gradient(r2)), jax.lax.stop_gradient(a)
    plain = r2 - a * a
    return plain + ((r - fixed) * (r + fixed) - jax.lax.stop_gradient(plain))
