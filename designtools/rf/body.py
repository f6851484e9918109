"""Voxel bodies: materials on a cubic grid, analytic phantoms, and the Yee edges between voxels."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np


class Body(NamedTuple):
    """Materials on a cubic grid.

    corner (3,) m: centre of the first voxel; spacing (m); label (nx,ny,nz) index of the material, 0 for air;
    permittivity (M,) complex relative permittivity of each label at the frequency at hand, density (M,) kg/m3; those
    of air are 1 and 0.
    """

    corner: np.ndarray
    spacing: float
    label: np.ndarray
    permittivity: np.ndarray
    density: np.ndarray

    @property
    def axes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Coordinates (m) of the voxel centres along each axis."""
        return tuple(c + self.spacing * np.arange(n) for c, n in zip(self.corner, self.label.shape))

    @property
    def inside(self) -> np.ndarray:
        """Which voxels hold tissue (nx,ny,nz)."""
        return self.label > 0

    @property
    def centres(self) -> np.ndarray:
        """Centres (V,3) m of the voxels with tissue, in the order of label[inside]."""
        return np.asarray(self.corner) + self.spacing * np.argwhere(self.inside)

    @property
    def mass(self) -> np.ndarray:
        """Mass (nx,ny,nz) kg of every voxel."""
        return np.asarray(self.density)[self.label] * self.spacing**3


class Layer(NamedTuple):
    """One material of a phantom within semi-axes (3,) m about its centre; later layers lie within earlier ones."""

    semi_axes: tuple[float, float, float]
    permittivity: complex
    density: float


def ellipsoids(layers, spacing: float, centre=(0.0, 0.0, 0.0), cylinder: bool = False) -> Body:
    """Nested ellipsoids (elliptic cylinders along z with `cylinder`), each voxel of what its centre lies in.

    The centre of the phantom lies at a corner between voxels, so that the grid is symmetric about it.
    """
    half = np.ceil(np.max([layer.semi_axes for layer in layers], axis=0) / spacing).astype(int)
    first = np.asarray(centre, float) - spacing * (half - 0.5)
    offsets = np.meshgrid(*((np.arange(2 * n) - n + 0.5) * spacing for n in half), indexing="ij")
    label = np.zeros(offsets[0].shape, np.int32)
    for index, layer in enumerate(layers):
        label[_within(offsets, layer.semi_axes, cylinder)] = index + 1
    values = [layer.permittivity for layer in layers]
    return Body(first, spacing, label, np.array([1.0, *values], complex), np.array([0.0, *(layer.density for layer in layers)]))


def _within(offsets, semi_axes, cylinder):
    x, y, z = (o / s for o, s in zip(offsets, semi_axes))
    return (x**2 + y**2 < 1) & (np.abs(z) < 1) if cylinder else x**2 + y**2 + z**2 < 1


# --- edges ------------------------------------------------------------------------------------------

# An edge along axis a is numbered by its lower node: edges[a] has the shape of the nodes, one more than the voxels
# along each axis; those of the last node along their own axis do not exist and hold zero.


def edge_mean(values):
    """Mean (3,nx+1,ny+1,nz+1) over the four voxels around each edge of `values` (nx,ny,nz), zero beyond the grid."""
    wide = jnp.pad(jnp.asarray(values), 1)
    return jnp.stack([_along(axis, _pair_means(wide, axis)) for axis in range(3)])


def _pair_means(wide, axis):
    for other in set(range(3)) - {axis}:
        n = wide.shape[other]
        low, high = (jnp.take(wide, jnp.arange(s, n - 1 + s), axis=other) for s in (0, 1))
        wide = (low + high) / 2
    return wide


def _along(axis, wide):
    """Voxels 0..n-1 along the axis sit on edges 0..n-1; the last, which does not exist, takes the padding's zero."""
    return jnp.take(wide, jnp.arange(1, wide.shape[axis]), axis=axis)


def edge_points(body: Body) -> np.ndarray:
    """Midpoints (3,nx+1,ny+1,nz+1,3) m of all edges."""
    nodes = [np.asarray(c) + body.spacing * (np.arange(n + 1) - 0.5) for c, n in zip(body.corner, body.label.shape)]
    grid = np.stack(np.meshgrid(*nodes, indexing="ij"), axis=-1)
    return np.stack([grid + body.spacing / 2 * np.eye(3)[axis] for axis in range(3)])


def at_centres(edges):
    """Vector (nx,ny,nz,3) at the voxel centres: means over the four edges along each axis."""
    return jnp.stack([_mean_of_four(edges[axis], axis) for axis in range(3)], axis=-1)


def _mean_of_four(values, axis):
    for other in set(range(3)) - {axis}:
        n = values.shape[other]
        low, high = (jnp.take(values, jnp.arange(s, n - 1 + s), axis=other) for s in (0, 1))
        values = (low + high) / 2
    return jnp.take(values, jnp.arange(values.shape[axis] - 1), axis=axis)
