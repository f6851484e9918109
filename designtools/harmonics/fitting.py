"""Coefficients from measured values: weighted least squares, with what the points can and cannot tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from designtools.harmonics.table import Harmonics, solid_harmonics, unit_axis


@dataclass(frozen=True)
class Fit:
    """A fitted table and how well the points determine it.

    table: the coefficients; residual_rms: weighted rms of what the table leaves, T; condition: ratio of the largest
    to the smallest singular value of the scaled matrix (1 is best; digits lost are its logarithm);
    names: ("cosine" or "sine", n, m) of each coefficient; covariance (K,K) T2 in the order of `names`;
    cosine_error, sine_error (order+1, order+1): standard errors, T.
    """

    table: Harmonics
    residual_rms: float
    condition: float
    names: tuple
    covariance: np.ndarray
    cosine_error: np.ndarray
    sine_error: np.ndarray


def fit(points, values, order: int, radius: float, centre=(0.0, 0.0, 0.0), axis="z", weights=None) -> Harmonics:
    """Least-squares coefficients of measured values (P,) T of one component at points (P,3) m.

    weights (P,) multiply the squared residuals.  Raises ValueError when the points cannot tell the terms apart.
    """
    return fit_with_errors(points, values, order, radius, centre, axis, weights).table


def fit_with_errors(points, values, order: int, radius: float, centre=(0.0, 0.0, 0.0), axis="z", weights=None,
                    noise: float | None = None) -> Fit:  # fmt: skip
    """As `fit`, with condition number, covariance and standard errors.

    noise: standard deviation (T) of a value of weight 1; by default estimated from the residual (needs more points
    than coefficients, else the covariance is NaN).  Weights should then be proportional to 1/variance.
    """
    points, values, root = _checked(points, values, weights)
    cosine, sine = solid_harmonics((points - centre) / radius, order)
    n, m = np.tril_indices(order + 1)
    matrix = root[:, None] * np.concatenate([cosine[:, n, m], sine[:, n[m > 0], m[m > 0]]], axis=1)
    scale = np.maximum(np.linalg.norm(matrix, axis=0), 1e-300)
    u, s, vt = np.linalg.svd(matrix / scale, full_matrices=False)
    rank = int(np.sum(s > 1e-10 * s[0]))
    if rank < matrix.shape[1]:
        raise ValueError(
            f"harmonics.fit: the points must determine {matrix.shape[1]} coefficients of order {order}, got "
            f"{len(matrix)} points of rank {rank}; lower the order or add points at other angles"
        )
    solution = vt.T @ ((u.T @ (root * values)) / s) / scale
    residual = root * values - matrix @ solution
    freedom = len(matrix) - len(solution)
    variance = noise**2 if noise is not None else residual @ residual / freedom if freedom else np.nan
    covariance = variance * (vt.T / s**2) @ vt / np.outer(scale, scale)
    table = Harmonics(*_square(solution, order), float(radius), tuple(map(float, centre)), unit_axis(axis))
    return Fit(
        table, float(np.sqrt(residual @ residual / np.sum(root**2))), float(s[0] / s[-1]), _names(order), covariance,
        *_square(np.sqrt(np.diag(covariance)), order),
    )  # fmt: skip


def _checked(points, values, weights):
    points, values = np.asarray(points, float), np.asarray(values, float)
    if points.ndim != 2 or points.shape[1] != 3 or values.shape != points.shape[:1]:
        raise ValueError(
            f"harmonics.fit: points must have shape (P,3) and values (P,), got {points.shape} and {values.shape}; "
            "fit one component of the field at a time"
        )
    weights = np.ones(len(values)) if weights is None else np.asarray(weights, float)
    if weights.shape != values.shape or not np.all(weights >= 0):
        raise ValueError(
            f"harmonics.fit: weights must be {len(values)} numbers of at least 0, got shape {weights.shape} and a least "
            f"value of {weights.min(initial=np.inf):.6g}; use 0 to leave a point out"
        )
    return points, values, np.sqrt(weights)


def _names(order) -> tuple:
    n, m = np.tril_indices(order + 1)
    pairs = [(int(a), int(b)) for a, b in zip(n, m)]
    return (*(("cosine", *pair) for pair in pairs), *(("sine", *pair) for pair in pairs if pair[1]))


def _square(vector, order):
    """(cosine, sine) tables from a vector in the order of `_names`."""
    n, m = np.tril_indices(order + 1)
    a, b = np.zeros((order + 1, order + 1)), np.zeros((order + 1, order + 1))
    a[n, m] = vector[: len(n)]
    b[n[m > 0], m[m > 0]] = vector[len(n) :]
    return a, b
