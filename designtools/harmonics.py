"""Solid harmonics of one field component: the ONE written convention of this project.

In a ball free of sources any Cartesian component of B is harmonic, and inside it

    B_u(r, theta, phi) = sum_{n=0}^{order} sum_{m=0}^{n} (r/R)^n P_n^m(cos theta) [a_nm cos(m phi) + b_nm sin(m phi)]

with R the reference radius, theta from the polar axis +z, phi from +x towards +y, about the given centre.
P_n^m are the UNNORMALISED associated Legendre functions WITHOUT the Condon-Shortley sign (P_1^1 = sin theta,
P_2^1 = 3 sin theta cos theta, P_2^2 = 3 sin^2 theta), as magnet makers quote them.  Coefficients are tesla at R:
a_n0 is the deviation on the axis at z = R.  In Cartesian form: (1,0) z/R; (1,1) x/R, y/R; (2,0) (2z^2-x^2-y^2)/2R^2;
(2,1) 3xz/R^2, 3yz/R^2; (2,2) 3(x^2-y^2)/R^2, 6xy/R^2.
"""

from __future__ import annotations

import math
from dataclasses import field

import jax
import jax.numpy as jnp
import numpy as np

from designtools._pytree import pytree
from designtools.regions import sphere_rule
from designtools.sources import Assembly, Blocks, Loops
from designtools.sources.blocks import section_rule
from designtools.sources.extent import extent
from designtools.units import MU_0

_AXES = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}


@pytree
class Harmonics:
    """A table of coefficients: cosine[n, m] = a_nm and sine[n, m] = b_nm, both (order+1, order+1), zero for m > n.

    cosine, sine in T at reference radius `radius` (m) about `centre` (3,) m; for B.axis, axis (3,) a unit vector.
    """

    cosine: jax.Array
    sine: jax.Array
    radius: float = field(metadata={"static": True})
    centre: tuple = field(default=(0.0, 0.0, 0.0), metadata={"static": True})
    axis: tuple = field(default=(0.0, 0.0, 1.0), metadata={"static": True})

    @property
    def order(self) -> int:
        return self.cosine.shape[0] - 1

    @property
    def zonal(self):
        """a_n0 (order+1,) T."""
        return self.cosine[:, 0]

    def component(self, points):
        """The field component (P,) T at points (P,3) m, wherever the expansion converges."""
        cosine, sine = solid_harmonics((jnp.asarray(points) - jnp.array(self.centre)) / self.radius, self.order)
        return jnp.einsum("pnm,nm->p", cosine, self.cosine) + jnp.einsum("pnm,nm->p", sine, self.sine)

    def at_radius(self, radius: float) -> Harmonics:
        """The same field with another reference radius (m)."""
        scale = (radius / self.radius) ** np.arange(self.order + 1)[:, None]
        return Harmonics(scale * self.cosine, scale * self.sine, radius, self.centre, self.axis)


def harmonics(source, radius: float, order: int, axis="z", centre=(0.0, 0.0, 0.0), rule: int | None = None) -> Harmonics:
    """Coefficients of the field of `source` along `axis` ("x", "y", "z" or a vector) in the ball of `radius` m.

    Coaxial loops and blocks (axis z, centre on it) are expanded exactly; other fields are projected on the sphere
    with a rule exact to degree `rule` (default: raised until no coefficient moves by 1e-12 of the largest).
    Raises ValueError when the ball is not free of conductors and magnets.
    """
    axis, centre = _unit_axis(axis), tuple(float(c) for c in centre)
    if not _traced(source):
        _check_clear(source, radius, centre)
        if axis == _AXES["z"] and _coaxial(source, centre):
            return _table_of_zonal(zonal(source, radius, order, centre[2]), radius, centre)
    if rule is not None or _traced(source):
        return _project(source, radius, order, axis, centre, rule or 2 * order + 60)
    return _converged(source, radius, order, axis, centre)


def zonal(source, radius: float, order: int, height: float = 0.0):
    """Exact a_n0 (order+1,) T of B_z of coaxial Loops or Blocks (or an Assembly of them) about (0, 0, height) m.

    A loop of radius a at height z, d^2 = a^2 + z^2, gives mu0 I a^2/(2 d^3) (R/d)^n C_n^{3/2}(z/d) (Gegenbauer);
    blocks integrate it over their section with 24 x 24 Gauss points.
    """
    if isinstance(source, Assembly):
        return sum(zonal(part, radius, order, height) for part in source.parts)
    a, z, current = _rings(source)
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


