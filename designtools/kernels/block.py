"""Field and vector potential of a winding of rectangular section about the z axis, correct everywhere.

Uniform current density J runs about the axis through inner <= r' <= outer, z_low <= z' <= z_high.  Two forms, chosen
point by point (`_level`), so that the error stays below 1e-11 of the field; more in docs/physics-fields.md.

near  Integrate over the section in closed form at fixed azimuth phi, then over phi numerically.
      With xi = r cos(phi), h = r sin(phi), u = r' - xi, v = z' - z, R^2 = u^2 + v^2 + h^2, square brackets for the
      difference over the four corners of the section and k = mu0 J / 2 pi, phi from 0 to pi:
        B_z     = k int [ v ln(u+R) - xi ln(v+R) - h atan(uv/hR) ]
        B_r     = k int cos [ R + xi ln(u+R) ]
        A_phi/r = k int sin^2 [ v ln(u+R) - 2 xi ln(v+R) - (h - r cos^2/sin) atan(uv/hR) ]
      Every bracket is formed from exact differences (`_corners`), so a section of 1e-4 of its radius loses nothing.
      The nodes, tan(phi/4) = t0 sinh(mu x^q) with sinh(mu) = 1/t0, follow the distance to the nearest face.
far   Gauss-Legendre loops over the section, as many as the distance asks for.

Derivatives are stated, not traced (`_field_slope`): those by the edges of the section are the fields of current sheets,
which share the logarithms of the value; those by the point follow from them, from div B = 0 and from curl B = mu0 J.
On a face they are the mean of both sides; at a corner, where they are infinite, they are finite.
"""

from __future__ import annotations

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np

from designtools.kernels.elementary import arctan2, log1p
from designtools.kernels.loop import loop_field, loop_potential
from designtools.kernels.streaming import contract
from designtools.units import MU_0

FAR_RULES = ((4, 4), (8, 4), (8, 6), (16, 6))  # loops along the longer side and across, by level
NEAR_RULES = ((0.6, 16), (0.015, 32), (5e-4, 48), (1e-5, 64), (0.0, 160))  # distance to a face over r, azimuths
_LOOPS_AT_ONCE, _AZIMUTHS_AT_ONCE = 16, 16  # times a tile of points: what stays in the first-level cache
_FAR = len(FAR_RULES)
_TILE = 256  # points that share one form
_SLAB = 4096  # points that are sorted by form
_NEAR_AXIS = 0.1  # of the outer radius: within it B_r / r comes from an integral by parts
_ON_AXIS = 1e-4  # of the inner radius: within it slopes by r^2 are those on the axis
_TINY = 1e-150  # keeps quotients finite at the corners


def field(points, inner, outer, low, high, current_density):
    """Flux density (P,3) T at points (P,3) m; inner, outer, low, high (N,) m, current_density (N,) A/m2."""
    return _sum(field_factors, points, (inner, outer, low, high), current_density)


def potential(points, inner, outer, low, high, current_density):
    """Vector potential (P,3) T·m of the same windings."""
    return _sum(potential_factors, points, (inner, outer, low, high), current_density)


def _sum(factors, points, sections, current_density):
    return contract(factors, points, sections, current_density[:, None], tile=_SLAB, chunk=1)[:, :, 0]


def field_factors(xyz, inner, outer, low, high):
    """B per A/m2: three arrays (1, P), of one winding."""
    x, y, z = xyz
    along, radial = _of_one(block_field, x * x + y * y, z, (inner, outer, low, high))
    return radial * x, radial * y, along


def potential_factors(xyz, inner, outer, low, high):
    """A per A/m2: three arrays (1, P), of one winding."""
    x, y, z = xyz
    (swirl,) = _of_one(block_potential, x * x + y * y, z, (inner, outer, low, high))
    return -swirl * y, swirl * x, jnp.zeros_like(swirl)


