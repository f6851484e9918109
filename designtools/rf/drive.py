"""Static shims of a transmit array: complex currents of the channels under hard limits on SAR and power.

Limits are I^H Q I <= limit, cones. Of thousands of cubes only those enter that a solution violates; each round's optimum
bounds the best possible from outside, and the solution scaled back into all limits from inside, so that their
difference is a certified gap.  Focusing is convex; evenness of the magnitude is not: the phases of the target are
alternated from several starts and the spread of what they reach is handed on.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import cvxpy as cp
import numpy as np

_EXCESS = 1e-4  # of a limit, that a cube may have before it enters
_BATCH = 12  # cubes that enter at a time
_ROUNDS = 60


class Limits(NamedTuple):
    """Forms (K,C,C) and their limits (K,), all in the same order; currents are peak values."""

    forms: np.ndarray
    limits: np.ndarray


class Shimmed(NamedTuple):
    """Currents (C,) A; objective; gap: certified relative distance to the best (None for `even`); spread of the starts
    (largest over smallest objective less 1); how many forms entered."""

    current: np.ndarray
    objective: float
    gap: float | None
    spread: float
    entered: int


def scaled(limits: Limits) -> np.ndarray:
    """Forms over their limits (K,C,C): I^H F I <= 1."""
    return limits.forms / limits.limits[:, None, None]


def excess(forms, current) -> np.ndarray:
    """I^H F I (K,)."""
    return np.einsum("a,kab,b->k", np.conj(current), forms, current, optimize=True).real


def focus(sensitivity, limits: Limits) -> Shimmed:
    """Largest |b I| for the row `sensitivity` (C,) T/A: convex, global within the gap, which no tolerance of a solver enters."""
    forms = scaled(limits)
    row = np.asarray(sensitivity) / np.linalg.norm(sensitivity)
    unit, entered = _unit(forms), _seeds(forms)
    for _ in range(_ROUNDS):
        best, multipliers = _focused(row, forms[entered], unit)
        over = excess(forms, best)
        if over.max() <= 1 + _EXCESS:
            break
        entered = _enter(entered, over)
    current = best / np.sqrt(max(over.max(), 1e-300))
    outside, inside = bound(row, forms[entered], multipliers), abs(row @ current)
    return Shimmed(current, float(inside * np.linalg.norm(sensitivity)), float(1 - inside / outside), 0.0, len(entered))


def bound(row, forms, multipliers) -> float:
    """An upper bound of |b I| under I^H F_k I <= 1 from any multipliers (K,) >= 0 whose sum F = sum m_k F_k is definite.

    |b I|^2 <= (b F^-1 b^H)(I^H F I) <= (b F^-1 b^H) sum m_k.
    """
    multipliers = np.maximum(multipliers, 1e-9 * np.max(multipliers))
    total = np.einsum("k,kab->ab", multipliers, forms)
    total = total + 1e-14 * np.trace(total).real * np.eye(len(row))
    return float(np.sqrt(np.real(row @ np.linalg.solve(total, row.conj())) * multipliers.sum()))


def even(sensitivity, wanted: float, limits: Limits, starts: int, seed: int) -> Shimmed:
    """Least rms of |B I| - wanted over points, sensitivity (P,C) T/A: a local optimum, the best of several starts.

    The objective is relative to `wanted`.
    """
    forms = scaled(limits)
    matrix = np.asarray(sensitivity) / wanted
    found, entered = [], _seeds(forms)
    for phases in _starting_phases(matrix, starts, seed):
        current, entered = _alternated(matrix, phases, forms, entered)
        current = current / np.sqrt(max(1.0, excess(forms, current).max()))
        found.append((_unevenness(matrix, current), current))
    values = [value for value, _ in found]
    objective, current = min(found, key=lambda pair: pair[0])
    return Shimmed(current, float(objective), None, float(max(values) / min(values) - 1), len(entered))


def _unevenness(matrix, current) -> float:
    return float(np.sqrt(np.mean((np.abs(matrix @ current) - 1) ** 2)))


def _starting_phases(matrix, starts, seed):
    """Phases of the field of channels in phase at the first point, then of random drives."""
    random = np.random.default_rng(seed)
    first = np.exp(-1j * np.angle(matrix[len(matrix) // 2]))
    drives = [first] + [random.normal(size=matrix.shape[1]) + 1j * random.normal(size=matrix.shape[1]) for _ in range(starts - 1)]
    return [np.angle(matrix @ drive) for drive in drives]


def _alternated(matrix, phases, forms, entered, rounds: int = 60):
    """Least squares with the phases held, then the phases of what came out, until nothing moves."""
    narrow, triangle = np.linalg.qr(matrix)
    before = np.inf
    for _ in range(rounds):
        current, entered = _least_squares(triangle, narrow.conj().T @ np.exp(1j * phases), forms, entered)
        phases = np.angle(matrix @ current)
        now = _unevenness(matrix, current)
        if before - now < 1e-4 * now:
            break
        before = now
    return current, entered


def _least_squares(triangle, right, forms, entered):
    """|T I - y| least under all limits, by adding cubes that are violated; the interior solution where it keeps all."""
    current = np.linalg.lstsq(triangle, right, rcond=None)[0]
    for _ in range(_ROUNDS):
        over = excess(forms, current)
        if over.max() <= 1 + _EXCESS:
            break
        entered = _enter(entered, over)
        current = _constrained(triangle, right, forms[entered])
    return current, entered


# --- cones ------------------------------------------------------------------------------------------


def _seeds(forms) -> list[int]:
    """To begin with, the form of the largest trace and the one after whose removal least of a drive is left."""
    return [int(np.argmax(np.einsum("kaa->k", forms).real))]


def _enter(entered, over) -> list[int]:
    worst = [int(k) for k in np.argsort(-over)[:_BATCH] if over[k] > 1 + _EXCESS / 2]
    return sorted({*entered, *worst})


def _unit(forms) -> float:
    """A current (A) at which the limits are of order 1."""
    return 1 / np.sqrt(np.linalg.eigvalsh(forms.mean(axis=0))[-1])


def _roots(forms):
    """Real matrices (n,2C) with |R [Re I; Im I]|^2 = I^H F I."""
    values, vectors = np.linalg.eigh(forms)
    halves = np.sqrt(np.maximum(values, 0))[..., None] * np.swapaxes(vectors.conj(), -1, -2)
    return [_real(h) for h in halves]


def _real(matrix):
    """A complex matrix acting on [Re; Im]."""
    return np.block([[matrix.real, -matrix.imag], [matrix.imag, matrix.real]])


def _focused(row, forms, unit):
    """max Re(row I) and the multipliers of its cones, within a box a thousand times what the limits allow on average."""
    n = len(row)
    x = cp.Variable(2 * n)
    cones = [cp.norm(root * unit @ x) <= 1 for root in _roots(forms)]
    _solved(cp.Problem(cp.Maximize(np.concatenate([row.real, -row.imag]) @ x), [*cones, cp.norm(x) <= 1e3]), x)
    return unit * (x.value[:n] + 1j * x.value[n:]), np.array([float(cone.dual_value) for cone in cones])


def _constrained(triangle, right, forms):
    n = triangle.shape[1]
    unit = np.linalg.norm(right) / np.linalg.norm(triangle)
    x = cp.Variable(2 * n)
    misfit = cp.norm(_real(triangle) * unit @ x - np.concatenate([right.real, right.imag]))
    _solved(cp.Problem(cp.Minimize(misfit), [cp.norm(root * unit @ x) <= 1 for root in _roots(forms)]), x)
    return unit * (x.value[:n] + 1j * x.value[n:])


def _solved(problem, x) -> None:
    """Solve by an interior point; a solution short of its tolerance is used, as every limit is checked afterwards."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Solution may be inaccurate")
        problem.solve(cp.CLARABEL)
    if x.value is None:
        raise RuntimeError(f"the drive was not found: the solver says {problem.status}; the limits may differ by too many powers of ten")
