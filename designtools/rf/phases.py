"""Shims by phases alone: every channel carries the same magnitude, as large as the limits allow or as the target needs.

Not convex: the best of several starts, with the spread of what they reach.  The largest of all forms is smoothed by a
norm of high order while searching; what is handed on is scaled by the largest itself, so that every limit is kept.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from designtools.rf.drive import Limits, Shimmed, excess, scaled

_ORDER = 40.0  # of the norm: 32,000 equal forms would count 1.3 times the largest


def focus(sensitivity, limits: Limits, starts: int, seed: int) -> Shimmed:
    """Largest |b I| of currents of one magnitude."""
    forms, row = scaled(limits), np.asarray(sensitivity)

    def value(phase):
        turned = np.exp(1j * phase)
        field = row @ turned
        worst, slope = _largest(forms, turned)
        gain = -np.imag(np.conj(field) * row * turned) / abs(field) ** 2
        return 0.5 * np.log(worst) - np.log(abs(field)), 0.5 * slope / worst - gain

    found = [_searched(value, start) for start in _starts(-np.angle(row), starts, seed)]
    currents = [_within(forms, np.exp(1j * phase)) for phase in found]
    reached = [abs(row @ current) for current in currents]
    best = int(np.argmax(reached))
    return Shimmed(currents[best], float(reached[best]), None, float(max(reached) / min(reached) - 1), len(forms))


def even(sensitivity, wanted: float, limits: Limits, starts: int, seed: int) -> Shimmed:
    """Least rms of |B I| - wanted over points, sensitivity (P,C) T/A; relative to `wanted`."""
    forms, matrix = scaled(limits), np.asarray(sensitivity) / wanted
    value = lambda phase: _unevenness(matrix, forms, phase)
    first = -np.angle(matrix[len(matrix) // 2])
    found = [_searched(value, start) for start in _starts(first, starts, seed)]
    currents = [_sized(matrix, forms, np.exp(1j * phase)) for phase in found]
    reached = [float(np.sqrt(np.mean((np.abs(matrix @ c) - 1) ** 2))) for c in currents]
    best = int(np.argmin(reached))
    return Shimmed(currents[best], reached[best], None, float(max(reached) / min(reached) - 1), len(forms))


def _starts(first, count, seed):
    random = np.random.default_rng(seed)
    return [first, *(random.uniform(-np.pi, np.pi, len(first)) for _ in range(count - 1))]


def _searched(value, start):
    return minimize(value, start, jac=True, method="L-BFGS-B", options={"maxiter": 300}).x


def _largest(forms, turned):
    """Smoothed largest of e^H F e and its slope by the phases."""
    flat = forms.reshape(len(forms), -1)
    values = np.maximum((flat @ np.outer(turned.conj(), turned).ravel()).real, 0)
    top = values.max()
    share = (values / top) ** _ORDER
    smooth = top * share.sum() ** (1 / _ORDER)
    weight = smooth / share.sum() * share / np.maximum(values, 1e-300)
    form = (weight @ flat).reshape(forms.shape[1:])
    return smooth, 2 * np.imag(turned.conj() * (form @ turned))


def _unevenness(matrix, forms, phase):
    """Mean square of |B I| - 1 and its slope by the phases, the magnitude being the best within the limits."""
    turned = np.exp(1j * phase)
    field = matrix @ turned
    size = np.maximum(np.abs(field), 1e-300)
    worst, slope = _largest(forms, turned)
    best, most = size.sum() / (size**2).sum(), worst**-0.5
    level = min(best, most)
    rest = level * size - 1
    each = -np.imag((field.conj() / size * rest) @ matrix * turned)
    gradient = 2 * level * each / len(size)
    if most < best:
        gradient = gradient - 2 * np.mean(rest * size) * level * slope / (2 * worst)
    return float(np.mean(rest**2)), gradient


def _within(forms, current):
    return current / np.sqrt(excess(forms, current).max())


def _sized(matrix, forms, turned):
    size = np.abs(matrix @ turned)
    return turned * min(size.sum() / (size**2).sum(), 1 / np.sqrt(excess(forms, turned).max()))
