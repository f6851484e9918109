"""Double integrals of 1/|r - r'| over pairs of triangles: the inductance of current sheets, to a tolerance.

    far      1/|c - c'| of the centroids and the second moments of both faces: error 0.02/s^3
    apart    n x n Gauss points on each face (Stroud's conical product): error 5/(5 s)^2n
    close    s < 1.05 without a common corner: the inner integral in closed form (`triangle`), the outer face
             cut towards the edges of the inner one
    corner, edge   one or two common corners: the singularity and the scale integrated in closed form, a cube or a
             square of Gauss points for the rest, more of them until two orders agree (Sauter & Schwab,
             Boundary Element Methods, 2011, sec. 5.2; Taylor, IEEE Trans. Antennas Propag. 51 (2003) 1630)
    same     closed form (Eibert & Hansen, IEEE Trans. Antennas Propag. 43 (1995) 1499)

s is the distance of the centroids over the sum of the radii about them.  The errors are relative and were measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import scipy.spatial
from scipy import sparse
from scipy.special import roots_jacobi

from designtools.kernels import triangle

TOLERANCE = 1e-3  # of each integral; see `pair_integrals`
_APART = 1.05  # separation from which points on both faces serve
_ORDERS = (3, 4, 6, 9, 13, 19, 28, 40)  # of touching faces
_ROWS = 64  # faces of the first set at once
_EVALUATIONS = 1 << 20  # pairs times points at once
_NEAR_PAIRS = 2_000_000  # near pairs planned at once


@dataclass(frozen=True)
class Pairs:
    """Faces row (N,) of one set with faces column (N,) of another, each corner order such that common ones lead.

    kind: "apart", "close", "corner", "edge" or "same"; order: Gauss points along each direction; part (N,3,3):
    barycentric corners of the piece of the outer face that counts ("close" only).
    """

    kind: str
    order: int
    row: np.ndarray
    column: np.ndarray
    row_corners: np.ndarray
    column_corners: np.ndarray
    part: np.ndarray | None = None

    def values(self, corner_a, corner_b) -> np.ndarray:
        """Integrals (N,) m3 over corner_a (A,3,3) m and corner_b (B,3,3) m."""
        result = np.empty(len(self.row))
        for here, row, column, orders, part, _ in self._batches():
            a, b = (corner[index[:, None], order] for corner, index, order in zip((corner_a, corner_b), (row, column), orders))
            a = a if part is None else part @ a
            result[here] = np.asarray(_rule_sum(self.kind, self.order, a.T, b.T))[: len(result[here])]
        return result

    def linkage(self, corner_a, current_a, corner_b, current_b, times):
        """Sum of times (N,) K_a.K_b (A2·m) and the integrals, differentiable in corners (F,3,3) and currents (F,3)."""
        faces = corner_a, current_a, corner_b, current_b
        total = 0.0
        for here, *pairs, short in self._batches():
            total = total + _rule_linkage(self.kind, self.order, *faces, *pairs, np.pad(times[here], (0, short)))
        return total

    def _batches(self):
        """(slice, row, column, corner orders, part, padding): few sizes, so that few shapes are compiled."""
        count, size = len(self.row), _batch(self.kind, self.order, len(self.row))
        for first in range(0, count, size):
            here = slice(first, min(first + size, count))
            short = size - (here.stop - first)
            fill = lambda array: np.pad(array[here], [(0, short)] + [(0, 0)] * (array.ndim - 1), mode="edge")
            part = None if self.part is None else fill(self.part)
            yield here, fill(self.row), fill(self.column), (fill(self.row_corners), fill(self.column_corners)), part, short

    def take(self, index):
        """These pairs alone."""
        part = None if self.part is None else self.part[index]
        arrays = (array[index] for array in (self.row, self.column, self.row_corners, self.column_corners))
        return Pairs(self.kind, self.order, *arrays, part)


def pair_integrals(corner_a, corner_b=None, tolerance: float = TOLERANCE):
    """Double integrals (A,B) m3 of 1/|r - r'| over the faces corner_a (A,3,3) m and corner_b (B,3,3) m (or the same).

    The energy of the sheets K_a, K_b (A/m) is mu0/8pi times the sum of K_a.K_b times these.  Swapping the
    arguments transposes the result to within `tolerance`, the relative error of each integral, which may be asked
    down to 1e-11.  Faces need not match: they may lie close without common corners.
    """
    corner_a = np.asarray(corner_a, float)
    corner_b = corner_a if corner_b is None else np.asarray(corner_b, float)
    near = near_values(corner_a, corner_b, tolerance)
    result = np.empty((len(corner_a), len(corner_b)))
    for part, rows in _row_blocks(corner_a, corner_b, near):
        result[part] = rows.T
    return result


def coupling(corner_a, corner_b, flow_a, flow_b, tolerance: float = TOLERANCE):
    """flow_a' W flow_b (K,L) with the integrals W of `pair_integrals`, which are never held together.

    flow_a (3A,K), flow_b (3B,L): sparse, rows (face, component), as `sheet.current_operator` makes them; corner_b
    None takes the first faces again.
    """
    corner_a = np.asarray(corner_a, float)
    corner_b = corner_a if corner_b is None else np.asarray(corner_b, float)
    near = near_values(corner_a, corner_b, tolerance)
    flow_a = sparse.csr_array(flow_a)
    across_b = sparse.csr_array(sparse.vstack([sparse.csr_array(flow_b)[axis::3].T for axis in range(3)]))
    result = np.zeros((flow_a.shape[1], flow_b.shape[1]))
    for part, rows in _row_blocks(corner_a, corner_b, near):
        seen = np.ascontiguousarray((across_b @ rows).T).reshape(-1, flow_b.shape[1])  # (face and component, L)
        piece = flow_a[3 * part.start : 3 * part.stop]
        used = np.unique(piece.indices)
        result[used] += piece[:, used].T.tocsr() @ seen
    return result


def linkage(corner_a, current_a, corner_b, current_b, plan, one_set: bool = False):
    """Sum of K_a.K_b (A2·m) times the integrals, differentiable in corners (F,3,3) m and currents (F,3) A/m.

    plan: (Pairs, values or None) of all near pairs, as `settled_pairs` finds them; None computes the values again.
    one_set: both sets are one and the plan holds each pair once.
    """
    faces = corner_a, current_a, corner_b, current_b
    total, seen = _far_linkage(*faces), [np.zeros((2, 0), int)]
    for pairs, values in plan:
        times = _times(pairs.row, pairs.column, one_set)
        if values is None:
            total = total + pairs.linkage(*faces, times)
        else:
            product = np.sum(np.asarray(current_a)[pairs.row] * np.asarray(current_b)[pairs.column], axis=1)
            total = total + np.sum(times * product * values)
        seen.append(np.stack([pairs.row, pairs.column]))
    key = np.unique(np.concatenate(seen, axis=1).T @ [len(corner_b), 1])  # pieces of one pair count once
    row, column = np.divmod(key, len(corner_b))
    whole = np.broadcast_to(np.arange(3), (len(row), 3))
    return total - Pairs("far", 0, row, column, whole, whole).linkage(*faces, _times(row, column, one_set))


def _times(row, column, one_set: bool):
    """How often each pair counts."""
    return np.where(row != column, 2.0, 1.0) if one_set else np.ones(len(row))


@jax.jit
def _far_linkage(corner_a, current_a, corner_b, current_b):
    """The sum over all pairs by the far form, a block of rows at a time."""
    shape_a, shape_b = moments(corner_a), moments(corner_b)
    short = -shape_a.shape[1] % _ROWS
    shape_a = jnp.pad(shape_a, [(0, 0), (0, short)], mode="edge")
    current_a = jnp.pad(current_a, [(0, short), (0, 0)])

    @jax.checkpoint
    def block(rows):
        shape, current = rows
        return jnp.sum((current @ current_b.T) * far(shape.T[:, :, None], shape_b[:, None, :]))

    blocks = shape_a.T.reshape(-1, _ROWS, 10), current_a.reshape(-1, _ROWS, 3)
    return jnp.sum(jax.lax.map(block, blocks))


def self_integral(corners):
    """Double integral (F,) m3 of 1/|r - r'| over each face with itself, corners (F,3,3) m."""
    each = np.arange(len(corners))
    whole = np.broadcast_to(np.arange(3), (len(corners), 3))
    corners = np.asarray(corners, float)
    return Pairs("same", 0, each, each, whole, whole).values(corners, corners)


