"""Local optima reached downhill: known minima, the same words as solve.convex, coils with closed forms, SciPy beside it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

from designtools._pytree import pytree
from designtools.harmonics import zonal
from designtools.problem import Design, Free, Limit, Problem, Quantity, Term
from designtools.solve import convex, descent
from designtools.solve.solution import Status
from designtools.sources import Loops
from designtools.units import MU_0


@pytree
class Numbers:
    x: jax.Array


def quantity(of, name="q"):
    return Quantity(name, "1", lambda design: of(design.parts["p"].x))


def problem(start, lower, upper, minimise, subject_to=()):
    free = Free(lambda design: design.parts["p"].x, lower, upper)
    return Problem(Design({"p": Numbers(np.array(start, float))}), [free], minimise, subject_to)


ROSENBROCK = quantity(lambda x: jnp.array([10 * (x[1] - x[0] ** 2), 1 - x[0]]), "rosenbrock")
DISC = quantity(lambda x: x @ x, "disc")
FROM_POINT = quantity(lambda x: x - jnp.array([2.0, 1.0]), "from (2, 1)")
CB2 = quantity(lambda x: jnp.array([x[0] ** 2 + x[1] ** 4, (2 - x[0]) ** 2 + (2 - x[1]) ** 2, 2 * jnp.exp(x[1] - x[0])]), "CB2")
HS71 = quantity(lambda x: x[0] * x[3] * (x[0] + x[1] + x[2]) + x[2], "HS71")
HS71_LIMITS = [Limit(quantity(jnp.prod, "product"), lower=25.0), Limit(DISC, 40.0, 40.0)]

KNOWN = {  # problem, optimum, where (Rosenbrock 1960; Hock & Schittkowski 1981; Charalambous & Bandler 1976)
    "rosenbrock": (problem([-1.2, 1], -2, 2, [Term(ROSENBROCK)]), 0.0, [1, 1]),
    "rosenbrock at a bound": (problem([-1.2, 1], -2, [0.5, 2], [Term(ROSENBROCK)]), 0.25, [0.5, 0.25]),
    "a plane over a disc": (
        problem([0.1, 0.1], -3, 3, [Term(quantity(lambda x: -x[0] - 2 * x[1]), "value")], [Limit(DISC, upper=1.0)]),
        -np.sqrt(5),
        [1 / np.sqrt(5), 2 / np.sqrt(5)],
    ),
    "nearest in a disc": (problem([0.0, 0], -3, 3, [Term(FROM_POINT)], [Limit(DISC, upper=1.0)]), (np.sqrt(5) - 1) ** 2, [2 / np.sqrt(5), 1 / np.sqrt(5)]),
    "HS71": (problem([1, 5, 5, 1], 1, 5, [Term(HS71, "value")], HS71_LIMITS), 17.0140173, [1, 4.7429994, 3.8211503, 1.3794082]),
    "CB2, a minimax": (problem([1, -0.1], -5, 5, [Term(CB2, "peak")]), 1.9522245, [1.1390377, 0.8995599]),
}


@pytest.mark.parametrize("name", KNOWN)
def test_reaches_known_minima(name):
    task, optimum, where = KNOWN[name]
    solution = descent.solve(task)
    assert solution.status is Status.CONVERGED and solution.stationarity <= 1e-8
    assert solution.objective == pytest.approx(optimum, rel=1e-6, abs=1e-9)
    np.testing.assert_allclose(solution.x, where, atol=2e-4 if "minimax" in name else 2e-5)
    assert all(slack >= -1e-6 for slack in solution.slacks.values())


def test_says_the_same_twice_and_keeps_its_history():
    task = KNOWN["HS71"][0]
    first, second = descent.solve(task), descent.solve(task)
    np.testing.assert_array_equal(first.x, second.x)
    assert first.history == second.history and {"merit", "violation", "radius"} <= set(first.history[0])


def test_never_leaves_the_bounds_and_leaves_alone_what_is_fixed():
    seen = []
    inside = lambda x: jax.debug.callback(lambda v: seen.append(np.array(v)), x) or jnp.array([10 * (x[1] - x[0] ** 2), 1 - x[0], x[2]])
    solution = descent.solve(problem([-1.2, 1, 0.3], [-2, 0.2, 0.3], [0.5, 1.1, 0.3], [Term(quantity(inside))]))
    visited = np.concatenate([np.reshape(v, (-1, 3)) for v in seen])
    assert solution.status.ok and len(visited) > 3
    assert (visited >= [-2, 0.2, 0.3]).all() and (visited <= [0.5, 1.1, 0.3]).all()


def test_an_infeasible_problem_names_the_limit_and_what_would_do():
    impossible = Limit(quantity(lambda x: x[0], "a"), lower=3.0, label="first coordinate")
    solution = descent.solve(problem([0.1, 0.1], -5, 5, [Term(FROM_POINT)], [Limit(DISC, upper=1.0, scale=1e-3, label="disc"), impossible]))
    assert solution.status is Status.INFEASIBLE
    (relaxation,) = solution.relaxations  # leaving the disc by 0.001 costs as much as missing a by 1
    assert relaxation.limit == "first coordinate"
    assert relaxation.by == pytest.approx(2, abs=1e-3) and relaxation.achievable == pytest.approx(1, abs=1e-3)


def test_stopping_early_is_said():
    solution = descent.solve(KNOWN["rosenbrock"][0], max_iter=2)
    assert solution.status is Status.NOT_CONVERGED and len(solution.history) == 2


def test_a_start_without_a_value_is_refused():
    with pytest.raises(ValueError, match="'log' must be finite"):
        descent.solve(problem([-1.0], -2, 2, [Term(quantity(jnp.log, "log"))]))


MATRIX = np.random.default_rng(3).normal(size=(12, 4))
AFFINE = quantity(lambda x: jnp.asarray(MATRIX) @ x - 1.0, "affine")
TWICE = quantity(lambda x: 2 * x, "twice")
PAIRS = quantity(lambda x: x.reshape(2, 2), "pairs")
LIMITS = {
    "component": Limit(TWICE, lower=-0.1, upper=np.array([0.3, 0.1, 0.2, 0.05])),
    "row": Limit(PAIRS, upper=np.array([0.05, 0.2]), norm="row"),
    "l1": Limit(PAIRS, upper=0.12, norm="l1"),
}


PAIRINGS = [("component", "sum_squares"), ("component", "peak"), ("row", "sum_squares"), ("row", "peak"), ("row", "l1"),
            ("row", "huber"), ("row", "cvar"), ("l1", "sum_squares"), ("l1", "peak")]  # fmt: skip


@pytest.mark.parametrize("norm, measure", PAIRINGS)
def test_the_words_mean_what_they_mean_to_the_convex_solver(norm, measure):
    task = problem(np.zeros(4), -1, 1, [Term(AFFINE, measure, scale=2.0, weight=3.0)], [LIMITS[norm]])
    local, best = descent.solve(task), convex.solve(task)
    assert local.status is Status.CONVERGED and best.status is Status.OPTIMAL
    assert local.objective == pytest.approx(best.objective, rel=2e-6)
    assert local.slacks.keys() == best.slacks.keys() and min(local.slacks.values()) > -1e-5


def test_the_l1_limit_is_the_sum_of_magnitudes():
    import cvxpy as cp

    solution = convex.solve(problem(np.zeros(4), -1, 1, [Term(AFFINE)], [LIMITS["l1"]]))
    x = cp.Variable(4)
    rows = [cp.norm1(x[:2]) <= 0.12, cp.norm1(x[2:]) <= 0.12]
    best = cp.Problem(cp.Minimize(cp.sum_squares(MATRIX @ x - 1)), rows).solve(solver=cp.OSQP, eps_abs=1e-10, eps_rel=1e-10, max_iter=100000)
    assert solution.objective == pytest.approx(best, rel=1e-7)
    assert np.abs(solution.x).reshape(2, 2).sum(axis=1).max() == pytest.approx(0.12, rel=1e-6)


def test_a_peak_over_many_points_is_that_over_all_of_them():
    t = np.linspace(-1, 1, 5001)
    powers = jnp.asarray(t[:, None] ** np.arange(4))
    error = quantity(lambda x: jnp.asarray(t**4) - powers @ x, "error")
    solution = convex.solve(problem(np.zeros(4), -2, 2, [Term(error, "peak")]))
    assert solution.objective == pytest.approx(1 / 8, rel=1e-7)  # Chebyshev: t^4 - t^2 + 1/8
    np.testing.assert_allclose(solution.x, [-1 / 8, 0, 1, 0], atol=1e-6)


# --- coils whose best places are known in closed form --------------------------------------------


def coaxial(z, radius, current):
    z, radius, current = (jnp.asarray(v, float) for v in (z, radius, current))
    up = jnp.zeros((z.size, 3)).at[:, 2].set(1.0)
    return Loops(up * z[:, None], up, radius, current)


def harmonics_vanish(build, degrees):
    """Zonal harmonics of the given even degrees, relative to the field, at the radius of the coils."""
    return quantity(lambda x: (lambda a: a[jnp.array(degrees)] / a[0])(zonal(build(x), 1.0, max(degrees))), "harmonics")


def helmholtz(x):
    return coaxial([-x[0], x[0]], [1.0, 1.0], [1.0, 1.0])


def maxwell(x):
    return coaxial(jnp.stack([-x[0], 0.0 * x[0], x[0]]), jnp.stack([x[1], 1.0 + 0 * x[0], x[1]]), [49.0, 64.0, 49.0])


def lee_whiting(x):
    inner = x[2]
    return coaxial(jnp.stack([-x[1], -x[0], x[0], x[1]]), jnp.ones(4), jnp.stack([1.0 + 0 * inner, inner, inner, 1.0 + 0 * inner]))


CLASSICS = {  # closed forms; Lee-Whiting as tabulated: 4 equal loops without degrees 2, 4 and 6
    "Helmholtz": (helmholtz, [2], [0.62], [0.5]),
    "Maxwell": (maxwell, [2, 4], [0.6, 0.8], [np.sqrt(3 / 7), np.sqrt(4 / 7)]),
    "Lee-Whiting": (lee_whiting, [2, 4, 6], [0.3, 0.85, 0.5], [0.2431859770742156, 0.9407328926479478, 0.44239107222800245]),
}


@pytest.mark.parametrize("name", CLASSICS)
def test_recovers_classic_coils_from_a_perturbed_start(name):
    build, degrees, start, exact = CLASSICS[name]
    solution = descent.solve(problem(start, 0.1, 1.2, [Term(harmonics_vanish(build, degrees))]), tolerance=1e-12)
    assert solution.status is Status.CONVERGED
    np.testing.assert_allclose(solution.x, exact, atol=1e-9)


def test_agrees_with_scipy_on_a_pair_with_least_power_and_a_field_to_hold():
    field = quantity(lambda x: coaxial([-x[0], x[0]], [x[1], x[1]], [x[2], x[2]]).field(jnp.zeros((1, 3)))[0, 2] / (MU_0 / 2), "field")
    power = quantity(lambda x: x[2] * jnp.sqrt(x[1]), "power")
    even = harmonics_vanish(lambda x: coaxial([-x[0], x[0]], [x[1], x[1]], [x[2], x[2]]), [2])
    lower, upper, start = np.array([0.1, 0.3, 0.1]), np.array([0.6, 1.2, 5.0]), np.array([0.35, 1.0, 1.0])
    task = problem(start, lower, upper, [Term(power), Term(even, weight=3.0)], [Limit(field, lower=2.0), Limit(quantity(lambda x: x[1], "r"), lower=0.45)])
    ours = descent.solve(task)
    value = jax.jit(lambda x: power.of(wrap(x)) ** 2 + 3 * even.of(wrap(x)) @ even.of(wrap(x)))
    wrap = lambda x: Design({"p": Numbers(x)})
    held = [{"type": "ineq", "fun": lambda x: float(field.of(wrap(x)) - 2)}, {"type": "ineq", "fun": lambda x: x[1] - 0.45}]
    theirs = minimize(value, start, jac=jax.grad(value), bounds=list(zip(lower, upper)), constraints=held, method="SLSQP", options={"ftol": 1e-12})
    assert theirs.success and ours.status is Status.CONVERGED
    assert ours.objective == pytest.approx(theirs.fun, rel=1e-6)
    np.testing.assert_allclose(ours.x, theirs.x, atol=1e-4)
