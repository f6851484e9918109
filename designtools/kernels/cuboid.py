"""Field and vector potential of a uniformly polarised cuboid, in the magnet's own frame.

With W = int dV'/R over the cuboid and polarization J (T):

    B = grad(J . grad W)/4 pi  (+ J inside),      A = -J x grad W / 4 pi.

With u, v, w from the point to a corner and [.] the signed sum over the eight corners
    d2W/dx2 = -[atan(v w/(u R))],   d2W/dxdy = [ln(w + R)],   dW/dx = -[v ln(w+R) + w ln(v+R) - u atan(v w/(u R))]
and cyclic.  Eight corners nearly cancel far away.  So no corner is evaluated alone: two opposite faces have one angle
(their solid angles, `_faces`), four parallel edges one logarithm, of a ratio whose difference from 1 is formed from
exact differences (`_log_sum`).  What remains is a loss of distance/size, instead of its cube; beyond some 40
half-diagonals the multipoles of the cuboid up to degree 6 take over (`_multipoles`).  The slopes of the second
derivatives are stated (`_curvature_slope`).  Derivation and figures: docs/physics-fields.md.

On a face the value is one of the two limits.  On an edge, where the field is infinite, it is that at 1e-15 of the
edge's length.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from designtools.kernels.elementary import arctan2, log1p
from designtools.kernels.frame import to_own
from designtools.kernels.streaming import contract

TOLERANCE = 1e-12  # of the field: what the far form may err
_CHUNK = 16  # magnets at a time: a tile of points times these stays in cache
_FLOOR = 1e-30  # of the squared length of an edge


def field(points, centre, half, rotation, polarization, tolerance=TOLERANCE):
    """Flux density (P,3) T at points (P,3) m.

    centre, half sizes (N,3) m; rotation (N,3,3), columns are the magnet's axes; polarization (N,3) T, own frame;
    tolerance: relative error that far magnets may make (at most; 1e-12 is as good as the closed form).
    """
    j = [column[:, None] / (4 * jnp.pi) for column in jnp.asarray(polarization).T]
    x, y, z = jnp.moveaxis(jnp.asarray(rotation), 2, 0)
    shares = (x * j[0] - z * j[2], y * j[1] - z * j[2], x * j[1] + y * j[0], y * j[2] + z * j[1], z * j[0] + x * j[2], z * j[2])
    return _sum(_curvatures, points, centre, half, rotation, shares, tolerance)


def potential(points, centre, half, rotation, polarization, tolerance=TOLERANCE):
    """Vector potential (P,3) T·m of the same magnets."""
    turned = jnp.einsum("nij,nj->ni", rotation, polarization)
    shares = tuple(jnp.cross(axis, turned) / (4 * jnp.pi) for axis in jnp.moveaxis(jnp.asarray(rotation), 2, 0))
    return _sum(_slopes, points, centre, half, rotation, shares, tolerance)


def scalar_potential(points, centre, half, rotation, polarization, tolerance=TOLERANCE):
    """mu0 times the scalar potential, (P,) T·m, of the same magnets; -grad of it is mu0 H, inside too."""
    shares = tuple(-column[:, None] / (4 * jnp.pi) for column in jnp.asarray(polarization).T)
    return _sum(_slopes, points, centre, half, rotation, shares, tolerance)[:, 0]


def _sum(kernel, points, centre, half, rotation, shares, tolerance):
    sources = (centre, half, rotation.reshape(-1, 9), _far_square(half, tolerance))
    return sum(contract(kernel, points, sources, shares, chunk=_CHUNK))


def _far_square(half, tolerance):
    """Squared distance (N,) m2 beyond which multipoles err less than tolerance: 10 (half-diagonal/distance)^8."""
    return jnp.sum(jnp.square(jnp.asarray(half)), axis=1) * (10 / tolerance) ** (1 / 4)


def _curvatures(xyz, centre, half, axes, far_square):
    return _near_or_far(_near_curvature, _far_curvature, to_own(xyz, centre, axes), half, far_square)


def _slopes(xyz, centre, half, axes, far_square):
    return _near_or_far(_near_slope, _far_slope, to_own(xyz, centre, axes), half, far_square)


def cuboid_field(position, half, polarization, far_square):
    """B (3 arrays, T) at position (3 arrays) m from the centre; half sizes m, polarization T (3 arrays each)."""
    xx, yy, xy, yz, zx, within = _near_or_far(_near_curvature, _far_curvature, position, half, far_square)
    zz = within - xx - yy  # the trace of the second derivatives is -4 pi inside and 0 outside
    jx, jy, jz = (j / (4 * jnp.pi) for j in polarization)
    return xx * jx + xy * jy + zx * jz, xy * jx + yy * jy + yz * jz, zx * jx + yz * jy + zz * jz


def cuboid_potential(position, half, polarization, far_square):
    """A (3 arrays, T·m), arguments as for `cuboid_field`."""
    gx, gy, gz = _near_or_far(_near_slope, _far_slope, position, half, far_square)
    jx, jy, jz = (j / (4 * jnp.pi) for j in polarization)
    return jz * gy - jy * gz, jx * gz - jz * gx, jy * gx - jx * gy


def _near_or_far(near, far, position, half, far_square):
    """The arrays of one form where it serves the whole tile, else of both: points are moved to where a form is tame."""
    apart = _square(position) > far_square
    every, some = jnp.all(apart), jnp.any(apart)
    count = len(jax.eval_shape(near, position, half))
    nothing = lambda: (jnp.zeros(apart.shape, half[0].dtype),) * count
    size = half[0] + half[1] + half[2]
    close = jax.lax.cond(some, lambda: tuple(jnp.where(apart, 0.3 * h, p) for p, h in zip(position, half)), lambda: position)
    away = tuple(jnp.where(apart, p, 1e3 * size) for p in position)
    from_near = jax.lax.cond(every, nothing, lambda: jax.checkpoint(near)(close, half))
    from_far = jax.lax.cond(some, lambda: jax.checkpoint(far)(away, half), nothing)
    mixed = lambda: tuple(jnp.where(apart, a, b) for a, b in zip(from_far, from_near))
    return jax.lax.switch(every.astype(int) + some, (lambda: from_near, mixed, lambda: from_far))


def _near_curvature(position, half):
    """Second derivatives xx, yy, xy, yz, zx of W, 4 pi more on the diagonal inside, and 8 pi inside."""
    within = jnp.where(_inside(_ends(position, half)), 4 * jnp.pi, 0.0)
    xx, yy, xy, yz, zx = _curvature(position, half)
    return xx + within, yy + within, xy, yz, zx, 2 * within


@jax.custom_jvp
def _curvature(position, half):
    """Second derivatives xx, yy, xy, yz, zx of W."""
    lengths = [2 * h for h in half]
    ends = [_mirrored(p, h) for p, h in zip(position, half)]
    sx, sy, sz = (jnp.where(p < 0, -1.0, 1.0) for p in position)
    R = _distances(ends)
    side = [_sums(R, axis) for axis in range(3)]
    xy, yz, zx = (_log_sum(ends, R, side, lengths, axis) for axis in (2, 0, 1))
    return *(_faces(ends, R, lengths, axis) for axis in (0, 1)), sx * sy * xy, sy * sz * yz, sz * sx * zx


def _mirrored(p, h):
    """Both ends seen from the point's image at a positive coordinate; a lower face keeps the point outside."""
    return -h - jnp.abs(p), (h - jnp.abs(p)) + jnp.minimum(p, 0.0) * 1e-150


