"""Convex problems: geometry held, excitations free.  The optimum is global and its gap is certified.

Every quantity is turned into offset + matrix @ x by its JAX Jacobian and verified to be affine.
"""

from __future__ import annotations

import numpy as np

from designtools import precision
from designtools.problem import Limit, Problem, Term
from designtools.solve import standard
from designtools.solve.linearise import Affine, Variables, affine, variables
from designtools.solve.measures import measure
from designtools.solve.solution import Relaxation, Solution, Status
from designtools.solve.standard import Cones, Epigraph, Rows, Standard


def solve(problem: Problem, *, gap: float = 1e-6, matrices: dict[str, Affine] | None = None, progress=None) -> Solution:
    """The global optimum of a convex Problem, with its duality gap.

    gap: relative duality gap above which the status is NOT_CONVERGED.  progress: called with a sentence
    as the work goes on.  matrices: name -> Affine from an earlier solve of the same quantities, filled with
    what is missing.  An infeasible problem comes back with status INFEASIBLE, the design that
    violates its limits least, and the relaxation of each limit that design needs.
    Raises NotAffine where a quantity is not affine in what is free, PrecisionError in 32-bit.
    """
    precision.require("solve.convex")
    free = variables(problem)
    matrices = _matrices(problem, free, {} if matrices is None else matrices, progress)
    program = _standard(problem, free, matrices)
    answer = standard.solve(program, gap, progress=progress)
    if "infeasible" in answer.status:
        return _relaxed(problem, free, matrices, program, gap, progress)
    return _solution(problem, free, matrices, program, answer, gap)


def _matrices(problem: Problem, free: Variables, found: dict[str, Affine], progress) -> dict[str, Affine]:
    for name, quantity in problem.quantities.items():
        if name in found:
            continue
        if progress:
            progress(f"sensitivity of {name}")
        found[name] = affine(quantity, free)
    return found


def _standard(problem: Problem, free: Variables, matrices: dict[str, Affine]) -> Standard:
    n = free.start.size
    quadratic, linear, constant, epigraphs = np.zeros((n, n)), np.zeros(n), 0.0, []
    for term in problem.minimise:
        a = matrices[term.quantity.name]
        if term.measure == "sum_squares":
            w = term.weight / term.scale**2
            quadratic += 2 * w * (a.matrix.T @ a.matrix)
            linear += 2 * w * (a.matrix.T @ a.offset)
            constant += w * float(a.offset @ a.offset)
        else:
            width = a.shape[-1] if len(a.shape) > 1 else 1
            epigraphs.append(Epigraph(term.measure, a.matrix / term.scale, a.offset / term.scale, term.weight, width))
    rows, cones = _constraints(problem, free, matrices)
    return Standard(quadratic, linear, constant, rows, cones, tuple(epigraphs), _scales(problem))


def _scales(problem: Problem) -> np.ndarray:
    """One unit of violation per limit; the last entry is that of the bounds on x, which never give."""
    return np.array([limit.scale for limit in problem.subject_to] + [1e-12])


def _constraints(problem: Problem, free: Variables, matrices) -> tuple[Rows, Cones]:
    n = free.start.size
    bound_rows = Rows(np.eye(n), free.lower, free.upper, np.full(n, len(problem.subject_to)))
    rows, cones = [bound_rows], []
    for index, limit in enumerate(problem.subject_to):
        a = matrices[limit.quantity.name]
        (cones if limit.norm == "row" else rows).append(_limit_block(limit, a, index))
    return _stack_rows(rows), _stack_cones(cones, n)


def _limit_block(limit: Limit, a: Affine, index: int):
    if limit.norm == "row":
        f, k = a.shape
        radius = np.broadcast_to(np.asarray(limit.upper, float), (f,))
        return Cones(a.matrix.reshape(f, k, -1), a.offset.reshape(f, k), radius, np.full(f, index))
    side = lambda value, default: np.broadcast_to(np.asarray(default if value is None else value, float), a.shape).ravel() - a.offset
    return Rows(a.matrix, side(limit.lower, -np.inf), side(limit.upper, np.inf), np.full(a.offset.size, index))


