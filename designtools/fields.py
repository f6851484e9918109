"""What one source does to another: field gradient, inductance, force and torque."""

from __future__ import annotations

import math
from functools import singledispatch

import jax
import jax.numpy as jnp
import numpy as np

from designtools.kernels import loop
from designtools.kernels.wire_inductance import round_mean_distance, winding_inductance
from designtools.sources import Assembly, Blocks, Filaments, Loops, Magnets, Sheet
from designtools.sources.blocks import section_rule
from designtools.sources.loops import unit
from designtools.sources.magnets import rotation_matrix
from designtools.units import MU_0


def field_gradient(source, points):
    """dB_i/dx_j (P,3,3) T/m of any source at points (P,3) m; exact derivatives of its field, at three times its cost."""
    points = jnp.asarray(points)
    directions = jnp.broadcast_to(jnp.eye(3)[:, None, :], (3, *points.shape))
    slopes = jax.vmap(lambda step: jax.jvp(source.field, (points,), (step,))[1])(directions)
    return jnp.moveaxis(slopes, 0, -1)


def inductance(sources, wire_radius=None, nodes: int = 256):
    """Inductance matrix (N,N) H of N circuits.

    Each source (Filaments, Loops, Blocks, or an Assembly of them) is ONE circuit, all its conductors in series; the
    circuit carries 1 A when the source carries its reference current `reference_current(source)`, so that the stored
    energy of the sources as given is sum_ij M_ij I_i I_j / 2 with I their reference currents.  For Blocks that is
    the largest ampere-turns: multiply by the turns of that winding (squared on the diagonal) for its terminals.
    A thin wire's own inductance diverges with the logarithm of its radius: the diagonal of Filaments and Loops needs
    wire_radius (m; one number, or one per source with None for Blocks), uniform current over the wire's section.
    nodes: points on each loop; a mutual inductance is exact to 1e-9 when the wires are 20/nodes radii apart.
    """
    sources = list(sources)
    radii = wire_radius if isinstance(wire_radius, (list, tuple)) else [wire_radius] * len(sources)
    if len(radii) != len(sources):
        raise ValueError(
            f"inductance: wire_radius must be one number or one per source, got {len(radii)} for {len(sources)} "
            "sources; give None for a source without thin wires"
        )
    circuits = [_parts(source) for source in sources]
    amperes = [reference_current(source) for source in sources]
    rows = [[None] * len(sources) for _ in sources]
    for i, a in enumerate(circuits):
        for j in range(i, len(circuits)):
            linkage = _own_linkage(a, radii[i], nodes) if i == j else _mutual_linkage(a, circuits[j], nodes)
            rows[i][j] = rows[j][i] = linkage / (amperes[i] * amperes[j])
    return jnp.array(rows)


def reference_current(source):
    """The current (A) in a source that counts as one ampere of its circuit: the largest magnitude in any conductor.

    Blocks: the largest ampere-turns of a block (one turn per block).
    """
    return jnp.max(jnp.concatenate([jnp.abs(_conductor_currents(part)) for part in _parts(source)]))


def force(source, in_field_of, nodes: int = 64):
    """Force (3,) N on `source` in the field of another source, which must not contain it.

    Currents: sum of I dl x B; magnets: surface charge (J.n/mu0) times B over their faces, exact for a field without
    sources inside the magnet.  nodes: points round each loop or block; segments, block sections and faces use
    Gauss points.
    """
    return jnp.sum(_forces(source, in_field_of, nodes)[1], axis=0)


def torque(source, in_field_of, nodes: int = 64):
    """Torque (3,) N·m about the ORIGIN on `source` in the field of another source; see `force`."""
    points, forces = _forces(source, in_field_of, nodes)
    return jnp.sum(jnp.cross(points, forces), axis=0)


def _forces(source, in_field_of, nodes):
    """Points (Q,3) m and the force on each (Q,3) N."""
    pieces = [_piece_forces(part, in_field_of, nodes) for part in _parts(source)]
    return tuple(jnp.concatenate(arrays) for arrays in zip(*pieces))


def _piece_forces(part, in_field_of, nodes):
    if isinstance(part, Magnets):
        points, charge = _face_charges(part)
        return points, charge[:, None] * in_field_of.field(points)
    points, elements = current_elements(part, nodes)
    return points, jnp.cross(elements, in_field_of.field(points))


def _parts(source) -> list:
    if isinstance(source, Assembly):
        return [part for member in source.parts for part in _parts(member)]
    return [source]


@singledispatch
def current_elements(source, nodes: int = 64):
    """Quadrature of a current: points (Q,3) m and I dl or J dV (Q,3) A·m.  `nodes` counts round a loop or block."""
    raise TypeError(
        f"current_elements: the source must be Filaments, Loops, Blocks or Sheet, got {type(source).__name__}; "
        "a Uniform field has no conductors, and magnets are known by their surface charge"
    )


@current_elements.register
def _(source: Filaments, nodes: int = 64, order: int = 6):
    t, w = np.polynomial.legendre.leggauss(order)
    start, end = jnp.asarray(source.start), jnp.asarray(source.end)
    points = (start + end) / 2 + t[:, None, None] / 2 * (end - start)
    elements = w[:, None, None] / 2 * (end - start) * source.current[:, None]
    return points.reshape(-1, 3), elements.reshape(-1, 3)


@current_elements.register
def _(source: Loops, nodes: int = 64):
    normal = unit(source.normal)
    first, second = _across(normal)
    phi = 2 * np.pi * (np.arange(nodes) + 0.5) / nodes
    c, s = np.cos(phi)[:, None, None], np.sin(phi)[:, None, None]
    radius = jnp.asarray(source.radius)[:, None]
    points = source.centre + radius * (c * first + s * second)
    elements = (2 * np.pi / nodes) * radius * source.current[:, None] * (c * second - s * first)
    return points.reshape(-1, 3), elements.reshape(-1, 3)


