"""Scalar potential of closed currents as dipole layers: phi = 1/4pi int psi dOmega, H = -grad phi off the layer.

A loop of current I is a disc with psi = I; a sheet of stream function psi is its own layer (Maxwell, Treatise, arts. 484,
652).  phi jumps by psi across the layer, which is where the branch is cut; on it the value is the mean of both sides.

disc       Omega = sgn(z) int a (a - r cos(tau))/(R (R + |z|)) dtau round the rim (Stokes), by `azimuth`; beyond ten
           radii, where opposite sides nearly cancel, 56 Gauss points of z/R^3 over the disc.
triangle   with psi linear: psi(r) W + h sum_edges (K.l) g, K = grad psi x n, psi extended to the point r at height h,
           W the solid angle and g the edge logarithm (`triangle`).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from designtools.kernels import azimuth
from designtools.kernels.segment import _dot, _minus, potential_factor
from designtools.kernels.streaming import contract
from designtools.kernels.triangle import solid_angle

_FAR = 10.0  # radii


def disc_potential(points, centre, normal, radius, current):
    """Scalar potential (P,) A at points (P,3) m of loops: centre (N,3), unit normal (N,3), radius (N,), current (N,)."""
    sources = (centre, normal, radius)
    return contract(_disc_angle, points, sources, current[:, None], chunk=1)[:, 0, 0] / (4 * jnp.pi)


def sheet_potential(points, corners, stream, surface_current):
    """Scalar potential (P,) A of triangles corners (F,3,3) m with stream (F,3) A at the corners, K (F,3) A/m."""
    side = jnp.roll(corners, -1, axis=1) - corners
    normal = jnp.cross(side[:, 0], side[:, 1])
    normal = normal / jnp.linalg.norm(normal, axis=1, keepdims=True)
    slope = jnp.cross(normal, surface_current)
    flow = jnp.einsum("fc,fic->fi", surface_current, side)
    sources = (corners[:, 0], corners[:, 1], corners[:, 2], normal, slope, stream[:, 0], flow)
    return contract(_face_potential, points, sources, jnp.ones((len(corners), 1)))[:, 0, 0] / (4 * jnp.pi)


def _face_potential(xyz, first, second, third, normal, slope, stream, flow):
    from_first = _minus(xyz, first)
    height = _dot(from_first, normal)
    total = (stream + _dot(slope, from_first)) * solid_angle(xyz, first, second, third)[0]
    for (start, end), along in zip(((first, second), (second, third), (third, first)), flow):
        total = total + height * along * potential_factor(xyz, start, end)[0]
    return (total,)


def _disc_angle(xyz, centre, normal, radius):
    """Solid angle (sr), positive on the side of the normal: one array (N, P)."""
    x, y, z = _beside(xyz, centre, normal)
    x, y, z, radius = jnp.broadcast_arrays(x, y, z, radius)
    far = x * x + y * y + z * z > (_FAR * radius) ** 2
    away, close = jnp.where(far, x, 30 * radius), jnp.where(far, radius / 2, x)
    zero = jnp.zeros_like(x)
    from_near = jax.lax.cond(jnp.all(far), lambda: zero, lambda: _near_angle(close, y, z, radius))
    from_far = jax.lax.cond(jnp.any(far), lambda: _far_angle(away, y, z, radius), lambda: zero)
    return (jnp.where(far, from_far, from_near),)


def _near_angle(x, y, z, radius):
    height = jnp.abs(z)

    def integrand(nodes):
        distance = jnp.sqrt(jnp.maximum(nodes.along**2 + nodes.across**2 + z * z, 1e-200))
        inward = -(nodes.cos * nodes.along + nodes.sin * nodes.across)
        return nodes.total(inward / (distance * (distance + height)))

    gap = azimuth.azimuth(x, y)[0] - radius
    (rest,) = azimuth.integral(integrand, x, y, radius, jnp.sqrt(gap**2 + z * z))
    return jnp.sign(z) * radius * rest


def _far_angle(x, y, z, radius, radial=4, around=14):
    t, w = np.polynomial.legendre.leggauss(radial)
    phi = np.repeat(2 * np.pi * np.arange(around) / around, radial).reshape(-1, 1, 1)
    r = radius * np.sqrt((1 + np.tile(t, around)) / 2).reshape(-1, 1, 1)
    square = (x - r * np.cos(phi)) ** 2 + (y - r * np.sin(phi)) ** 2 + z * z
    share = np.tile(w, around).reshape(-1, 1, 1) / (2 * around) * jnp.pi * radius**2
    return jnp.sum(share * z / (square * jnp.sqrt(square)), axis=0)


def _beside(xyz, centre, normal):
    """Position in a frame whose z is the normal; x is any direction across it."""
    d = _minus(xyz, centre)
    nx, ny, nz = normal
    steep = jnp.abs(nz) > 0.7  # x across the z axis, or across the x axis where the normal is along z
    ux, uy, uz = jnp.where(steep, 0 * nx, -ny), jnp.where(steep, nz, nx), jnp.where(steep, -ny, 0 * nz)
    size = jnp.sqrt(ux * ux + uy * uy + uz * uz)
    first = ux / size, uy / size, uz / size
    second = (ny * first[2] - nz * first[1], nz * first[0] - nx * first[2], nx * first[1] - ny * first[0])
    return _dot(d, first), _dot(d, second), _dot(d, normal)
