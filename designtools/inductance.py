"""Inductance, flux linkage and energy of circuits made of any sources that carry current.

Everything is the integral of A.J over one conductor, with A the exact potential of the other: over a wire's length, a
face, a solenoid's sheet or a winding's section, at points chosen by adaptive halving (`kernels.cells`), so that
conductors may touch.  Current sheets and strips act on each other by the double integrals of
`kernels.face_inductance`.
"""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from designtools.kernels import face_inductance, loop, triangle
from designtools.kernels.cells import adaptive_nodes, fixed_nodes
from designtools.kernels.wire_inductance import round_mean_distance, soft_potential
from designtools.sources import Arcs, Assembly, Blocks, Filaments, Loops, Posed, Sheet, Solenoids, Strips
from designtools.sources.pose import across, rotation_matrix, unit
from designtools.units import MU_0

_TOLERANCE = 1e-8
_BLIND = {1: 48, 2: 16, 3: 10}  # Gauss points along each coordinate where no value is known to choose by
_BATCHES = (256, 4096)  # points evaluated at once: few shapes are compiled


def inductance(sources, wire_radius=None, tolerance: float = _TOLERANCE):
    """Inductance matrix (N,N) H of N circuits.

    Each source (Filaments, Arcs, Loops, Strips, Sheet, Solenoids, Blocks, Posed or an Assembly of them) is ONE circuit, all
    its conductors in series; the circuit carries 1 A when the source carries its reference current
    `reference_current(source)`, so that the stored energy of the sources as given is sum_ij M_ij I_i I_j / 2 with I
    their reference currents.  For Blocks and Solenoids that is the largest ampere-turns: multiply by the turns of that
    winding (squared on the diagonal) for its terminals.
    A thin wire's own inductance diverges with the logarithm of its radius: the diagonal of Filaments, Arcs and Loops needs
    wire_radius (m; one number, or one per source with None for the others), uniform current over the wire's section,
    which is right to (radius of the wire / radius of curvature)^2.
    tolerance: error of the integrals relative to the integral of |A.J|.  Derivatives by every leaf, at the points that
    the values chose; inside jax.jit and jax.vmap no value is known and a fixed rule is used (conductors about their own
    size apart: 1e-8; touching: a few 1e-4).
    """
    sources = list(sources)
    radii = wire_radius if isinstance(wire_radius, (list, tuple)) else [wire_radius] * len(sources)
    if len(radii) != len(sources):
        raise ValueError(
            f"inductance: wire_radius must be one number or one per source, got {len(radii)} for {len(sources)} "
            "sources; give None for a source without thin wires"
        )
    circuits = [conductors(source) for source in sources]
    amperes = [reference_current(source) for source in sources]
    rows = [[None] * len(sources) for _ in sources]
    for i, a in enumerate(circuits):
        for j in range(i, len(circuits)):
            linkage = _own_linkage(a, radii[i], tolerance) if i == j else _mutual_linkage(a, circuits[j], tolerance)
            rows[i][j] = rows[j][i] = linkage / (amperes[i] * amperes[j])
    return jnp.array(rows)


def loop_array_inductance(loops, wire_radius, tolerance: float = _TOLERANCE) -> np.ndarray:
    """Inductance matrix (N,N) H of N single-turn loops, each a circuit, all pairs at once.

    loops: Loops, whose currents do not matter; wire_radius (N,) m.  The trapezoid around a loop converges geometrically;
    its points double until the matrix stands still within `tolerance` of sqrt(L_i L_j), and pairs that then still move,
    which nearly touch, go the adaptive way of `inductance`.
    """
    radius = np.broadcast_to(np.asarray(wire_radius, float), np.shape(loops.radius))
    single = [Loops(*(np.asarray(leaf)[k : k + 1] for leaf in (loops.centre, loops.normal, loops.radius)), np.ones(1)) for k in range(len(radius))]
    _, first, same = np.unique(np.stack([loops.radius, radius], axis=1), axis=0, return_index=True, return_inverse=True)
    own = np.array([float(inductance([single[k]], float(radius[k]), tolerance)[0, 0]) for k in first])[same.ravel()]
    scale = np.sqrt(np.outer(own, own))
    nodes, before, matrix = 32, None, _loops_linked(loops, 32)
    while before is None or (nodes < 1024 and np.abs(matrix - before).max() > tolerance * scale.min()):
        nodes, before, matrix = 2 * nodes, matrix, _loops_linked(loops, 2 * nodes)
    matrix = (matrix + matrix.T) / 2
    for i, j in np.argwhere(np.triu(np.abs(matrix - (before + before.T) / 2) > tolerance * scale, 1)):
        matrix[i, j] = matrix[j, i] = float(inductance([single[i], single[j]], float(radius.max()), tolerance)[0, 1])
    np.fill_diagonal(matrix, own)
    return matrix


