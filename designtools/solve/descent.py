"""Problems whose geometry is free: a sequence of convex problems in a trust region (Fletcher's Sl1QP).

At each point every quantity is replaced by its tangent.  That makes the very problem that `solve.convex` solves,
with a few differences: what may change stays within the radius of trust, limits may be violated at a price per
unit (an exact penalty), and the curvature of the quantities, which their tangents lack, enters as a secant
estimate.  A step counts when the true merit (objective + price * violations) falls as the model foretold; else the
radius shrinks.  The answer is a local optimum.

Sources: Fletcher, Practical Methods of Optimization (1987), ch. 14 (composite functions, second-order correction);
Dennis, Gay & Welsch, ACM TOMS 7 (1981) 348 (secant update of what Gauss-Newton leaves out).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from designtools import precision
from designtools.problem import Limit, Problem
from designtools.solve import assembly, standard
from designtools.solve.curvature import Curvature
from designtools.solve.linearise import Affine, Variables, differentiated, variables
from designtools.solve.solution import Relaxation, Solution, Status

FIRST_RADIUS, SMALLEST_RADIUS, LARGEST_RADIUS = 0.1, 1e-11, 1.0  # in units of the range between the bounds
FEASIBLE = 1e-6  # violation in units of a limit's scale that counts as none
FIRST_PRICE, HIGHEST_PRICE = 10.0, 1e6  # of one unit of violation; the highest relative to the objective at the start
RESTORING, STIFFNESS = 8, 1e4  # steps towards the limits alone, when steps ran out a little outside them; the price of their length squared
BENDS = 3  # second-order corrections of a step
SATISFIED, GIVEN_UP = 0.75, 0.1  # share of the fall foretold below which a step is bent: where violations spoil it, and else
DAMPING, STEADYING = 1e-12, 1e-5  # of the largest curvature, of the slope: keep the model strictly convex


@dataclass(frozen=True)
class Point:
    """Where the search stands: x, value and Jacobian of each quantity, objective, violation per limit in its scale."""

    x: np.ndarray
    values: dict[str, np.ndarray]
    jacobians: dict[str, np.ndarray]
    objective: float
    violation: np.ndarray

    def merit(self, price: float) -> float:
        return self.objective + price * float(self.violation.sum())


@dataclass(frozen=True)
class Task:
    """What stays the same through the search.  `moving` (n,) marks what its bounds let move; `size` is its range."""

    problem: Problem
    free: Variables
    tangents: dict
    moving: np.ndarray
    size: np.ndarray

    def at(self, x: np.ndarray) -> Point:
        found = {name: tangent(x) for name, tangent in self.tangents.items()}
        values = {name: value for name, (value, _) in found.items()}
        jacobians = {name: jacobian[:, self.moving] * self.size for name, (_, jacobian) in found.items()}
        return Point(x, values, jacobians, assembly.objective(self.problem, values), self.violation(values))

    def violation(self, values) -> np.ndarray:
        return np.array([_violation(limit, values[limit.quantity.name]) for limit in self.problem.subject_to])

    def moved(self, x: np.ndarray, step: np.ndarray) -> np.ndarray:
        full = x.copy()
        full[self.moving] += self.size * step
        return np.clip(full, self.free.lower, self.free.upper)

    def reach(self, x: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
        """Box of the step: within the bounds and the radius."""
        low, high = ((side - x)[self.moving] / self.size for side in (self.free.lower, self.free.upper))
        return np.maximum(low, -radius), np.minimum(high, radius)


@dataclass(frozen=True)
class Proposal:
    """A step (n,) in units of the ranges, the fall of the merit that the model foretells, and the model's violation."""

    step: np.ndarray
    gain: float
    violation: np.ndarray
    program: standard.Standard


def solve(problem: Problem, *, max_iter: int = 300, tolerance: float = 1e-8, progress=None) -> Solution:
    """A local optimum of a Problem, reached downhill from its start within its bounds.

    tolerance: the search ends when the model foretells a relative fall of the objective (per unit radius, see
    `_stationarity`) under this; an objective below `tolerance` counts as that.  progress: called with a sentence as the
    work goes on.  Status INFEASIBLE means that the violations left cannot be reduced from here; the relaxation of
    each limit says by how much it fails.  Raises PrecisionError in 32-bit and ValueError where a quantity is not
    finite at the start.
    """
    precision.require("solve.descent")
    task = _task(problem)
    point = task.at(np.clip(task.free.start, task.free.lower, task.free.upper))
    _demand_finite(point)
    return _search(task, point, max_iter, tolerance, progress or (lambda sentence: None))


