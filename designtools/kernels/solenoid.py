"""Cylinder surfaces of radius a from low to high along z, that carry azimuthal current or charge.

The sums over the height are closed; those round the axis are left to `azimuth`.  From a point (r, z) to a point of
the surface at azimuth tau: v = z' - z, rho^2 = r^2 + a^2 - 2 a r cos(tau), R^2 = rho^2 + v^2, and

    int dz'/R^3 = W = [v/R]/rho^2,    int (z - z')/R^3 dz' = [1/R],    int dz'/R = [asinh(v/rho)].

Beside the surface (low < z < high) W = 2/rho^2 + W', where the first is an infinite cylinder, known in closed form,
and W' = -sum 1/(R (R + |v|)) is smooth at the surface; above and below it the two ends of W are merged.  So nothing is
singular but the rims.  With K the current per length and sigma the charge per area (over mu0):

    B = mu0 K a/4pi int ([1/R] e_tau, (a - r cos(tau)) W),   A = mu0 K a/4pi int e'_tau [asinh(v/rho)]
    H = 1/4pi int sigma (d W, [1/R]) a dtau,                  d from the surface to the point, across the axis.

On the surface itself B is the mean of both sides; on a rim, where it is infinite, a large finite number is returned.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from designtools.kernels import azimuth
from designtools.kernels.elementary import log, log1p
from designtools.kernels.frame import from_own, to_own
from designtools.kernels.loop import loop_field, loop_potential
from designtools.kernels.streaming import contract
from designtools.units import MU_0

_LOOPS = 24  # along the length, far away
_FAR = np.cosh(np.log(500e13) / (2 * _LOOPS))  # sum of the distances to both rims over the length: see `_is_far`


def field(points, centre, axes, radius, length, current):
    """Flux density (P,3) T at points (P,3) m of thin solenoids.

    centre (N,3) m; axes (N,3,3), columns are the solenoid's axes; radius, length (N,) m; current (N,) A in all.
    """
    return contract(field_factors, points, (centre, axes.reshape(-1, 9), radius, length), current[:, None], chunk=1)[:, :, 0]


def potential(points, centre, axes, radius, length, current):
    """Vector potential (P,3) T·m of the same solenoids."""
    sources = (centre, axes.reshape(-1, 9), radius, length)
    return contract(potential_factors, points, sources, current[:, None], chunk=1)[:, :, 0]


def field_factors(xyz, centre, axes, radius, length):
    """B per ampere, T/A: three arrays (N, P)."""

    def far(x, y, z, radius, length):
        up, out = _loops(loop_field, x, y, z, radius, length)
        return out * x, out * y, up

    return _per_ampere(current_sheet, far, xyz, centre, axes, radius, length)


def potential_factors(xyz, centre, axes, radius, length):
    """A per ampere, T·m/A: three arrays (N, P)."""

    def far(x, y, z, radius, length):
        (swirl,) = _loops(lambda *args: (loop_potential(*args),), x, y, z, radius, length)
        return -swirl * y, swirl * x, jnp.zeros_like(x)

    return _per_ampere(current_sheet_potential, far, xyz, centre, axes, radius, length)


def _per_ampere(sheet, loops, xyz, centre, axes, radius, length):
    """The exact sheet near by and its loops far away, in the frame of the points."""
    x, y, z, radius, length = jnp.broadcast_arrays(*to_own(xyz, centre, axes), radius, length)
    near = lambda x, y: tuple(MU_0 / length * part for part in sheet(x, y, z, radius, length / 2))
    far = lambda x, y: loops(x, y, z, radius, length)
    return from_own(_near_or_far(near, far, x, y, z, radius, length), axes)


def current_sheet(x, y, z, radius, half):
    """B / mu0 K: three arrays, at x, y, z from the middle of a sheet of half length `half`."""
    ends = -half - z, half - z

    def integrand(nodes):
        square, distances = _distances(nodes, ends)
        rims = _rims(ends, distances)
        inward = -(nodes.cos * nodes.along + nodes.sin * nodes.across)
        return nodes.total(nodes.cos * rims, nodes.sin * rims, inward * _smooth_reach(ends, distances))

    along, across, up = azimuth.integral(integrand, x, y, radius, _to_rims(x, y, radius, ends))
    inside = _inside(x, y, radius) * _beside(ends)
    share = radius / (4 * jnp.pi)
    return *(share * part for part in azimuth.turned(x, y, along, across)), share * up + inside


def current_sheet_potential(x, y, z, radius, half):
    """A / mu0 K: three arrays."""
    ends = -half - z, half - z

    def integrand(nodes):
        _, distances = _distances(nodes, ends)
        logs = _smooth_log(ends, distances)
        return nodes.total(-nodes.sin * logs, nodes.cos * logs)

    ax, ay = azimuth.turned(x, y, *azimuth.integral(integrand, x, y, radius, _to_rims(x, y, radius, ends)))
    share, swirl = radius / (4 * jnp.pi), _beside(ends) * radius / 2 * _nearer_over_farther(x, y, radius)
    return share * ax - swirl * y, share * ay + swirl * x, jnp.zeros_like(ax)


def charge_sheet(x, y, z, radius, half, jx, jy):
    """mu0 H: three arrays, of the surface charge (jx cos + jy sin)/mu0 on the sheet, jx and jy in T."""
    ends = -half - z, half - z

    def integrand(nodes):
        _, distances = _distances(nodes, ends)
        reach, rims = _smooth_reach(ends, distances), _rims(ends, distances)
        c, s = nodes.cos, nodes.sin
        return nodes.total(
            c * nodes.along * reach, s * nodes.along * reach, c * nodes.across * reach, s * nodes.across * reach,
            c * rims, s * rims,
        )  # fmt: skip

    _, c, s = azimuth.azimuth(x, y)
    own, side = c * jx + s * jy, c * jy - s * jx
    rr, rt, tr, tt, zr, zt = azimuth.integral(integrand, x, y, radius, _to_rims(x, y, radius, ends))
    hx, hy = azimuth.turned(x, y, rr * own + rt * side, tr * own + tt * side)
    share, beside = radius / (4 * jnp.pi), _beside(ends)
    ux, uy = _charged_tube(x, y, radius, jx, jy)
    return share * hx + beside * ux, share * hy + beside * uy, share * (zr * own + zt * side)


def slope_of_volume(x, y, z, radius, half):
    """Three arrays in m: the gradient of int dV'/R over the cylinder: of its scalar and vector potentials."""
    ends = -half - z, half - z

    def integrand(nodes):
        _, distances = _distances(nodes, ends)
        logs = _smooth_log(ends, distances)
        inward = -(nodes.cos * nodes.along + nodes.sin * nodes.across)
        caps = [1 / (d + jnp.abs(v)) for d, v in zip(distances, ends)]
        return nodes.total(nodes.cos * logs, nodes.sin * logs, inward * (caps[1] - caps[0]))

    along, across, up = azimuth.integral(integrand, x, y, radius, _to_rims(x, y, radius, ends))
    gx, gy = azimuth.turned(x, y, along, across)
    endless = 2 * jnp.pi * radius * _beside(ends) * _nearer_over_farther(x, y, radius)
    return -radius * gx - endless * x, -radius * gy - endless * y, -radius * up


