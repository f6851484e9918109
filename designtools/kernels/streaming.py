"""Sums over sources at many points without ever holding sources x points.

Points are cut into tiles and sources into chunks; a kernel sees one chunk and one tile, whose values stay
in cache, and the excitation enters last, as a matrix product.  Reverse-mode derivatives recompute a
block instead of keeping it.  Sizes are rounded up to a few buckets (points by repetition, sources with
zero excitation), so that a new size seldom compiles anew.

XLA runs such loops on one core.  Where every array is concrete, a large sum is therefore cut into slices of points
and these go to one thread per core; under `jit`, `grad` or `vmap` it is one program.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial, wraps

import jax
import jax.numpy as jnp
import numpy as np

TILE = 128  # points per tile, at most: long enough to fill vector units
CHUNK = 256  # sources per chunk, at most: TILE x CHUNK float64 is 256 KiB, which stays in the second-level cache
SLICE = 32768  # points per call, at most, of a large sum: bounds what is held beside the answer
LARGE = 2_000_000  # source-point pairs from which threads pay: some milliseconds


def contract(kernel, points, sources, weights, *, tile: int = TILE, chunk: int = CHUNK, single: bool = False):
    """Weighted sum of a kernel over its sources, at every point: (P, C, K).

    kernel(xyz, *sources) -> sequence of C arrays (S, P): gets x, y, z as arrays (1, P) and each source array
    (S, ...) as its columns (S, 1) (an (S, 3) array arrives as a tuple of three columns).
    points (P, 3); sources: tuple of arrays (S,) or (S, n); weights (S, K), or a tuple of C arrays (S, K_c), one
    for each component, which gives a tuple of C arrays (P, K_c).
    The result has the precision of the weights.  In float32 the kernel itself runs in float64 unless it is said to
    be accurate in `single`.
    """
    apart = isinstance(weights, tuple)
    arrays = (points, *sources, *(weights if apart else (weights,)))
    wanted = jnp.result_type(*(weights if apart else (weights,)))
    work = wanted if single else jnp.float64
    points, *rest = (_as(array, work) for array in arrays)
    sources, weights = tuple(rest[: len(sources)]), tuple(rest[len(sources) :])
    sums = _sliced(kernel, points, sources, weights, tile, chunk)
    sums = tuple(_as(total, wanted) for total in sums)
    return sums if apart else _stack(sums)


def in_pairs(kernel):
    """The same kernel, two components at a time as the two parts of one complex array.

    XLA on a CPU runs a whole kernel once for every array that leaves it; so C arrays cost C/2 runs.  Worth it for a
    kernel of two or more costly components that share most of their work.
    """

    @wraps(kernel)
    def evaluate(xyz, *sources):
        rows = jax.tree.leaves(sources)[0].shape[0]
        parts = next((n for n in (4, 2) if rows % n == 0 and rows > n), 1)
        if parts == 1:
            return tuple(kernel(xyz, *sources))
        blocks = jax.tree.map(lambda column: column.reshape(parts, -1, 1), sources)
        count = len(jax.eval_shape(kernel, xyz, *sources))

        def values(first):
            def pair(block):  # a loop of its own: fused with what follows it would be run twice again
                return _pack(kernel(xyz, *block)[first : first + 2])

            return _unpack(jax.lax.map(pair, blocks).reshape(rows, -1))

        return tuple(value for first in range(0, count, 2) for value in values(first))

    return evaluate


def cores() -> int:
    """How many cores this process may use, which is how many threads a large sum takes."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _pack(values):
    return jax.lax.complex(*values) if len(values) == 2 else values[0]


def _unpack(values):
    return (values.real, values.imag) if jnp.iscomplexobj(values) else (values,)


def _sliced(kernel, points, sources, weights, tile, chunk):
    """`_sum` of everything, or of slices of points, side by side."""
    whole = partial(_sum, kernel, sources=sources, weights=weights, tile=tile, chunk=chunk)
    slices, threads = _plan(points, weights[0].shape[0], (*sources, *weights))
    if slices == 1:
        return whole(points)
    with ThreadPoolExecutor(threads) as pool:
        sums = list(pool.map(lambda part: [np.asarray(s) for s in whole(part)], np.array_split(points, slices)))
    return tuple(jnp.asarray(np.concatenate(parts)) for parts in zip(*sums))


