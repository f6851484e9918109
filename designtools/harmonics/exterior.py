"""The far field of coils about z: one coefficient per degree, in plain numpy, with a bound of what the series leaves out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from designtools.sources.assembly import Assembly
from designtools.sources.blocks import Blocks
from designtools.sources.loops import Loops
from designtools.units import MU_0


@dataclass(frozen=True)
class Exterior:
    """B_r = sum_n n(n+1) c_n P_n(cos theta) (R/r)^(n+2),  B_theta = sum_n n c_n P_n^1(cos theta) (R/r)^(n+2).

    coefficients c_n (order+1,) T, c_0 = 0, with P_n^1 = sin theta P_n'; strength (A·m): largest sum of |I| times its
    distance; radius R (m): all currents lie within it of the point `height` (m) on the axis.
    (J. D. Jackson, Classical Electrodynamics, 3rd edition, eqs. 5.46 to 5.49.)
    """

    coefficients: np.ndarray
    strength: float
    radius: float
    height: float

    def field(self, points) -> np.ndarray:
        """Flux density (P,3) T at points (P,3) m farther than `radius` from the centre; see `error_bound`."""
        own = np.asarray(points, float) - [0.0, 0.0, self.height]
        across, z = np.hypot(own[:, 0], own[:, 1]), own[:, 2]
        r = np.hypot(across, z)
        sine, cosine = across / r, z / r
        radial, polar = self._sums(sine, cosine, self.radius / r)
        out = (radial * sine + polar * cosine) / np.maximum(across, 1e-300)
        return np.column_stack([own[:, 0] * out, own[:, 1] * out, radial * cosine - polar * sine])

    def _sums(self, sine, cosine, t):
        """B_r and B_theta; P_n and P_n' by their recurrences, times t^(n+2)."""
        radial, polar = np.zeros_like(t), np.zeros_like(t)
        before, now, slope = t**2, t**3 * cosine, t**3
        for n, c in enumerate(self.coefficients[1 : _terms(t)], start=1):
            radial += n * (n + 1) * c * now
            polar += n * c * slope
            slope = t * (cosine * slope + (n + 1) * now)
            before, now = now, t * ((2 * n + 1) * cosine * now - n * t * before) / (n + 1)
        return radial, polar * sine

    def error_bound(self, distance):
        """|B| errs by at most this (T) at `distance` (...) m from the centre: |P_n^1| stays below (n+1)/sqrt(2)."""
        distance = np.asarray(distance, float)
        t, n = np.minimum(self.radius / distance, 1 - 1e-12), len(self.coefficients) - 1
        tail = t ** (n + 2) * (n + 2 - (n + 1) * t) / (1 - t) ** 2
        return np.where(distance > self.radius, MU_0 * self.strength / (2 * distance * self.radius) * tail, np.inf)


def _terms(t) -> int:
    """Terms of which the next one would be below 1e-20 of the first, for the nearest of the points."""
    return int(min(46 / -np.log(min(float(np.max(t)), 1 - 1e-9)), 1e9)) + 3


def exterior(source, order: int, height: float = 0.0) -> Exterior:
    """Exact coefficients up to `order` of Blocks, Loops about z and Assemblies of these, about `height` (m) on the axis."""
    radius = float(source.extent(np.array([0.0, 0.0, height]))[1])
    a, z, amperes = rings(source, order // 2 + 2)
    distance = np.hypot(a, z - height)
    sine, cosine, t = a / distance, (z - height) / distance, distance / radius
    weight = amperes * sine**2
    slope, now = t**2, t**2 * cosine  # t^(n+1) times P_n' and P_n, n = 1
    before, found = t, [0.0]
    for n in range(1, order + 1):
        found.append(MU_0 / (2 * radius * n * (n + 1)) * float(np.sum(weight * slope)))
        slope = t * (cosine * slope + (n + 1) * now)
        before, now = now, t * ((2 * n + 1) * cosine * now - n * t * before) / (n + 1)
    return Exterior(np.array(found), float(np.abs(amperes).sum() * radius), radius, height)


def revolves(source) -> bool:
    """Whether a source is made of circles about z alone."""
    if isinstance(source, Assembly):
        return all(revolves(part) for part in source.parts)
    if isinstance(source, Loops):
        return not (np.asarray(source.centre)[:, :2].any() or np.asarray(source.normal)[:, :2].any())
    return isinstance(source, Blocks)


def rings(source, count: int):
    """Radius, height (m), current (A), (Q,) each: sections become `count` x `count` rings on Gauss points."""
    if isinstance(source, Assembly):
        parts = [rings(part, count) for part in source.parts]
        return tuple(np.concatenate(column) for column in zip(*parts))
    if isinstance(source, Loops):
        centre, upwards = np.asarray(source.centre, float), np.sign(np.asarray(source.normal)[:, 2])
        return np.asarray(source.radius, float), centre[:, 2], np.asarray(source.current, float) * upwards
    inner, outer, low, high, density = (np.asarray(leaf, float)[:, None] for leaf in source._leaves())
    t, w = np.polynomial.legendre.leggauss(count)
    across, along = (grid.ravel() for grid in np.meshgrid(t, t))
    amperes = density * (outer - inner) * (high - low) / 4 * np.outer(w, w).ravel()
    middle = lambda start, end, at: (start + end) / 2 + (end - start) / 2 * at
    return middle(inner, outer, across).ravel(), middle(low, high, along).ravel(), amperes.ravel()