def near_values(corner_a, corner_b, tolerance: float):
    """Sparse (A,B): the integrals that the far form does not reach; `far` serves where nothing is stored."""
    groups = list(settled_pairs(corner_a, corner_b, tolerance))
    if not groups:
        return sparse.csr_array((len(corner_a), len(corner_b)))
    row, column = (np.concatenate([getattr(pairs, name) for pairs, _ in groups]) for name in ("row", "column"))
    values = np.concatenate([values for _, values in groups])
    if corner_b is corner_a:
        off = row != column
        row, column, values = np.r_[row, column[off]], np.r_[column, row[off]], np.r_[values, values[off]]
    return sparse.csr_array((values, (row, column)), shape=(len(corner_a), len(corner_b)))  # sums pieces of a pair


def settled_pairs(corner_a, corner_b, tolerance: float):
    """(Pairs, values) of all that is near: touching faces again with more points until two orders agree.

    Where both sets are one array each pair comes once, row <= column.
    """
    limit = max((0.02 / tolerance) ** (1 / 3), _APART)
    rows = max(_ROWS, int(_NEAR_PAIRS / (10 * limit**2)))  # about 10 s^2 faces lie within s
    for first in range(0, len(corner_a), rows):
        for pairs in _near_pairs(corner_a, corner_b, slice(first, first + rows), limit, tolerance):
            yield from _settled(pairs, corner_a, corner_b, tolerance)


