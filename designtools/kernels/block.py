"""Field and vector potential of a winding of rectangular section about the z axis, correct everywhere.

Uniform current density J runs about the axis through inner <= r' <= outer, z_low <= z' <= z_high.
Two forms, each used where it is exact to about 1e-12 (chosen point by point, see `_is_far`):

near  Integrate over the section in closed form at fixed azimuth phi, then over phi numerically.
      With u = r' - r cos(phi), v = z' - z, h = r sin(phi), R^2 = u^2 + v^2 + h^2 and square brackets
      for the difference over the four corners of the section:
        B_z     = k int [ v ln(u+R) - r cos ln(v+R) - h atan(uv/hR) ]
        B_r     = k int cos [ R + r cos ln(u+R) ]
        B_r / r = k int sin^2 [ ln(u+R) - (u + 2 r cos)/R + r^2 cos^2 u/((h^2+v^2) R) ]     (by parts; near the axis)
        A_phi/r = k int sin^2 [ v ln(u+R) - 2 r cos ln(v+R) - (h - r cos^2/sin) atan(uv/hR) ]
      with k = mu0 J / 2 pi and phi from 0 to pi.  The nodes crowd towards phi = 0, where the integrand has
      the logarithms of faces and corners: phi = pi sinh(10 x^4)/sinh(10), 104 Gauss nodes in x.
far   Gauss-Legendre loops over the section, 14 along its longer side and 6 across: the near form is a
      small difference of large numbers there.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from designtools.kernels.elementary import arctan2, log
from designtools.kernels.loop import loop_field, loop_potential
from designtools.kernels.streaming import contract
from designtools.units import MU_0

LONG, SHORT = 14, 6  # loops along and across the section, far away
_FAR_LONG = np.cosh(np.log(1e13) / (2 * LONG))  # see _is_far
_FAR_SHORT = np.cosh(np.log(1e13) / (2 * SHORT))
_NEAR_AXIS = 0.1  # of the outer radius: within it B_r / r comes from the integral by parts


def field(points, inner, outer, low, high, current_density):
    """Flux density (P,3) T at points (P,3) m; inner, outer, low, high (N,) m, current_density (N,) A/m2."""
    sections = (inner, outer, low, high)
    return contract(field_factors, points, sections, current_density[:, None], chunk=1)[:, :, 0]


def potential(points, inner, outer, low, high, current_density):
    """Vector potential (P,3) T·m of the same windings."""
    sections = (inner, outer, low, high)
    return contract(potential_factors, points, sections, current_density[:, None], chunk=1)[:, :, 0]


def field_factors(xyz, inner, outer, low, high):
    """B per A/m2: three arrays (N, P)."""
    x, y, z = xyz
    along, radial = block_field(x * x + y * y, z, (inner, outer, low, high))
    return radial * x, radial * y, along


def potential_factors(xyz, inner, outer, low, high):
    """A per A/m2: three arrays (N, P)."""
    x, y, z = xyz
    swirl = block_potential(x * x + y * y, z, (inner, outer, low, high))
    return -swirl * y, swirl * x, jnp.zeros_like(swirl)


def block_field(r2, z, section):
    """(B_z, B_r / r) per A/m2 at squared radius r2 and height z, of section (inner, outer, low, high)."""
    return _near_or_far(_near_field, loop_field, 2, r2, z, section)


def block_potential(r2, z, section):
    """A_phi / r per A/m2 at squared radius r2 and height z, of section (inner, outer, low, high)."""
    return _near_or_far(_near_potential, lambda *args: (loop_potential(*args),), 1, r2, z, section)[0]


def _near_or_far(near, ring, count, r2, z, section):
    """Each form runs only if some point of the tile needs it; points it does not serve are moved to a tame place."""
    r2, z, *section = jnp.broadcast_arrays(r2, z, *section)
    inner, outer, low, high = section
    far = _is_far(r2, z, section)
    away = jnp.where(far, r2, 1e4 * (outer + high - low) ** 2)
    nothing = (jnp.zeros_like(r2),) * count
    from_near = jax.lax.cond(jnp.all(far), lambda: nothing, lambda: near(r2, z, section))
    from_far = jax.lax.cond(jnp.any(far), lambda: _far_sum(ring, away, z, section), lambda: nothing)
    return tuple(jnp.where(far, a, b) for a, b in zip(from_far, from_near))


def _is_far(r2, z, section):
    """True where the Gauss-Legendre sum is exact to 1e-13.

    n nodes on an interval err by rho^(-2n), where the integrand's nearest singularity sits on the Bernstein
    ellipse rho with foci at the interval's ends; (sum of distances to the ends)/length = cosh(ln rho).
    """
    inner, outer, low, high = section
    r = jnp.sqrt(r2)
    width, height = outer - inner, high - low
    beside = jnp.maximum(jnp.maximum(inner - r, r - outer), 0.0)
    above = jnp.maximum(jnp.maximum(low - z, z - high), 0.0)
    across = jnp.hypot(r - inner, above) + jnp.hypot(r - outer, above)
    along = jnp.hypot(z - low, beside) + jnp.hypot(z - high, beside)
    wide = width > height
    return (across > width * jnp.where(wide, _FAR_LONG, _FAR_SHORT)) & (
        along > height * jnp.where(wide, _FAR_SHORT, _FAR_LONG)
    )


def _far_sum(ring, r2, z, section):
    """Loops on the section's Gauss-Legendre points; the finer rule lies along the longer side."""
    inner, outer, low, high = section
    wide = outer - inner > high - low
    area = (outer - inner) * (high - low)
    fine, coarse, weight = _leading(_section_nodes(), r2.ndim)
    a = (inner + outer) / 2 + (outer - inner) / 2 * jnp.where(wide, fine, coarse)
    b = (low + high) / 2 + (high - low) / 2 * jnp.where(wide, coarse, fine)
    return tuple(area * jnp.tensordot(weight.ravel(), part, 1) for part in ring(r2, z - b, a))