@current_elements.register
def _(source: Blocks, nodes: int = 64, order: int = 12):
    r, z, weight = section_rule(source, order)
    phi = 2 * np.pi * (np.arange(nodes) + 0.5) / nodes
    c, s = np.cos(phi)[:, None], np.sin(phi)[:, None]
    amperes = 2 * np.pi / nodes * r * weight
    points = jnp.stack([r * c, r * s, jnp.broadcast_to(z, (nodes, z.size))], axis=-1)
    elements = jnp.stack([-amperes * s, amperes * c, jnp.zeros((nodes, z.size))], axis=-1)
    return points.reshape(-1, 3), elements.reshape(-1, 3)


@current_elements.register
def _(source: Sheet, nodes: int = 64):
    corners = jnp.asarray(source.vertices)[source.faces]
    area = jnp.linalg.norm(jnp.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    barycentric, weight = _triangle_rule()
    points = jnp.einsum("qi,fic->qfc", barycentric, corners)
    elements = weight[:, None, None] * area[:, None] * source.surface_current()
    return points.reshape(-1, 3), elements.reshape(-1, 3)


def _face_charges(magnets: Magnets, order: int = 10):
    """Points (Q,3) m on the faces and the charge at each (Q,) A·m: (J.n)/mu0 times area."""
    t, w = np.polynomial.legendre.leggauss(order)
    grid = np.stack(np.meshgrid(t, t, indexing="ij"), axis=-1).reshape(-1, 2)
    weight = np.outer(w, w).ravel() / 4
    local, share = [], []
    half = jnp.asarray(magnets.size) / 2
    for axis in range(3):
        area = 4 * half[:, (axis + 1) % 3] * half[:, (axis + 2) % 3]
        flux = magnets.polarization[:, axis] * area / MU_0
        for side in (-1.0, 1.0):
            local.append(np.roll(np.column_stack([np.full(len(grid), side), grid]), axis, axis=1))
            share.append(side * weight[:, None] * flux)
    own = jnp.concatenate(local)[:, None, :] * half
    points = magnets.centre + jnp.einsum("nij,qnj->qni", rotation_matrix(magnets.rotation), own)
    return points.reshape(-1, 3), jnp.concatenate(share).reshape(-1)


def _conductor_currents(part):
    if isinstance(part, Blocks):
        return part.ampere_turns()
    if isinstance(part, (Filaments, Loops)):
        return jnp.asarray(part.current)
    raise TypeError(
        f"inductance: every source must be made of Filaments, Loops or Blocks, got {type(part).__name__}; "
        "turn a Sheet into wires first"
    )


def _mutual_linkage(a: list, b: list, nodes: int):
    """Integral of A.J (A·Wb) between two circuits of separate conductors."""
    return sum(_pair_linkage(p, q, nodes) for p in a for q in b)


def _own_linkage(circuit: list, wire_radius, nodes: int):
    """Integral of A.J (A·Wb) of a circuit with itself."""
    total = sum(_self_linkage(part, wire_radius, nodes) for part in circuit)
    pairs = [(p, q) for i, p in enumerate(circuit) for q in circuit[i + 1 :]]
    return total + 2 * sum(_pair_linkage(p, q, nodes) for p, q in pairs)


def _pair_linkage(p, q, nodes: int):
    """The potential of the bulkier along the thinner: A.J is symmetric."""
    bulk = (Filaments, Loops, Blocks)
    thin, thick = sorted((p, q), key=lambda part: bulk.index(type(part)))
    if isinstance(thin, Blocks):
        return _block_linkage(thin, thick)
    points, elements = current_elements(thin, nodes)
    return jnp.sum(thick.potential(points) * elements)


def _self_linkage(part, wire_radius, nodes: int):
    if isinstance(part, Blocks):
        return _block_linkage(part, part)
    if wire_radius is None:
        raise ValueError(
            f"inductance: the self-inductance of thin {type(part).__name__} needs wire_radius in metres, got None; "
            "an infinitely thin wire stores infinite energy"
        )
    distance = round_mean_distance(wire_radius)
    if isinstance(part, Filaments):
        return winding_inductance([(part.start, part.end, part.current)], distance)[0, 0]
    points, elements = current_elements(part, nodes)
    potential = loop.soft_potential(points, part.centre, unit(part.normal), part.radius, part.current, distance)
    return jnp.sum(potential * elements)


def _block_linkage(inner: Blocks, outer: Blocks, order: int = 16):
    """Both are bodies of revolution about z: integrate over the section at one azimuth."""
    r, z, weight = section_rule(inner, order)
    points = jnp.stack([r, jnp.zeros_like(r), z], axis=-1)
    return jnp.sum(2 * math.pi * r * weight * outer.potential(points)[:, 1])


def _across(normal):
    """Two unit vectors (N,3) each, right-handed with the unit normal (N,3)."""
    smallest = jnp.argmin(jnp.abs(normal), axis=1)
    first = unit(jnp.cross(normal, jnp.eye(3)[smallest]))
    return first, jnp.cross(normal, first)


def _triangle_rule():
    """Seven points of degree 5 (Radon 1948): barycentric (7,3) and weights (7,) that sum to 1."""
    root = math.sqrt(15)
    points, weights = [[1 / 3] * 3], [9 / 40]
    for sign in (1, -1):
        a = (6 + sign * root) / 21
        points += [[1 - 2 * a, a, a], [a, 1 - 2 * a, a], [a, a, 1 - 2 * a]]
        weights += [(155 + sign * root) / 1200] * 3
    return np.array(points), np.array(weights)