def _of_one(function, r2, z, section):
    """Rows (1, P) and columns (1, 1) of the streamed sum as vectors (P,) and scalars, and back."""
    return tuple(part[None] for part in function(r2[0], z[0], *(edge[0, 0] for edge in section)))


@jax.custom_jvp
def block_field(r2, z, inner, outer, low, high):
    """(B_z, B_r / r) per A/m2 at squared radii r2 (P,) and heights z (P,) of one section (scalars)."""
    return _by_form(_far_field, _near_field, r2, z, (inner, outer, low, high))


@jax.custom_jvp
def block_potential(r2, z, inner, outer, low, high):
    """(A_phi / r,) per A/m2, arguments as for `block_field`."""
    return _by_form(_far_potential, _near_potential, r2, z, (inner, outer, low, high))


@block_field.defjvp
def _field_slope(primals, tangents):
    r2, z, *section = primals
    axial, radial, axial_z, radial_z, *edges = _by_form(_far_field_slope, _near_field_slope, r2, z, tuple(section))
    current = MU_0 * _share_inside(r2, z, section) / (2 * _positive_root(r2))
    radial_r2 = _slope_by_square(r2, -axial_z - 2 * radial, section, _axial_third(z, section))
    slopes = (radial_z / 2 - current, axial_z, *edges[0::2]), (radial_r2, radial_z, *edges[1::2])
    return (axial, radial), tuple(sum(map(jnp.multiply, slope, tangents)) for slope in slopes)


@block_potential.defjvp
def _potential_slope(primals, tangents):
    r2, z, *section = primals
    value, axial, radial, *edges = _by_form(_far_potential_slope, _near_potential_slope, r2, z, tuple(section))
    value_r2 = _slope_by_square(r2, axial - 2 * value, section, _axial_second(z, section))
    slope = (value_r2, -radial, *edges)
    return (value,), (sum(map(jnp.multiply, slope, tangents)),)


def _slope_by_square(r2, double, section, on_axis):
    """double / (2 r2), and on the axis, where both vanish, the stated limit."""
    near = r2 <= (_ON_AXIS * section[0]) ** 2
    return jnp.where(near, on_axis, double / (2 * jnp.where(near | (r2 == 0), 1.0, r2)))


def _share_inside(r2, z, section):
    """1 inside the section, 1/2 on a face, 1/4 at a corner, 0 outside."""
    inner, outer, low, high = section
    r = jnp.sqrt(jax.lax.stop_gradient(r2))
    return (jnp.sign(r - inner) - jnp.sign(r - outer)) * (jnp.sign(z - low) - jnp.sign(z - high)) / 4


def _axial_second(z, section):
    """-1/16 of the second derivative of B_z along the axis: d2/dv2 [v ln(a+R)] = v/(R(a+R)) + a v/R3."""
    term = lambda a, v, R: v / (R * (a + R)) + a * v / R**3
    return -MU_0 / 32 * _axis_bracket(term, z, section)


def _axial_third(z, section):
    """1/16 of the third derivative of B_z along the axis."""
    term = lambda a, v, R: (a * a + a * R - R * R) / (R**3 * (a + R)) + a / R**3 - 3 * a * v * v / R**5
    return -MU_0 / 32 * _axis_bracket(term, z, section)


def _axis_bracket(term, z, section):
    inner, outer, low, high = section
    at = lambda a, end: term(a, end - z, jnp.sqrt(a * a + (end - z) ** 2 + 1e-60))
    return at(outer, high) - at(outer, low) - at(inner, high) + at(inner, low)


# --- which form where -------------------------------------------------------------------------------------------------


