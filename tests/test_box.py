"""Box-constrained quadratics by the thousand, and shots that share limits, beside cvxpy and SciPy."""

import cvxpy as cp
import numpy as np
import pytest
from scipy.optimize import lsq_linear

from designtools.solve import box, sequence


def problems(count, n, rows, seed=0, spread=4.0, noise=10.0):
    """Least squares with singular values over `spread` decades: matrices (count,rows,n) and targets."""
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(n, n)) * 10.0 ** -np.linspace(0, spread, n)[:, None]
    A = rng.normal(size=(count, rows, n)) @ mix
    b = np.einsum("sij,sj->si", A, 6 * rng.normal(size=(count, n))) + noise * rng.normal(size=(count, rows))
    return A, b


def normal(A, b):
    return np.einsum("sij,sik->sjk", A, A), np.einsum("sij,si->sj", A, b), (b**2).sum(axis=1) / 2


@pytest.mark.parametrize("n, bound", [(1, 0.5), (5, 2.0), (48, 3.0), (48, 75.0)])
def test_gaps_are_tiny_and_true(n, bound):
    A, b = problems(24, n, 200)
    H, g, constant = normal(A, b)
    most = np.full(g.shape, bound)
    found = box.solve(H, g, -most, most, constant)
    assert (np.abs(found.x) <= bound).all()
    assert (box.relative_gap(found.gap, found.value + constant, constant) < 1e-9).all()
    for k in range(3):  # SciPy works on A itself, whose squares we formed
        theirs = lsq_linear(A[k], -b[k], (-bound, bound), tol=1e-14)
        assert found.value[k] + constant[k] <= theirs.cost * (1 + 1e-9)
        assert found.value[k] + constant[k] + 1e-9 * constant[k] >= theirs.cost - found.gap[k] - 1e-6 * theirs.cost


def test_singular_matrices_and_odd_boxes():
    A, b = problems(7, 30, 8, seed=3, noise=0.0)  # fewer rows than coefficients: the fit may be perfect
    H, g, constant = normal(A, b)
    rng = np.random.default_rng(1)
    lower, upper = -rng.random(g.shape), rng.random(g.shape) * 5
    lower[:, 4] = upper[:, 4] = 0.25  # a coefficient that may not move
    found = box.solve(H, g, lower, upper, constant)
    assert (found.x >= lower - 1e-15).all() and (found.x <= upper + 1e-15).all() and (found.x[:, 4] == 0.25).all()
    for k in range(7):
        x = cp.Variable(30)
        theirs = cp.Problem(cp.Minimize(cp.sum_squares(A[k] @ x + b[k]) / 2), [x >= lower[k], x <= upper[k]]).solve(solver=cp.CLARABEL)
        assert found.value[k] + constant[k] <= theirs + 1e-7 * constant[k]
    assert (found.gap <= 1e-9 * constant).all()


def test_a_large_batch_is_the_small_ones():
    A, b = problems(300, 6, 40)
    H, g, constant = normal(A, b)
    most = np.full(g.shape, 1.5)
    whole = box.solve(H, g, -most, most, constant)
    part = box.solve(H[290:], g[290:], -most[290:], most[290:], constant[290:])
    np.testing.assert_allclose(whole.x[290:], part.x, atol=1e-9)


def test_infinite_and_crossing_bounds_are_refused():
    H, g = np.eye(2)[None], np.zeros((1, 2))
    with pytest.raises(ValueError, match="finite"):
        box.solve(H, g, np.full((1, 2), -np.inf), np.ones((1, 2)), [1.0])
    with pytest.raises(ValueError, match="not exceed"):
        box.solve(H, g, np.ones((1, 2)), -np.ones((1, 2)), [1.0])
    with pytest.raises(ValueError, match=r"shape \(B,n,n\)"):
        box.solve(np.eye(2), g, g, g, [1.0])


SHARED = {
    "total": dict(total=(6.0, np.ones((1, 6), bool))),
    "total of some": dict(total=(2.0, np.array([[True] * 3 + [False] * 3]))),
    "step": dict(step=np.array([0.4, 0.4, np.inf, 0.4, 0.4, np.inf])),
    "static": dict(step=np.array([0.0, 0.0, np.inf, np.inf, 0.3, 0.3])),
    "power": dict(power=(2.0, np.array([1.0, 1, 1, 2, 2, 0.5]))),
    "all": dict(total=(5.0, np.ones((1, 6), bool)), step=np.array([0.0, 0.5, 0.5, 0.5, 0.5, np.inf]), power=(2.5, np.ones(6))),
}


@pytest.mark.parametrize("name", SHARED)
def test_shots_that_share_limits(name):
    """The certificate, and another solver on the whole problem written out."""
    A, b = problems(9, 6, 30, seed=5, spread=1.5, noise=3.0)
    H, g, constant = normal(A, b)
    shared = sequence.Shared(**SHARED[name])
    most = np.full(6, 3.0)
    found = sequence.solve(H, g, most, shared)
    objective = found.value + constant.sum()
    assert found.violation < 1e-7 and abs(found.gap) < 1e-6 * objective
    x = cp.Variable((9, 6))
    limits = [cp.abs(x) <= 3]
    if shared.total:
        limits += [cp.norm1(x[:, np.flatnonzero(group)], axis=1) <= shared.total[0] for group in shared.total[1]]
    if shared.step is not None:
        limits += [cp.abs(x[1:, k] - x[:-1, k]) <= s for k, s in enumerate(shared.step) if np.isfinite(s)]
    if shared.power:
        limits += [cp.sum(cp.multiply(np.tile(shared.power[1], (9, 1)), cp.square(x))) / 9 <= shared.power[0]]
    cost = sum(cp.sum_squares(A[s] @ x[s] + b[s]) for s in range(9)) / 2
    other = dict(solver=cp.CLARABEL) if shared.power else dict(solver=cp.OSQP, eps_abs=1e-9, eps_rel=1e-9, max_iter=200_000)
    theirs = cp.Problem(cp.Minimize(cost), limits).solve(**other)
    assert objective == pytest.approx(theirs, rel=1e-5)
    assert np.abs(found.x).max() <= 3 + 1e-12


def test_the_certificate_sees_a_worse_answer():
    """Currents that are not optimal get a gap at least as large as what they lose."""
    A, b = problems(4, 6, 30, seed=5, spread=1.5, noise=3.0)
    H, g, _ = normal(A, b)
    most = np.full(6, 3.0)
    shared = sequence.Shared(total=(6.0, np.ones((1, 6), bool)))
    best = sequence.solve(H, g, most, shared)
    worse = 0.9 * best.x
    gap = sequence._value(H, g, worse) - sequence._bound(H, g, most, shared, worse, np.zeros_like(g), np.zeros(6), 0.0)
    assert gap >= sequence._value(H, g, worse) - best.value > 0