def _loops_linked(loops, nodes: int) -> np.ndarray:
    """Flux (N,N) Wb through each loop per ampere in each other, by `nodes` even points round it; 0 on the diagonal."""
    count = len(np.asarray(loops.radius))
    ring = Loops(loops.centre, loops.normal, loops.radius, jnp.ones(count))
    points, flow = ring.current_elements(nodes)
    shares = loop.flow_per_ampere(points, ring.centre, unit(ring.normal), ring.radius, flow)
    matrix = np.asarray(shares).reshape(nodes, count, count).sum(axis=0)
    return matrix - np.diag(np.diag(matrix))


def stored_energy(source, wire_radius=None, tolerance: float = _TOLERANCE):
    """Magnetic energy (J) of the currents of a source: half the integral of A.J; see `inductance` for the rest."""
    return _own_linkage(conductors(source), wire_radius, tolerance) / 2


def flux_linkage(circuit, source, tolerance: float = _TOLERANCE):
    """Flux (Wb) of any source with a potential (magnets, dipoles, uniform fields, currents) through a circuit.

    Per ampere of the circuit, that is per `reference_current(circuit)`: the integral of A.J over it.  The circuit's
    currents must close, and the source must not be part of it.
    """
    if not hasattr(source, "potential"):
        raise TypeError(f"flux_linkage: the source must have a method potential(points), got {type(source).__name__}")
    total = sum(_integral(part, source.potential, (source,), tolerance) for part in conductors(circuit))
    return total / reference_current(circuit)


def reference_current(source):
    """The current (A) in a source that counts as one ampere of its circuit: the largest magnitude in any conductor.

    Blocks and Solenoids: the largest ampere-turns of one of them; Sheet: the largest difference of its stream function.
    """
    return jnp.max(jnp.concatenate([jnp.atleast_1d(_amperes(_bare(part))) for part in conductors(source)]))


def conductors(source) -> list:
    """The sources in a source that are not assemblies, each under the poses that move it; all must carry current."""
    if isinstance(source, Assembly):
        return [leaf for part in source.parts for leaf in conductors(part)]
    if isinstance(source, Posed):
        return [Posed(leaf, source.position, source.rotation) for leaf in conductors(source.source)]
    if type(source) not in _KINDS:
        raise TypeError(
            f"inductance: every source must be made of {', '.join(kind.__name__ for kind in _KINDS)}, got "
            f"{type(source).__name__}; use flux_linkage for the flux of a magnet through a circuit"
        )
    return [source]


def _amperes(part):
    if isinstance(part, Blocks):
        return jnp.abs(part.ampere_turns())
    if isinstance(part, Sheet):
        return jnp.max(part.stream) - jnp.min(part.stream)
    return jnp.abs(jnp.asarray(part.current))


def _bare(part):
    return _bare(part.source) if isinstance(part, Posed) else part


# --- pairs of conductors ------------------------------------------------------------------------------------------


def _mutual_linkage(a: list, b: list, tolerance: float):
    """Integral of A.J (A·Wb) between two circuits of separate conductors."""
    return sum(_pair_linkage(p, q, tolerance) for p in a for q in b)


def _own_linkage(circuit: list, wire_radius, tolerance: float):
    """Integral of A.J (A·Wb) of a circuit with itself."""
    total = sum(_self_linkage(part, wire_radius, tolerance) for part in circuit)
    pairs = [(p, q) for i, p in enumerate(circuit) for q in circuit[i + 1 :]]
    return total + 2 * sum(_joined_linkage(p, q, wire_radius, tolerance) for p, q in pairs)


def _pair_linkage(p, q, tolerance: float):
    """The potential of the bulkier along the thinner, whose own is singular: A.J is symmetric."""
    thin, thick = sorted((p, q), key=lambda part: list(_KINDS).index(type(_bare(part))))
    if _has_faces(thin) and _has_faces(thick):
        return _face_linkage(_faces(thin), _faces(thick), tolerance)
    return _integral(thin, thick.potential, (thick,), tolerance, _coaxial(thin, thick))


