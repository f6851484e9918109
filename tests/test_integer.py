"""Choices among options against every choice there is, and bounds that hold whatever is thrown at them."""

import itertools

import numpy as np
import pytest

from designtools.solve import exchange, integer, levels, minimax


def choices(groups=5, options=4, points=12, floor=0.8, seed=0, **more):
    rng = np.random.default_rng(seed)
    size = 0.2 + 0.1 * rng.random((groups, options))
    return integer.Choices(size[..., None] + 0.05 * rng.normal(size=(groups, options, points)), size, floor, **more)


def every(task):
    options = [np.flatnonzero(row) for row in task.allowed]
    return np.array(list(itertools.product(*options)))


@pytest.mark.parametrize("seed", range(4))
def test_small_choices_are_solved_and_their_bounds_hold(seed):
    rng = np.random.default_rng(seed + 50)
    allowed = np.ones((5, 4), bool)
    allowed[1, 3] = allowed[2, 2:] = False
    task = choices(floor=1.0 + 0.3 * (seed % 2), seed=seed, base=0.1 + 0.03 * rng.normal(size=12), base_size=0.1, allowed=allowed)
    best = task.value(every(task)).min()
    relaxed = integer.relaxation(task)
    found = integer.choose(task, seed=1, rounds=60, nodes=40)
    assert task.value(found.choice) == pytest.approx(found.value, rel=1e-12)
    assert found.value == pytest.approx(best, rel=1e-9)
    assert relaxed.bound <= found.bound * (1 + 1e-9) and found.bound <= best * (1 + 1e-9)
    assert relaxed.bound == pytest.approx(relaxed.value, rel=1e-6)  # the dual certifies the whole of the relaxation


def test_branching_to_the_end_closes_the_gap():
    task = choices(groups=4, options=3, seed=7)
    found = integer.choose(task, rounds=40, nodes=2000)
    assert found.bound == pytest.approx(found.value, rel=1e-9)


def test_any_weights_give_a_valid_bound():
    task = choices(seed=3)
    best = task.value(every(task)).min()
    rng = np.random.default_rng(0)
    for _ in range(30):
        assert integer.certified_bound(task, rng.random(12) ** 4, rng.random(12) ** 4) <= best * (1 + 1e-9)


def test_the_search_is_the_same_for_the_same_seed_and_keeps_the_floor():
    task = choices(groups=12, options=6, points=20, floor=3.1, seed=5)
    one, two = (integer.search(task, seed=4, rounds=80) for _ in range(2))
    np.testing.assert_array_equal(one.choice, two.choice)
    assert task.size_of(one.choice) >= 3.1
    values = [value for _, value in one.history]
    assert values == sorted(values, reverse=True) and values[-1] == one.value


def test_a_floor_out_of_reach_is_none():
    assert integer.choose(choices(floor=5.0)) is None


def test_columns_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="must agree"):
        integer.Choices(np.zeros((2, 3, 4)), np.ones((3, 2)), 1.0)


# --- whole steps --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_placed_levels_are_the_best_of_all_and_the_bound_holds(seed):
    rng = np.random.default_rng(seed)
    matrix, base = rng.normal(size=(9, 7)), 3 * rng.normal(size=9)
    placed = levels.place(matrix, base, kicks=40)
    every_one = np.array(list(itertools.product((-1.0, 0.0, 1.0), repeat=7)))
    best = np.linalg.norm(base + every_one @ matrix.T, axis=1).min()
    assert placed.value == pytest.approx(best, rel=1e-12)
    assert placed.bound <= best * (1 + 1e-12)
    assert placed.bound == pytest.approx(np.linalg.norm(base + matrix @ placed.relaxed), rel=1e-5)
    assert placed.value <= np.linalg.norm(base + matrix @ levels.greedy(matrix, base))


def test_exchange_cancels_errors_that_can_cancel():
    """Effects +1 and -1: sorted parts come in equal pairs."""
    rng = np.random.default_rng(0)
    errors = np.repeat(rng.normal(size=20), 2)[rng.permutation(40)][:, None]
    effect = np.tile([1.0, -1.0], 20)[None, :, None]
    part = exchange.sorted_parts(effect, errors, sweeps=5)
    assert sorted(part) == list(range(40))
    assert abs(np.einsum("pnc,nc->", effect, errors[part])) < 1e-2 * abs(np.einsum("pnc,nc->", effect, errors))


# --- the least spread ---------------------------------------------------------------------------------


def test_least_spread_finds_the_chebyshev_polynomial():
    """x^4 less a quadratic: the smallest spread on [-1, 1] is that of T4/8, a quarter."""
    t = np.linspace(-1, 1, 401)

    def evaluate(x):
        return t**4 + np.sin(x[0]) * t**2, np.cos(x[0]) * t[:, None] ** 2, 1.0, np.zeros(1)

    found = minimax.least_spread(evaluate, [0.5], [-1.56], [1.0], floor=1.0)
    assert found.value == pytest.approx(0.25, rel=2e-3) and np.sin(found.x[0]) == pytest.approx(-1, abs=0.05)


def test_least_spread_keeps_floor_and_rows():
    evaluate = lambda x: (np.array([x[0], -x[0], x[1]]), np.array([[1.0, 0], [-1, 0], [0, 1]]), 1 + x[1], np.array([0, 1.0]))
    found = minimax.least_spread(evaluate, [1.0, 1.0], [-2, -2], [2, 2], np.array([[1.0, 0]]), np.array([0.25]), floor=1.2)
    assert 1 + found.x[1] >= 1.2 - 1e-6 and found.x[0] == pytest.approx(0.25, abs=1e-6)
    assert found.value == pytest.approx(0.5 / (1 + found.x[1]), rel=1e-4)
