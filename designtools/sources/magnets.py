"""Uniformly polarised cuboids (permanent magnets) anywhere in space."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from designtools._pytree import pytree
from designtools.kernels import cuboid
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

    centre: jax.Array
    size: jax.Array
    rotation: jax.Array
    polarization: jax.Array

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


@jax.jit
def rotation_matrix(vector):
    """Matrices (N,3,3) of rotation vectors (N,3) rad (Rodrigues), smooth at zero."""
    x, y, z = jnp.asarray(vector).T
    square = x * x + y * y + z * z
    small = square < 1e-8
    angle = jnp.sqrt(jnp.where(small, 1.0, square))
    sine = jnp.where(small, 1 - square / 6, jnp.sin(angle) / angle)
    versine = jnp.where(small, 0.5 - square / 24, (1 - jnp.cos(angle)) / angle**2)
    rows = (
        (1 - versine * (y * y + z * z), versine * x * y - sine * z, versine * x * z + sine * y),
        (versine * x * y + sine * z, 1 - versine * (x * x + z * z), versine * y * z - sine * x),
        (versine * x * z - sine * y, versine * y * z + sine * x, 1 - versine * (x * x + y * y)),
    )
    return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)