@_curvature.defjvp
def _curvature_slope(primals, tangents):
    """Each end's own share: W of a face that moves is that of a layer of charge on it."""
    ends, steps = _ends(*primals), _ends(*tangents)
    edges, inverse = _edge_slopes(ends)
    total = [0.0] * 5
    for axis in range(3):
        for end in (0, 1):
            step = steps[axis][end] if end else -steps[axis][end]
            layer = _layer(ends, edges, inverse, axis, end)
            total = [t + step * f for t, f in zip(total, layer)]
    return _curvature(*primals), tuple(total)


def _edge_slopes(ends):
    """[w/R]/(u2 + v2) of the edges [axis][i][j] with w along the axis; 1/R of the corners."""
    least = _FLOOR * sum(length * length for length in _lengths(ends))
    squares = [[x * x for x in pair] for pair in ends]
    inverse = [[[1 / jnp.sqrt(jnp.maximum(a + b + c, least)) for c in squares[2]] for b in squares[1]] for a in squares[0]]
    return [_edges_along(ends, squares, inverse, axis, least) for axis in range(3)], inverse


def _edges_along(ends, squares, inverse, axis, least):
    first, second = (axis + 1) % 3, (axis + 2) % 3
    low, high = ends[axis]
    one_side = low * high > 0

    def slope(i, j):
        p, q = _at(inverse, axis, 0, i, j), _at(inverse, axis, 1, i, j)
        apart = (high * q - low * p) / jnp.where(one_side, 1.0, jnp.maximum(squares[first][i] + squares[second][j], least))
        merged = (high - low) * (high + low) * (p * q) / jnp.where(one_side, high / p + low / q, 1.0)
        return jnp.where(one_side, merged, apart)

    return [[slope(i, j) for j in (0, 1)] for i in (0, 1)]


