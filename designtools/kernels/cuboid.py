"""Field and vector potential of a uniformly polarised cuboid, in the magnet's own frame.

With W = int dV'/R over the cuboid and polarization J (T):

    B = grad(J . grad W)/4 pi  (+ J inside),      A = -J x grad W / 4 pi.

With u, v, w from the point to a corner and [.] the signed sum over the eight corners
    d2W/dx2 = -[atan(v w/(u R))],   d2W/dxdy = [ln(w + R)],   dW/dx = -[v ln(w+R) + w ln(v+R) - u atan(v w/(u R))]
and cyclic.  Eight corners nearly cancel far away.  So no corner is evaluated alone: two opposite faces have one angle
(their solid angles, `_faces`), four parallel edges one logarithm, of a ratio whose difference from 1 is formed from
exact differences (`_edges`).  What remains is a loss of distance/size, instead of its cube; beyond `FAR_ORDERS`
half-diagonals 27 dipoles on Gauss points take over.  Derivation and figures: docs/physics-fields.md.

On a face the value is one of the two limits.  On an edge, where the field is infinite, it is that at 1e-15 of the
edge's length.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from designtools.kernels.elementary import arctan2, log1p
from designtools.kernels.streaming import contract

TOLERANCE = 1e-12  # of the field: what the far form may err
_CHUNK = 32  # magnets at a time: a tile of points times these stays in cache
_FLOOR = 1e-30  # of the squared length of an edge


def field(points, centre, half, rotation, polarization, tolerance=TOLERANCE):
    """Flux density (P,3) T at points (P,3) m.

    centre, half sizes (N,3) m; rotation (N,3,3), columns are the magnet's axes; polarization (N,3) T, own frame;
    tolerance: relative error that far magnets may make (at most; 1e-12 is as good as the closed form).
    """
    return _sum(_turned_field, points, centre, half, rotation, polarization, tolerance)


def potential(points, centre, half, rotation, polarization, tolerance=TOLERANCE):
    """Vector potential (P,3) T·m of the same magnets."""
    return _sum(_turned_potential, points, centre, half, rotation, polarization, tolerance)


def _sum(kernel, points, centre, half, rotation, polarization, tolerance):
    sources = (centre, half, rotation.reshape(-1, 9), polarization, _far_square(half, tolerance))
    return contract(kernel, points, sources, jnp.ones((half.shape[0], 1)), chunk=_CHUNK)[:, :, 0]


def _far_square(half, tolerance):
    """Squared distance (N,) m2 beyond which 27 dipoles err less than tolerance: 1.3 (longest half edge/distance)^6."""
    return jnp.sum(jnp.square(jnp.asarray(half)), axis=1) * (1.3 / tolerance) ** (1 / 3)


def _turned_field(xyz, centre, half, axes, polarization, far_square):
    return _turned(cuboid_field, xyz, centre, half, axes, polarization, far_square)


def _turned_potential(xyz, centre, half, axes, polarization, far_square):
    return _turned(cuboid_potential, xyz, centre, half, axes, polarization, far_square)


def _turned(local, xyz, centre, half, axes, polarization, far_square):
    """Into the magnet's frame, `local` there, and back."""
    d = tuple(p - c for p, c in zip(xyz, centre))
    own = tuple(axes[j] * d[0] + axes[3 + j] * d[1] + axes[6 + j] * d[2] for j in range(3))
    bx, by, bz = jax.lax.optimization_barrier(local(own, half, polarization, far_square))
    return tuple(axes[3 * i] * bx + axes[3 * i + 1] * by + axes[3 * i + 2] * bz for i in range(3))


def cuboid_field(position, half, polarization, far_square):
    """B (3 arrays, T) at position (3 arrays) m from the centre; half sizes m, polarization T (3 arrays each)."""
    return _near_or_far(_near_field, _dipole_field, position, half, polarization, far_square)


def cuboid_potential(position, half, polarization, far_square):
    """A (3 arrays, T·m), arguments as for `cuboid_field`."""
    return _near_or_far(_near_potential, _dipole_potential, position, half, polarization, far_square)


def _near_or_far(near, dipole, position, half, polarization, far_square):
    """Each form runs only if some point of the tile needs it; points it does not serve are moved to a tame place."""
    far = _square(position) > far_square
    size = half[0] + half[1] + half[2]
    away = tuple(jnp.where(far, p, 1e3 * size) for p in position)
    close = tuple(jnp.where(far, 0.3 * h, p) for p, h in zip(position, half))
    nothing = (jnp.zeros(far.shape, size.dtype),) * 3
    from_near = jax.lax.cond(jnp.all(far), lambda: nothing, lambda: near(close, half, polarization))
    from_far = jax.lax.cond(jnp.any(far), lambda: _cubature(dipole, away, half, polarization), lambda: nothing)
    return tuple(jnp.where(far, a, b) for a, b in zip(from_far, from_near))


