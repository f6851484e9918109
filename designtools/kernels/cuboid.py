"""Field and vector potential of a uniformly polarised cuboid, in the magnet's own frame.

With W = int dV'/R over the cuboid and polarization J (T):

    B = grad(J . grad W)/4 pi  (+ J inside),      A = -J x grad W / 4 pi.

With u, v, w from the point to a corner and [.] the signed sum over the eight corners
    d2W/dx2 = -[atan(v w/(u R))],   d2W/dxdy = [ln(w + R)],   dW/dx = -[v ln(w+R) + w ln(v+R) - u atan(v w/(u R))]
and cyclic.  The logarithms of opposite corners are merged and the angles paired, which keeps 1e-15 near the
magnet.  Beyond 40 half-diagonals, where eight corners nearly cancel, 3x3x3 Gauss points of dipoles replace the
closed form; the error stays below 1e-10 of the field everywhere and below 1e-12 within 20 half-widths.

On a face the value is one of the two limits; on an edge, where the field is infinite, the
logarithm of that edge is left out, so that value and gradient stay finite.
"""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from designtools.kernels.elementary import arctan2, log
from designtools.kernels.streaming import contract

_FAR = 40.0  # half-diagonals from the centre


def field(points, centre, half, rotation, polarization):
    """Flux density (P,3) T at points (P,3) m.

    centre, half sizes (N,3) m; rotation (N,3,3), columns are the magnet's axes; polarization (N,3) T, own frame.
    """
    return _sum(_turned_field, points, centre, half, rotation, polarization)


def potential(points, centre, half, rotation, polarization):
    """Vector potential (P,3) T·m of the same magnets."""
    return _sum(_turned_potential, points, centre, half, rotation, polarization)


def _sum(kernel, points, centre, half, rotation, polarization):
    sources = (centre, half, rotation.reshape(-1, 9), polarization)
    return contract(kernel, points, sources, jnp.ones((half.shape[0], 1)))[:, :, 0]


def _turned_field(xyz, centre, half, axes, polarization):
    return _turned(cuboid_field, xyz, centre, half, axes, polarization)


def _turned_potential(xyz, centre, half, axes, polarization):
    return _turned(cuboid_potential, xyz, centre, half, axes, polarization)


def _turned(local, xyz, centre, half, axes, polarization):
    """Into the magnet's frame, `local` there, and back."""
    d = tuple(p - c for p, c in zip(xyz, centre))
    own = tuple(axes[j] * d[0] + axes[3 + j] * d[1] + axes[6 + j] * d[2] for j in range(3))
    bx, by, bz = jax.lax.optimization_barrier(local(own, half, polarization))
    return tuple(axes[3 * i] * bx + axes[3 * i + 1] * by + axes[3 * i + 2] * bz for i in range(3))


def cuboid_field(position, half, polarization):
    """B (3 arrays, T) at position (3 arrays) m from the centre; half sizes m, polarization T (3 arrays each)."""
    return _near_or_far(_near_field, _dipole_field, position, half, polarization)


def cuboid_potential(position, half, polarization):
    """A (3 arrays, T·m), arguments as for `cuboid_field`."""
    return _near_or_far(_near_potential, _dipole_potential, position, half, polarization)


def _near_or_far(near, dipole, position, half, polarization):
    """Each form runs only if some point of the tile needs it; points it does not serve are moved to a tame place."""
    operands = jnp.broadcast_arrays(*position, *half, *polarization)
    position, half, polarization = operands[:3], operands[3:6], operands[6:]
    far = _square(position) > _FAR**2 * _square(half)
    size = half[0] + half[1] + half[2]
    away = tuple(jnp.where(far, p, 1e3 * size) for p in position)
    close = tuple(jnp.where(far, 0.3 * h, p) for p, h in zip(position, half))
    nothing = (jnp.zeros_like(size),) * 3
    from_near = jax.lax.cond(jnp.all(far), lambda: nothing, lambda: near(close, half, polarization))
    from_far = jax.lax.cond(jnp.any(far), lambda: _cubature(dipole, away, half, polarization), lambda: nothing)
    return tuple(jnp.where(far, a, b) for a, b in zip(from_far, from_near))


def _near_field(position, half, polarization):
    ends = _ends(position, half)
    distance = _distances(ends)
    xy, yz, zx = (_log_sum(ends, distance, axis) for axis in (2, 0, 1))
    xx, yy = _angle_sum(ends, distance, 0), _angle_sum(ends, distance, 1)
    inside = jnp.where(_inside(ends), 4 * jnp.pi, 0.0)
    zz = -xx - yy - inside  # the trace of the second derivatives is -4 pi inside and 0 outside
    jx, jy, jz = polarization
    return (
        (xx * jx + xy * jy + zx * jz + inside * jx) / (4 * jnp.pi),
        (xy * jx + yy * jy + yz * jz + inside * jy) / (4 * jnp.pi),
        (zx * jx + yz * jy + zz * jz + inside * jz) / (4 * jnp.pi),
    )