def _layer(ends, edges, inverse, axis, end):
    """xx, yy, xy, yz, zx of the layer on the upper face of `axis`, or minus that on the lower."""
    a, b, c = axis, (axis + 1) % 3, (axis + 2) % 3
    along_c = edges[c][end]  # [end of b]
    along_b = [edges[b][k][end] for k in (0, 1)]  # [end of c]
    corner = [[_at(inverse, axis, end, j, k) for k in (0, 1)] for j in (0, 1)]
    table = {
        (b, b): ends[b][0] * along_c[0] - ends[b][1] * along_c[1],
        (c, c): ends[c][0] * along_b[0] - ends[c][1] * along_b[1],
        (a, b): ends[a][end] * (along_c[0] - along_c[1]),
        (a, c): ends[a][end] * (along_b[0] - along_b[1]),
        (b, c): corner[1][1] - corner[1][0] - corner[0][1] + corner[0][0],
    }
    table[a, a] = -table[b, b] - table[c, c]
    pick = lambda i, j: table[(i, j) if (i, j) in table else (j, i)]
    return pick(0, 0), pick(1, 1), pick(0, 1), pick(1, 2), pick(2, 0)


def _lengths(ends):
    return [high - low for low, high in ends]


def _ends(position, half):
    """Per axis, the two face coordinates seen from the point."""
    return tuple((-h - p, h - p) for p, h in zip(position, half))


def _inside(ends):
    """Half-open, as the angles are: the upper face belongs to the magnet, the lower does not."""
    below, above = zip(*ends)
    return (below[0] < 0) & (above[0] >= 0) & (below[1] < 0) & (above[1] >= 0) & (below[2] < 0) & (above[2] >= 0)


def _distances(ends):
    """R[i][j][k] to the corners; never quite zero."""
    u, v, w = ([x * x for x in pair] for pair in ends)
    return [[[jnp.sqrt(a + b + c + 1e-120) for c in w] for b in v] for a in u]


def _at(R, axis, k, i, j):
    """R at end k of `axis` and ends i, j of the next two axes in cyclic order."""
    index = [0, 0, 0]
    index[axis], index[(axis + 1) % 3], index[(axis + 2) % 3] = k, i, j
    return R[index[0]][index[1]][index[2]]


def _sums(R, axis):
    """R0 + R1 of the four edges [i][j] along `axis`."""
    return [[_at(R, axis, 0, i, j) + _at(R, axis, 1, i, j) for j in (0, 1)] for i in (0, 1)]


def _log_sum(ends, R, side, lengths, axis):
    """[ln(w + R)] with w along `axis`, seen from positive coordinates, where it is positive: one logarithm for four edges.

    ln q of an edge, q = 1 + length d/n with n/d = (R0 + R1 - length)/2; and A_j/B_j = q1j/q0j with
    A - B = -length d0 d1 (S1 - S0)/2, S1 - S0 = width (x0 + x1)(1/T0 + 1/T1) exact.
    """
    first, _second = (axis + 1) % 3, (axis + 2) % 3
    length, width = lengths[axis], lengths[first]
    n, d = _excess(ends, R, side, lengths, axis)
    upper = [(n[1][j] + length * d[1][j]) * n[0][j] for j in (0, 1)]
    lower = [(n[0][j] + length * d[0][j]) * n[1][j] for j in (0, 1)]
    pair = side[first]  # [j][k]
    total, product = [p[0] + p[1] for p in pair], [p[0] * p[1] for p in pair]
    gain = [d[0][j] * d[1][j] * total[j] * product[1 - j] * lower[1 - j] for j in (0, 1)]
    rise = length * width * (ends[first][0] + ends[first][1]) * (gain[0] - gain[1])
    return log1p(jnp.maximum(rise / (2 * product[0] * product[1] * lower[1] * upper[0]), 0.0))