def _by_form(far, near, r2, z, section):
    """Arrays (P,): points sorted by level into tiles; each tile by the forms that its points need."""
    level = _level(r2, z, section)
    scattered = jnp.sum(level[1:] != level[:-1]) > len(level) // _TILE
    order = jax.lax.cond(scattered, _order, lambda level: jnp.arange(len(level), dtype=jnp.int32), level)
    pick = lambda a: jax.lax.cond(scattered, lambda: a[..., order], lambda: a)
    points, tile = pick(jnp.stack([r2, z])), min(_TILE, len(level))
    rule = _azimuth_rule(section, r2.dtype)
    of_tile = jax.checkpoint(lambda r2, z, level: _tile(far, near, rule, section, r2, z, level))
    out = jax.lax.map(lambda part: of_tile(*part), tuple(_tiles(part, tile) for part in (*points, pick(level))))
    out = jnp.moveaxis(out, 1, 0).reshape(out.shape[1], -1)[:, : len(order)]
    return tuple(jax.lax.cond(scattered, lambda: out.at[:, order].set(out, unique_indices=True), lambda: out))


def _order(level):
    """Indices (P,) that sort by level: one sort of level and index packed in one number."""
    count = len(level)
    return jnp.sort(level * count + jnp.arange(count, dtype=jnp.int32)) % count


def _tiles(array, tile):
    """(P,) as (tiles, tile), the last value repeated."""
    return jnp.pad(array, (0, -len(array) % tile), mode="edge").reshape(-1, tile)


def _tile(far, near, rule, section, r2, z, level):
    """Each form runs only if some point needs it; points it does not serve are moved to a tame place."""
    remote = level < _FAR
    inner, outer, low, high = section
    away = jnp.where(remote, r2, 1e4 * (outer + high - low) ** 2)
    from_far = far(jnp.max(jnp.where(remote, level, -1)), away, z, section)
    from_near = near(jnp.max(jnp.where(remote, -1, level - _FAR)), r2, z, section, rule)
    return jnp.where(remote, jnp.stack(from_far), jnp.stack(from_near))


def _level(r2, z, section):
    """The cheapest form (P,) that serves each point: index of FAR_RULES, then of NEAR_RULES.

    n Gauss nodes on an interval err by rho^(-2n), where the integrand's nearest singularity sits on the Bernstein
    ellipse rho with foci at the interval's ends; (sum of distances to the ends)/length = cosh(ln rho).
    """
    inner, outer, low, high = section
    r = jnp.sqrt(r2)
    beside, above = jnp.maximum(inner - r, r - outer), jnp.maximum(low - z, z - high)
    out_r, out_z = jnp.maximum(beside, 0.0), jnp.maximum(above, 0.0)
    gap = jnp.where((beside < 0) & (above < 0), -jnp.maximum(beside, above), _length(out_r, out_z))
    level = _FAR + sum((gap < limit * r).astype(jnp.int32) for limit, _ in NEAR_RULES[:-1])
    across = (_length(r - inner, out_z) + _length(r - outer, out_z), outer - inner)
    along = (_length(z - low, out_r) + _length(z - high, out_r), high - low)
    wide = outer - inner > high - low
    long, short = (tuple(jnp.where(wide, a, b) for a, b in zip(*pair)) for pair in ((across, along), (along, across)))
    for index in reversed(range(_FAR)):
        enough = [sums > length * _spread(n) for (sums, length), n in zip((long, short), FAR_RULES[index])]
        pays = gap > 3 * outer if index == _FAR - 1 else True  # so many loops only where azimuths cancel
        level = jnp.where(enough[0] & enough[1] & pays, index, level)
    return level


def _length(x, y):
    return jnp.sqrt(x * x + y * y)


def _spread(nodes):
    """cosh(ln rho) at which `nodes` Gauss nodes reach 1e-12: some 500 rho^(-2n), as the singularity is of third order."""
    return float(np.cosh(np.log(5e14) / (2 * nodes)))


# --- far: loops -------------------------------------------------------------------------------------------------------


def _far_field(level, r2, z, section):
    """(B_z, B_r / r)."""
    def ring(node):
        return [jax.lax.complex(*loop_field(r2, z - node.height, node.radius))]

    (total,) = _accumulate(ring, 1, jnp.complex128, *_loops(level, section, r2))
    return total.real, total.imag


