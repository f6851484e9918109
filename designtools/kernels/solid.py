"""Scaled solid harmonics: moments of point sources, sums at points, slopes, translation.

    R_nm = r^n P_n^m(cos theta) e^{i m phi} / (n+m)!          regular, for sources inside and near the centre
    S_nm = (n-m)! r^{-n-1} P_n^m(cos theta) e^{i m phi}       irregular, for sources far from the centre

with P_n^m without the Condon-Shortley sign and 0 <= m <= n.  Then (White & Head-Gordon, J. Chem. Phys. 101 (1994) 6593)

    1/|r - r'| = Re sum_nm e_m conj(R_nm(r')) S_nm(r),  |r'| < |r|,  e_0 = 1, e_m = 2 otherwise,

and slopes carry no factors: d/dz S_nm = -S_{n+1,m}, (d/dx + i d/dy) S_nm = -S_{n+1,m+1}; d/dz R_nm = R_{n-1,m},
(d/dx + i d/dy) R_nm = -R_{n-1,m+1}; with X_{n,-1} = -conj(X_{n,1}) also (d/dx - i d/dy) S_nm = S_{n+1,m-1} and
(d/dx - i d/dy) R_nm = R_{n-1,m-1}.  Both recurrences run upwards in the degree; a tile of points stays in cache.
"""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from designtools.kernels.streaming import _bucket, _head, _pad

TILE = 1024
LARGEST = 80  # order: (2 * 80)! still fits a float64


@partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def moments(points, weights, order: int, regular: bool = False):
    """Sums over Q points (Q,3), off the centre, of weights (Q,K) times S_nm (or R_nm): complex (K, order+1, order+1)."""
    return _moments(points, weights, order, regular)


@moments.defjvp
def _moments_slope(order, regular, primals, tangents):
    """A step of a point is a weight on the harmonics of the next degree: the slope is again a sum of moments."""
    points, weights = primals
    step, change = tangents
    count = weights.shape[1]
    stepped = (step[:, :, None] * weights[:, None, :]).reshape(len(points), 3 * count)
    value = _moments(points, weights, order, regular)
    all_weights = jnp.concatenate([change, stepped], axis=1)
    table = _moments(points, all_weights, order if regular else order + 1, regular)
    along = (table[count + k * count : count + (k + 1) * count] for k in range(3))
    slope = sum(slopes(part, axis, regular)[:, : order + 1, : order + 1] for axis, part in enumerate(along))
    return value, table[:count, : order + 1, : order + 1] + slope


def _moments(points, weights, order, regular):
    if points.shape[0] == 0:
        return jnp.zeros((weights.shape[1], order + 1, order + 1), complex)
    return _padded_moments(*padded(points, weights), order, regular)


def padded(points, weights):
    """Both rounded up to a size that is often met: points by repetition, weights by zeros."""
    size = _bucket(points.shape[0], TILE)[0]
    return _pad(points, size), _pad(weights, size, zero=True)


@partial(jax.jit, static_argnums=(2, 3))
def _padded_moments(points, weights, order, regular):
    tile = _bucket(points.shape[0], TILE)[1]
    tiles = points.reshape(-1, tile, 3).transpose(0, 2, 1)
    shares = weights.reshape(-1, tile, weights.shape[1])

    @jax.checkpoint
    def add(total, part):
        xyz, share = part
        rows = degrees(xyz, order, regular, lambda n, real, imag: (real @ share, imag @ share))
        return jax.tree.map(jnp.add, total, rows), None

    nothing = jnp.zeros((order + 1, order + 1, weights.shape[1]))
    total = jax.lax.scan(add, (nothing, nothing), (tiles, shares))[0]
    return jax.lax.complex(*total).transpose(2, 0, 1)


def degrees(xyz, order, regular, use):
    """use(n, real, imag) stacked over n = 0..order: both parts (order+1, P) of all harmonics of degree n."""
    x, y, z = xyz
    square = x * x + y * y + z * z
    if regular:
        start, scale = jnp.ones_like(square), square
    else:
        scale = 1 / square
        x, y, z = x * scale, y * scale, z * scale
        start = jnp.sqrt(scale)
    rising, falling, leading = _factors(order, regular)
    m = np.arange(order + 1)[:, None]
    nothing = jnp.zeros((order + 1, len(x)))
    first = nothing.at[0].set(start)

    def step(carry, given):
        (real, imag), (real0, imag0), (c, s) = carry
        n, rise, fall, lead = given
        c, s = lead * (x * c - y * s), lead * (x * s + y * c)
        a, b, diagonal = rise * z, fall * scale, m == n
        now = jnp.where(diagonal, c, a * real - b * real0), jnp.where(diagonal, s, a * imag - b * imag0)
        return (now, (real, imag), (c, s)), use(n, *now)

    carry = (first, nothing), (nothing, nothing), (start, jnp.zeros_like(start))
    rest = jax.lax.scan(step, carry, (jnp.arange(1, order + 1), rising, falling, leading))[1]
    return jax.tree.map(lambda one, more: jnp.concatenate([one[None], more]), use(0, first, nothing), rest)


