"""A magnet known only from its vendor's table of fringe-field distances."""

from __future__ import annotations

import itertools
from dataclasses import field
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.polynomial import legendre

from designtools._pytree import pytree
from designtools.units import MU_0

TERMS = 8  # degrees 1, 3, ... 15
INSIDE = 0.95  # of the nearest distance: nearer than that nothing is known
PRIOR = 20.0  # of each term at the nearest distance, over the strongest level
_HIDDEN = {"static": True}


@pytree
class EquivalentMagnet:
    """The exterior field of a magnet that is symmetric about the z axis and mirrored in its midplane.

    psi = sum_k c_k R (R/r)^(n+1) P_n(cos theta), B = -grad psi, with the odd degrees n = 1, 3, 5 ...: a dipole and what
    shielding leaves beside it.  coefficients c (K,) T; radius R m.  What it was fitted to is kept with it: `levels` and
    `distances`, the smallest and largest of the table; `residual` m, the largest miss of a distance in the table;
    `covariance` (K,K) T2 of the coefficients, from the residual or the table's rounding, whichever is larger.

    Nearer than 0.95 of distances[0] nothing is known and every method gives NaN; outside the levels of the table the
    field is a guess: see `covers`.
    """

    coefficients: jax.Array
    covariance: jax.Array
    radius: float = field(metadata=_HIDDEN)
    levels: tuple[float, float] = field(metadata=_HIDDEN)
    distances: tuple[float, float] = field(metadata=_HIDDEN)
    residual: float = field(metadata=_HIDDEN)

    @classmethod
    def from_contours(cls, rows, rounding: float = 0.05, terms: int = TERMS) -> EquivalentMagnet:
        """Fit to rows (level T, axial m, radial m): |B| = level on the axis and in the midplane, from the centre.

        A distance that the vendor does not give is None or NaN.  rounding (m): the step to which the table is rounded.  terms: the
        number of degrees.  Each term is held, loosely, to twenty times the strongest level of the table at its nearest distance,
        so a short table leaves the higher degrees small and their uncertainty large.
        Raises ValueError for a table that is too small or whose distances do not fall with the level.
        """
        table = _table(rows)
        best = min((_signed_fit(table, terms, signs, rounding) for signs in _signs(table)), key=lambda fit: fit.cost)
        spread = max(1.0, _rms(best.miss) * np.sqrt(12) / rounding)  # of the misses over what the rounding explains
        levels, distances = ((float(v.min()), float(v.max())) for v in (table.level, table.distance))
        return cls(best.c, spread**2 * best.covariance, table.radius, levels, distances, float(np.abs(best.miss).max()))

    def field(self, points):
        """Flux density (P,3) T at points (P,3) m."""
        place, r, x = self._polar(points)
        powers = self.coefficients * (self.radius / r[:, None]) ** (self._degrees() + 2)
        upper, slope = _upper(x, len(self._degrees()))
        along = jnp.sum(powers * (self._degrees() + 1) * upper, axis=1)
        across = jnp.sum(powers * slope, axis=1) / r
        return jnp.stack([across * place[:, 0], across * place[:, 1], along], axis=1)

    def potential(self, points):
        """Vector potential (P,3) T·m (Coulomb gauge) at points (P,3) m."""
        place, r, x = self._polar(points)
        n = self._degrees()
        powers = self.coefficients / n * self.radius * (self.radius / r[:, None]) ** (n + 1)
        around = jnp.sum(powers * _lower(x, len(n))[1], axis=1) / r
        return jnp.stack([-around * place[:, 1], around * place[:, 0], jnp.zeros_like(r)], axis=1)

    def scalar_potential(self, points):
        """Scalar potential (P,) A at points (P,3) m, H = -grad of it, zero far away."""
        _, r, x = self._polar(points)
        powers = self.coefficients * self.radius * (self.radius / r[:, None]) ** (self._degrees() + 1)
        return jnp.sum(powers * _lower(x, len(self._degrees()))[0], axis=1) / MU_0

    def extent(self, centre) -> tuple[float, float]:
        """(nearest, farthest) distance in m from centre (3,) to the sphere inside which the model means nothing."""
        away = float(np.linalg.norm(np.asarray(centre)))
        return max(0.0, away - self.distances[0]), away + self.distances[0]

    def moment(self):
        """Magnetic dipole moment (3,) A·m2 of the fit; a shielded magnet's is poorly known."""
        return 4 * jnp.pi * self.radius**3 / MU_0 * self.coefficients[0] * jnp.array([0.0, 0.0, 1.0])

    def covers(self, level: float) -> bool:
        """Whether a level (T) lies within the table the model was fitted to."""
        return self.levels[0] * (1 - 1e-9) <= level <= self.levels[1] * (1 + 1e-9)

    def warning(self, level: float) -> str:
        """A sentence where the model is asked for more than its table holds, else ""."""
        if self.covers(level):
            return ""
        low, high = self.levels
        return (
            f"OUTSIDE MODEL: the table holds {low * 1e3:g} mT to {high * 1e3:g} mT at {self.distances[0]:.2f} m to "
            f"{self.distances[1]:.2f} m, {level * 1e3:g} mT is extrapolated; ask the vendor for that line"
        )

    def uncertainty(self, points):
        """One standard deviation (P,) T of |B| at points (P,3) m that the table's rounding and the misfit leave."""
        direction = self.field(points)
        direction = direction / jnp.linalg.norm(direction, axis=1, keepdims=True)
        of = lambda c: jnp.sum(EquivalentMagnet(c, *self._settings()).field(points) * direction, axis=1)
        rows = jax.jacfwd(of)(jnp.asarray(self.coefficients))
        return jnp.sqrt(jnp.einsum("pi,ij,pj->p", rows, self.covariance, rows))

    def _settings(self):
        return self.covariance, self.radius, self.levels, self.distances, self.residual

    def _polar(self, points):
        """Points (P,3) m, their distances r (P,) m, NaN within the table's nearest line, and cosines of their polar angle."""
        place = jnp.asarray(points)
        r = jnp.sqrt(jnp.sum(place**2, axis=1))
        r = jnp.where(r < INSIDE * self.distances[0], jnp.nan, r)
        return place, r, place[:, 2] / r

    def _degrees(self) -> np.ndarray:
        return 2 * np.arange(np.shape(self.coefficients)[0]) + 1