def _far_potential(level, r2, z, section):
    """(A_phi / r,)."""
    return _accumulate(lambda n: [loop_potential(r2, z - n.height, n.radius)], 1, r2.dtype, *_loops(level, section, r2))


def _far_field_slope(level, r2, z, section):
    """(B_z, B_r / r), their derivatives by z, and by inner, outer, low, high, pairwise.

    By radius from Euler's relation for homogeneous functions with div B = 0 and curl B = 0.
    """
    def ring(node):
        d = z - node.height
        value, slope = jax.jvp(lambda d: loop_field(r2, d, node.radius), (d,), (jnp.ones_like(d),))
        (b, q), (bz, qz) = jax.lax.optimization_barrier((value, slope))
        by_radius = jax.lax.complex(-b - d * bz - r2 * qz, bz - d * qz) / node.radius
        value, slope = jax.lax.complex(b, q), jax.lax.complex(bz, qz)
        return [value, slope, by_radius, node.across * by_radius, node.along * slope]

    totals = _accumulate(ring, 5, jnp.complex128, *_loops(level, section, r2), static=True)
    edges = _edges(*totals, section)
    return [part for total in (*totals[:2], *edges) for part in (total.real, total.imag)]


def _far_potential_slope(level, r2, z, section):
    """(A_phi / r, B_z, B_r / r) and the derivatives of the first by inner, outer, low, high."""
    def ring(node):
        d = z - node.height
        swirl, (b, q) = loop_potential(r2, d, node.radius), loop_field(r2, d, node.radius)
        swirl, b, q = jax.lax.optimization_barrier((swirl, b, q))
        by_radius = (swirl + d * q - b) / node.radius
        return [swirl, b, q, by_radius, node.across * by_radius, -node.along * q]

    value, b, q, by_radius, across, along = _accumulate(ring, 6, r2.dtype, *_loops(level, section, r2), static=True)
    return [value, b, q, *_edges(value, -q, by_radius, across, along, section)]


def _edges(value, slope, by_radius, across, along, section):
    """Derivatives by inner, outer, low, high of the sum, whose area and nodes move with them."""
    inner, outer, low, high = section
    by_width, by_height = value / (outer - inner), value / (high - low)
    return (
        (by_radius - across) / 2 - by_width,
        (by_radius + across) / 2 + by_width,
        (along - slope) / 2 - by_height,
        -(along + slope) / 2 + by_height,
    )


def _loops(level, section, like):
    """(nodes(step), number of steps): radius, height, place in [-1, 1] across and along, area weight of some loops."""
    inner, outer, low, high = section
    wide = outer - inner > high - low
    fine, coarse, weight = (jnp.asarray(table, like.dtype)[level] for table in _loop_tables())
    area = (outer - inner) * (high - low)

    def nodes(step):
        part = lambda table: jax.lax.dynamic_slice(table, (step * _LOOPS_AT_ONCE,), (_LOOPS_AT_ONCE,))[:, None]
        across, along = (jnp.where(wide, part(a), part(b)) for a, b in ((fine, coarse), (coarse, fine)))
        radius, height = (inner + outer) / 2 + (outer - inner) / 2 * across, (low + high) / 2 + (high - low) / 2 * along
        weights = area * part(weight)[:, 0]
        return SimpleNamespace(radius=radius, height=height, across=across, along=along, weight=weights)

    return nodes, like, *_steps([long * short for long, short in FAR_RULES], _LOOPS_AT_ONCE, level)


def _loop_tables():
    """Gauss points along the longer side and across it, and weights that sum to 1: (rules, nodes) each."""
    rows = []
    for long, short in FAR_RULES:
        (t, w), (tau, omega) = (np.polynomial.legendre.leggauss(n) for n in (long, short))
        rows.append((np.repeat(t, short), np.tile(tau, long), np.outer(w, omega).ravel() / 4))
    return _padded(rows, _LOOPS_AT_ONCE)


# --- near: azimuths ---------------------------------------------------------------------------------------------------


