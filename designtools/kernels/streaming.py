"""Sums over sources at many points without ever holding sources x points.

Points are cut into tiles and sources into chunks; a kernel sees one chunk and one tile, whose values stay
in cache, and the excitation enters last, as a matrix product.  Reverse-mode derivatives recompute a
block instead of keeping it.  Sizes are rounded up to a few buckets (points by repetition, sources with
zero excitation), so that a new size seldom compiles anew.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

TILE = 128  # points per tile, at most: long enough to fill vector units
CHUNK = (
    1024  # sources per chunk, at most: TILE x CHUNK float64 is 1 MiB, which stays in the second-level cache
)


def contract(kernel, points, sources, weights, *, tile: int = TILE, chunk: int = CHUNK):
    """Weighted sum of a kernel over its sources, at every point: (P, C, K).

    kernel(xyz, *sources) -> sequence of C arrays (S, P): gets x, y, z as arrays (1, P) and each source array
    (S, ...) as its columns (S, 1) (an (S, 3) array arrives as a tuple of three columns).
    points (P, 3); sources: tuple of arrays (S,) or (S, n); weights (S, K).
    """
    n_points, n_sources = points.shape[0], weights.shape[0]
    components = len(jax.eval_shape(kernel, *_shapes(sources)))
    if n_points == 0 or n_sources == 0:
        return jnp.zeros((n_points, components, weights.shape[1]))
    n_points_padded, tile = _bucket(n_points, tile)
    n_sources_padded, chunk = _bucket(n_sources, chunk)
    out = _contract(
        kernel, components, tile, chunk,
        _pad(points, n_points_padded),
        tuple(_pad(array, n_sources_padded) for array in sources),
        _pad(weights, n_sources_padded, zero=True),
    )  # fmt: skip
    return _head(out, n_points)


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _contract(kernel, components, tile, chunk, points, sources, weights):
    n_weights = weights.shape[1]
    tiles = points.reshape(-1, tile, 3).transpose(0, 2, 1)
    blocks = tuple(array.reshape(-1, chunk, *array.shape[1:]) for array in (weights, *sources))

    @jax.checkpoint
    def block_sum(xyz, weight, *source):
        values = kernel(tuple(xyz[:, None, :]), *map(columns, source))
        return jnp.stack([jnp.matmul(weight.T, value) for value in values])

    @jax.checkpoint
    def tile_sum(xyz):
        def add(total, block):
            return total + block_sum(xyz, *block), None

        return jax.lax.scan(add, jnp.zeros((components, n_weights, tile)), blocks)[0]

    sums = jax.lax.map(tile_sum, tiles)  # (tiles, C, K, T)
    return sums.transpose(0, 3, 1, 2).reshape(-1, components, n_weights)


def columns(array):
    """(S,) as one column (S, 1); (S, n) as a tuple of n columns."""
    if array.ndim == 1:
        return array[:, None]
    return tuple(array[:, i, None] for i in range(array.shape[1]))


def _shapes(sources):
    one = jax.ShapeDtypeStruct((1, 1), jnp.float64)
    return (one,) * 3, *(one if a.ndim == 1 else (one,) * a.shape[1] for a in sources)


def _bucket(n: int, block: int) -> tuple[int, int]:
    """Padded size, at most a quarter more than n (four sizes per doubling), and its even division into blocks."""
    step = 1 << max(0, (n - 1).bit_length() - 3)
    if block == 1:
        return -(-n // step) * step, 1
    size = max(8, -(-n // step) * step)
    blocks = 1
    while size > blocks * block:
        blocks *= 2
    return size, size // blocks


def _pad(array, n: int, zero: bool = False):
    """Rows repeated (or zeros) up to n rows; concrete arrays are padded by NumPy, which compiles nothing."""
    short = n - array.shape[0]
    if short == 0:
        return array
    library = jnp if isinstance(array, jax.core.Tracer) else np
    width = [(0, short)] + [(0, 0)] * (array.ndim - 1)
    return library.pad(array, width, **({} if zero else {"mode": "edge"}))


def _head(array, n: int):
    """The first n rows; a concrete array is sliced by NumPy, which compiles nothing."""
    if isinstance(array, jax.core.Tracer):
        return array[:n]
    return jnp.asarray(np.asarray(array)[:n])
