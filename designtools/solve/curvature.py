"""The curvature that tangents lack, learned from how Jacobians change: part of `solve.descent`.

The Lagrangian of a problem of measures of quantities q(x) is sum of lambda.q; Gauss-Newton knows the second
derivative through the measures and leaves out lambda.q''.  One step s shows it: (J(x + s) - J(x))' lambda = B s.
The multipliers lambda of what is smooth are the slopes of the measures; those of active limits and of the
largest entries of a peak are the nonnegative ones that make the model's step stationary.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import numpy as np
from scipy.optimize import nnls

from designtools.problem import Limit, Problem, Term
from designtools.solve.assembly import NORMS
from designtools.solve.measures import measure

TOUCHING = 1e-6  # relative distance at which a limit or an entry of a peak counts as active


@dataclass(frozen=True)
class Curvature:
    """Symmetric estimate (n,n) of what Gauss-Newton leaves out."""

    matrix: np.ndarray

    @staticmethod
    def none(n: int) -> Curvature:
        return Curvature(np.zeros((n, n)))

    def learned(self, problem: Problem, old, new, proposal) -> Curvature:
        """The estimate after the step of `proposal` from `old` to `new` (symmetric rank one, skipped where unsafe)."""
        multipliers = _multipliers(problem, new, proposal)
        change = sum((new.jacobians[n] - old.jacobians[n]).T @ l for n, l in multipliers.items())
        step = proposal.step
        miss = change - self.matrix @ step
        along = float(miss @ step)
        if abs(along) <= 1e-8 * np.linalg.norm(miss) * np.linalg.norm(step) or not np.isfinite(miss).all():
            return self
        return Curvature(self.matrix + np.outer(miss, miss) / along)


def _multipliers(problem: Problem, point, proposal) -> dict[str, np.ndarray]:
    """Quantity -> multiplier of each of its entries, at `point`."""
    found = {name: np.zeros(value.size) for name, value in point.values.items()}
    for term in problem.minimise:
        if term.measure != "peak":
            found[term.quantity.name] += _slope(term, point.values[term.quantity.name])
    corners = [c for term in problem.minimise if term.measure == "peak" for c in _corners_of_peak(term, point)]
    corners += [c for limit in problem.subject_to for c in _corners_of_limit(limit, point)]
    inside = _inside(proposal)
    if not corners or not inside.any():  # a step that every bound stopped says nothing of what holds it
        return found
    pull = sum(point.jacobians[n].T @ l for n, l in found.items())
    columns = np.stack([(point.jacobians[n].T @ g)[inside] for n, g in corners], axis=1)
    size = np.linalg.norm(columns, axis=0)
    size = np.where(size > 1e-150, size, 1.0)  # a corner that nothing inside its bounds moves
    amounts = nnls(columns / size, -pull[inside], maxiter=30 * columns.shape[1])[0] / size
    amounts = np.where(np.isfinite(amounts), amounts, 0.0)  # a multiplier that rounding blew up teaches nothing
    for (name, gradient), amount in zip(corners, amounts):
        found[name] += amount * gradient
    return found


def _inside(proposal) -> np.ndarray:
    """Entries of the step that no bound and no radius stops."""
    rows, n = proposal.program.rows, proposal.step.size
    low, high = rows.lower[:n], rows.upper[:n]  # the bounds on the step come first
    room = 1e-6 * np.maximum(high - low, 1e-300)
    return (proposal.step > low + room) & (proposal.step < high - room)


def _slope(term: Term, value: np.ndarray) -> np.ndarray:
    slope = jax.grad(lambda v: measure(term.measure).jax(v / term.scale))(value)
    return term.weight * np.ravel(np.asarray(slope))


def _corners_of_peak(term: Term, point):
    """(quantity, gradient by its entries) of each row that is about as large as the largest."""
    value = point.values[term.quantity.name]
    rows = value.reshape(-1, 1) if value.ndim < 2 else value.reshape(-1, value.shape[-1])
    length = np.linalg.norm(rows, axis=1)
    for index in np.flatnonzero(length >= (1 - 1e-2) * length.max()):
        yield term.quantity.name, _at_row(rows, index, rows[index] / max(length[index], 1e-300))


def _corners_of_limit(limit: Limit, point):
    """(quantity, gradient of the active side by its entries) of each entry or row at or beyond its limit."""
    value, name = point.values[limit.quantity.name], limit.quantity.name
    if limit.norm in NORMS:
        length = np.linalg.norm(value, NORMS[limit.norm], axis=1)
        for index in np.flatnonzero(length > np.asarray(limit.upper) - TOUCHING * limit.scale):
            row = value[index]
            yield name, _at_row(value, index, np.sign(row) if limit.norm == "l1" else row / max(length[index], 1e-300))
        return
    for sign, side in ((1.0, limit.upper), (-1.0, limit.lower)):
        if side is not None:
            beyond = np.ravel(sign * (value - np.asarray(side)))
            for index in np.flatnonzero(beyond > -1e-3 * limit.scale):
                gradient = np.zeros(value.size)
                gradient[index] = sign
                yield name, gradient


def _at_row(rows: np.ndarray, index: int, gradient: np.ndarray) -> np.ndarray:
    full = np.zeros_like(rows)
    full[index] = gradient
    return full.ravel()
