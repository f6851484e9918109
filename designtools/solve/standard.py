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
from typing import NamedTuple

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
    """|matrix (f,k,n) @ x + offset (f,k)| <= radius (f,), in the norm of `order` 2 or 1 along k; all of one `limit`."""

    matrix: np.ndarray
    offset: np.ndarray
    radius: np.ndarray
    limit: int
    order: int


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
    cones: tuple[Cones, ...]
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


SMALL = 100  # unknowns up to which a peak is handed over whole
MOST_NEW_ROWS = 300
MOST_ROUNDS = 150
MANY_VECTORS = 1000  # in a peak, from which on it is built up
CONE_TOLERANCE = 2e-5  # relative excess over a cone's radius at which cutting stops
PEAK_TOLERANCE = 3e-7  # the same over a peak that is minimised: it enters the gap
ROW_TOLERANCE = 1e-8
ESTIMATE_TOLERANCE, ESTIMATE_ROUNDS = 2e-5, 40  # of all of them where only the size of a violation is asked


def solve(standard: Standard, gap: float, elastic: float | None = None, estimate: bool = False, progress=None) -> Answer:
    """Solve; `elastic` is the price of one scaled unit of violation per limit, None for hard limits.

    estimate: stop where the violations are known to about a thousandth; the answer is then an advice, not an optimum.
    """
    small = standard.linear.size < SMALL and standard.epigraphs
    only_peaks = all(e.measure == "peak" for e in standard.epigraphs)
    definite = _positive_definite(standard.quadratic)
    step = elastic is not None and not estimate  # of a descent
    if step and definite and 0 < standard.linear.size < SMALL and not standard.epigraphs and not standard.cones:
        return _solve_at_once(standard, elastic)
    if only_peaks and not small and definite:
        answer = _solve_reduced(standard, elastic, estimate, progress)
        if elastic is None or answer.status != "infeasible":
            return answer  # with limits that give there always is a point: else the numbers were too far apart for that road
    return _solve_growing(standard, elastic)


def _positive_definite(p: np.ndarray) -> bool:
    try:
        factor = linalg.cholesky(p, lower=True)
    except linalg.LinAlgError:
        return False
    diagonal = np.diag(factor)
    return bool(diagonal.min() > 1e-7 * diagonal.max())


# --- the short road: few unknowns, half spaces alone ----------------------------------------------


def _solve_at_once(s: Standard, elastic) -> Answer:
    """All rows in one dense program, in units in which the slope is about one and each row has length one."""
    s = replace(s, rows=_take(s.rows, np.linalg.norm(s.rows.matrix, axis=1) > 0))  # the others no x can change
    size = np.linalg.norm(s.rows.matrix, axis=1)
    unit, lower, upper = s.rows.matrix / size[:, None], s.rows.lower / size, s.rows.upper / size
    soft = np.arange(len(s.scale) - 1 if elastic is not None else 0)  # the last are the bounds on x, which never give
    relaxed = -1.0 * (s.rows.limit[:, None] == soft) * (s.scale[s.rows.limit] / size)[:, None]
    prices = np.full(len(soft), elastic or 0.0)
    x, multipliers, status = _quadratic_program(s.quadratic, s.linear, unit, relaxed, lower, upper, prices)
    n = s.linear.size
    violation = np.zeros(len(s.scale))
    violation[soft] = np.maximum(x[n:], 0)
    multipliers = _within_prices(multipliers, -relaxed, prices)
    slope = s.linear + unit.T @ multipliers
    best = -linalg.solve(s.quadratic, slope, assume_a="pos")
    bound = s.constant + slope @ best / 2 + _support(lower, upper, multipliers)
    return Answer(x[:n], status, bound, violation, 1, int((np.abs(multipliers) > 0).sum()))


# --- the reduced road: strictly convex, few active rows, cones by cutting planes ---------------------


