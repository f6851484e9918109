"""The convex solver against the same problems written out by hand for Clarabel, OSQP and SciPy."""

import subprocess
import sys

import cvxpy as cp
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import linprog, lsq_linear

from designtools._pytree import pytree
from designtools.formers.cylinder import Cylinder
from designtools.problem import Design, Free, Limit, Problem, Quantity, Term
from designtools.quantities import energy, field, sheet
from designtools.regions import shell
from designtools.solve import convex, linearise
from designtools.solve.measures import MEASURES
from designtools.solve.solution import Status
from designtools.solve.standard import _dual_bound
from designtools.sources import Sheet, Uniform

N = 6
RNG = np.random.default_rng(7)
FIT, FIT_TO = RNG.normal(size=(14, N)), RNG.normal(size=14)
ROWS = RNG.normal(size=(9, N))
VECTORS = RNG.normal(size=(8, 3, N))  # eight vectors of three components
ASIDE = 0.1 * RNG.normal(size=(8, 3))


@pytree
class Numbers:
    x: jax.Array


def quantity(of, name):
    return Quantity(name, "1", lambda design: of(design.parts["p"].x))


FITTED = quantity(lambda x: jnp.asarray(FIT) @ x - jnp.asarray(FIT_TO), "fit")
ROW = quantity(lambda x: jnp.asarray(ROWS) @ x, "rows")
VECTOR = quantity(lambda x: jnp.asarray(VECTORS) @ x + jnp.asarray(ASIDE), "vectors")


def task(minimise, subject_to=(), lower=-1.0, upper=1.0, basis=None, start=None):
    start = np.zeros(N) if start is None else start
    free = Free(lambda design: design.parts["p"].x, lower, upper, basis=basis)
    return Problem(Design({"p": Numbers(start)}), [free], minimise, subject_to)


def by_hand(objective, constraints=(), lower=-1.0, upper=1.0):
    """Optimum of objective(x) under constraints(x), written directly in cvxpy and solved by Clarabel."""
    x = cp.Variable(N)
    rows = [x >= lower, x <= upper, *(constraints(x) if constraints else ())]
    program = cp.Problem(cp.Minimize(objective(x)), rows)
    tight = {"tol_gap_abs": 1e-11, "tol_gap_rel": 1e-11, "tol_feas": 1e-11}
    return program.solve(solver=cp.CLARABEL, **tight), x.value


def cp_vectors(x):
    """(8,3) expression of VECTOR."""
    return cp.reshape(VECTORS.reshape(24, N) @ x, (8, 3), order="C") + ASIDE


def assert_optimal(solution, best, where=None, rel=1e-7):
    assert solution.status is Status.OPTIMAL and solution.gap <= 1e-6
    assert solution.objective == pytest.approx(best, rel=rel)
    assert solution.history[0]["bound"] <= best + 1e-8 * abs(best)
    if where is not None:
        np.testing.assert_allclose(solution.x, where, atol=1e-4)


# --- quadratic programs ----------------------------------------------------------------------------


def test_least_squares_without_limits_is_the_normal_equation():
    solution = convex.solve(task([Term(FITTED)], lower=-10, upper=10))
    where, best, *_ = np.linalg.lstsq(FIT, FIT_TO, rcond=None)
    assert_optimal(solution, best[0], where, rel=1e-12)
    np.testing.assert_allclose(solution.x, where, rtol=1e-12)


@pytest.mark.parametrize("reach", [0.02, 0.1, 0.3])
def test_active_bounds_against_scipy(reach):
    solution = convex.solve(task([Term(FITTED)], lower=-reach, upper=reach / 2))
    theirs = lsq_linear(FIT, FIT_TO, (-reach, reach / 2), tol=1e-14, method="bvls")
    assert_optimal(solution, 2 * theirs.cost, theirs.x, rel=1e-9)
    assert np.isclose(solution.x, reach / 2, atol=1e-9).any() or np.isclose(solution.x, -reach, atol=1e-9).any()


