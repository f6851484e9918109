"""The standard convex problem behind `solve.convex` and each step of `solve.descent`.

    minimise   1/2 x'Px + c'x + sum of weighted measures of (A x + d)
    subject to lower <= A x + d <= upper,  |A_f x + d_f| <= u_f

Where P is positive definite the answer lives in the range of the active rows: substitute x = x0 + L^-T y
(P = L L'), keep the rows that bind, and solve for the few coordinates they span.  Rows that turn out
violated join and the small problem is solved again; each round is a relaxation, so the last bound certifies.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import linalg

from designtools.solve.measures import measure


@dataclass(frozen=True)
class Rows:
    """lower (m,) <= matrix (m,n) @ x <= upper (m,); `limit` is the index of the Limit that each row came from."""

    matrix: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    limit: np.ndarray


@dataclass(frozen=True)
class Cones:
    """|matrix (f,k,n) @ x + offset (f,k)| <= radius (f,)."""

    matrix: np.ndarray
    offset: np.ndarray
    radius: np.ndarray
    limit: np.ndarray


@dataclass(frozen=True)
class Epigraph:
    """weight * measure(matrix @ x + offset) for the measures that are not quadratic; width: entries per vector."""

    measure: str
    matrix: np.ndarray
    offset: np.ndarray
    weight: float
    width: int


@dataclass(frozen=True)
class Standard:
    """`quadratic` (n,n) or None, `linear` (n,), constant, constraints; scale (limits,) of one unit of violation."""

    quadratic: np.ndarray
    linear: np.ndarray
    constant: float
    rows: Rows
    cones: Cones
    epigraphs: tuple[Epigraph, ...] = ()
    scale: np.ndarray = field(default_factory=lambda: np.ones(0))

    def objective(self, x: np.ndarray) -> float:
        value = self.constant + self.linear @ x + x @ self.quadratic @ x / 2
        for e in self.epigraphs:
            residual = (e.matrix @ x + e.offset).reshape(-1, e.width)
            value += e.weight * float(measure(e.measure).jax(residual if e.width > 1 else residual.ravel()))
        return float(value)


@dataclass(frozen=True)
class Answer:
    """x (n,), a proven lower `bound` of the optimum, the slack `violation` (limits,) in units of their scale."""

    x: np.ndarray
    status: str
    bound: float
    violation: np.ndarray
    rounds: int
    active: int


MOST_NEW_ROWS = 150


def solve(standard: Standard, gap: float, elastic: float | None = None, progress=None) -> Answer:
    """Solve; `elastic` is the price of one scaled unit of violation per limit, None for hard limits."""
    if standard.epigraphs or not _positive_definite(standard.quadratic):
        return _solve_whole(standard, elastic)
    return _solve_reduced(standard, gap, elastic, progress)


def _positive_definite(p: np.ndarray) -> bool:
    try:
        factor = linalg.cholesky(p, lower=True)
    except linalg.LinAlgError:
        return False
    diagonal = np.diag(factor)
    return bool(diagonal.min() > 1e-7 * diagonal.max())


# --- the reduced road: strictly convex, few active rows -----------------------------------------


def _solve_reduced(standard: Standard, gap: float, elastic, progress) -> Answer:
    whitened, restore = _whiten(standard)
    picked, coned = _binding(whitened, np.zeros(standard.linear.size), 0.0)
    for count in range(1, 60):
        part, span = _compress(whitened, picked, coned)
        step = _solve_whole(part, elastic)
        if step.status != "optimal":
            return replace(step, x=restore(span @ step.x), rounds=count)
        y = span @ step.x
        if progress:
            progress(f"round {count}: {len(picked)} rows, {len(coned)} cones active")
        more_rows, more_cones = _binding(whitened, y, 1e-7, step.violation)
        more_rows, more_cones = np.setdiff1d(more_rows, picked), np.setdiff1d(more_cones, coned)
        if not len(more_rows) and not len(more_cones):
            return replace(step, x=restore(y), rounds=count, active=len(picked) + len(coned))
        picked, coned = np.union1d(picked, more_rows), np.union1d(coned, more_cones)
    return replace(step, x=restore(y), status="not converged", rounds=count)


def _whiten(standard: Standard):
    """Coordinates y in which the objective is constant + |y|^2 / 2, and the way back to x."""
    factor = linalg.cholesky(standard.quadratic, lower=True)
    centre = -linalg.cho_solve((factor, True), standard.linear)
    to_y = lambda matrix: linalg.solve_triangular(factor, matrix.reshape(-1, centre.size).T, lower=True).T.reshape(matrix.shape)
    rows, cones = standard.rows, standard.cones
    shift = rows.matrix @ centre
    whitened = replace(
        standard,
        quadratic=None,
        linear=np.zeros_like(centre),
        constant=standard.objective(centre),
        rows=replace(rows, matrix=to_y(rows.matrix), lower=rows.lower - shift, upper=rows.upper - shift),
        cones=replace(cones, matrix=to_y(cones.matrix), offset=cones.offset + cones.matrix @ centre),
    )
    return whitened, lambda y: centre + linalg.solve_triangular(factor, y, lower=True, trans="T")


def _binding(s: Standard, y: np.ndarray, tolerance: float, violation=None):
    """Indices of the rows and cones that y violates by more than tolerance * scale, the worst few hundred."""
    allowed = np.zeros(len(s.scale)) if violation is None else violation
    value = s.rows.matrix @ y
    unit = s.scale[s.rows.limit]
    excess = np.maximum(value - s.rows.upper, s.rows.lower - value) / unit - allowed[s.rows.limit]
    reach = np.linalg.norm(np.einsum("fkn,n->fk", s.cones.matrix, y) + s.cones.offset, axis=1)
    outside = (reach - s.cones.radius) / s.scale[s.cones.limit] - allowed[s.cones.limit]
    return _worst(excess, tolerance), _worst(outside, tolerance)


def _worst(excess: np.ndarray, tolerance: float) -> np.ndarray:
    hit = np.flatnonzero(excess > tolerance)
    return hit[np.argsort(-excess[hit])][:MOST_NEW_ROWS]


def _compress(s: Standard, picked: np.ndarray, coned: np.ndarray) -> tuple[Standard, np.ndarray]:
    """The problem restricted to the span (n,r) of the picked rows, and that span."""
    n = s.linear.size
    gathered = np.concatenate([s.rows.matrix[picked], s.cones.matrix[coned].reshape(-1, n)])
    span = _range(gathered) if len(gathered) else np.zeros((n, 0))
    rows = Rows(s.rows.matrix[picked] @ span, s.rows.lower[picked], s.rows.upper[picked], s.rows.limit[picked])
    cones = Cones(s.cones.matrix[coned] @ span, s.cones.offset[coned], s.cones.radius[coned], s.cones.limit[coned])
    part = replace(s, quadratic=np.eye(span.shape[1]), linear=np.zeros(span.shape[1]), rows=rows, cones=cones)
    return part, span


def _range(rows: np.ndarray) -> np.ndarray:
    """Orthonormal basis (n,r) of the row space, each row scaled to one first."""
    size = np.linalg.norm(rows, axis=1, keepdims=True)
    _, singular, vt = linalg.svd(rows / np.where(size > 0, size, 1), full_matrices=False)
    return vt[singular > 1e-11 * singular[0]].T


# --- the whole road: the problem as it stands, in cvxpy ----------------------------------------


def _solve_whole(s: Standard, elastic) -> Answer:
    import cvxpy as cp

    n = s.linear.size
    if n == 0:
        return Answer(np.zeros(0), "optimal", s.constant, np.zeros(len(s.scale)), 0, 0)
    x = cp.Variable(n)
    slack = cp.Variable(len(s.scale), nonneg=True) if elastic is not None else np.zeros(len(s.scale))
    constraints = _row_constraints(s, x, slack) + _cone_constraints(cp, s, x, slack)
    objective, size = _objective(cp, s, x, slack, elastic)
    program = cp.Problem(cp.Minimize(objective / size), constraints)
    dual = _run(cp, program)
    if program.status not in ("optimal", "optimal_inaccurate"):
        return Answer(np.zeros(n), program.status, np.inf, np.zeros(len(s.scale)), 0, 0)
    bound = s.constant + size * dual
    violation = np.maximum(slack.value, 0) if elastic is not None else np.zeros(len(s.scale))
    return Answer(x.value, "optimal", bound, violation, 1, len(constraints))


def _objective(cp, s: Standard, x, slack, elastic):
    """The cvxpy objective without its constant, and the size it should be divided by."""
    terms = [] if not s.linear.any() else [s.linear @ x]
    if s.quadratic.any():
        identity = np.array_equal(s.quadratic, np.eye(len(s.quadratic)))
        terms.append(cp.sum_squares(x) / 2 if identity else cp.sum_squares(_root(s.quadratic) @ x) / 2)
    for e in s.epigraphs:
        terms.append(e.weight * measure(e.measure).cvxpy(cp, e.matrix @ x + e.offset, e.width))
    if elastic is not None:
        terms.append(elastic * cp.sum(slack))
    return sum(terms), max(abs(s.constant), 1e-300) if elastic is None and s.constant else 1.0


def _root(quadratic: np.ndarray) -> np.ndarray:
    """R with R'R = P for a positive semidefinite P."""
    values, vectors = linalg.eigh(quadratic)
    keep = values > 1e-13 * values[-1]
    return np.sqrt(values[keep])[:, None] * vectors[:, keep].T