def _solve_reduced(standard: Standard, elastic, estimate: bool, progress) -> Answer:
    count_limits = len(standard.scale)
    standard, prices = _peaks_as_cones(standard, elastic)
    white = _whitening(standard)
    y, violation, dual = np.zeros(standard.linear.size), np.zeros(len(prices)), -np.inf
    rows = _no_rows(y.size)
    answer = lambda status, y, count: Answer(
        white.restore(np.nan_to_num(y)), status, white.constant + dual, violation[:count_limits], count, len(rows.lower)
    )
    rough = ESTIMATE_TOLERANCE if estimate else 0.0
    for count in range(1, ESTIMATE_ROUNDS if estimate else MOST_ROUNDS):
        x = white.restore(y)
        more = _violated_rows(standard, x, violation, max(rough, ROW_TOLERANCE))
        deeper = _new_cuts(standard, x, violation, rough)
        if count > 1 and not len(more) and not len(deeper.lower):
            return answer("optimal", y, count)
        rows = _joined(rows, white.rows(_joined(_take(standard.rows, more), deeper)))
        step = _least_norm(rows, standard.scale, prices)
        y, violation, dual = step.y, step.violation, step.dual
        if progress:
            progress(f"round {count}: {int(step.binding.sum())} of {len(rows.lower)} limits at hand bind")
        if step.status != "optimal":
            return answer(step.status, y, count)
        rows = _take(rows, step.binding)
    return answer("optimal" if estimate else "not converged", y, count)


def _peaks_as_cones(s: Standard, elastic) -> tuple[Standard, np.ndarray]:
    """Each peak as cones of radius zero whose common slack is the peak itself, and the price of each slack.

    Prices (limits,): infinite where a limit is hard, `elastic` where it may give, the weight of a peak for its own.
    """
    prices = np.full(len(s.scale), np.inf if elastic is None else elastic)
    cones, limits = list(s.cones), len(s.scale)
    for number, e in enumerate(s.epigraphs):
        matrix = e.matrix.reshape(-1, e.width, e.matrix.shape[1])
        f = len(matrix)
        cones.append(Cones(matrix, e.offset.reshape(f, e.width), np.zeros(f), limits + number, 2))
    scale = np.concatenate([s.scale, np.ones(len(s.epigraphs))])
    prices = np.concatenate([prices, [e.weight for e in s.epigraphs]])
    return replace(s, epigraphs=(), cones=tuple(cones), scale=scale), prices


class Whitening(NamedTuple):
    """Coordinates y in which the objective is constant + |y|^2 / 2: x = centre + L^-T y, with P = L L'."""

    factor: np.ndarray
    centre: np.ndarray
    constant: float

    def restore(self, y: np.ndarray) -> np.ndarray:
        return self.centre + linalg.solve_triangular(self.factor, y, lower=True, trans="T")

    def rows(self, rows: Rows) -> Rows:
        """Rows about x as rows about y: only those at hand are ever turned, of the many that never bind."""
        shift = rows.matrix @ self.centre
        matrix = linalg.solve_triangular(self.factor, rows.matrix.T, lower=True).T
        return replace(rows, matrix=matrix, lower=rows.lower - shift, upper=rows.upper - shift)


def _whitening(standard: Standard) -> Whitening:
    factor = linalg.cholesky(standard.quadratic, lower=True)
    centre = -linalg.cho_solve((factor, True), standard.linear)
    return Whitening(factor, centre, standard.objective(centre))


def _no_rows(n: int) -> Rows:
    return Rows(np.zeros((0, n)), np.zeros(0), np.zeros(0), np.zeros(0, int))


def _take(rows: Rows, index) -> Rows:
    return Rows(rows.matrix[index], rows.lower[index], rows.upper[index], rows.limit[index])


def _joined(a: Rows, b: Rows) -> Rows:
    return Rows(*(np.concatenate([getattr(a, f), getattr(b, f)]) for f in ("matrix", "lower", "upper", "limit")))


def _violated_rows(s: Standard, x: np.ndarray, violation: np.ndarray, tolerance: float) -> np.ndarray:
    """The rows that x violates most, beyond what the slack of their limit allows."""
    value, unit = s.rows.matrix @ x, s.scale[s.rows.limit]
    excess = np.maximum(value - s.rows.upper, s.rows.lower - value) / unit - violation[s.rows.limit]
    hit = np.flatnonzero(excess > tolerance)
    return hit[np.argsort(-excess[hit])][:MOST_NEW_ROWS]