def _near_field(position, half, polarization):
    ends = _ends(position, half)
    inside = _inside(ends)
    R = _distances(ends)
    side = [_sums(R, axis) for axis in range(3)]
    lengths = [2 * h for h in half]
    angles = jax.lax.complex(*(_faces(ends, R, lengths, axis, inside) for axis in (0, 1)))
    logs = jax.lax.complex(*(_log_sum(ends, R, side, lengths, axis) for axis in (2, 0)))
    angles, logs, zx = jax.lax.optimization_barrier((angles, logs, _log_sum(ends, R, side, lengths, 1)))
    xx, yy, xy, yz = angles.real, angles.imag, logs.real, logs.imag
    within = jnp.where(inside, 4 * jnp.pi, 0.0)
    zz = -xx - yy - within  # the trace of the second derivatives is -4 pi inside and 0 outside
    jx, jy, jz = (j / (4 * jnp.pi) for j in polarization)
    return (
        (xx + within) * jx + xy * jy + zx * jz,
        xy * jx + (yy + within) * jy + yz * jz,
        zx * jx + yz * jy + (zz + within) * jz,
    )


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
    """[ln(w + R)] with w along `axis`: one logarithm for four edges.

    ln q of an edge, q = 1 + length d/n with n/d = (R0 + R1 - length)/2; and A_j/B_j = q1j/q0j with
    A - B = -length d0 d1 (S1 - S0)/2, S1 - S0 = width (x0 + x1)(1/T0 + 1/T1) exact.
    """
    first, second = (axis + 1) % 3, (axis + 2) % 3
    length, width = lengths[axis], lengths[first]
    n, d = _excess(ends, R, side, lengths, axis)
    upper = [(n[1][j] + length * d[1][j]) * n[0][j] for j in (0, 1)]
    lower = [(n[0][j] + length * d[0][j]) * n[1][j] for j in (0, 1)]
    pair = side[first]  # [j][k]
    total, product = [p[0] + p[1] for p in pair], [p[0] * p[1] for p in pair]
    gain = [d[0][j] * d[1][j] * total[j] * product[1 - j] * lower[1 - j] for j in (0, 1)]
    rise = length * width * (ends[first][0] + ends[first][1]) * (gain[0] - gain[1])
    up = rise >= 0
    base = jnp.where(up, lower[1] * upper[0], upper[1] * lower[0])
    value = log1p(jnp.where(up, rise, -rise) / (2 * product[0] * product[1] * base))
    return jnp.where(up, value, -value)


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


def _faces(ends, R, lengths, axis, inside):
    """-[atan(v w/(u R))]: minus the outward solid angles of the two faces across `axis`, as one angle."""
    (x1, y1), (x0, y0) = (_half_angle(ends, R, lengths, axis, end) for end in (1, 0))
    angle = arctan2(y1 * x0 - y0 * x1, x1 * x0 + y1 * y0 + 1e-150)
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


def _near_potential(position, half, polarization):
    ends = _ends(position, half)
    R = _distances(ends)
    side = [_sums(R, axis) for axis in range(3)]
    lengths = [2 * h for h in half]
    logs = [_edge_logs(ends, R, side, lengths, axis) for axis in range(3)]
    gx, gy, gz = (_slope(ends, R, lengths, logs, axis) for axis in range(3))
    jx, jy, jz = polarization
    scale = -1 / (4 * jnp.pi)
    return scale * (jy * gz - jz * gy), scale * (jz * gx - jx * gz), scale * (jx * gy - jy * gx)


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
        (n0, d0), (n1, d1) = start, stop
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


def _cubature(dipole, position, half, polarization):
    """The cuboid as 27 dipoles on Gauss points, on a new first axis that is summed away."""
    *nodes, weight = (np.reshape(array, (-1,) + (1,) * half[0].ndim) for array in _cube_rule())
    d = tuple(p - n * h for p, n, h in zip(position, nodes, half))
    scale = 8 * half[0] * half[1] * half[2] / (4 * jnp.pi)
    return tuple(scale * jnp.tensordot(weight.ravel(), part, 1) for part in dipole(d, polarization))


def _dipole_field(d, j):
    """4 pi B of a unit-volume dipole: 3 d (J.d)/R^5 - J/R^3."""
    inverse = 1 / _square(d)
    cube = inverse * jnp.sqrt(inverse)
    along = 3 * inverse * (j[0] * d[0] + j[1] * d[1] + j[2] * d[2])
    return tuple(cube * (along * x - m) for x, m in zip(d, j))


def _dipole_potential(d, j):
    """4 pi A of a unit-volume dipole: J x d/R^3."""
    inverse = 1 / _square(d)
    cube = inverse * jnp.sqrt(inverse)
    return (
        cube * (j[1] * d[2] - j[2] * d[1]),
        cube * (j[2] * d[0] - j[0] * d[2]),
        cube * (j[0] * d[1] - j[1] * d[0]),
    )


def _square(d):
    return d[0] * d[0] + d[1] * d[1] + d[2] * d[2]


def _cube_rule():
    """(x, y, z, weight) of the 27 Gauss points of [-1, 1]^3; weights sum to 1."""
    t, w = np.polynomial.legendre.leggauss(3)
    grid = np.meshgrid(t, t, t, indexing="ij")
    return (*(axis.ravel() for axis in grid), np.einsum("i,j,k->ijk", w, w, w).ravel() / 8)
