"""Where fields are wanted: points and the weight of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial.legendre import leggauss


@dataclass(frozen=True)
class Region:
    """Points (P,3) m with weights (P,) that sum to 1, so that a weighted sum is a mean."""

    points: np.ndarray
    weights: np.ndarray
    name: str = "region"

    def __len__(self) -> int:
        return len(self.points)


def sphere_rule(order: int, phase: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors (P,3) and weights (P,) integrating spherical harmonics up to `order` exactly.

    Gauss-Legendre in cos(theta) times a uniform rule in azimuth.  The azimuthal count is a
    multiple of four starting half a step off the axes, so the rule keeps the mirror planes x, y, z = 0.
    """
    n_theta = order // 2 + 1
    n_phi = 4 * (order // 4 + 1)
    cos_theta, w_theta = leggauss(n_theta)
    phi = 2 * np.pi * (np.arange(n_phi) + 0.5) / n_phi + phase
    sin_theta = np.sqrt(1 - cos_theta**2)
    directions = np.stack(
        [np.outer(sin_theta, np.cos(phi)), np.outer(sin_theta, np.sin(phi)), np.outer(cos_theta, np.ones(n_phi))],
        axis=-1,
    )
    weights = np.outer(w_theta / 2, np.full(n_phi, 1 / n_phi))
    return directions.reshape(-1, 3), weights.ravel()


def shell(radius: float, centre=(0.0, 0.0, 0.0), order: int = 16, name: str = "shell") -> Region:
    """The surface of a ball: where a harmonic field takes its extremes."""
    directions, weights = sphere_rule(order)
    return Region(np.asarray(centre, float) + radius * directions, weights, name)


def ball(radius: float, centre=(0.0, 0.0, 0.0), order: int = 12, name: str = "ball") -> Region:
    """A solid ball: Gauss-Legendre in r (weight r^2) times `sphere_rule`; exact to `order`."""
    t, w = leggauss(order // 2 + 2)
    r = (t + 1) / 2
    radial = w * r**2
    directions, weights = sphere_rule(order)
    points = (radius * r[:, None, None]) * directions[None]
    mass = np.outer(radial / radial.sum(), weights)
    return Region(np.asarray(centre, float) + points.reshape(-1, 3), mass.ravel(), name)


def ellipsoid(semi_axes, centre=(0.0, 0.0, 0.0), order: int = 16, name: str = "ellipsoid") -> Region:
    """The surface of an ellipsoid with semi-axes (3,) m; weights are those of the mapped sphere."""
    directions, weights = sphere_rule(order)
    return Region(np.asarray(centre, float) + np.asarray(semi_axes, float) * directions, weights, name)


def cylinder(radius: float, length: float, n_phi: int, n_z: int, frame=None, name: str = "cylinder") -> Region:
    """The wall of a cylinder about the third axis of `frame` (3,3; rows are unit vectors), both rims included.

    Rings at equal distances, half weight on the rims (trapezoidal rule).
    """
    frame = np.eye(3) if frame is None else np.asarray(frame, float)
    phi = 2 * np.pi * (np.arange(n_phi) + 0.5) / n_phi
    w = np.ones(n_z)
    w[[0, -1]] = 0.5
    phi, z = np.meshgrid(phi, np.linspace(-length / 2, length / 2, n_z), indexing="ij")
    local = np.stack([radius * np.cos(phi), radius * np.sin(phi), z], axis=-1).reshape(-1, 3)
    return Region(local @ frame, np.tile(w / w.sum() / n_phi, n_phi), name)


def scattered_ball(radius: float, centre=(0.0, 0.0, 0.0), count: int = 2000, seed: int = 1, name: str = "audit") -> Region:
    """Points no optimiser saw: uniform in the ball, two fifths of them on its surface."""
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    r = rng.random(count) ** (1 / 3)
    r[: (2 * count) // 5] = 1.0
    return Region(np.asarray(centre, float) + radius * r[:, None] * directions, np.full(count, 1 / count), name)
