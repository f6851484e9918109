"""The table of coefficients, and the same field in another frame, about another centre, at another radius."""

from __future__ import annotations

import math
from dataclasses import field

import jax
import jax.numpy as jnp
import numpy as np

from designtools._pytree import pytree
from designtools.regions import sphere_rule

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

    def check(self):
        shapes = jnp.shape(self.cosine), jnp.shape(self.sine)
        if shapes[0] != shapes[1] or len(shapes[0]) != 2 or shapes[0][0] != shapes[0][1]:
            raise ValueError(
                f"Harmonics: cosine and sine must both have shape (order+1, order+1), got {shapes[0]} and {shapes[1]}"
            )

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

    def about(self, centre) -> Harmonics:
        """The same polynomial about another centre (3,) m; exact, since it stays of the same order."""
        centre = tuple(float(c) for c in centre)
        shift = jnp.array(centre)
        return _projected(lambda own: self.component(shift + own), self.order, self.radius, centre, self.axis)

    def rotated(self, frame) -> Harmonics:
        """The same field in coordinates x' = frame x; the rows of `frame` (3,3) are the new axes x', y', z'.

        Centre and axis turn with the coordinates: table.rotated(f).component(points @ f.T) = table.component(points).
        """
        frame = np.asarray(frame, float)
        if frame.shape != (3, 3) or not np.allclose(frame @ frame.T, np.eye(3), atol=1e-9):
            raise ValueError(
                f"Harmonics.rotated: frame must have three orthogonal unit vectors as rows, got {frame.tolist()}"
            )
        centre = jnp.array(self.centre)
        turned = (tuple(map(float, frame @ np.asarray(vector))) for vector in (self.centre, self.axis))
        return _projected(lambda own: self.component(centre + own @ frame), self.order, self.radius, *turned)

    def ppm(self, reference: float | None = None) -> Harmonics:
        """The table in parts per million of `reference` (T; default: a_00, the field at the centre)."""
        return self._scaled(1e6 / (self.cosine[0, 0] if reference is None else reference))

    def hertz(self, gyromagnetic_ratio: float = 42.577478518e6) -> Harmonics:
        """The table in Hz, for a nucleus of `gyromagnetic_ratio` gamma/2 pi in Hz/T (default: the proton's)."""
        return self._scaled(gyromagnetic_ratio)

    def _scaled(self, factor) -> Harmonics:
        return Harmonics(factor * self.cosine, factor * self.sine, self.radius, self.centre, self.axis)


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


def projection(directions, weights, values, order: int):
    """(cosine, sine) of values (P,) on the unit sphere, by a rule of directions (P,3) and weights (P,)."""
    cosine, sine = solid_harmonics(directions, order)
    norm = mean_squares(order)
    return tuple(jnp.einsum("pnm,p->nm", table, weights * values) / norm for table in (cosine, sine))


def mean_squares(order: int) -> np.ndarray:
    """Mean over the sphere of (P_n^m cos m phi)^2, 1 where m > n."""
    norm = np.ones((order + 1, order + 1))
    for n in range(order + 1):
        for m in range(n + 1):
            ratio = math.factorial(n + m) / math.factorial(n - m)
            norm[n, m] = ratio / (2 * n + 1) / (2 if m else 1)
    return norm


def unit_axis(axis) -> tuple:
    """A unit vector (3,) from "x", "y", "z" or a vector."""
    vector = np.asarray(_AXES.get(axis, axis) if isinstance(axis, str) else axis)
    if vector.shape != (3,) or vector.dtype.kind not in "fi" or not np.linalg.norm(vector) > 0:
        raise ValueError(f"harmonics: axis must be 'x', 'y', 'z' or a vector (3,), got {axis!r}")
    return tuple(float(v) for v in vector / np.linalg.norm(vector))


def _projected(function, order, radius, centre, axis):
    """Table of a polynomial of degree `order` given as a function of coordinates (P,3) m from the centre."""
    directions, weights = sphere_rule(2 * order)
    cosine, sine = projection(directions, weights, function(radius * directions), order)
    return Harmonics(cosine, sine, float(radius), centre, axis)
