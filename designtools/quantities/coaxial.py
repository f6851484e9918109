"""Energy, force, stress and power of coaxial windings of rectangular section (`sources.Blocks`).

Integrals over the sections use Gauss-Legendre points of the exact field, which is finite inside the winding.
"""

from __future__ import annotations

import dataclasses

import jax
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
    return _axial_push(blocks, blocks, count)


def _axial_push(blocks, sections, count: int):
    """Force along z (N,) N on `sections` that carry their current density in the field of `blocks`."""
    r, z, area = _section(sections, *leggauss(count))
    radial = section_field(blocks, r, z)[..., 0]
    return -2 * jnp.pi * jnp.sum(sections.current_density[:, None] * r * radial * area, axis=1)


def perimeter(blocks, count: int = 9):
    """Radius and height r, z (N,Q) m of `count` points along each side of every section, corners once: Q = 4 count - 4."""
    t = np.linspace(-1, 1, count)
    across = np.concatenate([-np.ones(count), np.ones(count), t[1:-1], t[1:-1]])
    along = np.concatenate([t, t, -np.ones(count - 2), np.ones(count - 2)])
    a, b, low, high = (jnp.asarray(v)[:, None] for v in (blocks.inner_radius, blocks.outer_radius, blocks.z_low, blocks.z_high))
    return (a + b) / 2 + (b - a) / 2 * across, (low + high) / 2 + (high - low) / 2 * along


def section_field(blocks, r, z):
    """(B_r, B_z) (N,Q,2) T of all blocks at places r, z (N,Q) m, such as points of each section."""
    field = blocks.field(_meridian(r, z))
    return jnp.stack([field[:, 0], field[:, 2]], axis=1).reshape(*r.shape, 2)


@jax.jit
def field_by_block(blocks, r, z):
    """(B_r, B_z) (N,N,Q,2) T at places r, z (N,Q) m, by the block that makes it (first axis)."""
    return jax.lax.map(lambda one: section_field(one, r, z), _each_alone(blocks))


@jax.jit
def _swirl_by_block(blocks, r, z):
    """A_phi (N,N,Q) T·m likewise."""
    return jax.lax.map(lambda one: one.potential(_meridian(r, z))[:, 1].reshape(r.shape), _each_alone(blocks))


def _each_alone(blocks):
    """Leaves (N,1): N magnets of one block."""
    return jax.tree_util.tree_map(lambda leaf: jnp.asarray(leaf)[:, None], blocks)


def force_matrix(blocks, count: int = COUNT):
    """Axial force (N,N) N on block i (rows) by block j (columns): who pushes whom.

    Antisymmetric up to the error of the rule; the diagonal is zero, since no coil pushes itself; rows sum to `axial_force`.
    """
    r, z, area = _section(blocks, *leggauss(count))
    radial = field_by_block(blocks, r, z)[..., 0]
    force = -2 * jnp.pi * jnp.einsum("n,nq,jnq,nq->nj", blocks.current_density, r, radial, area)
    return force * (1 - jnp.eye(len(force)))


def linkage_matrix(blocks, count: int = COUNT):
    """Integral of A_j . J_i (N,N) A·Wb: twice the energy that blocks i and j share; half its sum is the stored energy."""
    r, z, area = _section(blocks, *leggauss(count))
    swirl = _swirl_by_block(blocks, r, z)
    linkage = 2 * jnp.pi * jnp.einsum("n,nq,jnq,nq->nj", blocks.current_density, r, swirl, area)
    return (linkage + linkage.T) / 2


def axial_stiffness(blocks, count: int = COUNT):
    """d(force on i)/d(place of j) (N,N) N/m for shifts along z; a negative diagonal pushes a displaced coil back.

    The integral of dB_r/dz along a section is the difference of B_r on its two ends, so no derivative is taken.
    Across the axis the diagonal is -1/2 of it: the components of a field without sources are harmonic, so the three
    stiffnesses of a coil in the field of the others sum to zero (Earnshaw); what is stable along is not across.
    """
    nodes, weights = leggauss(count)
    a, b = (jnp.asarray(v)[:, None] for v in (blocks.inner_radius, blocks.outer_radius))
    r = jnp.tile((a + b) / 2 + (b - a) / 2 * nodes, 2)
    z = jnp.repeat(jnp.stack([blocks.z_high, blocks.z_low], axis=1), count, axis=1)
    rule = (b - a) / 2 * np.concatenate([weights, -weights])
    radial = field_by_block(blocks, r, z)[..., 0]
    slope = -2 * jnp.pi * jnp.einsum("n,nq,jnq,nq->nj", blocks.current_density, r, radial, rule)
    slope = slope * (1 - jnp.eye(len(slope)))
    return jnp.diag(slope.sum(axis=1)) - slope


def axial_compression(blocks, count: int = COUNT):
    """Mean axial stress (N,) Pa at mid-height of each block, positive where its halves are pressed together.

    Half the difference of the forces on the lower and the upper half over the section's annulus: what the block does to
    itself; its net force is the support's.
    """
    middle = (blocks.z_low + blocks.z_high) / 2
    halves = [(blocks.z_low, middle), (middle, blocks.z_high)]
    pushes = [_axial_push(blocks, dataclasses.replace(blocks, z_low=low, z_high=high), count) for low, high in halves]
    return (pushes[0] - pushes[1]) / 2 / (jnp.pi * (blocks.outer_radius**2 - blocks.inner_radius**2))


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