def _task(problem: Problem) -> Task:
    free = variables(problem)
    tangents = {name: differentiated(quantity, free) for name, quantity in problem.quantities.items()}
    span = free.upper - free.lower
    size = np.where(np.isfinite(span), span, np.maximum(np.abs(free.start), 1.0))
    moving = span > 0
    return Task(problem, free, tangents, moving, size[moving])


def _violation(limit: Limit, value: np.ndarray) -> float:
    """In units of the limit's scale, beyond what the convex solver's tolerances leave."""
    loose = standard.CONE_TOLERANCE * float(np.max(limit.upper)) if limit.norm in assembly.NORMS else 0.0
    return max(0.0, (-assembly.slack(limit, value) - loose) / limit.scale - FEASIBLE / 10)


def _demand_finite(point: Point) -> None:
    for name, value in point.values.items():
        if not (np.isfinite(value).all() and np.isfinite(point.jacobians[name]).all()):
            raise ValueError(f"quantity '{name}' must be finite with its derivative at the start, got {value}; move the start")


# --- the search ------------------------------------------------------------------------------------


def _search(task: Task, point: Point, max_iter: int, tolerance: float, progress) -> Solution:
    radius, price, highest = FIRST_RADIUS, FIRST_PRICE, HIGHEST_PRICE * max(1.0, abs(point.objective))
    curvature, history = Curvature.none(len(task.size)), []
    for count in range(max_iter):
        proposal, price = _steered(task, point, radius, price, highest, curvature)
        stationarity = _stationarity(proposal, point, radius, tolerance)
        history.append(_record(point, price, radius, stationarity))
        progress(f"step {count}: objective {point.objective:.6g}, violation {point.violation.sum():.2g}, radius {radius:.2g}")
        if stationarity <= tolerance or radius < SMALLEST_RADIUS:
            if point.violation.sum() <= FEASIBLE:
                status = Status.CONVERGED if stationarity <= tolerance else Status.NOT_CONVERGED
                return _solution(task, point, status, stationarity, history)
            if price >= highest:
                return _solution(task, point, Status.INFEASIBLE, stationarity, history)
            price, radius = 100 * price, max(radius, FIRST_RADIUS)
            continue
        length = np.abs(proposal.step).max()
        trial, proposal, ratio = _tried(task, point, proposal, radius, price, curvature)
        radius = _new_radius(radius, ratio, length)
        if ratio > 1e-4:
            curvature = curvature.learned(task.problem, point, trial, proposal)
            point = trial
    restored = _restored(task, point)
    if restored is not point:
        history.append(_record(restored, price, radius, stationarity))
    return _solution(task, restored, Status.NOT_CONVERGED, stationarity, history)


def _restored(task: Task, point: Point) -> Point:
    """The nearest point that meets all limits, where Newton's steps on the limits alone lead to one; else the point."""
    reached = point
    for _ in range(RESTORING):
        if reached.violation.sum() <= FEASIBLE:
            return reached
        trial = task.at(task.moved(reached.x, _nearest(task, reached)))
        if not trial.violation.sum() < reached.violation.sum():
            break
        reached = trial
    return reached if reached.violation.sum() <= FEASIBLE else point


def _nearest(task: Task, point: Point) -> np.ndarray:
    """The shortest step (n,) in units of the ranges to where the tangents meet all limits."""
    box, n = task.reach(point.x, FIRST_RADIUS), len(task.size)
    program = assembly.programme(task.problem, *box, _tangents(point, point.values))
    program = replace(program, quadratic=STIFFNESS * np.eye(n), linear=np.zeros(n), constant=0.0, epigraphs=())
    return np.clip(np.nan_to_num(standard.solve(program, 1e-8, elastic=FIRST_PRICE).x), *box)


def _steered(task: Task, point: Point, radius: float, price: float, highest: float, curvature: Curvature):
    """The proposal at the lowest price, from `price` up, at which the model removes half of the violation."""
    proposal = _propose(task, point, radius, price, curvature)
    before = max(2 * FEASIBLE, point.violation.sum())
    while proposal.violation.sum() > before / 2 and price < highest:
        dearer = _propose(task, point, radius, 10 * price, curvature)
        if dearer.violation.sum() > 0.99 * proposal.violation.sum():
            break  # the radius stands in the way, or no direction removes it
        proposal, price = dearer, 10 * price
    return proposal, price


def _stationarity(proposal: Proposal, point: Point, radius: float, tolerance: float) -> float:
    """The fall foretold, relative to the objective, per unit radius; a small radius counts for more than it is.

    A radius down to 1e-6 counts as 0.1 (a relative fall below 1e-9 drowns in what the convex solver leaves), a
    smaller one 10^5 fold, so that a search that only ran out of radius does not pass for converged.
    """
    counted = min(1.0, max(radius, 0.1), 1e5 * radius)
    return abs(proposal.gain) / (counted * max(abs(point.objective), tolerance))


