"""|B| and its slope, evaluated in few shapes so that few programs are compiled."""

from __future__ import annotations

import numpy as np

from designtools.fringe import FarSighted

SMALL, LARGE = 512, 8192  # points per evaluation
STEP = 1e-4  # m, of the differences that make slopes
_TINY = 1e-300


def field(source, points) -> np.ndarray:
    """Flux density (P,3) T at points (P,3) m, in batches of one of two sizes."""
    points = np.asarray(points, float).reshape(-1, 3)
    if not len(points):
        return np.zeros((0, 3))
    if isinstance(source, FarSighted):
        return source.field(points)
    size = SMALL if len(points) <= LARGE / 2 else LARGE
    padded = np.concatenate([points, np.repeat(points[-1:], -len(points) % size, axis=0)])
    batches = [np.asarray(source.field(batch)) for batch in padded.reshape(-1, size, 3)]
    return np.concatenate(batches)[: len(points)]


def magnitude(source, points) -> np.ndarray:
    """|B| (P,) T at points (P,3) m."""
    return np.linalg.norm(field(source, points), axis=1)


def slope(source, points) -> tuple[np.ndarray, np.ndarray]:
    """|B| (P,) T and its gradient (P,3) T/m at points (P,3) m.

    Central differences of the exact field over 0.1 mm: beyond 10 mm from any conductor the relative error is
    below 1e-4 (it falls with the square of the distance), beyond 0.1 m below 1e-6.
    """
    points = np.asarray(points, float).reshape(-1, 3)
    steps = STEP * np.concatenate([np.zeros((1, 3)), np.eye(3), -np.eye(3)])
    size = magnitude(source, (points + steps[:, None]).reshape(-1, 3)).reshape(7, -1)
    return size[0], ((size[1:4] - size[4:]) / (2 * STEP)).T


def logarithm(values, level: float) -> np.ndarray:
    """log(values / level), finite where the value is zero: nearly linear in log distance, so roots are found fast."""
    return np.log(np.maximum(values, _TINY) / level)


def end_of_level(of, level: float, centre=(0.0, 0.0, 0.0), start: float = 0.1) -> float:
    """Radius (m) of a sphere about `centre` on which of(points) (P,) stays below `level`, grown from `start`.

    Outside its sources the largest |B| on a sphere falls with the radius, so beyond it the level is not reached.
    Raises ValueError where that does not happen within 10 km.
    """
    theta, phi = np.meshgrid(np.linspace(0, np.pi, 25), 2 * np.pi * np.arange(20) / 20, indexing="ij")
    sphere = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=-1).reshape(-1, 3)
    radius = max(start, 1e-3)
    while of(np.asarray(centre) + radius * sphere).max() > 0.95 * level:
        radius *= 1.3
        if radius > 1e4:
            raise ValueError(
                f"the field must fall below the level {level:g} within 10 km, but it does not; "
                "leave background fields out and check the unit of the level"
            )
    return radius