def _near_field(level, r2, z, section, rule):
    """(B_z, B_r / r)."""
    r = _positive_root(r2)

    def integrand(node):
        t = _corners(node, r, z, section)
        return [jax.lax.complex(_axial(t, 1), t.c * (t.square + t.xi * t.log_u))]

    (total,) = _accumulate(integrand, 1, jnp.complex128, *_azimuths(level, rule, r2))
    return total.real, total.imag / r


def _near_potential(level, r2, z, section, rule):
    """(A_phi / r,)."""
    r = _positive_root(r2)
    return _accumulate(
        lambda node: [_swirl(_corners(node, r, z, section))], 1, r2.dtype, *_azimuths(level, rule, r2)
    )


def _near_field_slope(level, r2, z, section, rule):
    """As `_far_field_slope`.  Near the axis what is divided by r comes from integrals by parts."""
    r = _positive_root(r2)
    on_axis = r < _NEAR_AXIS * section[1]

    def integrand(node):
        t = _kept(_corners(node, r, z, section))
        choose = lambda by_parts, direct: jnp.where(on_axis, by_parts, direct / r)
        low, high = _sheet_parts(t)
        value = choose(high - low, t.c * (t.square + t.xi * t.log_u))
        radial = [
            choose(parts, direct)
            for parts, direct in zip((*_cylinder_slopes(t), *_disc_slopes(t)), (*_cylinder_fields(t), *_disc_fields(t)))
        ]
        axial = (*_cylinder_axials(t), *_disc_axials(t))
        return [jax.lax.complex(*pair) for pair in ((_axial(t, 1), value), *zip(axial, radial))]

    value, inner, outer, low, high = _accumulate(
        integrand, 5, jnp.complex128, *_azimuths(level, rule, r2), static=True
    )
    parts = (value, -low - high, inner, outer, low, high)
    return [part for total in parts for part in (total.real, total.imag)]


def _near_potential_slope(level, r2, z, section, rule):
    """As `_far_potential_slope`."""
    r = _positive_root(r2)

    def integrand(node):
        t = _kept(_corners(node, r, z, section))
        low, high = _sheet_parts(t)
        inner, outer = (t.s**2 * a * a * k for a, k in zip(t.a, t.rise_v))
        return [_swirl(t), _axial(t, 1), high - low, -inner, outer, -low, high]

    return _accumulate(integrand, 7, r2.dtype, *_azimuths(level, rule, r2), static=True)


def _axial(t, rounds):
    """[v ln(u+R) - rounds xi ln(v+R) - h atan(uv/hR)]: B_z with one round, the potential with two."""
    return t.height * t.log_low + t.v[1] * t.log_u - rounds * t.xi * t.log_v - t.h * t.angle


def _swirl(t):
    return t.s * t.s * _axial(t, 2) + t.xi * t.c * t.s * t.angle


def _sheet_parts(t):
    """sin^2 [ln(u+R) - (a+xi)/R + xi^2 u/((h^2+v^2) R)] over u at low and high: A_phi / r of the faces, by parts."""
    return [
        t.s**2 * (log - t.width / t.R[1][j] - (t.a[0] + t.xi) * t.step_u[j] + t.xi**2 * t.rise_u[j])
        for j, log in enumerate((t.log_low, t.log_low + t.log_u))
    ]


def _cylinder_axials(t):
    """B_z of current sheets on the inner (negative) and outer face: a u [v/R]/(u^2 + h^2)."""
    inner, outer = (a * u * k for a, u, k in zip(t.a, t.u, t.rise_v))
    return -inner, outer


def _cylinder_fields(t):
    """B_r of the same: cos a [1/R]."""
    inner, outer = (t.c * a * g for a, g in zip(t.a, t.step_v))
    return -inner, outer


def _cylinder_slopes(t):
    """B_r / r of the same by parts: sin^2 a^2 [1/R^3]."""
    inner, outer = (t.s**2 * a * a * _step_of_cubes(g, R) for a, g, R in zip(t.a, t.step_v, t.R))
    return -inner, outer


