"""Regularised least squares with a few knobs, answered in milliseconds from one generalised eigen-decomposition.

    least  z'(a z) + sum_k w_k |R_k z - y_k|^2        a (K,) diagonal, R_k rows, w_k weights

In coefficients z in which both quadratic forms of the objective are diagonal (V'PV = 1, V'LV = diag(l)), any mixture of
the two is, and the normal equations shrink to the rows: z = a^-1 R'c with (R a^-1 R' + 1/w) c = y (the dual form of
Tikhonov's problem; Golub & Van Loan, Matrix Computations, 6.1).  A limit on the largest residual is met by a search over its
weight, for which one eigen-decomposition of the small matrix serves all weights.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import linalg

CUT = 1e-7  # relative singular value of rows, below which they ask for nothing that can be had
WEIGHTS = np.geomspace(1e-8, 1e8, 49)  # of rows scaled to size 1, between which the search goes on


def diagonalised(power, energy) -> tuple[np.ndarray, np.ndarray]:
    """V (K,K) and l (K,) with V' power V = 1 and V' energy V = diag(l); both symmetric, `power` definite."""
    l, v = linalg.eigh(energy, power)
    return v, np.maximum(l, 0.0)


class Rows(NamedTuple):
    """Rows (n,K) as scale * (points @ core) with orthonormal `points` (n,r), and what is wanted of them: `wanted` in the span, `rest` outside.

    scale (n,) is 1 over the root of the importance of each row.
    """

    points: np.ndarray
    core: np.ndarray
    wanted: np.ndarray
    rest: np.ndarray
    scale: np.ndarray

    def residual(self, z) -> np.ndarray:
        """Rows at z (K,) less what is wanted (n,)."""
        return self.scale * (self.points @ (self.core @ z - self.wanted) - self.rest)


def compressed(matrix, wanted=None) -> Rows:
    """The rows by their singular values; `wanted` (n,) is zero where left out."""
    u, s, vt = linalg.svd(matrix, full_matrices=False, lapack_driver="gesdd")
    keep = s > CUT * s[0]
    wanted = np.zeros(len(matrix)) if wanted is None else np.asarray(wanted, float)
    u = u[:, keep]
    inside = u.T @ wanted
    return Rows(u, s[keep, None] * vt[keep], inside, wanted - u @ inside, np.ones(len(matrix)))


def reweighted(rows: Rows, importance) -> Rows:
    """The same rows with importance (n,), mean 1: least squares then approach the least peak (Lawson 1961, in Rice & Usow 1968)."""
    scale = np.sqrt(np.mean(importance) / importance)
    change = (rows.scale / scale)[:, None]
    q, r = np.linalg.qr(change * rows.points)
    wanted = change[:, 0] * (rows.points @ rows.wanted + rows.rest)
    inside = q.T @ wanted
    return Rows(q, r @ rows.core, inside, wanted - q @ inside, scale)


class Soft(NamedTuple):
    """Rows (n,K) that are pulled towards zero with weights (n,)."""

    rows: np.ndarray
    weight: np.ndarray


class Solved(NamedTuple):
    """z (K,); the weights found of error and stray; whether each limit is kept."""

    z: np.ndarray
    error_weight: float
    stray_weight: float
    error: float
    stray: float


class Dual(NamedTuple):
    """R a^-1 R' of the error rows and of the stray rows after exact rows and soft rows have been taken out, and the way back."""

    diagonal: np.ndarray
    error: np.ndarray
    cross: np.ndarray
    stray: np.ndarray
    wanted: np.ndarray
    given: np.ndarray
    back: np.ndarray
    start: np.ndarray


def dual(diagonal, exact, value, error: Rows, stray: Rows | None, soft: Soft | None) -> Dual:
    """Everything that does not depend on the two weights; exact (m,K) rows equal `value` (m,)."""
    asked = error.core if stray is None else np.concatenate([error.core, stray.core])
    fixed = exact if soft is None else np.concatenate([exact, soft.rows])
    slack = np.zeros(len(exact)) if soft is None else np.concatenate([np.zeros(len(exact)), 1 / soft.weight])
    inverse = 1 / diagonal
    small = (fixed * inverse) @ fixed.T + np.diag(slack)
    factor = linalg.cho_factor(small + 1e-14 * np.trace(small) / len(small) * np.eye(len(small)))
    mixed = (asked * inverse) @ fixed.T
    target = np.zeros(len(fixed))
    target[: len(exact)] = value
    gram = (asked * inverse) @ asked.T - mixed @ linalg.cho_solve(factor, mixed.T)
    start = linalg.cho_solve(factor, target)
    right = np.concatenate([error.wanted, np.zeros(len(asked) - len(error.wanted))]) - mixed @ start
    back = inverse[:, None] * (asked.T - fixed.T @ linalg.cho_solve(factor, mixed.T))
    n = len(error.wanted)
    return Dual(inverse * (fixed.T @ start), gram[:n, :n], gram[:n, n:], gram[n:, n:], right[:n], right[n:], back, start)