def _settled(pairs: Pairs, corner_a, corner_b, tolerance: float):
    values = pairs.values(corner_a, corner_b)
    for order in _ORDERS[1:] if pairs.kind in ("corner", "edge") else ():
        finer = Pairs(pairs.kind, order, *_fields(pairs))
        better = finer.values(corner_a, corner_b)
        rough = np.abs(better - values) > tolerance * better
        yield finer.take(~rough), better[~rough]
        if not rough.any():
            return
        pairs, values = finer.take(rough), better[rough]
    yield pairs, values


# --- which pairs are near, and what serves them -------------------------------------------------------------------


def _near_pairs(corner_a, corner_b, rows: slice, limit: float, tolerance: float) -> list[Pairs]:
    """The pairs of some rows that the far form does not reach, by what serves them; touching ones at the lowest order."""
    row, column, separation = _neighbours(corner_a, corner_b, rows, limit)
    whole = np.broadcast_to(np.arange(3), (len(row), 3))
    every = Pairs("apart", 0, row, column, whole, whole)
    shared = _shared_corners(corner_a[row], corner_b[column])
    groups = [Pairs("same", 0, *_fields(every.take(shared == 3)))]
    for count, kind in ((1, "corner"), (2, "edge")):
        found = every.take(shared == count)
        orders = _common_first(corner_a[found.row], corner_b[found.column], count)
        groups.append(Pairs(kind, _ORDERS[0], found.row, found.column, *orders))
    close = (shared == 0) & (separation < _APART)
    groups += _close_pairs(corner_a, corner_b, every.take(close), tolerance)
    order = _gauss_order(np.maximum(separation, _APART), tolerance)
    apart = (shared == 0) & ~close
    groups += [Pairs("apart", int(n), *_fields(every.take(apart & (order == n)))) for n in np.unique(order[apart])]
    return [group for group in groups if len(group.row)]


def _fields(pairs):
    return pairs.row, pairs.column, pairs.row_corners, pairs.column_corners


def _gauss_order(separation, tolerance: float):
    """Points along each direction for an error of 5/(5 s)^2n; at least two."""
    order = np.ceil(np.log(5 / tolerance) / (2 * np.log(5 * separation)))
    return np.clip(order, 2, 12).astype(int)