def _excess(ends, R, side, lengths, axis):
    """(R0 + R1 - length)/2 of the four edges [i][j] along `axis`, as numerators and denominators."""
    first, second = (axis + 1) % 3, (axis + 2) % 3
    length = lengths[axis]
    least = _FLOOR * length * length
    run = ends[axis][0] * ends[axis][1]
    n, d = [[], []], [[], []]
    for i in (0, 1):
        for j in (0, 1):
            square = ends[first][i] ** 2 + ends[second][j] ** 2
            dot = run + square
            size = _at(R, axis, 0, i, j) * _at(R, axis, 1, i, j) + jnp.abs(dot)
            beside = dot < 0
            n[i].append(jnp.where(beside, length * length * jnp.maximum(square, least), jnp.maximum(size, least)))
            d[i].append(jnp.where(beside, size, 1.0) * (side[axis][i][j] + length))
    return n, d


def _faces(ends, R, lengths, axis):
    """-[atan(v w/(u R))]: minus the outward solid angles of the two faces across `axis`, as one angle."""
    (x1, y1), (x0, y0) = (_half_angle(ends, R, lengths, axis, end) for end in (1, 0))
    angle = arctan2(y1 * x0 - y0 * x1, x1 * x0 + y1 * y0 + 1e-150)
    inside = (ends[0][1] >= 0) & (ends[1][1] >= 0) & (ends[2][1] >= 0)
    return -2 * jnp.where(inside & (angle < 0), angle + 2 * jnp.pi, angle)


def _half_angle(ends, R, lengths, axis, end):
    """(x, y) along half the solid angle of the face at `end` of `axis`, of the sign of u: two triangles."""
    u, v, w = ends[axis][end], ends[(axis + 1) % 3], ends[(axis + 2) % 3]
    (a, b), (c, d) = ([_at(R, axis, end, i, j) for j in (0, 1)] for i in (0, 1))
    u2, vv, ww = u * u, v[0] * v[1], w[0] * w[1]
    across = vv + ww + u2
    along_v = [vv + x * x + u2 for x in w]
    along_w = [ww + x * x + u2 for x in v]
    first = a * c * d + along_v[0] * d + along_w[1] * a + across * c
    second = a * d * b + across * b + along_v[1] * a + along_w[0] * d
    triple = u * (lengths[(axis + 1) % 3] * lengths[(axis + 2) % 3])
    return first * second - triple * triple, triple * (first + second)


def _near_slope(position, half):
    """grad W, three arrays."""
    ends = _ends(position, half)
    R = _distances(ends)
    side = [_sums(R, axis) for axis in range(3)]
    lengths = [2 * h for h in half]
    logs = [_edge_logs(ends, R, side, lengths, axis) for axis in range(3)]
    return tuple(_slope(ends, R, lengths, logs, axis) for axis in range(3))


def _edge_logs(ends, R, side, lengths, axis):
    """ln((w1+R1)/(w0+R0)) of the edges [i][j] along `axis`: first one, then steps along the next two axes.

    Returns value at [0][0], step over i at j = 0, steps over j at i = 0 and 1.
    """
    first, second = (axis + 1) % 3, (axis + 2) % 3
    n, d = _excess(ends, R, side, lengths, axis)
    length = lengths[axis]

    def step(start, stop, across, pair):
        rise = lengths[across] * (ends[across][0] + ends[across][1]) * (pair[0] + pair[1])  # over pair[0] pair[1]
        up = rise >= 0
        (_n0, d0), (_n1, d1) = start, stop
        least, most = ([jnp.where(up, *ends) for ends in zip(*both)] for both in ((start, stop), (stop, start)))
        size = length * jnp.where(up, rise, -rise) * (d0 * d1)
        value = log1p(size / (2 * pair[0] * pair[1] * least[0] * (most[0] + length * most[1])))
        return jnp.where(up, -value, value)

    at = lambda i, j: (n[i][j], d[i][j])
    over_first = step(at(0, 0), at(1, 0), first, side[first][0])
    over_second = [step(at(i, 0), at(i, 1), second, [side[second][k][i] for k in (0, 1)]) for i in (0, 1)]
    return log1p(length * d[0][0] / n[0][0]), over_first, over_second


def _slope(ends, R, lengths, logs, axis):
    """dW/dx along `axis`: minus the potential of the two charged faces."""
    second, third = (axis + 1) % 3, (axis + 2) % 3
    total = 0.0
    for end, sign in ((0, 1), (1, -1)):
        # edges along `third` are [end of axis][end of second]; edges along `second` are [end of third][end of axis]
        value, over_axis, over_second = logs[third]
        low, step = value + (over_axis if end else 0.0), over_second[end]
        total = total + sign * (lengths[second] * low + ends[second][1] * step)
        value, over_third, over_axis = logs[second]
        low, step = value + (over_axis[0] if end else 0.0), over_third + (over_axis[1] - over_axis[0] if end else 0.0)
        total = total + sign * (lengths[third] * low + ends[third][1] * step)
        x, y = _half_angle(ends, R, lengths, axis, end)
        total = total - sign * 2 * ends[axis][end] * arctan2(y, x + 1e-150)
    return total