def _near_potential(position, half, polarization):
    ends = _ends(position, half)
    distance = _distances(ends)
    gx, gy, gz = (_slope(ends, distance, axis) for axis in range(3))
    jx, jy, jz = polarization
    scale = -1 / (4 * jnp.pi)
    return scale * (jy * gz - jz * gy), scale * (jz * gx - jx * gz), scale * (jx * gy - jy * gx)


def _ends(position, half):
    """Per axis, the two face coordinates seen from the point."""
    return tuple((-h - p, h - p) for p, h in zip(position, half))


def _inside(ends):
    """Half-open, as the angles are: the upper face belongs to the magnet, the lower does not."""
    below, above = zip(*ends)
    return (below[0] < 0) & (above[0] >= 0) & (below[1] < 0) & (above[1] >= 0) & (below[2] < 0) & (above[2] >= 0)


def _distances(ends):
    u, v, w = ends
    squares = {
        (i, j, k): u[i] * u[i] + v[j] * v[j] + w[k] * w[k] for i, j, k in itertools.product((0, 1), repeat=3)
    }
    return {corner: jnp.sqrt(jnp.where(s > 0, s, 1.0)) for corner, s in squares.items()}


def _log_sum(ends, distance, axis):
    """[ln(w + R)] with w along `axis`: one logarithm of the product of the four edges' ratios."""
    ratio = {(i, j): _edge_ratio(ends, distance, axis, i, j) for i, j in itertools.product((0, 1), repeat=2)}
    return log(ratio[1, 1] * ratio[0, 0] / (ratio[1, 0] * ratio[0, 1]))


def _edge_ratio(ends, distance, axis, i, j):
    """(w1 + R1)/(w0 + R0) along the edge (i, j) parallel to `axis`, 1 on the edge itself."""
    first, second = ends[(axis + 1) % 3][i], ends[(axis + 2) % 3][j]
    square = first * first + second * second

    def plus(end):
        w = ends[axis][end]
        size = distance[_corner(axis, end, i, j)] + jnp.abs(w)
        return jnp.where(w >= 0, size, square / size)

    off = square > 0
    upper, lower = jnp.where(off, plus(1), 1.0), jnp.where(off, plus(0), 1.0)
    return upper / lower


def _angle_sum(ends, distance, axis):
    """-[atan(v w/(u R))] with u along `axis`."""
    total = 0.0
    for end, j in itertools.product((0, 1), repeat=2):
        total = total + (1 if end == j else -1) * _angle(ends, distance, axis, end, j)
    return total


def _angle(ends, distance, axis, end, j):
    """atan(v w1/(u R1)) - atan(v w0/(u R0)) as one angle, at face `end` of `axis` and edge j."""
    u, v, w = ends[axis][end], ends[(axis + 1) % 3][j], ends[(axis + 2) % 3]
    sign = jnp.where(u >= 0, 1.0, -1.0)
    size = jnp.maximum(jnp.abs(u), 1e-60)  # on the face the angle keeps its sign
    x0, x1 = (size * distance[_corner(axis, end, j, k)] for k in (0, 1))
    y0, y1 = v * w[0], v * w[1]
    sine, cosine = y1 * x0 - y0 * x1, x1 * x0 + y1 * y0
    defined = (jnp.abs(sine) > 1e-50) | (jnp.abs(cosine) > 1e-50)  # not on an edge
    return -sign * arctan2(jnp.where(defined, sine, 0.0), jnp.where(defined, cosine, 1.0))


def _slope(ends, distance, axis):
    """dW/dx along `axis`: minus the potential of the two charged faces."""
    second, third = (axis + 1) % 3, (axis + 2) % 3
    total = 0.0
    for end, j in itertools.product((0, 1), repeat=2):
        sign = 1 if end == j else -1
        total = total - sign * ends[second][j] * log(_edge_ratio(ends, distance, third, end, j))
        total = total - sign * ends[third][j] * log(_edge_ratio(ends, distance, second, j, end))
        total = total - sign * ends[axis][end] * _angle(ends, distance, axis, end, j)
    return total


def _corner(axis, along, first, second):
    """Corner index (x, y, z) from the index along `axis` and along the next two axes in cyclic order."""
    index = [0, 0, 0]
    index[axis], index[(axis + 1) % 3], index[(axis + 2) % 3] = along, first, second
    return tuple(index)


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