def _disc_axials(t):
    """B_z of current sheets on the low (negative) and high face: [ln(u+R) - a/R]."""
    low, high = (
        log - t.width / t.R[1][j] - t.a[0] * t.step_u[j] for j, log in enumerate((t.log_low, t.log_low + t.log_u))
    )
    return -low, high


def _disc_fields(t):
    """B_r of the same: cos v [(h^2 + v^2 - xi u)/(R (h^2 + v^2))]."""
    low, high = (t.c * t.v[j] * (t.step_u[j] - t.xi * t.rise_u[j]) for j in (0, 1))
    return -low, high


def _disc_slopes(t):
    """B_r / r of the same by parts: the derivative of `_sheet_parts` by v."""
    low, high = (_disc_slope(t, j) for j in (0, 1))
    return -low, high


def _disc_slope(t, j):
    R = t.R[0][j], t.R[1][j]
    cubes = t.width / R[1] ** 3 + (t.a[0] + t.xi) * _step_of_cubes(t.step_u[j], R)
    return t.s**2 * t.v[j] * (cubes - t.rise_u[j] - t.xi**2 * _step_of_fifths(t, j))


def _step_of_cubes(step, R):
    """[1/R^3] from [1/R]."""
    return step * (1 / R[1] ** 2 + 1 / (R[0] * R[1]) + 1 / R[0] ** 2)


def _step_of_fifths(t, j):
    """[u/(p R^3) + 2 u/(p^2 R)] over u at constant p = h^2 + v^2, without the common 2/p^2 of ends on one side."""
    def rest(i):
        u, R = jnp.abs(t.u[i]), t.R[i][j]
        tau = 1 / (R * (R + u))
        return tau * tau * (2 + u / R)

    side = jnp.where(t.u[1] < 0, -1.0, 1.0)
    beside = t.u[0] * t.u[1] < 0
    square = jnp.where(beside, jnp.maximum(t.vv[j], 1e-140), 1.0)
    return jnp.where(beside, 4 / (square * square) - rest(0) - rest(1), side * (rest(0) - rest(1)))


def _corners(node, r, z, section):
    """The elementary terms (azimuth, point): brackets of ln(u+R), ln(v+R), R and atan(uv/hR) over the corners.

    T = R0 + R1 along u at each v, S along v at each u.  T - width = 2 (R0 R1 + R0.R1)/(T + width), with
    |R0 x R1|^2/(R0 R1 - R0.R1) where the dot product is negative, cancels nowhere; ln of the end ratio is
    log1p(2 width/(T - width)); what differs over the other direction follows from
    S1 - S0 = width (u0 + u1)(1/T0 + 1/T1), which is exact.
    """
    inner, outer, low, high = section
    t = SimpleNamespace(width=outer - inner, height=high - low, c=node.c, s=node.s, h=r * node.s, xi=r * node.c)
    t.a, t.u, t.v = (inner, outer), (inner - r + r * node.versine, outer - r + r * node.versine), (low - z, high - z)
    h2 = t.h * t.h
    t.uu, t.vv = tuple(u * u + h2 for u in t.u), tuple(v * v + h2 for v in t.v)
    t.R = tuple(tuple(jnp.sqrt(u * u + vv + 1e-120) for vv in t.vv) for u in t.u)
    t.T, t.S = tuple(t.R[0][j] + t.R[1][j] for j in (0, 1)), tuple(sum(pair) for pair in t.R)
    along_u = tuple(t.u[0] * t.u[1] + vv for vv in t.vv)  # dot products of the corners' vectors
    along_v = tuple(t.v[0] * t.v[1] + uu for uu in t.uu)
    m = [_excess(t.R[0][j], t.R[1][j], along_u[j], t.T[j], t.width, t.vv[j]) for j in (0, 1)]
    n = [_excess(*t.R[i], along_v[i], t.S[i], t.height, t.uu[i]) for i in (0, 1)]
    rise = t.height * (t.v[0] + t.v[1]) * (t.S[0] + t.S[1]), t.S[0] * t.S[1]  # T1 - T0 as numerator, denominator
    reach = t.width * (t.u[0] + t.u[1]) * (t.T[0] + t.T[1]), t.T[0] * t.T[1]  # S1 - S0
    t.square = -t.height * (t.v[0] + t.v[1]) * reach[0] / (reach[1] * rise[1])
    t.log_low = log1p(t.width * m[0][1] / m[0][0])
    t.log_u, t.log_v = _log_step(m, rise, t.width), _log_step(n, reach, t.height)
    t.angle = _solid_angle(t, along_u, along_v, h2)
    return t


