"""Field and vector potential of circular arcs of thin wire.

In the frame of the arc (about z, radius a), with tau the azimuth of the wire from that of the point, (r, z) the
point, R^2 = r^2 + a^2 - 2 a r cos(tau) + z^2 and e_r, e_phi the directions at the point:

    B = mu0 I a/4pi int [z cos(tau) e_r + z sin(tau) e_phi + (a - r cos(tau)) e_z] / R^3 dtau
    A = mu0 I a/4pi int [cos(tau) e_phi - sin(tau) e_r] / R dtau

(Biot-Savart), integrated by `azimuth`.  Whole turns are taken from `loop`, whose terms do not cancel far away.
On the wire itself the value is 0.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from designtools.kernels import azimuth
from designtools.kernels.frame import from_own, to_own
from designtools.kernels.loop import loop_field, loop_potential
from designtools.kernels.streaming import contract
from designtools.units import MU_0

_ROUNDING = (4 * 2.2e-16) ** 2


def field(points, centre, axes, radius, start, stop, current):
    """Flux density (P,3) T at points (P,3) m.

    centre (N,3) m; axes (N,3,3), columns are the arc's axes; radius (N,) m; start, stop (N,) rad; current (N,) A.
    """
    sources = (centre, axes.reshape(-1, 9), radius, start, stop)
    return contract(field_factors, points, sources, current[:, None], chunk=1)[:, :, 0]


def potential(points, centre, axes, radius, start, stop, current):
    """Vector potential (P,3) T·m of the same arcs."""
    sources = (centre, axes.reshape(-1, 9), radius, start, stop)
    return contract(potential_factors, points, sources, current[:, None], chunk=1)[:, :, 0]


def field_factors(xyz, centre, axes, radius, start, stop):
    """B per ampere, T/A: three arrays (N, P)."""
    x, y, z = to_own(xyz, centre, axes)

    def integrand(nodes, on):
        square = jnp.where(on, 1.0, nodes.along**2 + nodes.across**2 + z * z)
        inverse = jnp.where(on, 0.0, 1 / (square * jnp.sqrt(square)))
        inward = -(nodes.cos * nodes.along + nodes.sin * nodes.across)
        return nodes.total(z * nodes.cos * inverse, z * nodes.sin * inverse, inward * inverse)

    turns, along, across, up = _open_part(integrand, x, y, z, centre, radius, start, stop)
    bx, by = azimuth.turned(x, y, along, across)
    ring_up, ring_out = loop_field(x * x + y * y, z, radius)
    scale = MU_0 / (4 * jnp.pi) * radius
    own = scale * bx + turns * ring_out * x, scale * by + turns * ring_out * y, scale * up + turns * ring_up
    return from_own(own, axes)


def potential_factors(xyz, centre, axes, radius, start, stop):
    """A per ampere, T·m/A: three arrays (N, P)."""
    x, y, z = to_own(xyz, centre, axes)

    def integrand(nodes, on):
        square = jnp.where(on, 1.0, nodes.along**2 + nodes.across**2 + z * z)
        inverse = jnp.where(on, 0.0, 1 / jnp.sqrt(square))
        return nodes.total(-nodes.sin * inverse, nodes.cos * inverse)

    turns, along, across = _open_part(integrand, x, y, z, centre, radius, start, stop)
    ax, ay = azimuth.turned(x, y, along, across)
    ring = turns * loop_potential(x * x + y * y, z, radius)
    scale = MU_0 / (4 * jnp.pi) * radius
    return from_own((scale * ax - ring * y, scale * ay + ring * x, jnp.zeros_like(ax)), axes)


def _open_part(integrand, x, y, z, centre, radius, start, stop):
    """Whole turns, and the integrals over what is left of the arc, in two pieces of at most half a turn."""
    gap = (azimuth.azimuth(x, y)[0] - radius) ** 2 + z * z
    turns = _turns(stop - start, gap > radius**2 / 4)
    sweep = stop - start - 2 * jnp.pi * turns
    first = jnp.clip(sweep, -jnp.pi, jnp.pi)
    touch = _ROUNDING * (radius**2 + centre[0] ** 2 + centre[1] ** 2 + centre[2] ** 2)
    nearest = jnp.sqrt(jnp.where(gap > 0, gap, 1e-300))

    def piece(begin, length):
        low = begin - azimuth.angle(x, y)
        shift = 2 * jnp.pi * jax.lax.stop_gradient(jnp.round((2 * low + length) / (4 * jnp.pi)))
        low, high = low - shift, low + length - shift
        on = (gap <= touch) & (jnp.minimum(low, high) <= 1e-15) & (jnp.maximum(low, high) >= -1e-15)
        return azimuth.integral(lambda nodes: integrand(nodes, on), x, y, radius, nearest, low, high)

    one = piece(start, first)
    nothing = tuple(jnp.zeros_like(value) for value in one)
    two = jax.lax.cond(jnp.any(sweep != first), lambda: piece(start + first, sweep - first), lambda: nothing)
    return turns, *(a + b for a, b in zip(one, two))


def _turns(sweep, away):
    """Whole turns in an arc, rounded to the nearest where the point is not beside the wire.

    There a gap would be a small difference; far away it is the open arc that is, of its currents all round.
    """
    turns = jax.lax.stop_gradient(sweep) / (2 * jnp.pi)
    return jnp.where(away, jnp.round(turns), jnp.trunc(turns))
