"""log, log1p and arctan2 as plain polynomials, which XLA turns into vector code (its own are two to four times slower).

Coefficients: FreeBSD msun e_log.c and s_atan.c (Sun Microsystems 1993).  Slopes are stated: bit operations have none.
The bit patterns are those of float64; float32 goes to XLA's own functions, which are vector code there.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

_LOG = (
    6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01, 2.222219843214978396e-01,
    1.818357216161805012e-01, 1.531383769920937332e-01, 1.479819860511658591e-01,
)  # fmt: skip
_ATAN = (
    3.33333333333329318027e-01, -1.99999999998764832476e-01, 1.42857142725034663711e-01, -1.11111104054623557880e-01,
    9.09088713343650656196e-02, -7.69187620504482999495e-02, 6.66107313738753120669e-02, -5.83357013379057348645e-02,
    4.97687799461593236017e-02, -3.65315727442169155270e-02, 1.62858201153657823623e-02,
)  # fmt: skip


@jax.custom_jvp
def log1p(u):
    """log(1 + u) for finite u >= 0; relative error below 4e-16."""
    if jnp.result_type(u) == jnp.float32:
        return jnp.log1p(u)
    bits = jax.lax.bitcast_convert_type(1.0 + u, jnp.int64) + ((0x3FF00000 - 0x3FE6A09E) << 32)
    shifted = jax.lax.shift_right_logical(bits, jnp.int64(52)) | 0x4330000000000000  # 2^52 + exponent + bias
    exponent = jax.lax.bitcast_convert_type(shifted, jnp.float64) - (2.0**52 + 1023)
    mantissa = (bits & 0x000FFFFFFFFFFFFF) + (0x3FE6A09E << 32)  # from sqrt(1/2) to sqrt(2)
    f = jnp.where(exponent == 0, u, jax.lax.bitcast_convert_type(mantissa, jnp.float64) - 1.0)
    s = f / (2.0 + f)
    half = 0.5 * f * f
    return exponent * math.log(2.0) + (f - (half - s * (half + s * s * _polynomial(_LOG, s * s))))


@log1p.defjvp
def _log1p_slope(primals, tangents):
    return log1p(*primals), tangents[0] / (1.0 + primals[0])


@jax.custom_jvp
def log(x):
    """log(x) for finite normal x > 0; relative error below 4e-16."""
    if jnp.result_type(x) == jnp.float32:
        return jnp.log(x)
    bits = jax.lax.bitcast_convert_type(x, jnp.int64) + ((0x3FF00000 - 0x3FE6A09E) << 32)
    shifted = jax.lax.shift_right_logical(bits, jnp.int64(52)) | 0x4330000000000000  # 2^52 + exponent + bias
    exponent = jax.lax.bitcast_convert_type(shifted, jnp.float64) - (2.0**52 + 1023)
    mantissa = (bits & 0x000FFFFFFFFFFFFF) + (0x3FE6A09E << 32)  # from sqrt(1/2) to sqrt(2)
    f = jax.lax.bitcast_convert_type(mantissa, jnp.float64) - 1.0
    s = f / (2.0 + f)
    half = 0.5 * f * f
    return exponent * math.log(2.0) + (f - (half - s * (half + s * s * _polynomial(_LOG, s * s))))


@log.defjvp
def _log_slope(primals, tangents):
    return log(*primals), tangents[0] / primals[0]


@jax.custom_jvp
def arctan2(y, x):
    """Angle of (x, y) in [-pi, pi], where x and y are finite and not both zero; relative error below 3e-16."""
    along, across = jnp.abs(x), jnp.abs(y)
    large, small = jnp.maximum(along, across), jnp.minimum(along, across)
    slanted, steep = small > 0.4142135623730951 * large, across > along
    eighths = jnp.where(slanted, 1.0, jnp.where(steep, 2.0, 0.0))  # the nearest multiple of pi/4, its tangent turned away
    turned = jnp.where(slanted, across - along, jnp.where(steep, -along, across))
    turned = jnp.where((x < 0) != (y < 0), -turned, turned) / jnp.where(slanted, large + small, large)
    eighths = jnp.where(x < 0, 4.0 - eighths, eighths)
    both = turned + jnp.where(y < 0, -eighths, eighths)  # one number, so that XLA does not work all this out twice
    eighths = jnp.round(both)
    z = both - eighths
    return eighths * (math.pi / 4) + (z - z * (z * z) * _polynomial(_ATAN, z * z))


@arctan2.defjvp
def _arctan2_slope(primals, tangents):
    (y, x), (dy, dx) = primals, tangents
    return arctan2(y, x), (x * dy - y * dx) / (x * x + y * y)


def _polynomial(coefficients, x):
    total = coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        total = total * x + coefficient
    return total
