"""Windings of rectangular section about the z axis."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from designtools._pytree import Leaf, pytree
from designtools.kernels import block


@pytree
class Blocks:
    """N windings about the z axis, each with uniform azimuthal current density over a rectangle in (r, z).

    inner_radius, outer_radius, z_low, z_high (N,) m; current_density (N,) A/m2, positive right-handed about +z.
    The field is exact inside the winding, on its faces and corners too.
    """

    inner_radius: Leaf
    outer_radius: Leaf
    z_low: Leaf
    z_high: Leaf
    current_density: Leaf

    def check(self):
        shapes = [jnp.shape(value) for value in self._leaves()]
        if len(shapes[0]) != 1 or any(shape != shapes[0] for shape in shapes):
            raise ValueError(
                "Blocks: inner_radius, outer_radius, z_low, z_high and current_density must have one shape (N,), "
                f"got {', '.join(map(str, shapes))}; repeat what the blocks share, once per block"
            )

    def field(self, points):
        """Flux density (P,3) T at points (P,3) m; error below 1e-11 of its size for sections of ordinary shape."""
        return block.field(jnp.asarray(points), *self._leaves())

    def potential(self, points):
        """Vector potential (P,3) T·m (Coulomb gauge) at points (P,3) m."""
        return block.potential(jnp.asarray(points), *self._leaves())

    def extent(self, centre) -> tuple[float, float]:
        """(nearest, farthest) distance in m from centre (3,) to the windings; the farthest at most too large."""
        inner, outer, low, high, _ = (np.asarray(value) for value in self._leaves())
        r, z = np.hypot(centre[0], centre[1]), centre[2]
        beside = np.maximum(np.maximum(inner - r, r - outer), 0)
        above = np.maximum(np.maximum(low - z, z - high), 0)
        tallest = np.maximum(np.abs(low - z), np.abs(high - z))
        return float(np.hypot(beside, above).min()), float(np.hypot(outer + r, tallest).max())

    def current_elements(self, nodes: int = 64, order: int = 12):
        """Points (Q,3) m and J dV (Q,3) A·m: `nodes` points round each winding, order x order in its section."""
        r, z, weight = section_rule(self, order)
        phi = 2 * np.pi * (np.arange(nodes) + 0.5) / nodes
        c, s = np.cos(phi)[:, None], np.sin(phi)[:, None]
        amperes = 2 * np.pi / nodes * r * weight
        points = jnp.stack([r * c, r * s, jnp.broadcast_to(z, (nodes, z.size))], axis=-1)
        elements = jnp.stack([-amperes * s, amperes * c, jnp.zeros((nodes, z.size))], axis=-1)
        return points.reshape(-1, 3), elements.reshape(-1, 3)

    def moment(self):
        """Magnetic dipole moment (3,) A·m2: J (z_high - z_low) pi (outer^3 - inner^3)/3 along z."""
        height = self.z_high - self.z_low
        axial = self.current_density * height * jnp.pi * (self.outer_radius**3 - self.inner_radius**3) / 3
        return jnp.sum(axial) * jnp.array([0.0, 0.0, 1.0])

    def ampere_turns(self):
        """Current through each section (N,) A."""
        return self.current_density * (self.outer_radius - self.inner_radius) * (self.z_high - self.z_low)

    def volume(self):
        """Volume of each winding (N,) m3."""
        return jnp.pi * (self.outer_radius**2 - self.inner_radius**2) * (self.z_high - self.z_low)

    def _leaves(self):
        return self.inner_radius, self.outer_radius, self.z_low, self.z_high, self.current_density


def section_rule(blocks: Blocks, order: int):
    """Gauss points r, z (Q,) m over all sections and the current J dr dz (Q,) A at each."""
    t, w = np.polynomial.legendre.leggauss(order)
    tr, tz = (axis.reshape(-1, 1) for axis in np.meshgrid(t, t, indexing="ij"))
    width = blocks.outer_radius - blocks.inner_radius
    height = blocks.z_high - blocks.z_low
    r = (blocks.inner_radius + blocks.outer_radius) / 2 + width / 2 * tr
    z = (blocks.z_low + blocks.z_high) / 2 + height / 2 * tz
    weight = np.outer(w, w).reshape(-1, 1) / 4 * blocks.ampere_turns()
    return r.reshape(-1), z.reshape(-1), weight.reshape(-1)


def sliced(source: Blocks, longest: float = 0.5) -> Blocks:
    """The same windings cut along the bore into slices at most `longest` inner radii long, for which few rings stand well.

    Not for traced sources: the number of slices depends on the sizes.
    """
    inner, outer, low, high, density = (np.asarray(leaf, float) for leaf in source._leaves())
    count = np.maximum(1, np.ceil((high - low) / (longest * np.maximum(inner, outer / 4)))).astype(int)
    own, place = np.repeat(np.arange(len(count)), count), np.concatenate([np.arange(n) for n in count])
    length = ((high - low) / count)[own]
    return Blocks(inner[own], outer[own], low[own] + place * length, low[own] + (place + 1) * length, density[own])
