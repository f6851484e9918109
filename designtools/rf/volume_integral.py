"""Full-wave fields in a voxel body: a volume integral equation on Yee edges with one scalar kernel applied by FFT.

Unknown: x = J/(j w eps0) = chi E on the edges around tissue, with the mean chi of the four voxels about an edge.

    x/chi - (k0^2 + grad div) (g * x) h^3 = E_incident

The charge sits on the nodes, so that current and charge are continuous on the grid and nothing breaks down at low
frequency; g is the lattice's own Green's function near its source (`lattice`).  The matrix is complex symmetric, so that
one more solve with it gives all derivatives.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.fft import next_fast_len

from designtools.rf import lattice
from designtools.rf.body import Body, edge_mean
from designtools.rf.krylov import gmres


class Operator(NamedTuple):
    """The kernel on the grid of a body, shared by all channels and all derivatives.

    spectrum (Py,Px,Pz): transform of g h^3 on the periodic grid, slabs across y first; step (3 arrays): transform of the forward difference over h along
    each axis; support: index of each unknown in the edges of the grid (3,N,N,N) flattened; shape of the nodes.
    """

    spectrum: jax.Array
    step: tuple[jax.Array, jax.Array, jax.Array]
    support: jax.Array
    shape: tuple[int, int, int]
    square: float  # k0^2


def operator(body: Body, wavenumber: float) -> Operator:
    """The kernel for a body at the wavenumber (1/m) of free space."""
    shape = tuple(n + 1 for n in body.label.shape)
    count = tuple(2 * next_fast_len(n) for n in shape)
    spectrum = jnp.asarray(np.moveaxis(lattice.spectrum(count, body.spacing, wavenumber), 1, 0) * body.spacing**3)
    step = tuple(_difference(n, axis) / body.spacing for axis, n in enumerate(count))
    support = np.flatnonzero(np.asarray(edge_mean(body.inside.astype(float))).ravel() > 0)
    return Operator(spectrum, step, jnp.asarray(support), shape, wavenumber**2)


def _difference(count: int, axis: int):
    phase = jnp.exp(2j * jnp.pi * jnp.arange(count) / count) - 1
    return phase.reshape([-1 if a == axis else 1 for a in range(3)])


def edge_contrast(permittivity, label):
    """chi (3,N,N,N) complex on the edges, from the relative permittivity (M,) of each label; differentiable."""
    return edge_mean((jnp.asarray(permittivity, complex) - 1)[label])


# --- the product ------------------------------------------------------------------------------------


def radiate(op: Operator, edges):
    """(k0^2 + grad div)(g * x) h^3 (3,N,N,N) of x on all edges (3,N,N,N), as a convolution."""
    return _convolved(op, edges, partial(_electric, op.square))


def _electric(square, kernel, steps, f):
    charge = -sum(step.conj() * part for step, part in zip(steps, f))  # divergence at the nodes
    return jnp.stack([kernel * (square * part + step * charge) for step, part in zip(steps, f)])


def _curl(kernel, steps, f):
    """Curl on the faces: component a lies at node a, half a step along the others."""
    return jnp.stack([kernel * (steps[(a + 1) % 3] * f[(a + 2) % 3] - steps[(a + 2) % 3] * f[(a + 1) % 3]) for a in range(3)])


def _convolved(op: Operator, edges, combine):
    """combine(kernel, steps, transforms) on the padded grid, one slab across y at a time: the whole transform never exists.

    Each axis is padded only when its turn comes and cut as soon as it is back.
    """
    nx, ny, nz = op.shape
    px, py, pz = (step.size for step in op.step)
    x, y, z = (step.ravel() for step in op.step)
    half = jnp.fft.fft(jnp.fft.fft(edges, pz, axis=3), py, axis=2)

    def slab(at):
        part, kernel, step = at
        f = combine(kernel, (x[:, None], step, z[None, :]), jnp.fft.fft(part, px, axis=1))
        return jnp.fft.ifft(f, axis=1)[:, :nx]

    back = jax.lax.map(slab, (jnp.moveaxis(half, 2, 0), op.spectrum, y))
    back = jnp.fft.ifft(jnp.moveaxis(back, 0, 2), axis=2)[:, :, :ny]
    return jnp.fft.ifft(back, axis=3)[..., :nz]


def _scattered(op: Operator, x):
    """`radiate` between the unknowns (n,)."""
    edges = jnp.zeros(3 * np.prod(op.shape), complex).at[op.support].set(x, unique_indices=True)
    return radiate(op, edges.reshape(3, *op.shape)).ravel()[op.support]


# --- solving ----------------------------------------------------------------------------------------


class Scattered(NamedTuple):
    """x (3,N,N,N) on the edges for one channel, products with the matrix, relative residual."""

    x: jax.Array
    products: jax.Array
    residual: jax.Array


_MEMORY, _EACH, _LEAST = 1.6e9, 1.1e3, 2.4e8  # bytes: for basis and transforms, of the transforms per unknown, for the basis at least


def solve(op: Operator, contrast, incident, tolerance: float = 1e-4, restart: int | None = None) -> Scattered:
    """x for the incident field (3,N,N,N) V/m on all edges and `contrast` from `edge_contrast`; differentiable by both.

    The residual is relative to the right-hand side of the system scaled by the square root of chi on both sides.
    restart: steps before the Krylov space is begun anew; left out, as many as memory allows, up to 100.
    """
    shape = op.shape
    restart = restart or _steps(len(op.support))
    return _solve(op._replace(shape=None), shape, jnp.asarray(contrast), jnp.asarray(incident), tolerance, restart)


def _steps(unknowns: int) -> int:
    """Steps of a Krylov space that keep the whole below 2 GB up to 1.4 million unknowns."""
    return int(np.clip(max(_LEAST, _MEMORY - _EACH * unknowns) / (16 * unknowns), 11, 100))


@partial(jax.jit, static_argnums=(1, 5))
def _solve(op, shape, contrast, incident, tolerance, restart):
    op = op._replace(shape=shape)
    chi = contrast.ravel()[op.support]
    scale = jnp.sqrt(chi)
    right = scale * incident.ravel()[op.support]
    product = lambda y: y - scale * _scattered(op, scale * y)
    attempt = lambda product, b: _outcome(gmres(product, b, tolerance, restart))
    y, found = jax.lax.custom_linear_solve(product, right, attempt, transpose_solve=attempt, symmetric=True, has_aux=True)
    x = jnp.zeros(incident.size, complex).at[op.support].set(scale * y, unique_indices=True)
    return Scattered(x.reshape(incident.shape), *found)


def _outcome(outcome):
    return outcome.x, (outcome.products, outcome.residual)


# --- fields -----------------------------------------------------------------------------------------


def total_field(op: Operator, contrast, found: Scattered):
    """E (3,N,N,N) V/m on the edges of the body, zero elsewhere."""
    return jnp.where(contrast != 0, found.x / jnp.where(contrast != 0, contrast, 1), 0)


def scattered_flux(op: Operator, x, frequency: float):
    """Flux density (nx,ny,nz,3) T of the body's currents at the voxel centres, and nothing of the coil's: curl of A."""
    flux = _flux(op._replace(shape=None), op.shape, x)
    return 1j * 2 * jnp.pi * frequency / 299792458.0**2 * flux


@partial(jax.jit, static_argnums=1)
def _flux(op, shape, x):
    """Curl of g * x h^3, from the faces to the centres of the voxels."""
    faces = _convolved(op._replace(shape=shape), x, _curl)
    parts = []
    for axis, face in enumerate(faces):
        n = shape[axis]
        mean = sum(jax.lax.slice_in_dim(face, s, n - 1 + s, axis=axis) for s in (0, 1)) / 2
        parts.append(mean[tuple(slice(None) if other == axis else slice(0, -1) for other in range(3))])
    return jnp.stack(parts, axis=-1)
