"""Coefficients exact from the source: integrals of irregular solid harmonics over its currents and charges.

With g = grad' 1/|r - r'|, a current element gives B_u = mu0/4pi (u x I dl).g, a charge q (A·m) gives mu0/4pi q u.g,
a dipole m gives mu0/4pi (m.grad')(u.g), and 1/|r - r'| is a sum of products of regular and irregular harmonics
(`kernels.solid`).  The field itself is never sampled; `project` samples it, as an independent route.
"""

from __future__ import annotations

import math
from functools import partial, reduce
from operator import add

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special

from designtools.harmonics.elements import element_rules, has_rules
from designtools.harmonics.table import Harmonics, projection, unit_axis
from designtools.kernels import solid
from designtools.regions import sphere_rule
from designtools.sources import Assembly, Blocks, Filaments, Loops, Uniform
from designtools.sources.assembly import leaves
from designtools.sources.blocks import section_rule, sliced
from designtools.units import MU_0

_ENOUGH = 1e-13  # of the largest coefficient: how far two rules in turn may differ; sums of 1e5 elements round by 3e-14
_GAUSS = {n: np.polynomial.legendre.leggauss(n) for n in (2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32)}  # on a segment
_NODES = (32, 64, 96, 144, 216, 324, 486)


def harmonics(source, radius: float, order: int, axis="z", centre=(0.0, 0.0, 0.0), nodes: int | None = None) -> Harmonics:
    """Coefficients of the field of `source` along `axis` ("x", "y", "z" or a vector) in the ball of `radius` m.

    Exact from the source, to about 1e-13 of the largest coefficient: segments by Gauss points counted from their
    length and distance, coaxial loops and blocks (axis z) by their closed zonal series, others by rules refined
    until the table stands still.  nodes: points round a loop and five times the Gauss points along a straight
    edge; it replaces the refinement, and is 64 where the source is traced by JAX, whose geometry cannot be asked.
    A source known by its field alone (no current or charge elements) is projected on the sphere.
    Raises ValueError when the ball is not free of conductors and magnets or the order is above 80.
    """
    axis, centre = unit_axis(axis), tuple(float(c) for c in centre)
    _check_order(order)
    parts = leaves(source)
    tables = [_part_table(part, float(radius), order, axis, centre, nodes) for part in parts]
    return Harmonics(*(reduce(add, part) for part in zip(*tables)), float(radius), centre, axis)


def zonal(source, radius: float, order: int, height: float = 0.0):
    """Exact a_n0 (order+1,) T of B_z of coaxial Loops or Blocks (or an Assembly of them) about (0, 0, height) m.

    A loop of radius a at height z, d^2 = a^2 + z^2, gives mu0 I a^2/(2 d^3) (R/d)^n C_n^{3/2}(z/d) (Gegenbauer);
    blocks integrate it over their section with 24 x 24 Gauss points, in slices half as long as their inner radius (traced
    blocks, whose sizes are not known, in one).
    """
    if isinstance(source, Assembly):
        return sum(zonal(part, radius, order, height) for part in source.parts)
    return _zonal_sum(*_rings(source), radius, height, order)


def project(source, radius: float, order: int, axis="z", centre=(0.0, 0.0, 0.0), rule: int | None = None) -> Harmonics:
    """The same table from samples of the field on the sphere of `radius` m: the independent route.

    rule: degree to which the rule on the sphere is exact (default: raised until no coefficient moves by 1e-12 of
    the largest; ValueError where that does not happen; 2 order + 60 for a traced source).
    """
    axis, centre = unit_axis(axis), tuple(float(c) for c in centre)
    if rule is not None or _traced(source):
        return _project(source, radius, order, axis, centre, rule or 2 * order + 60)
    return _converged(source, radius, order, axis, centre)


def _part_table(part, radius, order, axis, centre, nodes):
    """(cosine, sine) T of one source that is no assembly."""
    if isinstance(part, Uniform):
        return _constant(part.flux_density @ np.asarray(axis), order)
    if not _traced(part):
        _check_clear(part, radius, centre)
        if axis == (0.0, 0.0, 1.0) and _coaxial(part, centre):
            return _zonal_table(zonal(part, radius, order, centre[2]))
    if not has_rules(part):
        table = project(part, radius, order, axis, centre)
        return table.cosine, table.sine
    if nodes is None and isinstance(part, Filaments) and not _traced(part):
        return _segment_table(part, radius, order, axis, centre)
    if nodes is None and not _traced(part):
        return _refined(part, radius, order, axis, centre)
    return _table(_moments(part, radius, order, axis, centre, nodes or 64))


def _refined(part, radius, order, axis, centre):
    """Raise the rule until the table stands still."""
    before = None
    for nodes in _NODES:
        table = jnp.stack(_table(_moments(part, radius, order, axis, centre, nodes)))
        size = float(jnp.abs(table).max())
        if before is not None and float(jnp.abs(table - before).max()) <= _ENOUGH * size:
            return tuple(table)
        before = table
    raise ValueError(
        f"harmonics: the source must keep away from the ball of radius {radius} m, but its coefficients still move with "
        f"{_NODES[-1]} nodes; take a smaller radius or order, or state `nodes` and accept its error"
    )