# ---- Legendre functions of the odd degrees n and of n + 1 ---------------------------------------------


def _columns(x, degrees):
    """P_n(x) and P_n'(x) (P,K); the coefficients in powers of x are exact for the few degrees used here."""
    series = [legendre.leg2poly(np.eye(n + 1)[n]) for n in degrees]
    slopes = [np.arange(1, len(s)) * s[1:] for s in series]
    value = lambda s: jnp.polyval(jnp.asarray(s[::-1].copy()), x)
    return jnp.stack([value(s) for s in series], axis=1), jnp.stack([value(s) for s in slopes], axis=1)


def _lower(x, count: int):
    return _columns(x, range(1, 2 * count, 2))


def _upper(x, count: int):
    return _columns(x, range(2, 2 * count + 1, 2))


# ---- the fit ----------------------------------------------------------------------------------------


class _Table(NamedTuple):
    """One entry per distance: level T, distance m, whether on the axis; rows of one direction by falling distance."""

    level: np.ndarray
    distance: np.ndarray
    axial: np.ndarray
    radius: float


class _Fit(NamedTuple):
    c: np.ndarray
    miss: np.ndarray
    covariance: np.ndarray
    cost: float


def _table(rows) -> _Table:
    entries = []
    for column in (1, 2):
        found = [(float(row[0]), float(row[column])) for row in rows if row[column] is not None and np.isfinite(row[column])]
        entries += [(level, distance, column == 1) for level, distance in sorted(found)]
        if any(b[1] > a[1] or b[0] == a[0] for a, b in itertools.pairwise(sorted(found))):
            raise ValueError(f"from_contours: distances must not grow with the level, got {sorted(found)}")
    if len(entries) < 2:
        raise ValueError(f"from_contours: the table must hold at least two distances, got {len(entries)}")
    level, distance, axial = (np.array(column) for column in zip(*entries))
    if min(level.min(), distance.min()) <= 0:
        raise ValueError(f"from_contours: levels and distances must be positive, got {rows!r}")
    return _Table(level, distance, axial.astype(bool), float(distance.min()))


def _signs(table: _Table):
    """The ways in which B may have changed its sign: a table holds |B|, and along either direction B may turn over at
    most once between two of its levels."""
    rows = [np.flatnonzero(table.axial), np.flatnonzero(~table.axial)]
    turns = [[np.where(np.arange(len(r)) < k, -1.0, 1.0) for k in range(max(1, len(r)))] for r in rows]
    for along, across, relative in itertools.product(*turns, (1.0, -1.0)):
        yield np.concatenate([along, relative * across])


def _signed_fit(table: _Table, count: int, signs, rounding: float) -> _Fit:
    """Least squares in the distances: misses of B over its slope, with the slope of the round before."""
    value, slope = _rows(table, count)
    prior = np.diag(2 * np.arange(count) + 2.0) / (PRIOR * table.level.max())
    steepness = 5 * table.level / table.distance
    for _ in range(6):
        weight = np.sqrt(12) / (rounding * steepness)
        rows = np.concatenate([value * weight[:, None], prior])
        wanted = np.concatenate([signs * table.level * weight, np.zeros(count)])
        c, *_ = np.linalg.lstsq(rows, wanted, rcond=None)
        steepness = np.clip(np.abs(slope @ c), table.level / table.distance, 20 * table.level / table.distance)
    miss = (value @ c - signs * table.level) / steepness
    return _Fit(c, miss, np.linalg.inv(rows.T @ rows), float(np.sum((rows @ c - wanted) ** 2)))


def _rows(table: _Table, count: int):
    """B_z on the axis or in the midplane per coefficient, and its slope along the distance (M,K)."""
    n = 2 * np.arange(count) + 1
    at_zero = np.array([legendre.legval(0.0, np.eye(k + 2)[k + 1]) for k in n])
    angular = (n + 1) * np.where(table.axial[:, None], 1.0, at_zero)
    value = angular * (table.radius / table.distance[:, None]) ** (n + 2)
    return value, -value * (n + 2) / table.distance[:, None]


def _rms(miss) -> float:
    return float(np.sqrt(np.mean(np.square(miss))))
