"""Energy, force, stress and power of coaxial windings of rectangular section (`sources.Blocks`).

Integrals over the sections use Gauss-Legendre points of the exact field, which is finite inside the winding.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from numpy.polynomial.legendre import leggauss

from designtools.regions import Region

COUNT = 12  # Gauss points along each side of a section


def _section(blocks, nodes, weights):
    """r, z, area weight (N, n*n) of a rule on [-1, 1] along both sides of every section."""
    a, b, low, high = (jnp.asarray(v)[:, None] for v in (blocks.inner_radius, blocks.outer_radius, blocks.z_low, blocks.z_high))
    across, along = (jnp.asarray(v.ravel()) for v in np.meshgrid(nodes, nodes, indexing="ij"))
    r = (a + b) / 2 + (b - a) / 2 * across
    z = (low + high) / 2 + (high - low) / 2 * along
    return r, z, jnp.asarray(np.outer(weights, weights).ravel()) * (b - a) * (high - low) / 4


def _meridian(r, z):
    """Points (N*n,3) in the plane y = 0, where x is the radial and y the azimuthal direction."""
    return jnp.stack([jnp.ravel(r), jnp.zeros(r.size), jnp.ravel(z)], axis=1)


def stored_energy(blocks, count: int = COUNT):
    """Magnetic energy (J): half the integral of J . A over the windings."""
    r, z, area = _section(blocks, *leggauss(count))
    potential = blocks.potential(_meridian(r, z))[:, 1].reshape(r.shape)
    return jnp.pi * jnp.sum(blocks.current_density[:, None] * r * potential * area)


def axial_force(blocks, count: int = COUNT):
    """Force along z (N,) N on each winding in the field of all: the integral of -J B_r."""
    r, z, area = _section(blocks, *leggauss(count))
    radial = blocks.field(_meridian(r, z))[:, 0].reshape(r.shape)
    return -2 * jnp.pi * jnp.sum(blocks.current_density[:, None] * r * radial * area, axis=1)


def power(blocks, resistivity: float):
    """Dissipated power (N,) W of each section filled with conductor of `resistivity` (ohm·m): J^2 rho V."""
    return blocks.current_density**2 * resistivity * blocks.volume()


def peak_field(blocks, count: int = 17):
    """Largest |B| (N,) T in each section, edges included, on `count` x `count` points."""
    r, z, _ = _section(blocks, np.linspace(-1, 1, count), np.ones(count))
    return jnp.max(jnp.linalg.norm(blocks.field(_meridian(r, z)), axis=1).reshape(r.shape), axis=1)


def hoop_stress(blocks, count: int = 17):
    """Largest J B_z r (N,) Pa in each section: every turn carries its own load, the section is all conductor."""
    r, z, _ = _section(blocks, np.linspace(-1, 1, count), np.ones(count))
    along = blocks.field(_meridian(r, z))[:, 2].reshape(r.shape)
    return jnp.max(blocks.current_density[:, None] * along * r, axis=1)


def folded(region: Region, mirrored: bool = False) -> Region:
    """One point per circle about z (and per pair of mirrored circles), which a coaxial field cannot tell apart."""
    rho, z = np.hypot(*region.points[:, :2].T), region.points[:, 2]
    circle = np.stack([rho, np.abs(z) if mirrored else z], axis=1).round(12)
    unique, index = np.unique(circle, axis=0, return_inverse=True)
    weights = np.bincount(index.ravel(), region.weights)
    return Region(np.stack([unique[:, 0], np.zeros(len(unique)), unique[:, 1]], axis=1), weights, region.name)


def field_on_circles(blocks, points) -> np.ndarray:
    """B (P,3) T at points (P,3) m, evaluated once per circle about z: fast where many points share circles, as on grids."""
    rho, z = np.hypot(*points[:, :2].T), points[:, 2]
    unique, index = np.unique(np.stack([rho, z], axis=1).round(12), axis=0, return_inverse=True)
    field = np.asarray(blocks.field(_meridian(*map(jnp.asarray, unique.T))))[index.ravel()]
    across = points[:, :2] / np.maximum(rho, 1e-300)[:, None]
    return np.column_stack([across * field[:, :1], field[:, 2]])