def _record(point: Point, price, radius, stationarity) -> dict:
    return {
        "objective": point.objective,
        "violation": float(point.violation.sum()),
        "merit": point.merit(price),
        "price": price,
        "radius": radius,
        "stationarity": stationarity,
    }


def _propose(task: Task, point: Point, radius: float, price: float, curvature: Curvature, shift=None) -> Proposal:
    """The best step of the model; `shift` replaces the values from which the tangents start (second-order correction)."""
    tangents = _tangents(point, point.values if shift is None else shift)
    program = assembly.programme(task.problem, *task.reach(point.x, radius), tangents)
    program = replace(program, quadratic=_convex(program.quadratic + curvature.matrix, np.linalg.norm(program.linear)))
    answer = standard.solve(program, 1e-8, elastic=price)
    step = np.clip(np.nan_to_num(answer.x), *task.reach(point.x, radius))
    values = {name: (a.offset + a.matrix @ step).reshape(a.shape) for name, a in tangents.items()}
    violation = task.violation(values)
    gain = point.merit(price) - program.objective(step) - price * float(violation.sum())
    return Proposal(step, gain, violation, program)


def _tangents(point: Point, start: dict[str, np.ndarray]) -> dict[str, Affine]:
    return {name: Affine(np.ravel(start[name]), point.jacobians[name], start[name].shape) for name in start}


def _convex(matrix: np.ndarray, slope: float) -> np.ndarray:
    """The nearest positive definite matrix whose smallest eigenvalue suits the model."""
    values, vectors = np.linalg.eigh(matrix)
    floor = max(DAMPING * np.abs(values).max(initial=0.0), STEADYING * slope, 1e-12)
    return (vectors * np.maximum(values, floor)) @ vectors.T


def _tried(task: Task, point: Point, proposal: Proposal, radius: float, price: float, curvature: Curvature):
    """The point after the step, the step, and true over foretold fall of the merit; the step is bent where it fails."""
    best = (*_outcome(task, point, proposal, price), proposal)
    trial, step = best[0], proposal.step
    for _ in range(BENDS):
        spoilt = price * trial.violation.sum() > (1 - SATISFIED) * proposal.gain
        if best[1] > (SATISFIED if spoilt else GIVEN_UP) or not proposal.gain > 0 or not np.isfinite(trial.objective):
            break
        shift = {n: v - (point.jacobians[n] @ step).reshape(v.shape) for n, v in trial.values.items()}
        bent = replace(_propose(task, point, radius, price, curvature, shift), gain=proposal.gain)
        trial, ratio = _outcome(task, point, bent, price)
        step = bent.step
        best = (trial, ratio, bent) if ratio > best[1] else best
    trial, ratio, proposal = best
    return trial, proposal, ratio


def _outcome(task: Task, point: Point, proposal: Proposal, price: float) -> tuple[Point, float]:
    trial = task.at(task.moved(point.x, proposal.step))
    fall = point.merit(price) - trial.merit(price)
    return trial, fall / proposal.gain if proposal.gain > 0 and np.isfinite(fall) else -np.inf


def _new_radius(radius: float, ratio: float, length: float) -> float:
    if ratio < 0.25:
        return 0.25 * min(radius, length) if length > 0 else 0.25 * radius
    return min(2.5 * radius, LARGEST_RADIUS) if ratio > 0.75 and length > 0.8 * radius else radius


# --- the record ------------------------------------------------------------------------------------


def _solution(task: Task, point: Point, status: Status, stationarity: float, history) -> Solution:
    problem, values = task.problem, point.values
    return Solution(
        design=task.free.rebuild(point.x),
        status=status,
        x=point.x,
        objective=point.objective,
        terms={t.quantity.name: assembly.term_value(t, values[t.quantity.name]) for t in problem.minimise},
        slacks={l.name: assembly.slack(l, values[l.quantity.name]) for l in problem.subject_to},
        stationarity=stationarity,
        message=status.advice,
        relaxations=_relaxations(problem, point) if status is Status.INFEASIBLE else (),
        history=tuple(history),
    )


def _relaxations(problem: Problem, point: Point) -> tuple[Relaxation, ...]:
    return tuple(
        Relaxation(l.name, l.quantity.unit, float(v * l.scale), assembly.achieved(l, point.values[l.quantity.name]))
        for l, v in zip(problem.subject_to, point.violation)
        if v > FEASIBLE
    )