def _new_cuts(s: Standard, x: np.ndarray, violation: np.ndarray, least: float) -> Rows:
    """For the cones that x leaves furthest, the half space touching each where x leaves: g.(A x + d) <= u.

    Cones within their tolerance (at least `least`) are left.
    """
    found = [_outside(cones, s.scale[cones.limit] * violation[cones.limit], x, least) for cones in s.cones]
    each = np.concatenate([np.stack([np.full(len(hit), k), hit, excess], axis=1) for k, (hit, excess) in enumerate(found)] or [np.zeros((0, 3))])
    worst = each[np.argsort(-each[:, 2])][:MOST_NEW_ROWS]
    rows = _no_rows(x.size)
    for k, cones in enumerate(s.cones):
        rows = _joined(rows, _tangents(cones, worst[worst[:, 0] == k, 1].astype(int), x))
    return rows


def _outside(cones: Cones, give: float, x: np.ndarray, least: float) -> tuple[np.ndarray, np.ndarray]:
    """The cones (m,) whose radius, with what its limit gives, x exceeds, and by how much relative to it (m,)."""
    size = np.linalg.norm(cones.matrix @ x + cones.offset, cones.order, axis=1)
    excess = (size - cones.radius - give) / np.maximum(cones.radius + give, 1e-300)
    hit = np.flatnonzero(excess > np.maximum(least, np.where(cones.radius > 0, CONE_TOLERANCE, PEAK_TOLERANCE)))
    return hit, excess[hit]


def _tangents(cones: Cones, hit: np.ndarray, x: np.ndarray) -> Rows:
    """Half spaces touching the cones `hit` where x leaves them; g is the gradient of the norm: v/|v|, or the signs of v."""
    matrix, offset = cones.matrix[hit], cones.offset[hit]
    vector = matrix @ x + offset
    g = vector / np.linalg.norm(vector, axis=1)[:, None] if cones.order == 2 else np.sign(vector)
    upper = cones.radius[hit] - np.einsum("fk,fk->f", g, offset)
    return Rows(np.einsum("fk,fkn->fn", g, matrix), np.full(len(hit), -np.inf), upper, np.full(len(hit), cones.limit))


class Step(NamedTuple):
    """One round: y, slack per limit, certified dual value, which rows bind, status."""

    y: np.ndarray
    violation: np.ndarray
    dual: float
    binding: np.ndarray
    status: str


def _least_norm(rows: Rows, scale: np.ndarray, prices: np.ndarray) -> Step:
    """min |y|^2/2 + prices.slacks over the rows, in the few coordinates that they span."""
    size = np.maximum(np.linalg.norm(rows.matrix, axis=1), 1e-300)
    unit = rows.matrix / size[:, None]
    upper, lower = rows.upper / size, rows.lower / size
    soft = np.unique(rows.limit[np.isfinite(prices[rows.limit])])
    relaxed = (rows.limit[:, None] == soft) * (scale[rows.limit] / size)[:, None]
    span = _range(unit)
    r = span.shape[1]
    x, multipliers, status = _quadratic_program(np.eye(r), np.zeros(r), unit @ span, -relaxed, lower, upper, prices[soft])
    violation = np.zeros(len(scale))
    violation[soft] = np.maximum(x[span.shape[1] :], 0)
    binding = np.abs(multipliers) > 1e-9 * np.abs(multipliers).max(initial=0)
    multipliers = _within_prices(multipliers, relaxed, prices[soft])
    return Step(span @ x[: span.shape[1]], violation, _dual_bound(unit, lower, upper, multipliers), binding, status)


def _within_prices(multipliers, relaxed, prices) -> np.ndarray:
    """Multipliers scaled down where a slack's share exceeds its price: only then is the dual value a bound."""
    share = np.abs(multipliers) @ relaxed
    factor = prices / np.maximum(share, prices)
    return multipliers * np.where(relaxed > 0, factor, 1.0).min(axis=1, initial=1.0)


def _range(rows: np.ndarray) -> np.ndarray:
    """Orthonormal columns (n,r) that span the rows (m,n), r = min(m, n); dependent rows only add idle columns."""
    return linalg.qr(rows.T, mode="economic", check_finite=False)[0]


