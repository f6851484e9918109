"""What the fringe field does to steel: slopes of |B|, their product with |B|, and the line where a ball weighs nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from designtools.siting.contours import Contour, Plane, contour
from designtools.siting.sampling import slope
from designtools.units import MU_0

STANDARD_GRAVITY = 9.80665  # m/s2
STEEL_POLARIZATION = 2.1  # T, mu0 Ms of soft iron
STEEL_DENSITY = 7850.0  # kg/m3


def spatial_gradient(source, points) -> np.ndarray:
    """|grad |B|| (P,) T/m at points (P,3) m: the `spatial gradient` of implant labels."""
    return np.linalg.norm(slope(source, points)[1], axis=1)


def force_product(source, points) -> np.ndarray:
    """|B| |grad |B|| (P,) T2/m at points (P,3) m: what draws unsaturated steel."""
    size, gradient = slope(source, points)
    return size * np.linalg.norm(gradient, axis=1)


def pull(source, points, polarization: float = STEEL_POLARIZATION, density: float = STEEL_DENSITY) -> np.ndarray:
    """Magnetic force over weight (P,) of a small soft ball at points (P,3) m.

    Its permeability counts as infinite, so M = 3 B/mu0 until that reaches the saturation Ms = polarization/mu0, at
    B = polarization/3; the force per volume is M |grad |B||.
    """
    size, gradient = slope(source, points)
    magnetization = np.minimum(3 * size, polarization) / MU_0
    return magnetization * np.linalg.norm(gradient, axis=1) / (density * STANDARD_GRAVITY)


def one_g_contour(source, plane: Plane, cells: int = 64, **steel) -> Contour:
    """Where a steel ball is drawn with just its own weight: lines of `pull` = 1 in a plane."""
    return contour(partial(pull, source, **steel), 1.0, plane, source.extent(np.zeros(3))[1], cells)


@dataclass(frozen=True)
class Peak:
    """The largest `value` found and its `place` (3,) m."""

    value: float
    place: np.ndarray


@dataclass(frozen=True)
class Patch:
    """A piece of surface: at(u, v) -> points (n,3) m for u, v in [0, 1]."""

    at: Callable


def peak(of, patches, count: int = 16) -> Peak:
    """Largest of(points) over the patches: `count` x `count` points on each, then four zooms about the best.

    Outside its sources |B| has no maximum inside a volume, so the surface of a volume shows its largest |B|.
    """
    return max((_peak_on(of, patch, count) for patch in patches), key=lambda found: found.value)


def _peak_on(of, patch: Patch, count: int) -> Peak:
    middle, half, best = np.array([0.5, 0.5]), 0.5, None
    for _ in range(5):
        u, v = (np.clip(np.linspace(c - half, c + half, count), 0, 1) for c in middle)
        uv = np.stack([a.ravel() for a in np.meshgrid(u, v, indexing="ij")])
        points = patch.at(*uv)
        values = of(points)
        k = int(np.argmax(values))
        if best is None or values[k] > best.value:
            best, middle = Peak(float(values[k]), points[k]), uv[:, k]
        half *= 3 / count
    return best