def _neighbours(corner_a, corner_b, rows: slice, limit: float):
    """Row, column and separation of the pairs nearer than `limit`; one set: row <= column."""
    (centre_a, radius_a), (centre_b, radius_b) = _balls(corner_a[rows]), _balls(corner_b)
    trees = [scipy.spatial.cKDTree(centre) for centre in (centre_a, centre_b)]
    reach = limit * (radius_a.max() + radius_b.max())
    found = trees[0].sparse_distance_matrix(trees[1], reach, output_type="ndarray")
    row, column, distance = found["i"], found["j"], found["v"]
    separation = distance / (radius_a[row] + radius_b[column])
    row = row + rows.start
    keep = separation < limit
    if corner_b is corner_a:
        keep &= row <= column
    return row[keep], column[keep], separation[keep]


def _balls(corners):
    centre = corners.mean(axis=1)
    return centre, np.linalg.norm(corners - centre[:, None], axis=2).max(axis=1)


def _shared_corners(corner_a, corner_b):
    """How many corners each pair of faces has in common (N,)."""
    return (corner_a[:, :, None] == corner_b[:, None, :]).all(axis=-1).sum(axis=(1, 2))


def _common_first(corner_a, corner_b, count: int):
    """Corner orders (N,3) of both faces in which the `count` common corners come first, in one order."""
    same = (corner_a[:, :, None] == corner_b[:, None, :]).all(axis=-1)
    order_a = np.argsort(~same.any(axis=2), axis=1, kind="stable")
    partner = np.take_along_axis(same.argmax(axis=2), order_a, axis=1)[:, :count]
    free = (np.arange(3) != partner[:, :, None]).all(axis=1)
    rest = np.argsort(~free, axis=1, kind="stable")[:, : 3 - count]
    return order_a, np.concatenate([partner, rest], axis=1)


def _close_pairs(corner_a, corner_b, pairs: Pairs, tolerance: float) -> list[Pairs]:
    """The outer faces cut in four until each piece is small beside its distance to the edges of the inner face."""
    part = np.broadcast_to(np.eye(3), (len(pairs.row), 3, 3))
    quarters = np.array([[[2, 0, 0], [1, 1, 0], [1, 0, 1]], [[1, 1, 0], [0, 2, 0], [0, 1, 1]],
                         [[1, 0, 1], [0, 1, 1], [0, 0, 2]], [[1, 1, 0], [0, 1, 1], [1, 0, 1]]]) / 2  # fmt: skip
    groups = []
    for _depth in range(int(np.ceil(np.log(1 / tolerance) / np.log(4))) + 1):
        centre, radius = _balls(part @ corner_a[pairs.row])
        separation = _edge_distance(centre, corner_b[pairs.column]) / radius
        ready = separation > 1.5
        order = _gauss_order(np.maximum(separation, 1.5), tolerance)
        groups += [_cut(pairs, part, ready & (order == n), n) for n in np.unique(order[ready])]
        pairs, part = pairs.take(np.repeat(np.flatnonzero(~ready), 4)), (quarters @ part[~ready, None]).reshape(-1, 3, 3)
    return [*groups, _cut(pairs, part, np.ones(len(part), bool), 3)]


def _cut(pairs: Pairs, part, chosen, order: int) -> Pairs:
    return Pairs("close", int(order), *_fields(pairs.take(chosen)), part[chosen])


def _edge_distance(points, corners):
    """Distance (N,) m from points (N,3) to the nearest edge of triangles (N,3,3)."""
    side = np.roll(corners, -1, axis=1) - corners
    away = points[:, None] - corners
    along = np.clip(np.sum(away * side, axis=2) / np.sum(side * side, axis=2), 0, 1)
    return np.linalg.norm(away - along[..., None] * side, axis=2).min(axis=1)


# --- the integrals ------------------------------------------------------------------------------------------------