def _far_curvature(position, half):
    """What `_near_curvature` gives, from multipoles up to degree 6."""
    (x, y, z), scale, diagonal, mixed = _multipoles(position, half)
    xx, yy, xy, yz, zx = (mixed(i, j) for i, j in ((0, 0), (1, 1), (0, 1), (1, 2), (2, 0)))
    xx, yy = diagonal(0) + x * x * xx, diagonal(1) + y * y * yy
    return scale * xx, scale * yy, scale * (x * y * xy), scale * (y * z * yz), scale * (z * x * zx), jnp.zeros_like(xx)


def _far_slope(position, half):
    d, scale, diagonal, _ = _multipoles(position, half)
    return tuple(scale * x * diagonal(i) for i, x in enumerate(d))


def _multipoles(position, half):
    """The parts of the derivatives of W = V/r (1 + H2 + H4 + H6), H_l of degree l/2 in Y_i = (x_i/r2)^2.

    dW/dx_i = scale x_i D_i,  d2W/dx_i dx_j = scale (delta_ij D_i + x_i x_j K_ij): the position, scale, D(i), K(i, j).
    """
    q = _square(position)
    inverse = 1 / q
    Y = [(x * inverse) * (x * inverse) for x in position]
    two, four, six = _moments(half)
    G = [[sum(six(i, j, k) * Y[k] for k in range(3)) for j in range(3)] for i in range(3)]
    slopes = [[two(i) for i in range(3)], [2 * sum(four(i, j) * Y[j] for j in range(3)) for i in range(3)],
              [3 * sum(G[i][j] * Y[j] for j in range(3)) for i in range(3)]]
    H = [1.0] + [sum(a * b for a, b in zip(slope, Y)) / (n + 1) for n, slope in enumerate(slopes)]
    l = (0, 2, 4, 6)
    even = sum((2 * n + 1) * h for n, h in zip(l, H))
    double = sum((2 * n + 1) * (2 * n + 3) * h for n, h in zip(l, H))
    once = [sum(2 * s[i] for s in slopes) * inverse for i in range(3)]
    twice = [sum(2 * (2 * n + 1) * s[i] for n, s in zip(l[1:], slopes)) * inverse for i in range(3)]

    def diagonal(i):
        return once[i] - even

    def mixed(i, j):
        return (4 * (2 * four(i, j) + 6 * G[i][j]) * (inverse * inverse) - (twice[i] + twice[j]) + double) * inverse

    scale = 8 * half[0] * half[1] * half[2] * inverse * jnp.sqrt(inverse)
    return position, scale, diagonal, mixed


def _moments(half):
    """Coefficients of H2, H4 and H6, totally symmetric in their indices.

    From r^l s^l P_l(cos) averaged over points s of the cuboid, whose moments are <s_i^2> = h_i^2/3, and so on.
    """
    axes = range(3)
    square = [h * h for h in half]
    odd = lambda n: math.prod(range(1, 2 * n, 2))
    powers = lambda index: [index.count(axis) for axis in axes]
    mean = lambda *index: math.prod(square[axis] ** n / (2 * n + 1) for axis, n in enumerate(powers(index)) if n)
    ways = lambda *index: odd(len(index)) / math.prod(map(odd, powers(index)))
    once, pair = sum(mean(i) for i in axes), [sum(mean(i, j) for j in axes) for i in axes]
    T = [[ways(i, j) * sum(mean(i, j, k) for k in axes) for j in axes] for i in axes]
    triple = [sum(mean(i, j, k) for j in axes for k in axes) for i in axes]
    two = lambda i: (3 * mean(i) - once) / 2
    four = lambda i, j: (35 * ways(i, j) * mean(i, j) - 15 * (pair[i] + pair[j]) + 3 * sum(pair)) / 8

    def six(i, j, k):
        whole = 231 * ways(i, j, k) * mean(i, j, k) - 105 * (T[i][j] + T[j][k] + T[i][k])
        return (whole + 35 * (triple[i] + triple[j] + triple[k]) - 5 * sum(triple)) / 16

    return two, four, six


def _square(d):
    return d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