def _self_linkage(part, wire_radius, tolerance: float):
    part = _bare(part)
    if _has_faces(part):
        return _face_linkage(_faces(part), None, tolerance)
    if isinstance(part, (Solenoids, Blocks)):
        return _integral(part, part.potential, (part,), tolerance, _coaxial(part, part))
    if wire_radius is None:
        raise ValueError(
            f"inductance: the self-inductance of thin {type(part).__name__} needs wire_radius in metres, got None; "
            "an infinitely thin wire stores infinite energy"
        )
    return _wire_linkage(part, part, round_mean_distance(wire_radius), tolerance)


def _joined_linkage(p, q, wire_radius, tolerance: float):
    """As `_pair_linkage`, for conductors of one circuit: thin wires may touch."""
    p, q = sorted((p, q), key=lambda part: list(_KINDS).index(type(_bare(part))))
    if wire_radius is None or not isinstance(_bare(q), (Filaments, Arcs)):
        return _pair_linkage(p, q, tolerance)
    return _wire_linkage(q, p, round_mean_distance(wire_radius), tolerance)


def _wire_linkage(wire, other, distance, tolerance: float):
    """Integral over `wire` of the potential of the thin wire `other`, never nearer than its mean distance from itself.

    Arcs are lifted by that distance to both sides of their plane, which is the same.
    """
    if isinstance(_bare(other), (Filaments, Loops)):
        return _integral(wire, partial(_soft_potential, other, distance), (other,), tolerance, _coaxial(wire, other))
    return sum(_integral(_lifted(wire, step), other.potential, (other,), tolerance) for step in (distance, -distance)) / 2


def _soft_potential(part, distance, points):
    if isinstance(part, Posed):
        return part._turned(_soft_potential(part.source, distance, part._own(points)))
    if isinstance(part, Filaments):
        return soft_potential(points, part.start, part.end, part.current, distance)
    return loop.soft_potential(points, part.centre, unit(part.normal), part.radius, part.current, distance)


def _lifted(part, step):
    """Arcs moved along their own axes by `step` (m)."""
    if isinstance(part, Posed):
        return Posed(_lifted(part.source, step), part.position, part.rotation)
    centre = jnp.asarray(part.centre) + step * rotation_matrix(part.rotation)[:, :, 2]
    return Arcs(centre, part.rotation, part.radius, part.start, part.stop, part.current)


# --- integrals along one conductor --------------------------------------------------------------------------------


def _integral(part, potential, known_from, tolerance: float, coaxial: bool = False):
    """Integral of A.J (A·Wb) over a conductor, of the potential of what `known_from` holds."""
    place, dimension = _KINDS[type(_bare(part))][:2]
    count = _count(_bare(part))
    place = partial(_moved, place, coaxial)
    dimension -= coaxial
    still = _known(part)
    if still is None or any(_known(tree) is None for tree in known_from):
        nodes = fixed_nodes(count, dimension, _BLIND[dimension])
    else:
        frozen = lambda points: jax.lax.stop_gradient(potential(points))
        *nodes, values = adaptive_nodes(partial(_densities, place, still, frozen), count, dimension, tolerance)
        if not _is_traced(part, *known_from):
            return jnp.asarray(nodes[2] @ values)
    return sum(jnp.dot(weight, _density(place, part, potential, *at)) for weight, *at in _batches(*nodes))


def _densities(place, part, potential, element, t) -> np.ndarray:
    """A.J per volume of the coordinates (Q,) of a conductor's elements, where all is known."""
    batches = _batches(t, element, np.ones(len(t)))
    return np.concatenate([np.asarray(_density(place, part, potential, *at))[weight > 0] for weight, *at in batches])


def _batches(t, element, weight):
    """(weight, element, t) in few sizes, so that few shapes are compiled; padded with weight zero."""
    size = _BATCHES[len(element) > _BATCHES[0]]
    for first in range(0, len(element), size):
        here = slice(first, first + size)
        short = size - len(element[here])
        fill = lambda array: np.pad(array[here], [(0, short)] + [(0, 0)] * (array.ndim - 1), mode="edge")
        yield np.pad(weight[here], (0, short)), fill(element), fill(t)