def tube(x, y, z, radius, half):
    """1 inside the cylinder, 0 outside, 1/2 on its lateral surface."""
    return _inside(x, y, radius) * _beside((-half - z, half - z))


def _distances(nodes, ends):
    """rho^2, and R to both ends, kept off zero."""
    square = nodes.along**2 + nodes.across**2
    return square, tuple(jnp.sqrt(jnp.maximum(square + v * v, 1e-200)) for v in ends)


def _rims(ends, distances):
    """[1/R], the difference merged."""
    (v1, v2), (r1, r2) = ends, distances
    return (v1 - v2) * (v1 + v2) / (r1 * r2 * (r1 + r2))


def _smooth_reach(ends, distances):
    """W', in 1/m2: W without the infinite cylinder's 2/rho^2 beside the surface."""
    (v1, v2), (r1, r2) = ends, distances
    a1, a2 = jnp.abs(v1), jnp.abs(v2)
    between = -1 / (r1 * (r1 + a1)) - 1 / (r2 * (r2 + a2))
    lever = jnp.maximum(a2 * r1 + a1 * r2, 1e-200)
    beyond = jnp.sign(v1 + v2) * (v2 - v1) * (v2 + v1) / (r1 * r2 * lever)
    return jnp.where(_beside(ends) > 0, between, beyond)