def _row_blocks(corner_a, corner_b, near):
    """(slice of the first faces, their integrals (B, rows)) until all are done."""
    shape_a, shape_b = np.asarray(moments(corner_a)), moments(corner_b)[:, :, None]
    for first in range(0, len(corner_a), _ROWS):
        part = slice(first, min(first + _ROWS, len(corner_a)))
        padded = np.pad(shape_a[:, part], [(0, 0), (0, _ROWS - (part.stop - first))], mode="edge")
        rows = np.array(far(shape_b, padded[:, None, :]))[:, : part.stop - first]
        found = near[part]
        rows[found.indices, np.repeat(np.arange(part.stop - first), np.diff(found.indptr))] = found.data
        yield part, rows


@jax.jit
def moments(corners):
    """Area, centroid and six second moments about it (xx, yy, zz, xy, yz, zx) per area of each face: (10,F)."""
    centre = corners.mean(axis=1)
    x, y, z = jnp.moveaxis(corners - centre[:, None], 2, 0)
    second = [jnp.sum(p * q, axis=1) / 12 for p, q in ((x, x), (y, y), (z, z), (x, y), (y, z), (z, x))]
    return jnp.stack([area(corners), *centre.T, *second])


@jax.jit
def far(shape_a, shape_b):
    """Integral over pairs of faces from their `moments`, broadcast against each other; 0 where centroids coincide."""
    x, y, z = (shape_a[k] - shape_b[k] for k in (1, 2, 3))
    xx, yy, zz, xy, yz, zx = (shape_a[k] + shape_b[k] for k in range(4, 10))
    square = x * x + y * y + z * z
    apart = square > 0
    root = jnp.where(apart, 1 / jnp.sqrt(jnp.where(apart, square, 1.0)), 0.0)
    inverse = root * root
    form = x * x * xx + y * y * yy + z * z * zz + 2 * (x * y * xy + y * z * yz + z * x * zx)
    correction = (1.5 * form * inverse - 0.5 * (xx + yy + zz)) * inverse
    return shape_a[0] * shape_b[0] * (root * (1 + correction))


def area(corners):
    """Areas (F,) m2 of faces (F,3,3) m."""
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return jnp.linalg.norm(jnp.cross(first, second), axis=1) / 2