def _moments(part, radius, order, axis, centre, nodes):
    """Moments (order+1, order+1) complex, A/m, of one source."""
    total = 0.0
    for kind, points, weights in element_rules(part, nodes):
        function, power = _OF_KIND[kind]
        total = total + function(*_about(points, weights, centre, radius), order, axis) / radius**power
    return total


@partial(jax.jit, static_argnums=(2, 3))
def _current_moments(points, elements, order, axis):
    """(u x J).grad' of the irregular harmonics, J summed: only the two components across u count."""
    first, second = _across(axis)
    table = solid.moments(points, elements @ np.stack([first, second], axis=1), order + 1)
    return _along(second, table[0]) - _along(first, table[1])


@partial(jax.jit, static_argnums=(2, 3))
def _charge_moments(points, charge, order, axis):
    return _along(np.asarray(axis), solid.moments(points, charge, order + 1)[0])


@partial(jax.jit, static_argnums=(2, 3))
def _dipole_moments(points, moments, order, axis):
    table = solid.moments(points, moments, order + 2)
    return _along(np.asarray(axis), sum(solid.slopes(table[k], k) for k in range(3)))


_OF_KIND = {"current": (_current_moments, 2), "charge": (_charge_moments, 2), "dipole": (_dipole_moments, 3)}


def _along(direction, table):
    return sum(direction[k] * solid.slopes(table, k) for k in range(3) if direction[k])


def _across(axis):
    """Two unit vectors, right-handed with the unit vector `axis`."""
    first = np.cross(np.eye(3)[np.argmin(np.abs(axis))], axis)
    first = first / np.linalg.norm(first)
    return first, np.cross(axis, first)


def _about(points, weights, centre, radius):
    """Coordinates from the centre in units of the radius; sizes rounded up, so that few programs compile."""
    return solid.padded((points - np.asarray(centre)) / radius, weights)


@jax.jit
def _table(moments):
    """(cosine, sine) T of moments A/m."""
    weighted = MU_0 / (4 * np.pi) * solid.unscaled(moments.shape[-1] - 1) * moments
    return weighted.real, weighted.imag


def _segment_table(wires: Filaments, radius, order, axis, centre):
    """Long segments are halved until half a piece is at most half its distance; pieces share rules of equal size."""
    start, end, current = (np.asarray(leaf) for leaf in (wires.start, wires.end, wires.current))
    start, end, current = _halved(start - np.asarray(centre), end - np.asarray(centre), current)
    count = _gauss_counts(start, end, radius, order)
    rules = ((count == points, points) for points in np.unique(count))
    parts = [_on_segments(start[some], end[some], current[some], points) for some, points in rules]
    places, elements = (np.concatenate(column) for column in zip(*parts))
    return _current_table(*solid.padded(places / radius, elements / radius**2), order, axis)


@partial(jax.jit, static_argnums=(2, 3))
def _current_table(points, elements, order, axis):
    return _table(_current_moments(points, elements, order, axis))


def _on_segments(start, end, current, count):
    """`count` Gauss points on each segment: points (Q,3) m and I dl (Q,3) A·m, all NumPy."""
    t, w = _GAUSS[count]
    points = (start + end) / 2 + t[:, None, None] / 2 * (end - start)
    elements = w[:, None, None] / 2 * ((end - start) * current[:, None])
    return points.reshape(-1, 3), elements.reshape(-1, 3)


def _halved(start, end, current):
    for _ in range(60):
        long = _square(end - start) > _square(start + end) / 4
        if not long.any():
            break
        middle = ((start + end) / 2)[long]
        start, end = np.concatenate([start[~long], start[long], middle]), np.concatenate([end[~long], middle, end[long]])
        current = np.concatenate([current[~long], current[long], current[long]])
    return start, end, current


def _square(vectors):
    return np.einsum("ij,ij->i", vectors, vectors)


def _gauss_counts(start, end, radius, order):
    """Gauss points for each segment so that no coefficient errs by more than 1e-15 of the segment's own largest."""
    distance = np.sqrt(_square(start + end)) / 2
    ratio = np.maximum(np.sqrt(_square(end - start)) / 2 / distance, 1e-6)
    step = np.ceil(2 * np.log2(ratio)).astype(int)  # segments of much the same length share their count
    steps, kind, members = np.unique(step, return_inverse=True, return_counts=True)
    reach, n = min(radius / distance.min(), 1.0), np.arange(order + 1)
    counts = [next((k for k in _GAUSS if _gauss_error(2.0 ** (s / 2), reach, n, k) < 1e-15), max(_GAUSS)) for s in steps]
    for i in range(len(counts) - 2, -1, -1):  # a few of them go with the next longer ones
        counts[i] = counts[i + 1] if members[: i + 1].sum() < len(start) / 4 else counts[i]
    return np.array(counts)[kind.reshape(-1)]