@pytest.mark.parametrize("tightness", [1.0, 0.3, 0.05])
def test_two_sided_rows_against_osqp(tightness):
    lower, upper = -tightness * np.linspace(0.1, 1, 9), tightness * np.linspace(1, 0.2, 9)
    solution = convex.solve(task([Term(FITTED, scale=2.0, weight=3.0)], [Limit(ROW, lower, upper)]))
    x = cp.Variable(N)
    rows = [ROWS @ x >= lower, ROWS @ x <= upper, cp.abs(x) <= 1]
    program = cp.Problem(cp.Minimize(3 * cp.sum_squares((FIT @ x - FIT_TO) / 2)), rows)
    best = program.solve(solver=cp.OSQP, eps_abs=1e-11, eps_rel=1e-11, max_iter=200000, polishing=True)
    assert_optimal(solution, best, x.value, rel=1e-7)
    value = ROWS @ solution.x
    assert (value >= lower - 1e-8).all() and (value <= upper + 1e-8).all()
    assert solution.slacks["rows"] == pytest.approx(min((value - lower).min(), (upper - value).min()), abs=1e-12)


def test_an_equality_is_two_equal_sides():
    level = np.array([0.1, -0.2])
    two = quantity(lambda x: jnp.asarray(ROWS[:2]) @ x, "two")
    solution = convex.solve(task([Term(FITTED)], [Limit(two, level, level)]))
    best, where = by_hand(lambda x: cp.sum_squares(FIT @ x - FIT_TO), lambda x: [ROWS[:2] @ x == level])
    assert_optimal(solution, best, where)
    np.testing.assert_allclose(ROWS[:2] @ solution.x, level, atol=1e-9)


def test_a_basis_and_a_start_are_coefficients_on_top_of_the_leaf():
    basis, start = sparse.csc_array(RNG.normal(size=(N, 3))), RNG.normal(size=N)
    dense, thin = (convex.solve(task([Term(FITTED)], [Limit(ROW, upper=2.0)], -5, 5, b, start)) for b in (basis.toarray(), basis))
    y = cp.Variable(3)
    x = start + basis.toarray() @ y
    best = cp.Problem(cp.Minimize(cp.sum_squares(FIT @ x - FIT_TO)), [ROWS @ x <= 2, cp.abs(y) <= 5]).solve(solver=cp.CLARABEL)
    assert_optimal(thin, best, rel=1e-6)
    np.testing.assert_allclose(thin.x, dense.x, atol=1e-12)
    np.testing.assert_allclose(thin.design.parts["p"].x, start + basis @ thin.x, atol=1e-14)


# --- cones -----------------------------------------------------------------------------------------

RADIUS = np.linspace(0.1, 0.4, 8)


@pytest.mark.parametrize("norm, order", [("row", 2), ("l1", 1)])
def test_cones_by_cutting_planes_against_clarabel(norm, order):
    solution = convex.solve(task([Term(FITTED)], [Limit(VECTOR, upper=RADIUS, norm=norm), Limit(ROW, upper=0.3)]))
    rows = lambda x: [cp.norm(cp_vectors(x), order, axis=1) <= RADIUS, ROWS @ x <= 0.3]
    best, where = by_hand(lambda x: cp.sum_squares(FIT @ x - FIT_TO), rows)
    assert_optimal(solution, best, rel=2e-5)  # cutting stops 2e-5 of a radius outside
    np.testing.assert_allclose(solution.x, where, atol=2e-4)
    length = np.linalg.norm(VECTORS @ solution.x + ASIDE, order, axis=1)
    assert (length <= RADIUS * (1 + 2.1e-5)).all() and (length > RADIUS * (1 - 1e-4)).any()
    assert solution.history[0]["rounds"] > 2


def test_cones_of_different_widths_stand_together():
    pairs = quantity(lambda x: x.reshape(3, 2), "pairs")
    solution = convex.solve(task([Term(FITTED)], [Limit(VECTOR, upper=0.4, norm="row"), Limit(pairs, upper=0.1, norm="row")]))
    rows = lambda x: [cp.norm(cp_vectors(x), 2, axis=1) <= 0.4, cp.norm(cp.reshape(x, (3, 2), order="C"), 2, axis=1) <= 0.1]
    assert_optimal(solution, by_hand(lambda x: cp.sum_squares(FIT @ x - FIT_TO), rows)[0], rel=2e-5)


