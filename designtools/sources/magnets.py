"""Uniformly polarised cuboids (permanent magnets) anywhere in space."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from designtools._pytree import Leaf, pytree
from designtools.kernels import cuboid
from designtools.sources.pose import rotation_matrix
from designtools.units import MU_0


@pytree
class Magnets:
    """N rigid cuboid magnets.

    centre (N,3) m; size (N,3) m, the full edge lengths along the magnet's own axes;
    rotation (N,3) rad, a rotation vector (its direction is the axis, its length the angle, right-handed, about the
    magnet's centre; `scipy.spatial.transform.Rotation.from_rotvec`, as magpylib's orientation);
    polarization (N,3) T (mu0 M), given in the magnet's OWN frame and turned with it.

    Inside a magnet the field is B = mu0 H + polarization.
    """

    centre: Leaf
    size: Leaf
    rotation: Leaf
    polarization: Leaf

    def check(self):
        shapes = [jnp.shape(value) for value in (self.centre, self.size, self.rotation, self.polarization)]
        if any(len(shape) != 2 or shape[1] != 3 or shape != shapes[0] for shape in shapes):
            raise ValueError(
                f"Magnets: centre, size, rotation and polarization must all have shape (N,3), got "
                f"{', '.join(map(str, shapes))}; repeat what the magnets share, once per magnet"
            )

    def field(self, points):
        """Flux density (P,3) T at points (P,3) m."""
        return cuboid.field(*self._arguments(points))

    def potential(self, points):
        """Vector potential (P,3) T·m (Coulomb gauge) at points (P,3) m."""
        return cuboid.potential(*self._arguments(points))

    def scalar_potential(self, points):
        """Scalar potential (P,) A at points (P,3) m; H = -grad inside too."""
        return cuboid.scalar_potential(*self._arguments(points)) / MU_0

    def extent(self, centre) -> tuple[float, float]:
        """(nearest, farthest) distance in m from centre (3,) to the magnets."""
        turn = np.asarray(rotation_matrix(self.rotation))
        own = np.einsum("nij,ni->nj", turn, np.asarray(centre) - np.asarray(self.centre))
        half = np.asarray(self.size) / 2
        outside = np.maximum(np.abs(own) - half, 0)
        return float(np.linalg.norm(outside, axis=1).min()), float(np.linalg.norm(np.abs(own) + half, axis=1).max())

    def charge_elements(self, nodes: int = 64, order: int = 10):
        """Points (Q,3) m and charge J.n/mu0 dA (Q,) A·m: order x order Gauss points on each face, whatever `nodes`."""
        t, w = np.polynomial.legendre.leggauss(order)
        grid = np.stack(np.meshgrid(t, t, indexing="ij"), axis=-1).reshape(-1, 2)
        weight = np.outer(w, w).ravel() / 4
        local, share = [], []
        half = jnp.asarray(self.size) / 2
        for axis in range(3):
            area = 4 * half[:, (axis + 1) % 3] * half[:, (axis + 2) % 3]
            flux = self.polarization[:, axis] * area / MU_0
            for side in (-1.0, 1.0):
                local.append(np.roll(np.column_stack([np.full(len(grid), side), grid]), axis, axis=1))
                share.append(side * weight[:, None] * flux)
        own = jnp.concatenate(local)[:, None, :] * half
        points = self.centre + jnp.einsum("nij,qnj->qni", rotation_matrix(self.rotation), own)
        return points.reshape(-1, 3), jnp.concatenate(share).reshape(-1)

    def moment(self):
        """Magnetic dipole moment (3,) A·m2."""
        return jnp.sum(self.volume()[:, None] * self.polarization_in_space(), axis=0) / MU_0

    def volume(self):
        """Volume of each magnet (N,) m3."""
        return self.size[:, 0] * self.size[:, 1] * self.size[:, 2]

    def polarization_in_space(self):
        """Polarization (N,3) T in the frame of the points."""
        return jnp.einsum("nij,nj->ni", rotation_matrix(self.rotation), jnp.asarray(self.polarization))

    def _arguments(self, points):
        half = jnp.asarray(self.size) / 2
        return jnp.asarray(points), self.centre, half, rotation_matrix(self.rotation), self.polarization
