"""Integrals round an arc or circle, as exact beside it as far away.

The integrand is singular where the squared distance R^2 = d^2 + 4 a r sin^2(tau/2) vanishes, tau counted from the
azimuth of the point, d the distance to the circle: at tau = +-i k with sinh(k/2) = d/(2 sqrt(a r)).  The substitution
tau/2 = (k/2) sinh(u) moves that to u = +-i pi/2 however near the point is, and Gauss-Legendre nodes in u converge as
rho^(-2n), rho = b + sqrt(1 + b^2), b = pi/(length of the interval in u): see `_COUNTS`.

The nodes follow the point but carry no derivative: an integral does not depend on where its nodes are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from designtools.kernels.elementary import arctan2

_COUNTS = (48, 280)  # nodes for a length in u up to _SHORT, and for any (to 1e-16 of the radius): error below 1e-14
_SHORT = 8.0
_NARROWEST, _WIDEST = 1e-16, 0.5  # bounds of k/2


@dataclass(frozen=True)
class Nodes:
    """Points of a circle seen from a point; arrays with the nodes on a first axis.

    cos, sin of tau; along, across: from the node to the point, in its radial direction and azimuth; weight in rad.
    """

    cos: Any
    sin: Any
    along: Any
    across: Any
    weight: Any

    def total(self, *integrands):
        """Integral over the arc of each array, node axis first."""
        return tuple(jnp.sum(self.weight * value, axis=0) for value in integrands)


def integral(integrand, x, y, radius, nearest, low=None, high=None):
    """Tuple of arrays: the integral of integrand(nodes) -> tuple of arrays over azimuths low to high.

    x, y (..) m from the circle's axis; radius m; nearest m: a bound on the distance from the point to where the
    integrand is singular; low, high rad from the azimuth of the point, within 3 pi/2 of it (None: the full circle).
    """
    full = low is None
    low, high = (-jnp.pi, jnp.pi) if full else (low, high)
    x, y, radius, nearest, low, high = jnp.broadcast_arrays(x, y, radius, nearest, low, high)
    narrow = _narrowness(x, y, radius, nearest)
    ends = tuple(jnp.arcsinh(jax.lax.stop_gradient(end) / (2 * narrow)) for end in (low, high))
    longest = jnp.max(jnp.abs(ends[1] - ends[0]))

    def run(count):
        return lambda: integrand(_nodes(x, y, radius, narrow, ends, low, high, count))

    return jax.lax.cond(longest <= _SHORT, *map(run, _COUNTS))


def azimuth(x, y):
    """(r, cos, sin) of the azimuth of a point, without derivative; (0, 1, 0) on the axis."""
    x, y = jax.lax.stop_gradient((x, y))
    r = jnp.hypot(x, y)
    safe = jnp.where(r > 0, r, 1.0)
    return r, jnp.where(r > 0, x / safe, 1.0), jnp.where(r > 0, y / safe, 0.0)


def angle(x, y):
    """Azimuth of a point in rad, without derivative; 0 on the axis."""
    _, c, s = azimuth(x, y)
    return arctan2(s, c)


def turned(x, y, along, across):
    """Cartesian components of a vector with components along and across the azimuth of the point."""
    _, c, s = azimuth(x, y)
    return c * along - s * across, s * along + c * across


@jax.custom_jvp
def with_slope(value, slope):
    """`value`, with the derivatives of `slope`, an expression for the same number that rounds worse."""
    return value


@with_slope.defjvp
def _with_slope_jvp(primals, tangents):
    return primals[0], tangents[1]


def _narrowness(x, y, radius, nearest):
    """k/2, without derivative."""
    radius, nearest = jax.lax.stop_gradient((radius, nearest))
    mean = jnp.sqrt(radius * azimuth(x, y)[0])
    ratio = jnp.where(mean > nearest, nearest / jnp.where(mean > nearest, 2 * mean, 1.0), 1.0)
    return jnp.clip(jnp.arcsinh(ratio), _NARROWEST, _WIDEST)


def _nodes(x, y, radius, narrow, ends, low, high, count):
    r, c, s = azimuth(x, y)
    node, weight = (v.reshape(-1, *[1] * x.ndim) for v in np.polynomial.legendre.leggauss(count))
    u = (ends[0] + ends[1]) / 2 + (ends[1] - ends[0]) / 2 * node
    low_now, high_now = jax.lax.stop_gradient((low, high))
    span = high_now - low_now
    flat = span == 0
    share = weight * jnp.where(flat, 0.5, (ends[1] - ends[0]) * narrow * jnp.cosh(u) / jnp.where(flat, 1.0, span))
    tau = 2 * narrow * jnp.sinh(u)
    fraction = jnp.where(flat, 0.5, (tau - low_now) / jnp.where(flat, 1.0, span))
    tau = with_slope(tau, low + fraction * (high - low))
    cos, sin, half = jnp.cos(tau), jnp.sin(tau), jnp.sin(tau / 2)
    a = jax.lax.stop_gradient(radius)
    along = jax.lax.stop_gradient((r - a) + 2 * a * half * half)
    across = jax.lax.stop_gradient(-a * sin)
    return Nodes(
        cos, sin,
        with_slope(along, c * x + s * y - radius * cos),
        with_slope(across, c * y - s * x - radius * sin),
        share * (high - low),
    )  # fmt: skip
