"""From terms and limits in matrix form to the standard convex problem; `convex` and `descent` both start here."""

from __future__ import annotations

import numpy as np

from designtools.problem import Limit, Problem, Term
from designtools.solve.linearise import Affine
from designtools.solve.measures import measure
from designtools.solve.standard import Cones, Epigraph, Rows, Standard

NORMS = {"row": 2, "l1": 1}  # Limit.norm -> order of the norm


def programme(problem: Problem, lower: np.ndarray, upper: np.ndarray, matrices: dict[str, Affine]) -> Standard:
    """The standard problem in x within [lower, upper] (n,), each quantity being offset + matrix @ x."""
    n = lower.size
    quadratic, linear, constant, epigraphs = np.zeros((n, n)), np.zeros(n), 0.0, []
    for term in problem.minimise:
        a = matrices[term.quantity.name]
        if term.measure == "sum_squares":
            w = term.weight / term.scale**2
            quadratic += 2 * w * (a.matrix.T @ a.matrix)
            linear += 2 * w * (a.matrix.T @ a.offset)
            constant += w * float(a.offset @ a.offset)
        elif term.measure == "value":
            w = term.weight / term.scale
            linear += w * a.matrix.sum(axis=0)
            constant += w * float(a.offset.sum())
        else:
            width = a.shape[-1] if len(a.shape) > 1 else 1
            epigraphs.append(Epigraph(term.measure, a.matrix / term.scale, a.offset / term.scale, term.weight, width))
    rows, cones = _constraints(problem, lower, upper, matrices)
    return Standard(quadratic, linear, constant, rows, cones, tuple(epigraphs), _scales(problem))


def _scales(problem: Problem) -> np.ndarray:
    """One unit of violation per limit; the last entry is that of the bounds on x, which never give."""
    return np.array([limit.scale for limit in problem.subject_to] + [1e-12])


def _constraints(problem: Problem, lower, upper, matrices) -> tuple[Rows, tuple[Cones, ...]]:
    n = lower.size
    bound_rows = Rows(np.eye(n), lower, upper, np.full(n, len(problem.subject_to)))
    rows, cones = [bound_rows], []
    for index, limit in enumerate(problem.subject_to):
        a = matrices[limit.quantity.name]
        (cones if limit.norm in NORMS else rows).append(_limit_block(limit, a, index))
    return _stack_rows(rows), tuple(cones)


def _limit_block(limit: Limit, a: Affine, index: int):
    if limit.norm in NORMS:
        f, k = a.shape
        radius = np.broadcast_to(np.asarray(limit.upper, float), (f,))
        return Cones(a.matrix.reshape(f, k, -1), a.offset.reshape(f, k), radius, index, NORMS[limit.norm])
    side = lambda value, default: np.broadcast_to(np.asarray(default if value is None else value, float), a.shape).ravel() - a.offset
    return Rows(a.matrix, side(limit.lower, -np.inf), side(limit.upper, np.inf), np.full(a.offset.size, index))


def _stack_rows(blocks: list[Rows]) -> Rows:
    return Rows(*(np.concatenate([getattr(b, name) for b in blocks]) for name in ("matrix", "lower", "upper", "limit")))


def term_value(term: Term, value: np.ndarray) -> float:
    """The measure in the units of the quantity: scale and weight taken out."""
    return float(measure(term.measure).jax(value))


def objective(problem: Problem, values: dict[str, np.ndarray]) -> float:
    """Sum of the terms at the values of the quantities."""
    return sum(t.weight * term_value(t, values[t.quantity.name] / t.scale) for t in problem.minimise)


def slack(limit: Limit, value: np.ndarray) -> float:
    """Smallest distance to the limit in the unit of the quantity; negative where violated."""
    return float(_room(limit, value)[1].min())


def achieved(limit: Limit, value: np.ndarray) -> float:
    """The bound that would just have been met: the value, or the norm of the row, where the limit is tightest."""
    size, room = _room(limit, value)
    return float(np.ravel(size)[np.argmin(room)])


def _room(limit: Limit, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is limited, and how far it is from the nearer side."""
    size = np.linalg.norm(value, NORMS[limit.norm], axis=-1) if limit.norm in NORMS else np.asarray(value)
    above = np.inf if limit.upper is None else np.asarray(limit.upper) - size
    below = np.inf if limit.lower is None or limit.norm in NORMS else size - np.asarray(limit.lower)
    return size, np.broadcast_to(np.minimum(above, below), size.shape)