# --- measures --------------------------------------------------------------------------------------

HAND = {
    "peak": lambda r, v: cp.max(cp.norm(v, 2, axis=1)),
    "l1": lambda r, v: cp.sum(cp.abs(r)),
    "huber": lambda r, v: cp.sum(cp.huber(r, 1)),
    "cvar": lambda r, v: cp.sum_largest(cp.abs(r), 1) / 1,  # a tenth of fourteen entries is one
    "sum_squares": lambda r, v: cp.sum_squares(r),
    "value": lambda r, v: cp.sum(r),
}


@pytest.mark.parametrize("name", HAND)
def test_each_measure_reaches_the_optimum_by_hand(name):
    quantity_, scale = (VECTOR, 0.5) if name == "peak" else (FITTED, 0.5)
    solution = convex.solve(task([Term(quantity_, name, scale, 2.0)], [Limit(ROW, -0.4, 0.4)]))
    objective = lambda x: 2 * HAND[name]((FIT @ x - FIT_TO) / 0.5, cp_vectors(x) / 0.5)
    best, _ = by_hand(objective, lambda x: [cp.abs(ROWS @ x) <= 0.4])
    assert_optimal(solution, best, rel=1e-6)


def test_a_sum_of_terms_and_cones_together():
    terms = [Term(FITTED, weight=0.3), Term(VECTOR, "peak", 0.2), Term(ROW, "l1", 1.0, 0.1), Term(ROW, "value", 2.0, 0.5)]
    solution = convex.solve(task(terms, [Limit(VECTOR, upper=0.35, norm="row")]))

    def objective(x):
        peak = cp.max(cp.norm(cp_vectors(x), 2, axis=1)) / 0.2
        return 0.3 * cp.sum_squares(FIT @ x - FIT_TO) + peak + 0.1 * cp.norm1(ROWS @ x) + 0.25 * cp.sum(ROWS @ x)

    best, where = by_hand(objective, lambda x: [cp.norm(cp_vectors(x), 2, axis=1) <= 0.35])
    assert_optimal(solution, best, where, rel=1e-6)


def test_the_peak_of_scalars_is_the_linear_program():
    solution = convex.solve(task([Term(FITTED, "peak")]))
    size = np.ones((14, 1))
    theirs = linprog(
        np.eye(N + 1)[N],
        A_ub=np.block([[FIT, -size], [-FIT, -size]]),
        b_ub=np.concatenate([FIT_TO, -FIT_TO]),
        bounds=[(-1, 1)] * N + [(0, None)],
    )
    assert_optimal(solution, theirs.fun, rel=1e-8)


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("shape", [(1,), (7,), (25,), (40, 1), (9, 2), (12, 3)])
def test_a_measure_is_the_same_number_in_jax_and_in_cvxpy(name, shape):
    value = 1.5 * np.random.default_rng(3).normal(size=shape)
    width = shape[-1] if len(shape) > 1 else 1
    flat = cp.Constant(value.ravel())
    ours = MEASURES[name].jax(jnp.asarray(value if width > 1 else value.ravel()))
    assert float(ours) == pytest.approx(float(MEASURES[name].cvxpy(cp, flat, width).value), rel=1e-13)


def test_an_unknown_measure_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="sum_squares, peak, l1, huber, cvar, value, got 'median'"):
        convex.solve(task([Term(FITTED, "median")]))


# --- certificates ----------------------------------------------------------------------------------


def test_any_multipliers_bound_the_optimum_from_below():
    """min |y|^2/2 under rows: the dual function at random and at perturbed multipliers never exceeds it."""
    unit = ROWS / np.linalg.norm(ROWS, axis=1, keepdims=True)
    lower, upper = np.full(9, -0.7), np.full(9, 0.9)
    lower[0] = 0.5  # the origin is not feasible
    y = cp.Variable(N)
    rows = [unit @ y >= lower, unit @ y <= upper]
    best = cp.Problem(cp.Minimize(cp.sum_squares(y) / 2), rows).solve(solver=cp.CLARABEL)
    exact = rows[1].dual_value - rows[0].dual_value
    assert _dual_bound(unit, lower, upper, exact) == pytest.approx(best, rel=1e-6)
    for size in (1e-3, 1e-1, 1.0):
        bounds = [_dual_bound(unit, lower, upper, exact + size * RNG.normal(size=9)) for _ in range(50)]
        assert max(bounds) <= best * (1 + 1e-9) and min(bounds) < best * (1 - 1e-9)