def _plan(points, n_sources, others) -> tuple[int, int]:
    """Slices of points and threads: one program in a trace, on an accelerator, and for what is small."""
    n_points = points.shape[0]
    if n_points * n_sources < LARGE or any(isinstance(a, jax.core.Tracer) for a in (points, *others)):
        return 1, 1
    threads = cores() if jax.default_backend() == "cpu" else 1
    slices = min(-(-n_points // SLICE), n_points)
    return min(-(-slices // threads) * threads, n_points), threads


def _sum(kernel, points, sources, weights, tile, chunk):
    """One program: a tuple of C arrays (P, K_c).  One array of weights serves every component."""
    n_points, n_sources = points.shape[0], weights[0].shape[0]
    if n_points == 0 or n_sources == 0:
        weights = _each(weights, _components(kernel, sources))
        return tuple(jnp.zeros((n_points, weight.shape[1]), weight.dtype) for weight in weights)
    n_points_padded, tile = _bucket(n_points, tile)
    n_sources_padded, chunk = _bucket(n_sources, chunk)
    sums = _contract(
        kernel, tile, chunk,
        _pad(points, n_points_padded),
        tuple(_pad(array, n_sources_padded) for array in sources),
        tuple(_pad(weight, n_sources_padded, zero=True) for weight in weights),
    )  # fmt: skip
    return tuple(_head(total, n_points) for total in sums)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _contract(kernel, tile, chunk, points, sources, weights):
    components = _components(kernel, sources)
    tiles = points.reshape(-1, tile, 3).transpose(0, 2, 1)
    blocks = tuple(array.reshape(-1, chunk, *array.shape[1:]) for array in sources)
    flows = tuple(weight.reshape(-1, chunk, weight.shape[1]).transpose(0, 2, 1) for weight in weights)

    @jax.checkpoint
    def block_sum(xyz, flow, source):
        values = kernel(tuple(xyz[:, None, :]), *map(columns, source))
        return tuple(weight @ value for weight, value in zip(_each(flow, components), values))

    @jax.checkpoint
    def tile_sum(xyz):
        def add(total, block):
            return tuple(t + b for t, b in zip(total, block_sum(xyz, *block))), None

        start = tuple(jnp.zeros((flow.shape[1], tile), points.dtype) for flow in _each(flows, components))
        return jax.lax.scan(add, start, (flows, blocks))[0]

    sums = jax.lax.map(tile_sum, tiles)  # (tiles, K, T) each
    return tuple(total.transpose(0, 2, 1).reshape(-1, total.shape[1]) for total in sums)


def _each(weights, components):
    return weights if len(weights) == components else weights * components


def columns(array):
    """(S,) as one column (S, 1); (S, n) as a tuple of n columns."""
    if array.ndim == 1:
        return array[:, None]
    return tuple(array[:, i, None] for i in range(array.shape[1]))


def _components(kernel, sources) -> int:
    one = jax.ShapeDtypeStruct((1, 1), sources[0].dtype)
    shapes = (one if a.ndim == 1 else (one,) * a.shape[1] for a in sources)
    return len(jax.eval_shape(kernel, (one,) * 3, *shapes))


def _stack(sums):
    library = jnp if any(isinstance(total, jax.core.Tracer) for total in sums) else np
    return jnp.asarray(library.stack(sums, axis=1))


def real(array):
    """The array in its own floating precision; whole numbers as float64."""
    return array if jnp.issubdtype(array.dtype, jnp.inexact) else array.astype(jnp.float64)


def _as(array, dtype):
    """The array in this precision; nothing is computed where it has it already."""
    return array if array.dtype == dtype else array.astype(dtype)


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
    if array.shape[0] == n:
        return array
    if isinstance(array, jax.core.Tracer):
        return array[:n]
    return jnp.asarray(np.asarray(array)[:n])