class Path(NamedTuple):
    """Every weight of the error rows at one weight of the stray rows: eigenvalues and what becomes of residuals."""

    values: np.ndarray
    vectors: np.ndarray
    right: np.ndarray
    stray_factor: object
    stray_weight: float


def path(system: Dual, stray_weight: float) -> Path:
    """The error rows with the stray rows taken out at their weight."""
    gram, right, factor = system.error, system.wanted, None
    if system.stray.size and stray_weight > 0:
        factor = linalg.cho_factor(system.stray + np.eye(len(system.stray)) / stray_weight)
        gram = gram - system.cross @ linalg.cho_solve(factor, system.cross.T)
        right = right - system.cross @ linalg.cho_solve(factor, system.given)
    values, vectors = linalg.eigh((gram + gram.T) / 2)
    return Path(np.maximum(values, 0.0), vectors, vectors.T @ right, factor, stray_weight)


def errors(found: Path, error: Rows, weights) -> np.ndarray:
    """Largest residual (W,) at each weight."""
    left = found.right[:, None] / (1 + np.outer(found.values, weights))
    return np.abs(error.scale[:, None] * (error.points @ (found.vectors @ left) + error.rest[:, None])).max(axis=0)


def weight_for(found: Path, error: Rows, limit: float) -> float:
    """The smallest weight whose largest residual keeps `limit`; the largest weight where none does."""
    known = errors(found, error, WEIGHTS)
    keeps = np.flatnonzero(known <= limit)
    if not keeps.size:
        return float(WEIGHTS[np.argmin(known)])
    if keeps[0] == 0:
        return float(WEIGHTS[0])
    fine = np.geomspace(WEIGHTS[keeps[0] - 1], WEIGHTS[keeps[0]], 65)
    return float(fine[np.flatnonzero(errors(found, error, fine) <= limit * (1 + 1e-12))[0]])


def coefficients(system: Dual, found: Path, weight) -> np.ndarray:
    """z (K,) at a weight of the error rows, or (K,W) at several."""
    scale = weight / (1 + np.multiply.outer(found.values, weight))
    multiplier = found.vectors @ (scale * (found.right if np.ndim(weight) == 0 else found.right[:, None]))
    if found.stray_factor is not None:
        given = system.given if np.ndim(weight) == 0 else system.given[:, None]
        multiplier = np.concatenate([multiplier, linalg.cho_solve(found.stray_factor, given - system.cross.T @ multiplier)])
    start = system.diagonal if np.ndim(weight) == 0 else system.diagonal[:, None]
    return start + system.back[:, : len(multiplier)] @ multiplier


def balanced(system: Dual, error: Rows, limit: float, stray_size=None, stray_limit: float | None = None, near: float = 0.0) -> tuple[Solved, Path]:
    """The least objective that keeps the largest error and, where asked, the largest stray field `stray_size(z)`.

    near: a weight of the stray rows about which to search first, where one is known.
    """

    def tried(stray_weight):
        found = path(system, stray_weight)
        weight = weight_for(found, error, limit)
        z = coefficients(system, found, weight)
        return Solved(z, weight, stray_weight, float(errors(found, error, np.array([weight]))[0]), stray_size(z) if stray_size else 0.0), found

    best = tried(near)
    if stray_limit is None or 0.99 * stray_limit < best[0].stray <= stray_limit:
        return best
    if best[0].stray <= stray_limit:
        best = tried(0.0)
        if best[0].stray <= stray_limit:
            return best
    low, high = np.log(WEIGHTS[0]), np.log(WEIGHTS[-1])
    for k in range(14):
        middle = np.log(near) + 0.3 * (1 if best[0].stray > stray_limit else -1) if near and k < 2 else (low + high) / 2
        here = tried(float(np.exp(middle)))
        kept = here[0].stray <= stray_limit
        low, high = (low, middle) if kept else (middle, high)
        if kept or best[0].stray > stray_limit and here[0].stray < best[0].stray:
            best = here
        if kept and here[0].stray > 0.99 * stray_limit:
            break
    return best