def _excess(r0, r1, dot, total, length, square):
    """(R0 + R1 - length)/2 without cancellation as numerator, denominator; square = squared distance from the side."""
    size = r0 * r1 + jnp.abs(dot)
    beside = dot < 0
    return jnp.where(beside, length * length * square, size) + _TINY, jnp.where(beside, size, 1.0) * (total + length)


def _log_step(excess, rise, length):
    """ln ratio at the upper side minus at the lower, where excess[1] - excess[0] = rise / 2."""
    up = rise[0] >= 0
    least, most = ([jnp.where(up, *pair) for pair in zip(*ends)] for ends in (excess, excess[::-1]))
    size = length * jnp.where(up, rise[0], -rise[0]) * (least[1] * most[1])
    step = log1p(size / (2 * rise[1] * least[0] * (most[0] + length * most[1])))
    return jnp.where(up, -step, step)


def _solid_angle(t, along_u, along_v, h2):
    """[atan(uv/hR)], the solid angle of the section from height h: of its two triangles (van Oosterom & Strackee)."""
    across = t.u[0] * t.u[1] + t.v[0] * t.v[1] + h2
    (a, b), (c, d) = t.R
    first = a * c * d + along_u[0] * d + along_v[1] * a + across * c
    second = a * d * b + across * b + along_u[1] * a + along_v[0] * d
    triple = t.h * t.width * t.height
    return 2 * arctan2(triple * (first + second), first * second - triple * triple + _TINY)


def _kept(t):
    """The same terms with logarithms and angle computed once, and the brackets of 1/R and of u/R, v/R over p."""
    t.log_low, t.log_u, t.log_v, t.angle, t.R = jax.lax.optimization_barrier(
        (t.log_low, t.log_u, t.log_v, t.angle, t.R)
    )
    along_u = [(t.R[0][j], t.R[1][j]) for j in (0, 1)]
    t.step_u = [_inverse_step(t.width, t.u, R) for R in along_u]
    t.step_v = [_inverse_step(t.height, t.v, R) for R in t.R]
    t.rise_u = [_cosine_step(t.width, t.u, R, p) for R, p in zip(along_u, t.vv)]
    t.rise_v = [_cosine_step(t.height, t.v, R, p) for R, p in zip(t.R, t.uu)]
    return t


def _inverse_step(length, ends, R):
    """1/R1 - 1/R0, where the ends are `length` apart."""
    return -length * (ends[0] + ends[1]) / ((R[0] + R[1]) * R[0] * R[1])


def _cosine_step(length, ends, R, square):
    """(x1/R1 - x0/R0)/p with R^2 = x^2 + p; finite as p -> 0 unless the ends lie on either side."""
    one_side = ends[0] * ends[1] > 0
    total = jnp.where(one_side, ends[1] * R[0] + ends[0] * R[1], 1.0)
    apart = (ends[1] * R[0] - ends[0] * R[1]) / jnp.where(one_side, 1.0, jnp.maximum(square, 1e-140))
    return jnp.where(one_side, length * (ends[0] + ends[1]) / total, apart) / (R[0] * R[1])