def _row_constraints(s: Standard, x, slack):
    """Each row divided by its own size, so that the solver sees numbers near one."""
    rows, constraints = s.rows, []
    size = np.maximum(np.linalg.norm(rows.matrix, axis=1), 1e-300)
    give = (s.scale[rows.limit] / size)
    for sign, bound in ((1.0, rows.upper), (-1.0, -rows.lower)):
        on = np.flatnonzero(np.isfinite(bound))
        if len(on):
            left = (sign * rows.matrix[on] / size[on, None]) @ x
            constraints.append(left <= bound[on] / size[on] + _times(give[on], slack, rows.limit[on]))
    return constraints


def _cone_constraints(cp, s: Standard, x, slack):
    cones = s.cones
    if not len(cones.radius):
        return []
    f, k, n = cones.matrix.shape
    unit = s.scale[cones.limit]
    vector = cp.reshape((cones.matrix / unit[:, None, None]).reshape(f * k, n) @ x, (f, k), order="C") + cones.offset / unit[:, None]
    return [cp.SOC(cones.radius / unit + _times(np.ones(f), slack, cones.limit), vector, axis=1)]


def _times(give, slack, limit):
    return 0.0 if isinstance(slack, np.ndarray) else np.eye(slack.size)[limit] * give[:, None] @ slack


def _run(cp, program) -> float:
    """Solve by Clarabel to full accuracy; returns the dual objective, in the units of the program's."""
    data, chain, inverse = program.get_problem_data(cp.CLARABEL, solver_opts={})
    tight = {"tol_gap_abs": 1e-12, "tol_gap_rel": 1e-11, "tol_feas": 1e-10, "max_iter": 200}
    raw = chain.solve_via_data(program, data, warm_start=False, verbose=False, solver_opts=tight)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "solution may be inaccurate": the dual value says how inaccurate
        program.unpack_results(raw, chain, inverse)
    if program.value is None or not np.isfinite(program.value):
        return -np.inf
    return float(raw.obj_val_dual + program.value - raw.obj_val)
