"""arctan2 as a plain polynomial, which XLA turns into vector code (its own it calls value by value: four times slower)."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

# FreeBSD msun s_atan.c (Sun Microsystems 1993), for |z| < 7/16
_ATAN = (
    3.33333333333329318027e-01, -1.99999999998764832476e-01, 1.42857142725034663711e-01, -1.11111104054623557880e-01,
    9.09088713343650656196e-02, -7.69187620504482999495e-02, 6.66107313738753120669e-02, -5.83357013379057348645e-02,
    4.97687799461593236017e-02, -3.65315727442169155270e-02, 1.62858201153657823623e-02,
)  # fmt: skip


@jax.custom_jvp
def arctan2(y, x):
    """Angle of (x, y) in [-pi, pi], where x and y are finite and not both zero; relative error below 3e-16."""
    along, across = jnp.abs(x), jnp.abs(y)
    large, small = jnp.maximum(along, across), jnp.minimum(along, across)
    fold = small > 0.4142135623730951 * large  # beyond pi/8: the angle to the diagonal instead
    z = jnp.where(fold, small - large, small) / jnp.where(fold, small + large, large)
    zz = z * z
    total = _ATAN[-1]
    for coefficient in _ATAN[-2::-1]:
        total = total * zz + coefficient
    angle = z - z * zz * total + jnp.where(fold, math.pi / 4, 0.0)
    angle = jnp.where(across > along, math.pi / 2 - angle, angle)
    angle = jnp.where(x < 0, math.pi - angle, angle)
    return jnp.where(y < 0, -angle, angle)


@arctan2.defjvp
def _arctan2_slope(primals, tangents):
    (y, x), (dy, dx) = primals, tangents
    return arctan2(y, x), (x * dy - y * dx) / (x * x + y * y)