def _azimuths(level, rule, like):
    """(nodes(step), ...) for `_accumulate`: cos, sin, 1 - cos (A,1) and weight (A,) of some of the graded azimuths."""
    row = [table[level] for table in rule]

    def nodes(step):
        part = [jax.lax.dynamic_slice(table, (step * _AZIMUTHS_AT_ONCE,), (_AZIMUTHS_AT_ONCE,)) for table in row]
        part = jax.lax.optimization_barrier(part)
        return SimpleNamespace(c=part[0][:, None], s=part[1][:, None], versine=part[2][:, None], weight=part[3])

    return nodes, like, *_steps([count for _, count in NEAR_RULES], _AZIMUTHS_AT_ONCE, level)


def _azimuth_rule(section, dtype):
    """cos, sin, 1 - cos and weight (levels, azimuths) with mu0/2 pi: tan(phi/4) = t0 sinh(mu x^q), sinh(mu) = 1/t0.

    q = 1 and t0 at the least distance of the level; at the last level, down to the face, q = 4 and t0 follows the
    size of the section: every scale below it counts, the smaller the less.
    """
    inner, outer, low, high = section
    at_face = jnp.clip(0.025 * jnp.minimum(outer - inner, high - low) / outer, 1e-9, 0.25)
    scales = jnp.stack([jnp.asarray(limit / 4, dtype) for limit, _ in NEAR_RULES[:-1]] + [at_face])
    scale = jax.lax.stop_gradient(scales)[:, None]
    mu = jnp.arcsinh(1 / scale)
    place, weight = (jnp.asarray(table, dtype) for table in _azimuth_tables())
    t, slope = scale * jnp.sinh(mu * place), scale * mu * jnp.cosh(mu * place) * weight
    half_sine, half_cosine = 2 * t / (1 + t * t), (1 - t * t) / (1 + t * t)
    versine = 2 * half_sine * half_sine
    return 1 - versine, 2 * half_sine * half_cosine, versine, MU_0 / (2 * jnp.pi) * 4 * slope / (1 + t * t)


def _azimuth_tables():
    """x^q and its weight (rules, nodes), from Gauss-Legendre on [0, 1]."""
    rows = []
    for limit, count in NEAR_RULES:
        t, w = np.polynomial.legendre.leggauss(count)
        x, power = (t + 1) / 2, 1 if limit else 4
        rows.append((x**power, w / 2 * power * x ** (power - 1)))
    return _padded(rows, _AZIMUTHS_AT_ONCE)


def _positive_root(r2):
    """sqrt(r2), kept off zero where its derivative is infinite; what follows is even in r."""
    return jax.lax.optimization_barrier(jnp.sqrt(jnp.where(r2 > 0, r2, 1e-60)))


# --- sums over nodes, some at a time ----------------------------------------------------------------------------------


def _accumulate(terms, count, dtype, nodes, like, steps, most, static=False):
    """Sums over all nodes of the weighted terms(node), arrays (nodes, points): `count` arrays (points,).

    Few nodes at a time stay in cache.  static: as many steps for every level, which reverse differentiation needs.
    """
    def add(step, total):
        node = nodes(step)
        return total + jnp.stack([node.weight.astype(part.dtype) @ part for part in terms(node)])

    start = jnp.zeros((count, *like.shape), dtype)
    if not static:
        return tuple(jax.lax.fori_loop(0, steps, add, start))
    keep = lambda step, total: total
    body = jax.checkpoint(lambda total, step: (jax.lax.cond(step < steps, add, keep, step, total), None))
    return tuple(jax.lax.scan(body, start, jnp.arange(most))[0])


def _steps(counts, at_once, level):
    """Steps of the rule of this level (none at level -1), and of the longest."""
    steps = [-(-count // at_once) for count in counts]
    return jnp.where(level < 0, 0, jnp.asarray(steps)[level]), max(steps)


def _padded(rows, at_once):
    """Tables (rules, nodes) of rules of different lengths; the weights, last, are zero beyond each."""
    length = max(-(-len(row[0]) // at_once) * at_once for row in rows)
    return [np.stack([np.pad(row[i], (0, length - len(row[i]))) for row in rows]) for i in range(len(rows[0]))]
