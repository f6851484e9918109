"""Magnetisation curves of soft steel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from designtools.units import MU_0

# AISI 1010, hot rolled: H (A/m), B (T) of the virgin curve as the libraries of the magnet codes PANDIRA and FEMM carry it;
# its last two points rise with mu0, so the steel is saturated there: mu0 Ms = 2.0 T
_H_1010 = (0, 238.7, 318.3, 358.1, 437.7, 477.5, 636.6, 795.8, 1114.1, 1273.2, 1591.5, 2228.2, 3183.1, 4774.6, 6366.2, 7957.7, 15915.5, 47746.5, 63662, 79577.5, 159155, 318310)  # fmt: skip
_B_1010 = (0, 0.2003, 0.3204, 0.40045, 0.50055, 0.5606, 0.7908, 0.9310, 1.1014, 1.2016, 1.302, 1.4028, 1.524, 1.626, 1.698, 1.73, 1.87, 2.04, 2.07, 2.095, 2.2, 2.4)  # fmt: skip


@dataclass(frozen=True)
class Curve:
    """A single-valued magnetisation curve: polarization J = B - mu0 H (T) at rising field H (A/m), from 0, 0.

    Between the points J is a monotone cubic, beyond the last it stays: the steel is saturated.  knee (T): the flux density
    from which a plate counts as saturated.
    """

    name: str
    h: np.ndarray
    j: np.ndarray
    knee: float

    def polarization(self, h) -> tuple[np.ndarray, np.ndarray]:
        """J (T) and dJ/dH (T m/A) at field strengths H >= 0 (A/m)."""
        curve = PchipInterpolator(self.h, self.j)
        inside = np.minimum(h, self.h[-1])
        return curve(inside), np.where(h < self.h[-1], curve.derivative()(inside), 0.0)


def curve_of(name: str, h, b, knee: float | None = None) -> Curve:
    """The curve through points H (A/m), B (T) that start at 0, 0 and rise.

    knee (T): by default where the differential permeability has fallen to 20, for a curve that does so.
    Raises ValueError for points that do not rise.
    """
    h, b = np.asarray(h, float), np.asarray(b, float)
    j = np.maximum.accumulate(b - MU_0 * h)
    if h.shape != b.shape or len(h) < 2 or h[0] or b[0] or np.any(np.diff(h) <= 0) or np.any(np.diff(b) <= 0):
        raise ValueError(f"curve '{name}': H and B must be two lists that start at 0 and rise, got {len(h)} and {len(b)} numbers")
    steep = np.diff(b) / np.diff(h) / MU_0 > 20
    return Curve(name, h, j, float(b[1:][steep][-1]) if knee is None else knee)


def low_carbon() -> Curve:
    """AISI 1010, the steel of shield plates."""
    return curve_of("AISI 1010", _H_1010, _B_1010)


def linear(permeability: float) -> Curve:
    """A material of constant relative permeability: for closed forms."""
    return curve_of(f"relative permeability {permeability:g}", [0.0, 1e9], [0.0, 1e9 * permeability * MU_0], np.inf)


def saturating(permeability: float, polarization: float) -> Curve:
    """Constant permeability up to a sharp knee, constant polarization (T) beyond: for closed forms."""
    corner = polarization / ((permeability - 1) * MU_0)
    h = corner * np.array([0.0, 1.0, 1.0 + 1e-3, 1e6])
    return Curve("saturating", h, np.array([0.0, polarization * (1 - 1e-9), polarization, polarization]), polarization)