def _gauss_error(ratio, reach, n, count):
    """The lesser of two bounds for `count` points on a segment of half-length h = ratio d at distance d, worst of degrees n.

    r^-(n+2) on the Bernstein ellipse rho is at most (1 - rho h/2d)^-(n+2) of its middle value, and K points err by that
    times rho^-2K; the best rho is 4 d K/(h (2K + n + 2)).  Short segments: the derivative of order 2K, at most
    (n+2K+1)!/(n+1)! (d-h)^-2K of the value, times (K!)^4 (2h)^2K / (2K+1) (2K)!^3 (Abramowitz & Stegun 25.4.30).
    """
    power = 2 * count + n + 2
    ellipse = (n + 2) * np.log(power / (n + 2)) + 2 * count * np.log(np.minimum(ratio * power / (4 * count), 1.0))
    twice, log = 2 * count, lambda m: math.lgamma(m + 1)
    rule = 4 * log(count) - 3 * log(twice) - math.log(twice + 1) + twice * math.log(2 * ratio)
    taylor = rule + scipy.special.gammaln(power) - scipy.special.gammaln(n + 2) - power * math.log(max(1 - ratio, 1e-3))
    return np.exp((n * np.log(reach) + np.minimum(ellipse, taylor)).max())


@partial(jax.jit, static_argnums=5)
def _zonal_sum(a, z, current, radius, height, order):
    z = z - height
    d2 = a * a + z * z
    x, t = z / jnp.sqrt(d2), radius / jnp.sqrt(d2)
    scale = MU_0 / 2 * current * a * a / (d2 * jnp.sqrt(d2))

    def step(carry, n):
        before, now = carry
        after = ((2 * n + 1) * x * t * now - (n + 1) * t * t * before) / n
        return (now, after), scale @ now

    start = (jnp.zeros_like(x), jnp.ones_like(x))
    return jax.lax.scan(jax.checkpoint(step), start, jnp.arange(1.0, order + 2))[1]


def _rings(source, order: int = 24):
    """Radius, height and current (Q,) of the rings that make up coaxial loops or blocks."""
    if isinstance(source, Loops):
        return source.radius, source.centre[:, 2], source.current * jnp.sign(source.normal[:, 2])
    if isinstance(source, Blocks):
        return section_rule(source if _traced(source) else sliced(source), order)
    raise TypeError(
        f"zonal: the source must be coaxial Loops or Blocks, got {type(source).__name__}; use harmonics instead"
    )


def _coaxial(source, centre) -> bool:
    if isinstance(source, Loops):
        off = np.concatenate([np.asarray(source.centre)[:, :2], np.asarray(source.normal)[:, :2]])
        return not off.any() and not any(centre[:2])
    return isinstance(source, Blocks) and not any(centre[:2])


def _zonal_table(coefficients):
    square = jnp.zeros((len(coefficients), len(coefficients)))
    return square.at[:, 0].set(coefficients), square


def _constant(value, order):
    square = jnp.zeros((order + 1, order + 1))
    return square.at[0, 0].set(value), square


def _project(source, radius, order, axis, centre, rule):
    directions, weights = sphere_rule(rule)
    values = source.field(np.asarray(centre) + radius * directions) @ np.asarray(axis)
    return Harmonics(*projection(directions, weights, values, order), float(radius), centre, axis)


def _converged(source, radius, order, axis, centre, limit: int = 400):
    """Raise the rule until the table stands still."""
    rule = 2 * order + 12
    table = _project(source, radius, order, axis, centre, rule)
    while rule < limit:
        rule = int(1.6 * rule)
        finer = _project(source, radius, order, axis, centre, rule)
        move = max(float(jnp.abs(finer.cosine - table.cosine).max()), float(jnp.abs(finer.sine - table.sine).max()))
        table = finer
        if move <= 1e-12 * max(float(jnp.abs(table.cosine).max()), float(jnp.abs(table.sine).max())):
            return table
    raise ValueError(
        f"harmonics: the field must be smooth on the sphere of radius {radius} m, but its coefficients still move with "
        f"a rule of degree {rule}; take a smaller radius, or state `rule` and accept its error"
    )


def _check_order(order):
    if not (isinstance(order, int | np.integer) and 0 <= order < solid.LARGEST):
        raise ValueError(
            f"harmonics: order must be a whole number from 0 to {solid.LARGEST - 1}, got {order!r}; "
            "beyond that the factorials of the harmonics leave the range of float64"
        )


def _check_clear(source, radius, centre):
    nearest, _ = source.extent(np.asarray(centre))
    if radius >= nearest:
        raise ValueError(
            f"harmonics: radius must be less than {nearest:.6g} m, the distance from the centre to the nearest conductor "
            f"or magnet, got {radius:.6g} m; outside a source-free ball the expansion does not hold"
        )


def _traced(source) -> bool:
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree_util.tree_leaves(source))