@pytest.mark.parametrize("measure", ["sum_squares", "peak", "l1"])
def test_no_feasible_neighbour_beats_the_bound(measure):
    limits = [Limit(ROW, -0.3, 0.3), Limit(VECTOR, upper=0.45, norm="row")]
    solution = convex.solve(task([Term(FITTED, measure)], limits))
    bound, tried = solution.history[0]["bound"], 0
    value = {"sum_squares": lambda r: r @ r, "peak": lambda r: np.abs(r).max(), "l1": lambda r: np.abs(r).sum()}[measure]
    for size in (1e-4, 1e-2, 0.1):
        for _ in range(400):
            x = np.clip(0.9999 * solution.x + size * RNG.normal(size=N), -1, 1)
            if np.abs(ROWS @ x).max() <= 0.3 and np.linalg.norm(VECTORS @ x + ASIDE, axis=1).max() <= 0.45:
                tried += 1
                assert value(FIT @ x - FIT_TO) >= bound
    assert tried > 100


def test_a_gap_that_is_not_reached_is_said():
    solution = convex.solve(task([Term(FITTED, "peak")]), gap=0.0)
    assert solution.status in (Status.NOT_CONVERGED, Status.OPTIMAL) and solution.gap is not None
    assert (solution.status is Status.OPTIMAL) == (solution.gap == 0)


# --- refusals --------------------------------------------------------------------------------------


def test_what_is_not_affine_is_refused_by_name():
    with pytest.raises(linearise.NotAffine, match="'power of x' is not affine.*solve.descent"):
        convex.solve(task([Term(FITTED)], [Limit(quantity(lambda x: x @ x, "power of x"), upper=1.0)]))


def test_a_closed_form_that_is_wrong_is_refused_by_name():
    from types import SimpleNamespace

    wrong = FIT.copy()
    wrong[3, 2] *= 1.001
    lying = Quantity("lying", "1", FITTED.of, jacobian=lambda d: SimpleNamespace(parts={"p": SimpleNamespace(x=wrong)}))
    with pytest.raises(linearise.NotAffine, match="'lying'"):
        convex.solve(task([Term(lying)]))


