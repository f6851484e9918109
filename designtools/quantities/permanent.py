"""Rings of permanent magnets: geometry, field of groups of magnets, loads while they are put together.

In the frame of the rings B0 is along x and the bore along z: the magnet at angle a about the bore is turned by 2 a, which
is the Halbach dipole (K. Halbach, Nucl. Instrum. Methods 169 (1980) 1).
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from scipy.spatial import cKDTree

from designtools.kernels import cuboid
from designtools.sources.dipoles import Dipoles
from designtools.sources.magnets import Magnets
from designtools.sources.pose import rotation_matrix
from designtools.units import MU_0

BLOCK = 32  # magnets evaluated at a time
NEAR = 3.0  # edges: nearer neighbours are cuboids, farther ones dipoles, in loads
FACE_POINTS = 6  # Gauss points along each side of a face that carries charge
PAIRS = 4096  # neighbours evaluated at a time


def as_dipoles(magnets: Magnets) -> Dipoles:
    """A dipole at the centre of every magnet; the field of a cube errs by (edge/distance)^4 of a fraction."""
    return Dipoles(np.asarray(magnets.centre), np.asarray(magnets.polarization_in_space() * magnets.volume()[:, None]) / MU_0)


def rings(radius, position, count, size, remanence) -> tuple[Magnets, np.ndarray]:
    """Magnets of K Halbach rings about z with B0 along x, and the ring (N,) of each.

    radius, position (K,) m, differentiable; count (K,) magnets per ring, size (K,3) m, remanence (K,) T.
    """
    count = np.asarray(count, int)
    ring = np.repeat(np.arange(len(count)), count)
    angle = np.concatenate([2 * np.pi * np.arange(n) / n for n in count])
    radius, position = jnp.asarray(radius)[ring], jnp.asarray(position)[ring]
    centre = jnp.stack([radius * np.cos(angle), radius * np.sin(angle), position], axis=1)
    turn = np.zeros((len(ring), 3))
    turn[:, 2] = np.mod(2 * angle + np.pi, 2 * np.pi) - np.pi
    polarization = np.zeros((len(ring), 3))
    polarization[:, 0] = np.asarray(remanence, float)[ring]
    return Magnets(centre, np.asarray(size, float)[ring], turn, polarization), ring


def grouped_field(magnets: Magnets, group, count: int, points, direction):
    """Component (count,P) T along direction (3,) of the field of each of `count` groups; group (N,) of each magnet."""
    return _grouped(magnets, jnp.asarray(group), count, jnp.asarray(points, float), jnp.asarray(direction, float))


@partial(jax.jit, static_argnames="count")
def _grouped(magnets: Magnets, group, count: int, points, direction):
    leaves = (magnets.centre, magnets.size / 2, rotation_matrix(magnets.rotation), magnets.polarization)
    short = -len(group) % BLOCK
    ends = [jnp.concatenate([leaf, jnp.repeat(leaf[-1:], short, axis=0)]) for leaf in map(jnp.asarray, leaves)]
    ends[3] = ends[3] * (jnp.arange(len(group) + short) < len(group))[:, None]
    group = jnp.concatenate([group, jnp.full(short, group[-1])])

    def add(total, block):
        centre, half, turn, polarization, index = block
        return total.at[index].add(_components(points, centre, half, turn, polarization, direction)), None

    blocks = tuple(v.reshape(-1, BLOCK, *v.shape[1:]) for v in (*ends, group))
    return jax.lax.scan(add, jnp.zeros((count, len(points))), blocks)[0]


def _components(points, centre, half, turn, polarization, direction):
    """Component (N,P) along direction of the field of each magnet."""
    along = jnp.einsum("i,nij->nj", direction, turn)
    return sum(a[:, None] * b for a, b in zip(along.T, _own_field(points[None], centre, half, turn, polarization)))


def _own_field(points, centre, half, turn, polarization):
    """Field of each magnet at its points (N,P,3), or at the same (1,P,3), as three arrays (N,P) along its own axes."""
    own = jnp.einsum("nij,npi->jnp", turn, points - centre[:, None])
    column = lambda values: tuple(v[:, None] for v in values.T)
    return cuboid.cuboid_field(tuple(own), column(half), column(polarization), jnp.full((len(half), 1), jnp.inf))


def sensitivity(magnets: Magnets, points, direction) -> np.ndarray:
    """(P,N,3): component along direction (3,) of the field (T) per polarization (T) along x, y, z of space of each magnet."""
    turn = np.asarray(rotation_matrix(magnets.rotation))
    parts = []
    for axis in range(3):
        own = turn[:, axis, :]  # the unit vector of space, in the frame of each magnet
        parts.append(_each(magnets.centre, magnets.size, turn, own, jnp.asarray(points), jnp.asarray(direction, float)))
    return np.stack([np.asarray(part).T for part in parts], axis=-1)


@jax.jit
def _each(centre, size, turn, polarization, points, direction):
    step = lambda row: _components(points, *(v[None] for v in row), direction)[0]
    return jax.lax.map(step, tuple(map(jnp.asarray, (centre, size / 2, turn, polarization))), batch_size=BLOCK)


# --- loads ---------------------------------------------------------------------------------------


def placement_loads(magnets: Magnets, placed_before=None) -> tuple[np.ndarray, np.ndarray]:
    """Force (N,3) N on each magnet and torque (N,3) N·m about its centre, in the field of those placed before it.

    placed_before (N,) ranks: magnet j acts on i where its rank is lower; None lets all others act.  Neighbours within
    three edges are exact cuboids acting on the charge of the faces, the others dipoles.
    """
    rank = None if placed_before is None else np.asarray(placed_before)
    centre = np.asarray(magnets.centre, float)
    moment = np.asarray(magnets.polarization_in_space() * magnets.volume()[:, None]) / MU_0
    reach = NEAR * float(np.max(magnets.size))
    force, torque = _far_loads(centre, moment, rank, reach)
    near_force, near_torque = _near_loads(magnets, _neighbours(centre, rank, reach))
    return force + near_force, torque + near_torque


def _neighbours(centre, rank, reach: float) -> np.ndarray:
    """(Q,2) pairs (acted on, acting)."""
    pairs = cKDTree(centre).query_pairs(reach, output_type="ndarray")
    both = np.concatenate([pairs, pairs[:, ::-1]])
    return both if rank is None else both[rank[both[:, 1]] < rank[both[:, 0]]]


def _far_loads(centre, moment, rank, reach: float):
    """Dipole on dipole, magnet by magnet, leaving out those within reach."""
    force, torque = np.zeros_like(centre), np.zeros_like(centre)
    for i in range(len(centre)):
        d = centre[i] - centre
        distance = np.linalg.norm(d, axis=1)
        acts = distance > reach if rank is None else (distance > reach) & (rank < rank[i])
        r, m = distance[acts][:, None], moment[acts]
        n, own = d[acts] / r, moment[i]
        mn, on = np.sum(m * n, axis=1, keepdims=True), (n @ own)[:, None]
        field = MU_0 / (4 * np.pi) * (3 * mn * n - m) / r**3
        pull = mn * own + on * m + (m @ own)[:, None] * n - 5 * mn * on * n
        force[i] = np.sum(3 * MU_0 / (4 * np.pi) * pull / r**4, axis=0)
        torque[i] = np.cross(own, field.sum(axis=0))
    return force, torque


def _near_loads(magnets: Magnets, pairs):
    """Charge of the faces in the exact field of the neighbour."""
    n = len(np.asarray(magnets.centre))
    turn = np.asarray(rotation_matrix(magnets.rotation))
    leaves = tuple(map(np.asarray, (magnets.centre, np.asarray(magnets.size) / 2, turn, magnets.polarization)))
    short = -len(pairs) % PAIRS
    padded = np.concatenate([pairs, np.zeros((short, 2), int)])
    found = [np.asarray(_pair_loads(leaves, batch)) for batch in padded.reshape(-1, PAIRS, 2)]
    loads = np.concatenate(found)[: len(pairs)] if found else np.zeros((0, 6))
    total = np.zeros((n, 6))
    np.add.at(total, pairs[:, 0], loads)
    return total[:, :3], total[:, 3:]


@jax.jit
def _pair_loads(leaves, pairs):
    """Force and torque (Q,6) on the first of each pair in the field of the second; nothing where they are the same."""
    centre, half, turn, polarization = (jnp.asarray(leaf) for leaf in leaves)
    points, weight, face = _face_rule()

    def few(batch):
        i, j = batch.T
        arm = jnp.einsum("nij,qnj->nqi", turn[i], points[:, None] * half[i])
        area = 4 * half[i][:, jnp.array([1, 2, 0])] * half[i][:, jnp.array([2, 0, 1])]
        charge = weight * ((polarization[i] * area) @ face.T) / MU_0
        own = jnp.stack(_own_field(centre[i][:, None] + arm, centre[j], half[j], turn[j], polarization[j]), axis=-1)
        field = jnp.einsum("nij,nqj->nqi", turn[j], own)
        pull = charge[..., None] * jnp.where((i == j)[:, None, None], 0.0, field)
        return jnp.concatenate([pull.sum(axis=1), jnp.cross(arm, pull).sum(axis=1)], axis=1)

    return jax.lax.map(few, pairs.reshape(-1, BLOCK, 2)).reshape(-1, 6)


def _face_rule():
    """Points (Q,3) on the faces of [-1,1]^3, weights (Q,) that sum to 1 on each face, outward normals (Q,3)."""
    t, w = np.polynomial.legendre.leggauss(FACE_POINTS)
    grid = np.stack(np.meshgrid(t, t, indexing="ij"), axis=-1).reshape(-1, 2)
    weight = np.outer(w, w).ravel() / 4
    rows = [(axis, side) for axis in range(3) for side in (-1.0, 1.0)]
    points = [np.roll(np.column_stack([np.full(len(grid), side), grid]), axis, axis=1) for axis, side in rows]
    normals = [np.tile(side * np.eye(3)[axis], (len(grid), 1)) for axis, side in rows]
    return np.concatenate(points), np.tile(weight, 6), np.concatenate(normals)