def _smooth_log(ends, distances):
    """[asinh(v/rho)], plus ln rho^2 beside the surface, where it is infinite on it."""
    (v1, v2), (r1, r2) = ends, distances
    a1, a2 = jnp.abs(v1), jnp.abs(v2)
    between = log(r1 + a1) + log(r2 + a2)
    upward = jnp.sign(v1 + v2)
    near, far = jnp.where(upward > 0, r1 + a1, r2 + a2), jnp.where(upward > 0, r2 + a2, r1 + a1)
    beyond = log1p(jnp.maximum(far - near, 0.0) / near)
    return jnp.where(_beside(ends) > 0, between, beyond)


def _beside(ends):
    """1.0 where the point is between the heights of both ends."""
    return jnp.where((ends[0] < 0) & (ends[1] > 0), 1.0, 0.0)


def _inside(x, y, radius):
    """1 inside the infinite cylinder, 1/2 on it, 0 outside."""
    return (1 + jnp.sign(radius - azimuth.azimuth(x, y)[0])) / 2


def _nearer_over_farther(x, y, radius):
    """1/max(r, a)^2 times a: the mean of ln(1/rho^2) cos(tau), over r."""
    outer2 = jnp.maximum(x * x + y * y, radius * radius)
    return radius / jnp.where(outer2 > 0, outer2, 1.0)


def _charged_tube(x, y, radius, jx, jy):
    """mu0 H across an infinite cylinder: -J/2 inside, a dipole's outside, their mean on the surface."""
    r2 = x * x + y * y
    inside = _inside(x, y, radius)
    safe = jnp.where(r2 > 0, r2, 1.0)
    lift = radius**2 / (2 * safe)
    twice = 2 * (jx * x + jy * y) / safe
    out = lambda j, p: (1 - inside) * lift * (twice * p - j) - inside * j / 2
    return out(jx, x), out(jy, y)


def _to_rims(x, y, radius, ends):
    """Distance (m) from the point to the nearer rim."""
    gap = azimuth.azimuth(x, y)[0] - radius
    height = jnp.minimum(jnp.abs(ends[0]), jnp.abs(ends[1]))
    return jnp.sqrt(gap**2 + height**2)


def _near_or_far(near, far, x, y, z, radius, length):
    """Each form runs only if some point of the tile needs it; points it does not serve are moved to a tame place."""
    apart = _is_far(x, y, z, radius, length)
    away = jnp.where(apart, x, 1e4 * (radius + length))
    nothing = (jnp.zeros_like(x),) * 3
    from_near = jax.lax.cond(jnp.all(apart), lambda: nothing, lambda: near(x, y))
    from_far = jax.lax.cond(jnp.any(apart), lambda: far(away, y), lambda: nothing)
    return tuple(jnp.where(apart, a, b) for a, b in zip(from_far, from_near))


def _is_far(x, y, z, radius, length):
    """True where the Gauss-Legendre sum of loops is exact to 1e-13: some 500 rho^(-2n), with 2 cosh(ln rho) half lengths
    the sum of the distances to both rims; the singularity on that Bernstein ellipse is of third order.
    """
    beside = azimuth.azimuth(x, y)[0] - radius
    along = jnp.hypot(z - length / 2, beside) + jnp.hypot(z + length / 2, beside)
    return along > length * _FAR


def _loops(ring, x, y, z, radius, length):
    """Loops on the Gauss-Legendre points of the length, 1 A in all."""
    node, weight = (v.reshape(-1, 1, 1) for v in np.polynomial.legendre.leggauss(_LOOPS))
    return tuple(jnp.sum(weight / 2 * part, axis=0) for part in ring(x * x + y * y, z - length / 2 * node, radius))