def test_32_bit_is_refused_in_words():
    """In an interpreter of its own, where someone has switched 64-bit off."""
    program = """
import jax
import numpy as np
from designtools.problem import Design, Free, Problem, Quantity, Term
from designtools.solve import convex
from designtools.sources import Uniform
from designtools.precision import PrecisionError, enable
enable()
value = Quantity("field", "T", lambda d: d.parts["p"].flux_density)
task = Problem(Design({"p": Uniform(np.ones(3))}), [Free(lambda d: d.parts["p"].flux_density, -1, 1)], [Term(value)])
jax.config.update("jax_enable_x64", False)
try:
    convex.solve(task)
except PrecisionError as refusal:
    print(refusal)
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "solve.convex needs 64-bit arithmetic" in said and "precision.enable()" in said


@pytest.mark.parametrize("side", ["lower", "upper"])
def test_free_needs_both_bounds(side):
    with pytest.raises(ValueError, match=f"{side} bound must be a number"):
        task([Term(FITTED)], **{side: None})


def test_crossed_bounds_are_refused():
    with pytest.raises(ValueError, match="lower bound must not exceed upper bound"):
        task([Term(FITTED)], lower=1, upper=-1)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"norm": "row", "lower": 0.0, "upper": 1.0}, "give upper and no lower"),
        ({"norm": "l1"}, "give upper and no lower"),
        ({"norm": "max", "upper": 1.0}, "norm must be one of component, row, l1, got 'max'"),
    ],
)
def test_a_limit_that_would_be_misread_is_refused(changes, words):
    with pytest.raises(ValueError, match=f"Limit 'vectors': .*{words}"):
        Limit(VECTOR, **changes)


def test_two_quantities_of_one_name_are_refused():
    with pytest.raises(ValueError, match="two are called 'fit'"):
        task([Term(FITTED)], [Limit(quantity(lambda x: x, "fit"), upper=1.0)])


# --- infeasible and unbounded ----------------------------------------------------------------------

LABELLED = {"a": (ROWS[0], 0.5), "b": (ROWS[1], 2.0), "c": (ROWS[2], 1.0)}


def contradiction(extra=None, measure="sum_squares"):
    """Three limits that no x within the bounds meets; `extra` adds to the upper sides."""
    extra = extra or {}
    limits = [
        Limit(quantity(lambda x, r=r: (jnp.asarray(r) @ x)[None], k), upper=-1.2 + extra.get(k, 0.0), scale=s, label=f"limit {k}")
        for k, (r, s) in LABELLED.items()
    ]
    return task([Term(FITTED, measure)], limits, lower=-0.25, upper=0.25)


def elastic_by_linprog():
    """Least sum of scaled violations: min sum v, r.x <= -1.2 + scale v, |x| <= 0.25."""
    rows = np.array([r for r, _ in LABELLED.values()])
    scales = np.diag([s for _, s in LABELLED.values()])
    bounds = [(-0.25, 0.25)] * N + [(0, None)] * 3
    found = linprog(np.r_[np.zeros(N), np.ones(3)], A_ub=np.hstack([rows, -scales]), b_ub=np.full(3, -1.2), bounds=bounds)
    return found.fun, dict(zip(LABELLED, found.x[N:]))


@pytest.mark.parametrize("measure", ["sum_squares", "peak"])
def test_the_relaxations_are_the_least_that_helps(measure):
    total, each = elastic_by_linprog()
    solution = convex.solve(contradiction(measure=measure))
    assert solution.status is Status.INFEASIBLE and total > 0.1
    assert sum(r.relative for r in solution.relaxations) == pytest.approx(total, rel=1e-5)
    for r in solution.relaxations:
        name = r.limit.removeprefix("limit ")
        assert r.relative == pytest.approx(each[name], abs=1e-5 * total)
        assert r.by == pytest.approx(r.relative * LABELLED[name][1], rel=1e-12)
        assert r.achievable == pytest.approx(-1.2 + r.by, abs=1e-5)  # the bound that would just be met


@pytest.mark.parametrize("measure", ["sum_squares", "peak"])
def test_a_relaxed_problem_has_a_solution_and_a_little_less_has_none(measure):
    found = {r.limit.removeprefix("limit "): r.by for r in convex.solve(contradiction(measure=measure)).relaxations}
    enough = {k: v * 1.0001 for k, v in found.items()}
    short = {k: v * 0.999 for k, v in found.items()}
    assert convex.solve(contradiction(enough, measure)).status is Status.OPTIMAL
    assert convex.solve(contradiction(short, measure)).status is Status.INFEASIBLE


def test_an_infeasible_cone_is_named_with_what_it_needs():
    held = Limit(quantity(lambda x: x[:2], "first two"), 0.6, 0.6, scale=1e-6)  # dear: it stays
    disc = Limit(quantity(lambda x: x[None, :2], "disc"), upper=0.5, norm="row", scale=0.5, label="disc")
    solution = convex.solve(task([Term(FITTED)], [held, disc]))
    assert solution.status is Status.INFEASIBLE
    (relaxation,) = solution.relaxations
    assert relaxation.limit == "disc" and relaxation.by == pytest.approx(0.6 * np.sqrt(2) - 0.5, rel=1e-4)
    assert relaxation.achievable == pytest.approx(0.6 * np.sqrt(2), rel=1e-4)


def test_falling_without_end_is_said():
    solution = convex.solve(task([Term(ROW, "value")], [Limit(FITTED, upper=1e3)], lower=-np.inf, upper=np.inf))
    assert solution.status is Status.UNBOUNDED and "add a limit" in solution.message


# --- closed-form sensitivities ---------------------------------------------------------------------


def two_layers():
    rng, parts, models = np.random.default_rng(0), {}, []
    for name, radius in (("inner", 0.1), ("outer", 0.14)):
        mesh = Cylinder(radius, 0.2).mesh(0.07)
        parts[name] = Sheet(mesh.vertices, mesh.faces, rng.normal(size=len(mesh.vertices)))
        basis = sparse.csc_array(np.linalg.qr(rng.normal(size=(len(mesh.vertices), 7)))[0])
        every = np.arange(len(mesh.faces))
        models.append(energy.SheetModel(name, mesh.vertices, mesh.faces, every, np.ones(len(every)), basis))
    return Design(parts), models


DESIGN, MODELS = two_layers()
REGION = shell(0.05, order=4)
UP = np.array([0.0, 0.6, 0.8])
INNER = MODELS[0]
SOME = np.arange(0, len(INNER.triangles), 3)
DECLARED = {
    "component": field.component(REGION, UP),
    "mean component": field.mean_component(REGION, UP, REGION.points[:, 0], "gradient"),
    "flux density": field.flux_density(REGION),
    "current density": sheet.surface_current_density("inner", SOME, INNER.vertices, INNER.triangles),
    "power": sheet.power_residual("inner", SOME, np.full(len(SOME), 3.0), INNER.vertices, INNER.triangles, 1e-5),
    "energy": energy.stored_energy_residual(MODELS)[0],
}


@pytest.mark.parametrize("name", DECLARED)
def test_closed_form_sensitivities_equal_those_of_jax(name):
    known = DECLARED[name]
    free = [Free(lambda d, n=m.part: d.parts[n].stream, -1, 1, basis=m.basis) for m in MODELS]
    variables = linearise.variables(Problem(DESIGN, free, [Term(known)]))
    closed = linearise.affine(known, variables)
    value, derived = linearise.differentiated(known, variables)(variables.start)
    np.testing.assert_allclose(closed.matrix, derived, atol=1e-12 * np.abs(derived).max())
    np.testing.assert_allclose(closed.offset, value.ravel(), atol=1e-12 * np.abs(value).max())
    assert closed.shape == value.shape and np.abs(derived).max() > 0
    assert known.jacobian(DESIGN) is not None  # it was the closed form


def test_a_field_of_other_sources_falls_back_to_jax():
    design = Design({"p": Uniform(flux_density=np.zeros(3))})
    assert DECLARED["component"].jacobian(design) is None
    free = Free(lambda d: d.parts["p"].flux_density, -1, 1)
    matrix = linearise.affine(DECLARED["component"], linearise.variables(Problem(design, [free], ()))).matrix
    np.testing.assert_allclose(matrix, np.broadcast_to(UP, matrix.shape), atol=1e-15)


def test_the_energy_residual_is_half_current_dot_potential():
    """Sum of squares against 1/2 integral of K.A with the exact potential at the corners' midpoints, refined faces."""
    residual, matrix = energy.stored_energy_residual(MODELS)
    x = np.random.default_rng(5).normal(size=matrix.shape[0])
    first, second = np.split(x, 2)
    design = Design({m.part: Sheet(m.vertices, m.triangles, m.basis @ c) for m, c in zip(MODELS, (first, second))})
    assert float(jnp.sum(residual.of(design) ** 2)) == pytest.approx(x @ matrix @ x / 2, rel=1e-12)
    mutual = 0.0
    inner, outer = design.parts["inner"], design.parts["outer"]
    corners = inner.vertices[inner.faces]
    a, b, c = np.moveaxis(corners, 1, 0)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    points = np.stack([(a + b) / 2, (b + c) / 2, (c + a) / 2], axis=1)
    potential = np.asarray(outer.potential(points.reshape(-1, 3))).reshape(-1, 3, 3).mean(axis=1)
    mutual = (np.asarray(inner.surface_current()) * potential).sum(axis=1) @ area
    assert first @ matrix[:7, 7:] @ second == pytest.approx(mutual, rel=2e-2)