def _density(place, part, potential, element, t):
    points, flow = place(part, element, t)
    return jnp.einsum("qmc,qmc->q", potential(points.reshape(-1, 3)).reshape(points.shape), flow)


def _known(tree):
    """The tree with its values where they are known, as they are under jax.grad; None inside jax.jit and jax.vmap."""
    still = jax.tree_util.tree_map(jax.lax.stop_gradient, tree)
    return None if _is_traced(still) else still


def _is_traced(*trees) -> bool:
    return any(isinstance(leaf, jax.core.Tracer) for tree in trees for leaf in jax.tree_util.tree_leaves(tree))


def _count(part) -> int:
    return part.faces.shape[0] if isinstance(part, Sheet) else jax.tree_util.tree_leaves(part)[0].shape[0]


@partial(jax.jit, static_argnums=(0, 1))
def _moved(place, coaxial: bool, part, element, t):
    """Points (Q,M,3) m and J dV (Q,M,3) A·m per volume of the coordinates.

    Coaxial with what it is in: four azimuths (M) stand for all, in value and in first and second derivatives.
    """
    if isinstance(part, Posed):
        points, flow = _moved(place, coaxial, part.source, element, t)
        matrix = rotation_matrix(jnp.asarray(part.rotation)[None])[0]
        return points @ matrix.T + part.position, flow @ matrix.T
    if not coaxial:
        points, flow = place(part, element, *t.T)
        return points[:, None], flow[:, None]
    quarters = [place(part, element, *t.T, jnp.full(len(element), k / 4)) for k in range(4)]
    points, flow = (jnp.stack(arrays, axis=1) for arrays in zip(*quarters))
    return points, flow / 4


def _along_segment(part, k, t):
    start, way = jnp.asarray(part.start)[k], jnp.asarray(part.end)[k] - jnp.asarray(part.start)[k]
    return start + t[:, None] * way, jnp.asarray(part.current)[k, None] * way


def _along_arc(part, k, t):
    begin, sweep = jnp.asarray(part.start)[k], (jnp.asarray(part.stop) - part.start)[k]
    axes, radius = rotation_matrix(part.rotation)[k], jnp.asarray(part.radius)[k]
    return _on_circle(part.centre, k, axes[..., 0], axes[..., 1], radius, begin + t * sweep, sweep * radius * jnp.asarray(part.current)[k])


def _along_loop(part, k, t):
    first, second = (axis[k] for axis in across(unit(part.normal)))
    radius = jnp.asarray(part.radius)[k]
    return _on_circle(part.centre, k, first, second, radius, 2 * jnp.pi * t, 2 * jnp.pi * radius * jnp.asarray(part.current)[k])


def _on_solenoid(part, k, t, turn):
    axes, radius = rotation_matrix(part.rotation)[k], jnp.asarray(part.radius)[k]
    flow = 2 * jnp.pi * radius * jnp.asarray(part.current)[k]
    points, flow = _on_circle(part.centre, k, axes[..., 0], axes[..., 1], radius, 2 * jnp.pi * turn, flow)
    return points + (jnp.asarray(part.length)[k] * (t - 0.5))[:, None] * axes[..., 2], flow


def _in_block(part, k, s, t, turn):
    inner, outer, low, high, density = (jnp.asarray(leaf)[k] for leaf in jax.tree_util.tree_leaves(part))
    radius, axes = inner + s * (outer - inner), jnp.broadcast_to(jnp.eye(3), (len(s), 3, 3))
    flow = 2 * jnp.pi * radius * density * (outer - inner) * (high - low)
    points, flow = _on_circle(jnp.zeros((1, 3)), 0 * k, axes[..., 0], axes[..., 1], radius, 2 * jnp.pi * turn, flow)
    return points + (low + t * (high - low))[:, None] * axes[..., 2], flow


def _on_circle(centre, k, first, second, radius, angle, flow):
    """Points (Q,3) and flow (Q,3) along the circle in the plane of two directions (Q,3)."""
    c, s = jnp.cos(angle)[:, None], jnp.sin(angle)[:, None]
    return jnp.asarray(centre)[k] + radius[:, None] * (c * first + s * second), flow[:, None] * (c * second - s * first)