def _near_field(r2, z, section):
    """(B_z, B_r / r) by the azimuthal integral; B_r by parts near the axis, directly elsewhere."""
    r = _positive_root(r2)
    c, s, weight, u, v, distance, logs_u, log_v, angle = _corners(r, z, section)
    along = v[1] * logs_u[1] - v[0] * logs_u[0] - r * c * log_v - r * s * angle
    log_u = logs_u[1] - logs_u[0]
    direct = c * (_corner_sum(lambda i, j: distance[i][j]) + r * c * log_u) / r
    parts = s * s * (log_u + _corner_sum(lambda i, j: _parts_term(r * c, r * s, u[i], v[j], distance[i][j])))
    radial = jnp.where(r < _NEAR_AXIS * section[1], parts, direct)
    packed = MU_0 / (2 * jnp.pi) * jnp.tensordot(weight.ravel(), jax.lax.complex(along, radial), 1)
    return packed.real, packed.imag


def _near_potential(r2, z, section):
    """(A_phi / r,) by the azimuthal integral."""
    r = _positive_root(r2)
    c, s, weight, _, v, _, logs_u, log_v, angle = _corners(r, z, section)
    stretch = v[1] * logs_u[1] - v[0] * logs_u[0] - 2 * r * c * log_v - r * s * angle
    return (MU_0 / (2 * jnp.pi) * jnp.tensordot(weight.ravel(), s * s * stretch + r * c * c * s * angle, 1),)


def _corners(r, z, section):
    """The elementary terms, azimuth on the first axis: u, v, R at the corners, ln(u+R), ln(v+R), angle differenced."""
    c, s, versine, weight = _leading(_azimuth_nodes(), r.ndim)  # versine = 1 - cos, exact where phi is small
    inner, outer, low, high = section
    u = (inner - r + r * versine, outer - r + r * versine)
    v = (low - z, high - z)
    h = r * s
    distance = tuple(tuple(jnp.sqrt(a * a + b * b + h * h) for b in v) for a in u)
    logs_u = tuple(log(_log_argument(u, (distance[0][j], distance[1][j]), v[j], h)) for j in (0, 1))
    log_v = log(_log_argument(v, distance[1], u[1], h) / _log_argument(v, distance[0], u[0], h))
    angle = _angle(u[1], v, h, distance[1]) - _angle(u[0], v, h, distance[0])
    return c, s, weight, u, v, distance, logs_u, log_v, angle


def _log_argument(ends, distances, other, h):
    """(end_1 + R_1)/(end_0 + R_0) without cancellation for negative ends: x + R = (other^2 + h^2)/(R - x)."""
    product = other * other + h * h

    def plus(x, distance):
        size = distance + jnp.abs(x)
        return jnp.where(x >= 0, size, product / size)

    return plus(ends[1], distances[1]) / plus(ends[0], distances[0])


def _angle(u, v, h, distances):
    """atan(u v1/(h R1)) - atan(u v0/(h R0)), merged."""
    y1, x1 = u * v[1], h * distances[1]
    y0, x0 = u * v[0], h * distances[0]
    return arctan2(y1 * x0 - y0 * x1, x1 * x0 + y1 * y0)


def _parts_term(rc, h, u, v, distance):
    return (rc * rc * u / (h * h + v * v) - u - 2 * rc) / distance


def _corner_sum(term):
    return term(1, 1) - term(1, 0) - term(0, 1) + term(0, 0)


def _leading(arrays, ndim):
    """Nodes on a new first axis before `ndim` others."""
    return tuple(np.reshape(array, (-1,) + (1,) * ndim) for array in arrays)


def _positive_root(r2):
    """sqrt(r2), kept off zero where its derivative is infinite; what follows is even in r."""
    return jnp.sqrt(jnp.where(r2 > 0, r2, 1e-60))


def _section_nodes():
    """(along the long side, across it, weight): points of [-1, 1]^2 and weights that sum to 1."""
    t, w = np.polynomial.legendre.leggauss(LONG)
    tau, omega = np.polynomial.legendre.leggauss(SHORT)
    return np.repeat(t, SHORT), np.tile(tau, LONG), np.outer(w, omega).ravel() / 4


def _azimuth_nodes(count=104, grading=10.0, power=4):
    """(cos, sin, 1 - cos, weight) of the graded azimuths."""
    t, w = np.polynomial.legendre.leggauss(count)
    x = (t + 1) / 2
    phi = np.pi * np.sinh(grading * x**power) / np.sinh(grading)
    slope = np.pi * np.cosh(grading * x**power) * grading * power * x ** (power - 1) / np.sinh(grading)
    return np.cos(phi), np.sin(phi), 2 * np.sin(phi / 2) ** 2, w / 2 * slope