@partial(jax.jit, static_argnums=(1, 2))
def table(points, order: int, regular: bool):
    """Every harmonic at points (P,3): complex (P, order+1, order+1)."""
    parts = degrees(jnp.asarray(points).T, order, regular, lambda n, real, imag: (real, imag))
    return jax.lax.complex(*parts).transpose(2, 0, 1)


def _factors(order, regular):
    """Of the upward recurrence, for n = 1..order: (order, order+1, 1) twice and (order,)."""
    n, m = np.arange(1.0, order + 1)[:, None], np.arange(order + 1.0)
    inside = m < n
    divisor = np.where(inside, n * n - m * m, 1.0) if regular else 1.0
    rising = np.where(inside, (2 * n - 1) / divisor, 0.0)
    falling = np.where(m < n - 1, 1 / divisor if regular else (n - 1) ** 2 - m * m, 0.0)
    leading = 1 / (2 * n[:, 0]) if regular else 2 * n[:, 0] - 1
    return rising[:, :, None], falling[:, :, None], leading


def values(points, coefficients, regular: bool = True):
    """Re sum_nm c_nm R_nm (or S_nm) at points (P,3), for coefficients (K, order+1, order+1) complex: (P, K)."""
    size = _bucket(points.shape[0], TILE)[0]
    return _head(_padded_values(_pad(points, size), coefficients, regular), points.shape[0])


@partial(jax.jit, static_argnums=2)
def _padded_values(points, coefficients, regular):
    count, size = coefficients.shape[:2]
    tile = _bucket(points.shape[0], TILE)[1]
    tiles = points.reshape(-1, tile, 3).transpose(0, 2, 1)
    real, imag = (part.transpose(1, 0, 2) for part in (coefficients.real, coefficients.imag))

    @jax.checkpoint
    def at(xyz):
        return degrees(xyz, size - 1, regular, lambda n, c, s: real[n] @ c - imag[n] @ s).sum(axis=0)

    return jax.lax.map(at, tiles).transpose(0, 2, 1).reshape(-1, count)


def slopes(table, axis: int, regular: bool = False):
    """d/dx_axis of every harmonic in a table (..., order+1, order+1), irregular ones to one degree less.

    The same linear map takes moments of the harmonics to moments of their slopes.
    """
    before, after = _neighbours(table)
    if regular:
        down = lambda t: jnp.concatenate([jnp.zeros_like(t[..., :1, :]), t[..., :-1, :]], axis=-2)
        table, before, after = down(table), down(before), down(after)
        return _cartesian(-after, before, table)[axis]
    up = lambda t: jnp.tril(t[..., 1:, :-1])
    return _cartesian(-up(after), up(before), -up(table))[axis]


def _neighbours(table):
    """The entries at m-1 and at m+1."""
    before = jnp.concatenate([-jnp.conj(table[..., 1:2]), table[..., :-1]], axis=-1)
    return before, jnp.concatenate([table[..., 1:], jnp.zeros_like(table[..., :1])], axis=-1)


def _cartesian(plus, minus, along):
    """d/dx, d/dy, d/dz from d/dx + i d/dy, d/dx - i d/dy and d/dz."""
    return (plus + minus) / 2, (plus - minus) / 2j, along


def doubled(order: int) -> np.ndarray:
    """e_m (order+1, order+1): 1 for m = 0, 2 for 0 < m <= n, zero for m > n."""
    return np.tril(np.where(np.arange(order + 1) > 0, 2.0, 1.0) * np.ones((order + 1, 1)))


def unscaled(order: int) -> np.ndarray:
    """e_m/(n+m)! (order+1, order+1), zero for m > n: from scaled moments to coefficients of r^n P_n^m."""
    inverse = [[1 / math.factorial(n + m) if m <= n else 0.0 for m in range(order + 1)] for n in range(order + 1)]
    return doubled(order) * np.array(inverse)