def _stack_rows(blocks: list[Rows]) -> Rows:
    return Rows(*(np.concatenate([getattr(b, name) for b in blocks]) for name in ("matrix", "lower", "upper", "limit")))


def _stack_cones(blocks: list[Cones], n: int) -> Cones:
    if not blocks:
        return Cones(np.zeros((0, 1, n)), np.zeros((0, 1)), np.zeros(0), np.zeros(0, int))
    if len({b.matrix.shape[1] for b in blocks}) > 1:
        blocks = [_widened(b, max(b.matrix.shape[1] for b in blocks)) for b in blocks]
    return Cones(*(np.concatenate([getattr(b, name) for b in blocks]) for name in ("matrix", "offset", "radius", "limit")))


def _widened(b: Cones, width: int) -> Cones:
    """Vectors padded with zeros, which change no norm, to a common width."""
    extra = width - b.matrix.shape[1]
    pad = lambda a: np.pad(a, [(0, 0), (0, extra)] + [(0, 0)] * (a.ndim - 2))
    return Cones(pad(b.matrix), pad(b.offset), b.radius, b.limit)


def _solution(problem, free, matrices, program: Standard, answer, gap: float) -> Solution:
    if not answer.status.startswith("optimal"):
        status = Status.UNBOUNDED if "unbounded" in answer.status else Status.NOT_CONVERGED
        return _record(problem, free, matrices, program, answer.x, status, None, answer)
    value = program.objective(answer.x)
    relative = abs(value - answer.bound) / max(abs(value), 1e-300)
    status = Status.OPTIMAL if relative <= gap else Status.NOT_CONVERGED
    return _record(problem, free, matrices, program, answer.x, status, relative, answer)


def _record(problem, free, matrices, program, x, status, gap, answer, relaxations=()) -> Solution:
    return Solution(
        design=free.rebuild(x),
        status=status,
        x=x,
        objective=program.objective(x),
        terms={t.quantity.name: _term_value(t, matrices, x) for t in problem.minimise},
        slacks={limit.name: _slack(limit, matrices, x) for limit in problem.subject_to},
        gap=gap,
        message=status.advice,
        relaxations=tuple(relaxations),
        history=({"rounds": answer.rounds, "active": answer.active, "free": x.size, "bound": answer.bound},),
    )


def _value(a: Affine, x: np.ndarray) -> np.ndarray:
    return (a.offset + a.matrix @ x).reshape(a.shape)


def _term_value(term: Term, matrices, x) -> float:
    """The measure in the units of the quantity: scale and weight taken out."""
    return float(measure(term.measure).jax(_value(matrices[term.quantity.name], x)))


def _slack(limit: Limit, matrices, x) -> float:
    value = _value(matrices[limit.quantity.name], x)
    if limit.norm == "row":
        return float((np.asarray(limit.upper) - np.linalg.norm(value, axis=-1)).min())
    upper = np.inf if limit.upper is None else np.min(np.asarray(limit.upper) - value)
    lower = np.inf if limit.lower is None else np.min(value - np.asarray(limit.lower))
    return float(min(upper, lower))


def _relaxed(problem, free, matrices, program, gap, progress) -> Solution:
    """The elastic problem: the smallest total violation, each limit counted in its own scale."""
    if progress:
        progress("no design meets all limits; looking for the smallest violation")
    price = 1e6 * max(abs(program.constant), 1.0) if not program.epigraphs else 1e6
    answer = standard.solve(program, gap, elastic=price, progress=progress)
    relaxations = [
        Relaxation(limit.name, limit.quantity.unit, float(v * limit.scale), _achieved(limit, matrices, answer.x))
        for limit, v in zip(problem.subject_to, answer.violation)
        if v > 1e-6
    ]
    return _record(problem, free, matrices, program, answer.x, Status.INFEASIBLE, None, answer, relaxations)


def _achieved(limit: Limit, matrices, x) -> float:
    """The bound that would just have been met."""
    slack = _slack(limit, matrices, x)
    bound = limit.upper if limit.upper is not None else limit.lower
    sign = 1 if limit.upper is not None else -1
    return float(np.max(np.abs(np.asarray(bound))) - sign * slack)
