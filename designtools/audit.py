"""Re-checks by means the optimiser never saw: other points, exact wires, and magpylib's own field."""

from __future__ import annotations

import numpy as np

from designtools.regions import Region, ball, scattered_ball


def unseen_points(half_widths, centre, count: int, seed: int) -> Region:
    """Points (count,3) in an ellipsoid, two fifths of them on its surface, drawn from `seed`."""
    unit = scattered_ball(1.0, count=count, seed=seed)
    return Region(np.asarray(centre, float) + unit.points * np.asarray(half_widths, float), unit.weights, "audit")


def volume_rule(half_widths, centre, order: int = 16) -> Region:
    """Quadrature points of the ellipsoid, inside where the optimiser held its surface: for best-fitting slopes."""
    unit = ball(1.0, order=order)
    return Region(np.asarray(centre, float) + unit.points * np.asarray(half_widths, float), unit.weights, "volume")


def fitted_gradient(component: np.ndarray, distance: np.ndarray, weights: np.ndarray) -> float:
    """Weighted least-squares slope (T/m) of a field component (P,) T over the signed distance (P,) m, through zero."""
    return float((weights * distance) @ component / ((weights * distance) @ distance))


def linearity(component: np.ndarray, distance: np.ndarray, gradient: float, reach: float) -> dict[str, float]:
    """Largest and rms deviation of a component (P,) T from gradient * distance, relative to gradient * reach."""
    deviation = (component - gradient * distance) / (abs(gradient) * reach)
    return {
        "gradient": gradient,
        "linearity_error_max": float(np.abs(deviation).max()),
        "linearity_error_rms": float(np.sqrt(np.mean(deviation**2))),
    }


def against_magpylib(source, points: np.ndarray) -> dict[str, float]:
    """Largest difference between our field and magpylib's at `points`, relative to the largest field there.

    magpylib takes mu0 from CODATA 2022 and we take 4e-7 pi, which is 1.3e-10 of every field of a current.
    """
    from designtools.interop import to_magpylib

    ours = np.asarray(source.field(points))
    theirs = np.asarray(to_magpylib(source).getB(points))
    difference = np.linalg.norm(ours - theirs, axis=1).max() / np.linalg.norm(theirs, axis=1).max()
    return {"largest_relative_difference": float(difference), "points": len(points)}