def _quadratic_program(quadratic, linear, matrix, relaxed, lower, upper, prices):
    """Dense interior point (PIQP).  Upper and lower sides as rows; slacks x_s >= 0 at their prices."""
    import piqp

    r, k = matrix.shape[1], relaxed.shape[1]
    hessian = linalg.block_diag(quadratic, 1e-9 * np.eye(k))
    cost = np.concatenate([linear, prices])
    sides = np.concatenate([np.hstack([matrix, relaxed])[np.isfinite(upper)], np.hstack([-matrix, relaxed])[np.isfinite(lower)]])
    bound = np.concatenate([upper[np.isfinite(upper)], -lower[np.isfinite(lower)]])
    solver = piqp.DenseSolver()
    solver.settings.eps_abs = solver.settings.eps_rel = 1e-10
    solver.settings.eps_duality_gap_abs, solver.settings.eps_duality_gap_rel = 1e-10, 1e-9
    floor = np.concatenate([np.full(r, -np.inf), np.zeros(k)])
    solver.setup(np.asfortranarray(hessian), cost, None, None, np.asfortranarray(sides), None, bound, floor, None)
    outcome = solver.solve()
    status = {piqp.PIQP_SOLVED: "optimal", piqp.PIQP_PRIMAL_INFEASIBLE: "infeasible"}.get(outcome, "not converged")
    multipliers = np.zeros(len(upper))
    count = int(np.isfinite(upper).sum())
    z = np.nan_to_num(np.maximum(solver.result.z_u, 0), posinf=0.0)  # of a failed run: no bound, but no other damage either
    multipliers[np.isfinite(upper)] += z[:count]
    multipliers[np.isfinite(lower)] -= z[count:]
    return solver.result.x, multipliers, status


def _dual_bound(unit, lower, upper, multipliers) -> float:
    """g(z) = -|A'z|^2/2 - upper.z+ + lower.z-: below the optimum for any z, whatever solver it came from."""
    reach = unit.T @ multipliers
    return float(-reach @ reach / 2) + _support(lower, upper, multipliers)


def _support(lower, upper, multipliers) -> float:
    """-upper.z+ + lower.z-: what the multipliers say of the bounds."""
    up, down = np.maximum(multipliers, 0), np.maximum(-multipliers, 0)
    return float(-up[up > 0] @ upper[up > 0] + down[down > 0] @ lower[down > 0])


# --- the whole road: the problem as it stands, in cvxpy ----------------------------------------


def _solve_growing(s: Standard, elastic) -> Answer:
    """Peaks over many vectors: with the largest few, then with those that stand above the peak found, until none does.

    Each round leaves vectors out and so bounds the optimum from below.
    """
    large = [i for i, e in enumerate(s.epigraphs) if e.measure == "peak" and _sizes(e, np.zeros(s.linear.size)).size > MANY_VECTORS]
    kept = {i: np.argsort(-_sizes(s.epigraphs[i], np.zeros(s.linear.size)))[:MOST_NEW_ROWS] for i in large}
    while True:
        few = [_vectors(e, kept[i]) if i in kept else e for i, e in enumerate(s.epigraphs)]
        answer = _solve_whole(replace(s, epigraphs=tuple(few)), elastic)
        more = {i: _standing_out(s.epigraphs[i], kept[i], answer.x) for i in large}
        if answer.status != "optimal" or not any(map(len, more.values())):
            return answer
        kept = {i: np.concatenate([kept[i], more[i]]) for i in large}


def _sizes(e: Epigraph, x: np.ndarray) -> np.ndarray:
    """Length of each vector of a residual."""
    return np.linalg.norm((e.matrix @ x + e.offset).reshape(-1, e.width), axis=1)


def _vectors(e: Epigraph, index) -> Epigraph:
    entries = (index[:, None] * e.width + np.arange(e.width)).ravel()
    return replace(e, matrix=e.matrix[entries], offset=e.offset[entries])


def _standing_out(e: Epigraph, kept, x: np.ndarray) -> np.ndarray:
    """The largest vectors that exceed the peak over those kept."""
    size = _sizes(e, x)
    over = np.flatnonzero(size > size[kept].max() * (1 + ROW_TOLERANCE))
    return over[np.argsort(-size[over])][:MOST_NEW_ROWS]


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
    constraints = []
    for cones in s.cones:
        (f, k, n), unit = cones.matrix.shape, s.scale[cones.limit]
        vector = cp.reshape((cones.matrix / unit).reshape(f * k, n) @ x, (f, k), order="C") + cones.offset / unit
        radius = cones.radius / unit + _times(np.ones(f), slack, np.full(f, cones.limit))
        constraints.append(cp.SOC(radius, vector, axis=1) if cones.order == 2 else cp.norm1(vector, axis=1) <= radius)
    return constraints


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