def _batch(kind: str, order: int, count: int) -> int:
    """How many pairs at once: as many as fit, rounded to a power of two so that few shapes are compiled."""
    evaluations = {"corner": 2 * order**3, "edge": 5 * order**2, "close": 4 * order**2}.get(kind, max(order**2, 16))
    most = max(64, _EVALUATIONS // evaluations)
    return min(1 << (most.bit_length() - 1), max(64, 1 << (count - 1).bit_length()))


@partial(jax.jit, static_argnums=(0, 1))
def _rule_sum(kind: str, order: int, a, b):
    """Integrals (N,) of pairs a, b (component, corner, N) by the rule of their kind."""
    return {"far": _far, "apart": _apart, "close": _close, "corner": _corner, "edge": _edge, "same": _same}[kind](order, a, b)


@partial(jax.jit, static_argnums=(0, 1))
def _rule_linkage(kind, order, corner_a, current_a, corner_b, current_b, row, column, orders, part, times):
    a, b = corner_a[row[:, None], orders[0]], corner_b[column[:, None], orders[1]]
    values = _rule_sum(kind, order, (a if part is None else part @ a).T, b.T)
    return jnp.sum(times * values * jnp.sum(current_a[row] * current_b[column], axis=1))


def _far(order: int, a, b):
    return far(moments(a.T), moments(b.T))


def _same(order: int, a, b):
    """A face with itself; the other one is not looked at."""
    edge = jnp.sqrt(jnp.sum((a - jnp.roll(a, 1, axis=1)) ** 2, axis=0))
    half = edge.sum(axis=0) / 2
    return -(_twice_area(a) ** 2) / 3 * jnp.sum(jnp.log1p(-edge / half) / edge, axis=0)


def _apart(order: int, a, b):
    """Gauss points on both faces: a, b (component, corner, N)."""
    points, weights = _conical(order)
    on_b = jnp.einsum("qk,ckn->cqn", points, b)

    @jax.checkpoint
    def add(total, node):
        barycentric, weight = node
        on_a = jnp.einsum("k,ckn->cn", barycentric, a)
        square = sum((p[None] - q) ** 2 for p, q in zip(on_a, on_b))
        return total + weight * (weights @ (1 / jnp.sqrt(square))), None

    total, _ = jax.lax.scan(add, jnp.zeros(a.shape[2]), (jnp.asarray(points), jnp.asarray(weights)))
    return _twice_area(a) * _twice_area(b) / 4 * total


def _close(order: int, a, b):
    """Gauss points on the outer face, closed form on the inner one."""
    points, weights = _conical(order)
    xyz = tuple(jnp.einsum("qk,ckn->cqn", points, a))
    first, second, third = (tuple(b[:, k, None]) for k in range(3))
    return _twice_area(a) / 2 * (weights @ triangle.inverse_distance(xyz, first, second, third)[0])


def _corner(order: int, a, b):
    """Corner 0 in common; scale integrated in closed form, 2 n^3 points."""
    sides = a[:, 1] - a[:, 0], a[:, 2] - a[:, 1], b[:, 0] - b[:, 1], b[:, 1] - b[:, 2]
    return _twice_area(a) * _twice_area(b) * _inverse_sum(_corner_nodes(order), sides)


def _edge(order: int, a, b):
    """Corners 0 and 1 in common; scale and distance from their ends in closed form, 5 n^2 points."""
    sides = a[:, 1] - a[:, 0], a[:, 2] - a[:, 1], b[:, 1] - b[:, 2]
    return _twice_area(a) * _twice_area(b) * _inverse_sum(_edge_nodes(order), sides)


def _inverse_sum(nodes, sides):
    """Sum of weight / |combination of the sides (3,N)|: (N,)."""
    factors, weights = nodes
    offset = (sum(f[:, None] * side[c] for f, side in zip(factors, sides)) for c in range(3))
    return weights @ (1 / jnp.sqrt(sum(component**2 for component in offset)))


def _twice_area(corners):
    u, v = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return jnp.linalg.norm(jnp.cross(u.T, v.T), axis=1)


# --- nodes --------------------------------------------------------------------------------------------------------


def _conical(order: int):
    """Barycentric points (n^2,3) and weights (n^2,) that sum to 1, degree 2n - 1 (Stroud 1971)."""
    t, wt = np.polynomial.legendre.leggauss(order)
    s, ws = roots_jacobi(order, 0, 1)
    s, t = (x.ravel() for x in np.meshgrid((1 + s) / 2, (1 + t) / 2, indexing="ij"))
    return np.column_stack([1 - s, s * (1 - t), s * t]), np.outer(ws, wt).ravel() / (2 * ws.sum())


def _unit_cube(order: int, dimension: int):
    t, w = np.polynomial.legendre.leggauss(order)
    grids = np.meshgrid(*[(1 + t) / 2] * dimension, indexing="ij")
    weights = np.meshgrid(*[w / 2] * dimension, indexing="ij")
    return [g.ravel() for g in grids], np.prod([w.ravel() for w in weights], axis=0)


def _corner_nodes(order: int):
    """Coordinates (4,Q) of both points along the sides from the common corner, and weights (Q,)."""
    (p, q, r), weight = _unit_cube(order, 3)
    one = np.ones_like(p)
    factors = [(one, p, q, q * r), (q, q * r, one, p)]
    return np.concatenate(factors, axis=1), np.concatenate([q * weight] * 2) / 3


def _edge_nodes(order: int):
    """Coordinates (3,Q) of the offset along the common edge and the two free sides, and weights (Q,)."""
    (p, q), weight = _unit_cube(order, 2)
    one = np.ones_like(p)
    factors = [(p, q, 1 - p), (p * q, one, p * (1 - q)), (-p, 1 - p, p * q), (-p * q, p * (1 - q), one), (-p * q, 1 - p * q, p)]
    return np.concatenate(factors, axis=1), np.concatenate([weight] + [p * weight] * 4) / 6
