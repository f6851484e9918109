"""Fields of very many elements at very many points, to an error that the caller sets.

Elements in the same or touching boxes of an octree act through their exact field, all others through multipoles
(`kernels.octree`).  The depth of the tree is the one with the least work by measured costs; depth 0 is the direct
sum, which wins below the crossovers in docs/physics-fields.md.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from designtools.kernels import octree, solid
from designtools.sources import Filaments, Loops, Magnets
from designtools.sources.assembly import leaves
from designtools.units import MU_0

_EXCITATION = {Filaments: "current", Loops: "current", Magnets: "polarization"}  # what a silent element has as zero
_NODES = {Filaments: {"order": 4}, Loops: {"nodes": 16}, Magnets: {"order": 4}}  # for elements small beside a box
_SECONDS = {Filaments: (1.2e-9, 8e-9), Loops: (6e-9, 1.2e-8), Magnets: (5e-8, 6e-8)}  # a pair: directly, in the tree
_FLOP = 2e-10  # seconds, in a matrix product
_STEP = 3e-5  # seconds to begin one near sum
_SMALL = 0.5  # largest reach of an element, in boxes
_TILES, _CHUNK = (16, 64, 128), 32  # points and elements of one near sum
_FIRST, _LAST = 3, 20  # orders of the series
_FALL = 0.35  # of the error with each order, at least
_SAMPLE = 192  # points whose field is checked


@dataclass(frozen=True)
class FastField:
    """field (P,3) T, and how it was found.

    error: largest difference from the direct sum at 192 of the points, half of them where series are worst, relative
    to the largest |B| of all points; order of the series and depth of the tree per part, 0 where summed directly.
    """

    field: np.ndarray
    error: float
    order: tuple
    depth: tuple


def fast_field(source, points, tolerance: float = 1e-6) -> np.ndarray:
    """Flux density (P,3) T at points (P,3) m; no point errs by more than `tolerance` of the largest |B| of all points.

    The error is controlled, not proved: it is measured at 192 points against the direct sum and held to a quarter of
    the tolerance there, raising the order of the series until it is.  Filaments, Loops and Magnets go through the
    tree, other parts are summed directly.  For numbers only: derivatives go through `source.field`.
    """
    return fast_field_report(source, points, tolerance).field


def fast_field_report(source, points, tolerance: float = 1e-6) -> FastField:
    """As `fast_field`, with the measured error, the orders and the depths."""
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree_util.tree_leaves((source, points))):
        raise TypeError(
            "fast_field: source and points must be plain numbers, got values traced by JAX; differentiate source.field"
        )
    if not tolerance >= 1e-10:
        raise ValueError(f"fast_field: tolerance must be at least 1e-10, got {tolerance!r}; use source.field for more")
    points = np.asarray(points, float)
    plans = [_plan(part, points, tolerance) for part in leaves(source)]
    if all(plan is None for plan in plans):
        return FastField(np.asarray(source.field(points)), 0.0, (0,) * len(plans), (0,) * len(plans))
    return _raised(source, points, tolerance, plans)


def _raised(source, points, tolerance, plans):
    """Raise the order until the sample agrees."""
    parts, sample, order = leaves(source), _sample(points, plans), _FIRST
    exact = np.asarray(source.field(points[sample]))
    near = sum(_near_sum(part, points, plan) for part, plan in zip(parts, plans))
    while True:
        field = near + sum(_far_sum(part, points, plan, order) for part, plan in zip(parts, plans))
        error = np.linalg.norm(field[sample] - exact, axis=1).max() / np.linalg.norm(field, axis=1).max()
        if error <= tolerance / 4:
            used = [(order, plan.depth) if plan else (0, 0) for plan in plans]
            return FastField(field, float(error), *zip(*used))
        if order == _LAST:
            raise ValueError(
                f"fast_field: the error must come below {tolerance:.1e} of the largest field, got {error:.1e} with "
                f"series of order {order}; ask for less or use source.field"
            )
        order = min(_LAST, order + max(1, math.ceil(math.log(tolerance / 5 / error) / math.log(_FALL))))


@dataclass(frozen=True)
class _Plan:
    """A tree for one part: boxes from `corner` of `size` m, those of elements and of points, and which holds which."""

    corner: np.ndarray
    size: float
    depth: int
    source_boxes: np.ndarray
    source_of: np.ndarray
    target_boxes: np.ndarray
    target_of: np.ndarray


def _plan(part, points, tolerance):
    """The cheapest tree, or None for the direct sum."""
    if type(part) not in _EXCITATION or len(points) == 0:
        return None
    middle, reach = _bodies(part)
    corner = np.minimum(middle.min(axis=0), points.min(axis=0))
    side = float((np.maximum(middle.max(axis=0), points.max(axis=0)) - corner).max()) * (1 + 1e-9)
    best, least = None, len(middle) * len(points) * _SECONDS[type(part)][0]
    for depth in range(2, 10):
        size = side / 2**depth
        if reach.max() > _SMALL * size:
            break
        plan = _Plan(corner, size, depth, *octree.group(middle, corner, size), *octree.group(points, corner, size))
        cost = _cost(plan, type(part), _usual_order(tolerance))
        best, least = (plan, cost) if cost < least else (best, least)
    return best


def _tile(plan) -> int:
    """Points of one near sum: not many more than a box holds."""
    mean = len(plan.target_of) / len(plan.target_boxes)
    return next((tile for tile in _TILES if mean <= tile), _TILES[-1])


def _usual_order(tolerance) -> int:
    return int(np.clip(-2 * np.log10(tolerance) - 1, _FIRST, _LAST))


def _cost(plan, kind, order):
    """Seconds, roughly."""
    terms, weights = (order + 1) ** 2, 1 if kind is Magnets else 3
    in_source, in_target = np.bincount(plan.source_of), np.bincount(plan.target_of)
    pairs = octree.neighbour_pairs(plan.target_boxes, plan.source_boxes)
    around = np.bincount(pairs[:, 0], in_source[pairs[:, 1]], minlength=len(in_target))
    tile = _tile(plan)
    steps = np.sum(np.ceil(in_target / tile) * np.ceil(around / _CHUNK))
    across = min(700, len(plan.source_boxes)) * len(plan.target_boxes) * 1.3
    local = len(plan.target_of) * terms * 20 + len(plan.source_of) * 100 * terms * weights * 4
    near = steps * (tile * _CHUNK * _SECONDS[kind][1] + _STEP)
    return near + (across * weights * terms**2 * 2 + local) * _FLOP


def _bodies(part):
    """Middle (N,3) m and reach (N,) m of each element."""
    points = _element_rule(part)[0]
    middle = points.mean(axis=1)
    return middle, 1.1 * np.linalg.norm(points - middle[:, None], axis=2).max(axis=1)


def _element_rule(part):
    """Points (N,Q,3) m and weights (N,Q,3) A·m of currents, or (N,Q,1) A·m of charges, element by element."""
    points, weights = _rules(part)
    return np.asarray(points), np.asarray(weights).reshape(*points.shape[:2], -1)


@jax.jit
def _rules(part):
    def one(row):
        alone = jax.tree.map(lambda leaf: leaf[None], row)
        rule = alone.charge_elements if hasattr(alone, "charge_elements") else alone.current_elements
        return rule(**_NODES[type(part)])

    return jax.vmap(one)(part)


def _far_sum(part, points, plan, order):
    """The field (P,3) T of all elements that are not in a neighbouring box; 0 for a part without a tree."""
    if plan is None:
        return 0.0
    moments = _box_moments(part, plan, order)
    levels = [_levels(boxes, plan.depth) for boxes in (plan.source_boxes, plan.target_boxes)]
    local = octree.far_field(*levels, moments, order, plan.size)
    slope = np.einsum("kji,bcj->bkci", octree.slope_matrices(order), local, optimize=True) / plan.size
    if local.shape[1] == 1:
        field = -slope[:, :, 0]
    else:
        field = np.stack([slope[:, (k + 1) % 3, (k + 2) % 3] - slope[:, (k + 2) % 3, (k + 1) % 3] for k in range(3)], 1)
    return MU_0 / (4 * np.pi) * _at_points(field, points, plan, order)


def _levels(boxes, depth):
    """Occupied boxes from the finest level to the coarsest."""
    levels = [boxes]
    for _ in range(depth):
        parents = levels[-1] >> 1
        levels.append(parents[np.unique(octree.keys_of(parents), return_index=True)[1]])
    return levels


def _box_moments(part, plan, order, batch: int = 2048):
    """Moments (B, K, (order+1)^2) of the elements of each source box about its middle, in units of the box."""
    sorting = np.argsort(plan.source_of, kind="stable")
    out = None
    for first in range(0, len(sorting), batch):
        some = sorting[first : first + batch]
        full = np.pad(some, (0, batch - len(some)), mode="edge")  # one size, so that one program serves all
        points, weights = _element_rule(jax.tree.map(lambda leaf: np.asarray(leaf)[full], part))
        middle = plan.corner + (plan.source_boxes[plan.source_of[some]] + 0.5) * plan.size
        own = (points[: len(some)] - middle[:, None]) / plan.size
        own = np.pad(own, [(0, batch - len(some)), (0, 0), (0, 0)])
        packed = octree.pack(np.asarray(_element_moments(own, weights, order)))[: len(some)]
        out = np.zeros((len(plan.source_boxes), *packed.shape[1:])) if out is None else out
        np.add.at(out, plan.source_of[some], packed)
    return out


@partial(jax.jit, static_argnums=2)
def _element_moments(points, weights, order):
    """Moments (N, K, order+1, order+1) complex of each element, from its rule."""

    def use(n, real, imag):
        parts = (jnp.einsum("mnq,nqk->nkm", p.reshape(-1, *points.shape[:2]), weights) for p in (real, imag))
        return jax.lax.complex(*parts)

    return solid.degrees(points.reshape(-1, 3).T, order, True, use).transpose(1, 2, 0, 3)


def _at_points(local, points, plan, order):
    """Local expansions (B, 3, (order+1)^2) of the target boxes at the points (P,3) in them."""
    tiles, owner = _tiles(plan.target_of, _tile(plan))
    middle = plan.corner + (plan.target_boxes[owner] + 0.5) * plan.size
    own = (points[np.maximum(tiles, 0)] - middle[:, None]) / plan.size
    size = 1 << max(3, int(np.ceil(np.log2(len(tiles)))))
    pad = lambda array: np.pad(array, [(0, size - len(array))] + [(0, 0)] * (array.ndim - 1))
    table = octree.unpack(local, order)[owner]
    values = np.asarray(_evaluate(pad(own), pad(table.real), pad(table.imag)))[: len(tiles)]
    out = np.empty_like(points)
    out[tiles[tiles >= 0]] = values[tiles >= 0]
    return out


@jax.jit
def _evaluate(points, real, imag):
    """(tiles, T, 3) from points (tiles, T, 3) and coefficients (tiles, 3, order+1, order+1)."""

    def one(given):
        xyz, a, b = given
        rows = solid.degrees(xyz.T, a.shape[-1] - 1, True, lambda n, c, s: a[:, n] @ c + b[:, n] @ s)
        return rows.sum(axis=0).T

    return jax.lax.map(one, (points, real, imag))


def _tiles(member, length):
    """Indices (tiles, length) of the members of each box, -1 where it has no more, and the box (tiles,) of each tile."""
    count = np.bincount(member)
    tiles_of = -(-count // length)
    owner = np.repeat(np.arange(len(count)), tiles_of)
    order = np.argsort(member, kind="stable")
    place = np.arange(len(order)) - np.repeat(np.cumsum(count) - count, count)
    first_tile = np.cumsum(tiles_of) - tiles_of
    tiles = np.full((len(owner), length), -1)
    tiles[first_tile[member[order]] + place // length, place % length] = order
    return tiles, owner


def _near_sum(part, points, plan):
    """The exact field (P,3) T of the elements in the box of each point and in those that touch it."""
    if plan is None:
        return np.asarray(part.field(points))
    tiles, owner = _tiles(plan.target_of, _tile(plan))
    step_tile, rows = _near_steps(plan, owner)
    if not len(rows):
        return np.zeros_like(points)
    places = points[np.maximum(tiles, 0)]
    size = 1 << int(np.ceil(np.log2(len(rows))))
    rows = np.pad(rows, [(0, size - len(rows)), (0, 0)], constant_values=-1)
    step_tile = np.pad(step_tile, (0, size - len(step_tile)))
    values = np.asarray(_accumulate(_with_silent(part), places, step_tile, rows))
    out = np.empty_like(points)
    out[tiles[tiles >= 0]] = values[tiles >= 0]
    return out


def _with_silent(part):
    """The elements, and one more without excitation, which index -1 names."""
    longer = jax.tree.map(lambda leaf: np.concatenate([leaf, leaf[:1]]), part)
    name = _EXCITATION[type(part)]
    silent = np.array(getattr(longer, name))
    silent[-1] = 0.0
    return dataclasses.replace(longer, **{name: silent})


def _near_steps(plan, owner):
    """One near sum per row: its tile (steps,) and the elements (steps, _CHUNK), -1 where there are no more."""
    pairs = octree.neighbour_pairs(plan.target_boxes, plan.source_boxes)
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    count = np.bincount(plan.source_of, minlength=len(plan.source_boxes))
    start = np.cumsum(count) - count
    order = np.argsort(plan.source_of, kind="stable")
    sizes = count[pairs[:, 1]]
    inner = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    elements = order[np.repeat(start[pairs[:, 1]], sizes) + inner]
    boxes, members = np.unique(np.repeat(pairs[:, 0], sizes), return_inverse=True)
    chunks, chunk_box = _tiles(members, _CHUNK)
    rows = np.where(chunks >= 0, elements[chunks], -1)
    first = np.searchsorted(owner, boxes[chunk_box], "left")
    copies = np.searchsorted(owner, boxes[chunk_box], "right") - first
    which = np.repeat(np.arange(len(rows)), copies)
    tile = np.repeat(first, copies) + np.arange(len(which)) - np.repeat(np.cumsum(copies) - copies, copies)
    return tile, rows[which]


@jax.jit
def _accumulate(part, places, step_tile, rows):
    """Sum of the fields of part[rows[s]] at places[step_tile[s]] (T,3), tile by tile: (tiles, T, 3)."""

    def add(total, step):
        tile, row = step
        value = jax.tree.map(lambda leaf: leaf[row], part).field(places[tile])
        return total.at[tile].add(value), None

    return jax.lax.scan(add, jnp.zeros_like(places), (step_tile, rows))[0]


def _sample(points, plans):
    """Half at random, half next to the corners of their boxes, where series converge slowest."""
    plan = next(plan for plan in plans if plan is not None)
    rng = np.random.default_rng(0)
    own = (points - plan.corner) / plan.size % 1 - 0.5
    worst = np.argsort(-np.linalg.norm(own, axis=1))[: max(_SAMPLE, len(points) // 100)]
    return np.unique(np.concatenate([rng.integers(len(points), size=_SAMPLE // 2), rng.choice(worst, _SAMPLE // 2)]))