def fit(points, values, order: int, radius: float, centre=(0.0, 0.0, 0.0), axis="z", weights=None) -> Harmonics:
    """Least-squares coefficients of measured values (P,) T of one component at points (P,3) m.

    weights (P,) multiply the squared residuals.  Raises ValueError when the points cannot tell the terms apart.
    """
    cosine, sine = solid_harmonics((np.asarray(points, float) - centre) / radius, order)
    n, m = np.tril_indices(order + 1)
    matrix = np.concatenate([cosine[:, n, m], sine[:, n[m > 0], m[m > 0]]], axis=1)
    root = np.ones(len(matrix)) if weights is None else np.sqrt(np.asarray(weights, float))
    scale = np.maximum(np.linalg.norm(root[:, None] * matrix, axis=0), 1e-300)
    solution, _, rank, _ = np.linalg.lstsq(root[:, None] * matrix / scale, root * np.asarray(values, float), rcond=1e-10)
    if rank < matrix.shape[1]:
        raise ValueError(
            f"harmonics.fit: the points must determine {matrix.shape[1]} coefficients of order {order}, got "
            f"{len(matrix)} points of rank {rank}; lower the order or add points at other angles"
        )
    solution = solution / scale
    a, b = np.zeros((order + 1, order + 1)), np.zeros((order + 1, order + 1))
    a[n, m] = solution[: len(n)]
    b[n[m > 0], m[m > 0]] = solution[len(n) :]
    return Harmonics(a, b, float(radius), tuple(map(float, centre)), _unit_axis(axis))


def solid_harmonics(points, order: int):
    """(r^n P_n^m cos m phi, r^n P_n^m sin m phi), each (P, order+1, order+1), zero for m > n, at points (P,3)."""
    library = np if isinstance(points, np.ndarray) else jnp
    x, y, z = points.T
    r2 = x * x + y * y + z * z
    sectorial = [x * 0 + 1 + 0j]  # (2m-1)!! (x + iy)^m
    for m in range(1, order + 1):
        sectorial.append((2 * m - 1) * (x + 1j * y) * sectorial[-1])
    columns = [_column(sectorial[m], z, r2, m, order) for m in range(order + 1)]
    table = library.stack([library.stack(column, axis=-1) for column in columns], axis=-1)
    return table.real, table.imag


def _column(sectorial, z, r2, m, order):
    """r^n P_n^m e^{i m phi} for n = 0..order at fixed m: (n-m) P_n = (2n-1) z P_{n-1} - (n+m-1) r2 P_{n-2}."""
    column = [sectorial * 0] * m + [sectorial]
    for n in range(m + 1, order + 1):
        before = column[n - 2] if n >= m + 2 else 0
        column.append(((2 * n - 1) * z * column[n - 1] - (n + m - 1) * r2 * before) / (n - m))
    return column


def _project(source, radius, order, axis, centre, rule):
    directions, weights = sphere_rule(rule)
    values = source.field(np.asarray(centre) + radius * directions) @ np.asarray(axis)
    cosine, sine = solid_harmonics(directions, order)
    norm = _mean_squares(order)
    a = jnp.einsum("pnm,p->nm", cosine, weights * values) / norm
    b = jnp.einsum("pnm,p->nm", sine, weights * values) / norm
    return Harmonics(a, b, float(radius), centre, axis)


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


def _mean_squares(order):
    """Mean over the sphere of (P_n^m cos m phi)^2, 1 where m > n."""
    norm = np.ones((order + 1, order + 1))
    for n in range(order + 1):
        for m in range(n + 1):
            ratio = math.factorial(n + m) / math.factorial(n - m)
            norm[n, m] = ratio / (2 * n + 1) / (2 if m else 1)
    return norm


def _rings(source, order: int = 24):
    """Radius, height and current (Q,) of the rings that make up coaxial loops or blocks."""
    if isinstance(source, Loops):
        return source.radius, source.centre[:, 2], source.current * jnp.sign(source.normal[:, 2])
    if isinstance(source, Blocks):
        return section_rule(source, order)
    raise TypeError(
        f"zonal: the source must be coaxial Loops or Blocks, got {type(source).__name__}; use harmonics instead"
    )


def _coaxial(source, centre) -> bool:
    if isinstance(source, Assembly):
        return all(_coaxial(part, centre) for part in source.parts)
    if isinstance(source, Loops):
        off = np.concatenate([np.asarray(source.centre)[:, :2], np.asarray(source.normal)[:, :2]])
        return not off.any() and not any(centre[:2])
    return isinstance(source, Blocks) and not any(centre[:2])


def _table_of_zonal(coefficients, radius, centre):
    square = jnp.zeros((len(coefficients), len(coefficients)))
    return Harmonics(square.at[:, 0].set(coefficients), square, float(radius), centre)


def _check_clear(source, radius, centre):
    nearest, _ = extent(source, np.asarray(centre))
    if radius >= nearest:
        raise ValueError(
            f"harmonics: radius must be less than {nearest:.6g} m, the distance from the centre to the nearest conductor "
            f"or magnet, got {radius:.6g} m; outside a source-free ball the expansion does not hold"
        )


def _traced(source) -> bool:
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree_util.tree_leaves(source))


def _unit_axis(axis) -> tuple:
    vector = np.asarray(_AXES.get(axis, axis) if isinstance(axis, str) else axis)
    if vector.shape != (3,) or vector.dtype.kind not in "fi" or not np.linalg.norm(vector) > 0:
        raise ValueError(f"harmonics: axis must be 'x', 'y', 'z' or a vector (3,), got {axis!r}")
    return tuple(float(v) for v in vector / np.linalg.norm(vector))