def _on_face(part, k, s, t):
    corners, current = _faces(part)
    a, b, c = jnp.moveaxis(corners[k], 1, 0)
    twice_area = jnp.linalg.norm(jnp.cross(b - a, c - a), axis=1)
    points = a + s[:, None] * (b - a) + (s * t)[:, None] * (c - b)
    return points, (twice_area * s)[:, None] * current[k]


def _on_strip(part, k, s, t):
    along, width = (jnp.asarray(part.end) - part.start)[k], jnp.asarray(part.width)[k]
    return jnp.asarray(part.start)[k] + s[:, None] * along + (t - 0.5)[:, None] * width, jnp.asarray(part.current)[k, None] * along


# Thinnest first.  kind: (element and coordinates of [0,1]^d -> point and flow, d, centres and axes if of revolution)
_KINDS = {
    Filaments: (_along_segment, 1, None),
    Arcs: (_along_arc, 1, None),
    Loops: (_along_loop, 1, lambda part: (part.centre, part.normal)),
    Strips: (_on_strip, 2, None),
    Sheet: (_on_face, 2, None),
    Solenoids: (_on_solenoid, 2, lambda part: (part.centre, rotation_matrix(part.rotation)[:, :, 2])),
    Blocks: (_in_block, 3, lambda part: (jnp.zeros((1, 3)), jnp.array([[0.0, 0.0, 1.0]]))),
}


def _coaxial(*parts) -> bool:
    """Whether all are bodies of revolution about one line, to rounding; never where that is not known."""
    if any(_KINDS[type(_bare(part))][2] is None or _known(part) is None for part in parts):
        return False
    centres, axes = (np.concatenate(arrays) for arrays in zip(*(_axes(_known(part)) for part in parts)))
    axes = axes / np.linalg.norm(axes, axis=1, keepdims=True)
    offset = centres - centres[0]
    beside = np.linalg.norm(np.cross(offset, axes[0]), axis=1)
    size = np.abs(centres).max() + 1e-300
    return bool(np.all(np.linalg.norm(np.cross(axes, axes[0]), axis=1) < 1e-14) and np.all(beside < 1e-14 * size))


def _axes(part):
    if isinstance(part, Posed):
        centres, axes = _axes(part.source)
        matrix = np.asarray(rotation_matrix(jnp.asarray(part.rotation)[None])[0])
        return centres @ matrix.T + np.asarray(part.position), axes @ matrix.T
    return tuple(np.asarray(array) for array in _KINDS[type(part)][2](part))


# --- faces with faces ---------------------------------------------------------------------------------------------


def _has_faces(part) -> bool:
    return isinstance(_bare(part), (Sheet, Strips))


def _faces(part):
    """Corners (F,3,3) m and surface current (F,3) A/m."""
    if isinstance(part, Posed):
        corners, current = _faces(part.source)
        matrix = rotation_matrix(jnp.asarray(part.rotation)[None])[0]
        return corners @ matrix.T + part.position, current @ matrix.T
    if isinstance(part, Strips):
        return part._triangles()[:2]
    return jnp.asarray(part.vertices)[part.faces], part.surface_current()


def _face_linkage(a, b, tolerance: float):
    """Integral of A.J (A·Wb) of current sheets (corners, current) with others, or with themselves (None)."""
    known_a, known_b = _known(a), None if b is None else _known(b)
    if known_a is None or (b is not None and known_b is None):
        return _blind_face_linkage(a, a if b is None else b)
    corner_a, corner_b = (None if tree is None else np.asarray(tree[0]) for tree in (known_a, known_b))
    plan = face_inductance.settled_pairs(corner_a, corner_a if b is None else corner_b, tolerance)
    if _is_traced(a, b):
        plan = ((pairs, None) for pairs, _ in plan)
    return MU_0 / (4 * math.pi) * face_inductance.linkage(*a, *(a if b is None else b), plan, b is None)


def _blind_face_linkage(a, b):
    """The potential of one set at Gauss points of the other."""
    corners, current = a
    t, element, weight = fixed_nodes(len(corners), 2, 6)
    first, second, third = jnp.moveaxis(corners, 1, 0)[:, element]
    s, r = t[:, :1], t[:, 1:]
    points = first + s * (second - first) + s * r * (third - second)
    area = face_inductance.area(corners)[element]
    seen = triangle.potential(points, *b)
    return jnp.sum(2 * weight * t[:, 0] * area * jnp.sum(seen * current[element], axis=1))
