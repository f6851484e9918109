"""Streaming sums: any split gives the same sum, in either precision, and derivatives of every order stay finite."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from designtools.kernels import streaming
from designtools.kernels.elliptic import potential_integral, ring_integrals
from designtools.sources import Filaments, Loops
from designtools.sources.cast import cast

RNG = np.random.default_rng(5)
WIRE = Filaments(*RNG.normal(size=(2, 40, 3)), RNG.normal(size=40))
RINGS = Loops(RNG.normal(size=(40, 3)), RNG.normal(size=(40, 3)), 0.5 + RNG.random(40), RNG.normal(size=40))
POINTS = RNG.normal(size=(24, 3))
BOTH = pytest.mark.parametrize("source", [WIRE, RINGS], ids=["wire", "rings"])
FIELDS = pytest.mark.parametrize("name", ["field", "potential"])


def inverse_distance(xyz, place):
    d = [p - c for p, c in zip(xyz, place)]
    square = d[0] ** 2 + d[1] ** 2 + d[2] ** 2
    return square**-0.5, square**-1.0, square**-1.5


def direct(weights):
    square = np.sum((POINTS[:, None] - WIRE.start) ** 2, axis=2)
    return np.stack([(square**power) @ weights for power in (-0.5, -1.0, -1.5)], axis=1)


@pytest.mark.parametrize("kernel", [inverse_distance, streaming.in_pairs(inverse_distance)])
def test_one_weight_for_all_components_or_one_each(kernel):
    weights = RNG.normal(size=(40, 2))
    expected = direct(weights)
    np.testing.assert_allclose(streaming.contract(kernel, POINTS, (WIRE.start,), weights), expected, rtol=1e-12)
    each = (weights, weights[:, :1], weights)
    sums = streaming.contract(kernel, POINTS, (WIRE.start,), each)
    assert [total.shape for total in sums] == [(24, 2), (24, 1), (24, 2)]
    np.testing.assert_allclose(sums[1], expected[:, 1, :1], rtol=1e-12)


def test_nothing_gives_zeros_of_the_right_shape():
    none = streaming.contract(inverse_distance, POINTS, (WIRE.start[:0],), np.ones((0, 2)))
    assert none.shape == (24, 3, 2) and not none.any()
    assert streaming.contract(inverse_distance, POINTS[:0], (WIRE.start,), np.ones((40, 2))).shape == (0, 3, 2)


def test_slices_on_threads_give_the_same_sum(monkeypatch):
    whole = WIRE.field(POINTS)
    monkeypatch.setattr(streaming, "LARGE", 1)
    monkeypatch.setattr(streaming, "SLICE", 7)
    monkeypatch.setattr(streaming, "cores", lambda: 3)
    calls = []
    one = streaming._sum
    monkeypatch.setattr(streaming, "_sum", lambda kernel, points, **rest: calls.append(len(points)) or one(kernel, points, **rest))
    np.testing.assert_allclose(WIRE.field(POINTS), whole, rtol=1e-12, atol=1e-14 * np.abs(whole).max())
    assert calls == [4] * 6  # as many slices as three threads share evenly, none longer than 7
    calls.clear()
    jax.jit(WIRE.field)(POINTS)
    assert calls == [24]  # one program in a trace


def test_threads_are_the_cores_this_process_may_use():
    assert 1 <= streaming.cores() <= os.cpu_count()


@BOTH
@FIELDS
def test_single_precision_on_request(source, name):
    exact = np.asarray(getattr(source, name)(POINTS))
    single = getattr(cast(source, "float32"), name)(POINTS)
    assert single.dtype == jnp.float32
    error = np.abs(single - exact).max() / np.abs(exact).max()
    assert 1e-9 < error < 1e-4
    back = getattr(cast(cast(source, "float32"), "float64"), name)(POINTS)
    assert back.dtype == jnp.float64


def test_other_precisions_are_refused():
    with pytest.raises(ValueError, match="float32 or float64, got float16"):
        cast(WIRE, "float16")


def test_what_is_not_accurate_in_single_runs_in_double():
    place = jnp.asarray(WIRE.start, jnp.float32)
    weights = jnp.ones((40, 1), jnp.float32)
    seen = []

    def kernel(xyz, corner):
        seen.append(xyz[0].dtype)
        return (xyz[0] - corner[0],)

    assert streaming.contract(kernel, POINTS, (place,), weights).dtype == jnp.float32
    assert set(seen) == {jnp.dtype("float64")}


@BOTH
@FIELDS
def test_hand_slopes_are_those_of_finite_differences(source, name):
    """Every leaf and the points at once: the miss of a central difference falls by four with half the step."""
    value = lambda s, p: jnp.sum(jnp.sin(1e6 * getattr(s, name)(p)))
    at = (source, jnp.asarray(POINTS))
    way = jax.tree.map(lambda leaf: jnp.asarray(RNG.normal(size=leaf.shape)), at)
    slope = sum(map(jnp.vdot, jax.tree.leaves(jax.grad(value, (0, 1))(*at)), jax.tree.leaves(way)))
    along = jax.jvp(value, at, way)[1]
    np.testing.assert_allclose(along, slope, rtol=1e-9)

    def miss(h):
        ahead, behind = (value(*jax.tree.map(lambda x, d, s=s: x + s * h * d, at, way)) for s in (1, -1))
        return abs((ahead - behind) / (2 * h) - slope)

    assert 3.3 < miss(2e-4) / miss(1e-4) < 4.7


@FIELDS
@pytest.mark.parametrize(
    "source, places",
    [
        (Filaments([[0.0, 0, 0]], [[0.0, 0, 1]], [1.0]), [(0, 0, 2), (0, 0, -1), (1e-6, 0, 0.5), (0.1, 0, 0), (0.3, 0.2, 1)]),
        (Loops([[0.0, 0, 0]], [[0.0, 0, 1]], [1.0], [1.0]), [(0, 0, 0), (0, 0, 0.3), (0.999, 0, 0), (1, 0, 1e-6), (3, 0, 0)]),
    ],
)
def test_first_and_second_slopes_are_finite_off_the_conductor(source, places, name):
    where = jnp.array(places, float)
    once = lambda p: getattr(source, name)(p[None])[0]
    for slope in (jax.jacrev(once), jax.jacfwd(jax.jacrev(once))):
        assert np.isfinite(jax.vmap(slope)(where)).all()


@pytest.mark.parametrize("m1", [1e-10, 1e-3, 0.4, 0.999])
def test_slopes_of_the_ring_integrals(m1):
    """Against the definitions in 40 digits."""
    mp = pytest.importorskip("mpmath")

    def d(t):
        return (mp.ellipk(1 - t) - mp.ellipe(1 - t)) / (1 - t)

    def g(t):
        return 2 * mp.ellipk(1 - t) - (2 - t) * d(t)

    found = jax.jvp(ring_integrals, (m1,), (1.0,))[1]
    with mp.workdps(40):
        for slope, function in zip(found, (d, g)):
            assert abs(float(slope) / mp.diff(function, mp.mpf(m1), h=m1 * mp.mpf("1e-12")) - 1) < 1e-14
    assert jax.grad(potential_integral)(m1) == found[0]


@BOTH
def test_gradients_hold_no_pairs(source):
    """Temporaries of value and gradient: under 10 MB, and the same for four times the sources and points."""
    loss = jax.value_and_grad(lambda s, p: jnp.sum(s.field(p) ** 2), (0, 1))

    def held(times):
        many = jax.tree.map(lambda leaf: jnp.tile(leaf, (16 * times,) + (1,) * (leaf.ndim - 1)), source)
        compiled = jax.jit(loss).lower(many, jnp.tile(POINTS, (32 * times, 1))).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    small, large = held(1), held(4)
    assert large < 10e6
    assert large - small < 2e6  # 300 MB more if pairs were kept
