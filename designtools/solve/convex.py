"""Convex problems: geometry held, excitations free.  The optimum is global and its gap is certified.

Every quantity is turned into offset + matrix @ x by its JAX Jacobian and verified to be affine.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from designtools import precision
from designtools.problem import Problem
from designtools.solve import assembly, standard
from designtools.solve.linearise import Affine, Variables, affine, variables
from designtools.solve.solution import Relaxation, Solution, Status
from designtools.solve.standard import Standard

PRICE = 1e5  # of one scaled unit of violation in the elastic problem, against an objective near one


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
    program = assembly.programme(problem, free.lower, free.upper, matrices)
    answer = standard.solve(program, gap, progress=progress)
    if answer.status.startswith(("optimal", "unbounded")):
        return _solution(problem, free, matrices, program, answer, gap)
    return _relaxed(problem, free, matrices, program, gap, progress)


def priced(problem: Problem, price: float, matrices: dict[str, Affine], about: np.ndarray, damping: float) -> Solution:
    """A damped step from `about` (n,): a violation costs `price` per unit of a limit's scale, so there always is one.

    damping: weight of the objective's own quadratic form of the change, beside the objective (Levenberg-Marquardt).
    matrices: name -> Affine, all quantities that the problem needs or those known; the others are filled in.  Good to
    about a thousandth.  Status OPTIMAL where all limits hold; else NOT_CONVERGED.
    """
    precision.require("solve.convex")
    free = variables(problem)
    matrices = _matrices(problem, free, matrices, None)
    program = assembly.programme(problem, free.lower, free.upper, matrices)
    answer = standard.solve(_damped(program, about, damping), 1e-6, elastic=price, estimate=True)
    met = answer.status.startswith("optimal") and answer.violation.max(initial=0.0) < 1e-6
    return _record(problem, free, matrices, program, answer.x, Status.OPTIMAL if met else Status.NOT_CONVERGED, None, answer)


def _damped(s: Standard, about: np.ndarray, damping: float) -> Standard:
    """The program with damping/2 (x - about)' P (x - about) added to its objective x' P x / 2 + ..."""
    pull = damping * (s.quadratic @ about)
    return replace(s, quadratic=(1 + damping) * s.quadratic, linear=s.linear - pull, constant=s.constant + about @ pull / 2)


def _matrices(problem: Problem, free: Variables, found: dict[str, Affine], progress) -> dict[str, Affine]:
    for name, quantity in problem.quantities.items():
        if name in found:
            continue
        if progress:
            progress(f"sensitivity of {name}")
        found[name] = affine(quantity, free)
    return found


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
        terms={t.quantity.name: assembly.term_value(t, _value(matrices[t.quantity.name], x)) for t in problem.minimise},
        slacks={limit.name: assembly.slack(limit, _value(matrices[limit.quantity.name], x)) for limit in problem.subject_to},
        gap=gap,
        message=status.advice,
        relaxations=tuple(relaxations),
        history=({"rounds": answer.rounds, "active": answer.active, "free": x.size, "bound": answer.bound},),
    )


def _value(a: Affine, x: np.ndarray) -> np.ndarray:
    return (a.offset + a.matrix @ x).reshape(a.shape)


def _relaxed(problem, free, matrices, program, gap, progress) -> Solution:
    """The elastic problem: the smallest total violation, each limit counted in its own scale.

    A hard problem that a solver gave up on may still be feasible: then nothing is violated and this is its answer.
    """
    if progress:
        progress("no design meets all limits; looking for the smallest violation")
    price = PRICE * max(abs(program.constant), 1.0)
    answer = standard.solve(program, gap, elastic=price, estimate=True, progress=progress)
    relaxations = [
        Relaxation(limit.name, limit.quantity.unit, float(v * limit.scale), assembly.achieved(limit, _value(matrices[limit.quantity.name], answer.x)), float(v))
        for limit, v in zip(problem.subject_to, answer.violation)
        if v > 1e-6
    ]
    if not relaxations or not answer.status.startswith("optimal"):
        return _solution(problem, free, matrices, program, answer, gap)
    return _record(problem, free, matrices, program, answer.x, Status.INFEASIBLE, None, answer, relaxations)
