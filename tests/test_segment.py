"""Straight segments: exact at hard points, Maxwell's equations, derivatives, memory, wire inductance."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import magpylib
import mpmath
import numpy as np
import pytest

from designtools.kernels.wire_inductance import (
    rectangle_mean_distance,
    round_mean_distance,
    winding_inductance,
)
from designtools.sources import Assembly, Filaments, Uniform
from designtools.units import MU_0

# Points beside a unit segment (distance from its line, height) where published codes lose between 1e-10 and all digits.
HARD = [
    (1e-3, 0.5), (1e-6, 0.5), (1e-9, 0.5), (1e-3, 1.5), (1e-6, 1.5), (1e-9, 1.5), (1e-12, 5.0), (1e-3, 1.0), (1e4, 0.5),
]  # fmt: skip
UNIT = Filaments([[0.0, 0, 0]], [[0.0, 0, 1]], [1.0])


def random_filaments(seed=0, n=40):
    rng = np.random.default_rng(seed)
    return Filaments(rng.normal(size=(n, 3)), rng.normal(size=(n, 3)), rng.normal(size=n))


def closed_curve(n=60):
    t = np.linspace(0, 2 * np.pi, n, endpoint=False)
    path = np.stack([np.cos(t), np.sin(t), 0.3 * np.sin(2 * t)], axis=1)
    return Filaments.from_path(path, current=2.0, closed=True)


def points(n=20, seed=1, scale=1.5):
    return scale * np.random.default_rng(seed).normal(size=(n, 3))


def jacobian(function, xyz):
    return jax.vmap(jax.jacfwd(lambda p: function(p[None])[0]))(jnp.asarray(xyz))


def curl(j):
    return jnp.stack([j[:, 2, 1] - j[:, 1, 2], j[:, 0, 2] - j[:, 2, 0], j[:, 1, 0] - j[:, 0, 1]], axis=1)


def exact_unit_segment(rho, z):
    """Flux density and potential of the unit segment carrying 1 A, 50 digits, from the textbook closed form."""
    with mpmath.workdps(50):
        r, z, scale = mpmath.mpf(rho), mpmath.mpf(z), mpmath.mpf("1e-7")
        field = scale * (z / mpmath.hypot(z, r) - (z - 1) / mpmath.hypot(z - 1, r)) / r
        return field, scale * (mpmath.asinh(z / r) - mpmath.asinh((z - 1) / r))


@pytest.mark.parametrize("rho, z", HARD)
def test_hard_points_to_thirteen_digits(rho, z):
    field, potential = exact_unit_segment(rho, z)
    xyz = np.array([[rho, 0.0, z]])
    assert abs(mpmath.mpf(float(UNIT.field(xyz)[0, 1])) / field - 1) < 1e-13
    assert abs(mpmath.mpf(float(UNIT.potential(xyz)[0, 2])) / potential - 1) < 1e-13


@pytest.mark.parametrize("rho", [1e-3, 1e-6])
def test_hard_point_of_a_turned_and_moved_segment(rho):
    axis, side = np.array([1.0, 2, 2]) / 3, np.array([2.0, 1, -2]) / 3
    start = np.array([0.3, -0.2, 0.5])
    wire = Filaments([start], [start + axis], [1.0])
    field = wire.field((start + 0.5 * axis + rho * side)[None])[0]
    expected = float(exact_unit_segment(rho, 0.5)[0]) * np.cross(axis, side)
    np.testing.assert_allclose(
        field, expected, atol=1e-15 / rho * np.abs(expected).max()
    )  # rounding of inputs


@pytest.mark.parametrize("xyz", [(0, 0, 0), (0, 0, 1), (0, 0, 0.5), (0, 0, 2), (0, 0, -1)])
def test_on_the_wire_zero_and_finite_slopes(xyz):
    xyz = jnp.array([xyz], float)
    assert np.all(UNIT.field(xyz) == 0)
    assert np.isfinite(UNIT.potential(xyz)).all()
    for method in ("field", "potential"):
        slopes = jax.jacrev(lambda s, p, m=method: getattr(s, m)(p), argnums=(0, 1))(UNIT, xyz)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))


def test_point_computed_on_a_slanted_wire_counts_as_on_it():
    wire = random_filaments(n=200)
    middle = 0.3 * wire.start + 0.7 * wire.end
    alone = [Filaments(s[None], e[None], np.ones(1)) for s, e in zip(wire.start, wire.end)]
    assert all(np.all(one.field(m[None]) == 0) for one, m in zip(alone, middle))


def test_slope_on_the_line_beyond_the_wire():
    # B_y = mu0 I/4pi rho (1/(z-1)^2 - 1/z^2)/2 near the axis
    slope = jacobian(UNIT.field, [[0.0, 0, 2]])[0]
    np.testing.assert_allclose(slope[1, 0], 1e-7 * (1 - 0.25) / 2, rtol=1e-13)


def test_linear_in_current_and_superposition():
    wire, xyz = random_filaments(), points()
    half = Filaments(wire.start, wire.end, wire.current / 2)
    np.testing.assert_allclose(2 * half.field(xyz), wire.field(xyz), rtol=1e-14)
    parts = [Filaments(wire.start[k], wire.end[k], wire.current[k]) for k in (slice(0, 15), slice(15, None))]
    both = Assembly(parts)
    np.testing.assert_allclose(
        both.field(xyz), wire.field(xyz), rtol=0, atol=1e-13 * np.abs(wire.field(xyz)).max()
    )
    assert isinstance(both.parts, tuple)


def test_divergence_and_curl_vanish_off_a_closed_circuit():
    loop, xyz = closed_curve(), points()
    slope = jacobian(loop.field, xyz)
    scale = np.abs(slope).max(axis=(1, 2))
    assert np.all(np.abs(jnp.trace(slope, axis1=1, axis2=2)) < 1e-12 * scale)
    assert np.all(np.abs(curl(slope)).max(axis=1) < 1e-12 * scale)


def test_field_is_the_curl_of_the_potential():
    wire, xyz = random_filaments(), points()
    np.testing.assert_allclose(curl(jacobian(wire.potential, xyz)), wire.field(xyz), rtol=1e-10, atol=1e-20)


def test_far_field_is_the_dipole():
    loop = closed_curve()
    moment = (np.cross(loop.start, loop.end) * np.asarray(loop.current)[:, None]).sum(axis=0) / 2
    errors = []
    for distance in (100.0, 200.0):
        direction = np.array([0.6, 0.0, 0.8])
        dipole = 1e-7 * (3 * direction * (direction @ moment) - moment) / distance**3
        errors.append(np.abs(loop.field(distance * direction[None])[0] / dipole - 1)[[0, 2]].max())
    assert errors[0] < 1e-3
    assert errors[1] < 0.3 * errors[0]  # next multipole of this curve is two orders up


def test_against_magpylib():
    wire, xyz = random_filaments(), points(100)
    twin = magpylib.Collection(
        [magpylib.current.Polyline(i, vertices=[s, e]) for s, e, i in zip(wire.start, wire.end, wire.current)]
    )
    expected = magpylib.getB(twin, xyz)
    np.testing.assert_allclose(
        wire.field(xyz), expected, rtol=0, atol=1e-9 * np.abs(expected).max()
    )  # its error beside the line beyond a wire


def test_derivatives_by_taylor():
    wire, xyz = random_filaments(n=8), jnp.asarray(points(5))
    rng = np.random.default_rng(3)

    def value(source, p):
        return jnp.sum(jnp.sin(1e7 * source.field(p)) + 1e7 * source.potential(p) ** 2)

    at = (wire, xyz)
    step = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), at)
    slopes = jax.grad(value, argnums=(0, 1))(*at)
    slope = sum(jnp.vdot(a, b) for a, b in zip(jax.tree.leaves(slopes), jax.tree.leaves(step)))

    def remainder(h):
        moved = [jax.tree.map(lambda x, d, s=s: x + s * h * d, at, step) for s in (1, -1)]
        return abs((value(*moved[0]) - value(*moved[1])) / (2 * h) - slope)

    coarse, fine = remainder(2e-4), remainder(1e-4)
    assert 3.5 < coarse / fine < 4.5


def test_any_size_any_tracer():
    wire, xyz = random_filaments(n=300), points(300)
    whole = wire.field(xyz)
    rounding = 1e-13 * np.abs(whole).max()
    for n in (1, 7, 129, 257):
        np.testing.assert_allclose(wire.field(xyz[:n]), whole[:n], atol=rounding)
    assert wire.field(xyz[:0]).shape == (0, 3)
    np.testing.assert_allclose(jax.jit(lambda s, p: s.field(p))(wire, xyz), whole, atol=rounding)
    batch = jax.vmap(lambda i: Filaments(wire.start, wire.end, i).field(xyz))(jnp.stack([wire.current] * 2))
    np.testing.assert_allclose(batch[1], whole, atol=rounding)


def test_bad_shapes_are_refused():
    with pytest.raises(ValueError, match=r"shape \(S,3\).*from_path"):
        Filaments([0.0, 0, 0], [0.0, 0, 1], 1.0)
    with pytest.raises(ValueError, match="n >= 2"):
        Filaments.from_path([[0.0, 0, 0]])
    with pytest.raises(ValueError, match="flux_density"):
        Uniform([1.0, 2.0])
    with pytest.raises(ValueError, match="non-empty list"):
        Assembly([])


def test_uniform_potential():
    background = Uniform([0.1, -0.2, 0.3])
    xyz = points(4)
    np.testing.assert_allclose(curl(jacobian(background.potential, xyz)), background.field(xyz), atol=1e-15)


@pytest.mark.parametrize("leaf", ["value", "gradient"])
def test_memory_does_not_grow_with_sources_times_points(leaf):
    """2 GB (value) or 0.4 GB (gradient) per temporary, of which there are dozens, if all pairs were kept at once."""
    program = f"""
import resource, numpy as np, jax
from designtools import precision; precision.enable()
from designtools.sources import Filaments
def run(n_sources, n_points):
    rng = np.random.default_rng(0)
    wire = Filaments(*rng.normal(size=(2, n_sources, 3)), np.ones(n_sources))
    xyz = rng.normal(size=(n_points, 3))
    if {leaf!r} == "value":
        return jax.block_until_ready(wire.field(xyz))
    return jax.block_until_ready(jax.grad(lambda w: (w.field(xyz) ** 2).sum())(wire))
run(1000, 1000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
run(*{(50_000, 5_000) if leaf == "value" else (20_000, 2_500)})
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) / 1024 < 300


def ring(radius, z=0.0, n=400):
    t = 2 * np.pi * np.arange(n + 1) / n
    path = np.stack([radius * np.cos(t), radius * np.sin(t), np.full(n + 1, z)], axis=1)
    return path[:-1], path[1:], np.ones(n)


def test_mutual_inductance_of_coaxial_loops():
    # Maxwell's elliptic closed form for radii 0.5 and 0.4 m, 0.3 m apart; polygons converge as 1/n^2
    exact = 3.4697645577282e-07
    errors = [
        float(winding_inductance([ring(0.5, n=n), ring(0.4, 0.3, n=n)], 1e-3)[0, 1]) / exact - 1
        for n in (100, 200)
    ]
    assert abs(errors[1]) < 2e-4
    np.testing.assert_allclose(errors[0] / errors[1], 4, rtol=0.01)


@pytest.mark.parametrize("radius, wire", [(0.5, 2e-3), (0.1, 1e-3)])
def test_self_inductance_of_a_ring(radius, wire):
    exact = MU_0 * radius * (np.log(8 * radius / wire) - 1.75)
    found = winding_inductance([ring(radius)], round_mean_distance(wire))[0, 0]
    np.testing.assert_allclose(
        found, exact, rtol=0.1 * wire / radius
    )  # the bend moves the wire off its own tangent


def test_mean_distance_of_rectangles():
    # square 0.44705 a, thin strip exp(-3/2) w (Grover 1946, ch. 3)
    np.testing.assert_allclose(rectangle_mean_distance(2.0, 2.0), 2 * 0.44705, rtol=1e-5)
    np.testing.assert_allclose(rectangle_mean_distance(1.0, 1e-5), np.exp(-1.5), rtol=1e-4)
    np.testing.assert_allclose(
        rectangle_mean_distance(3.0, 1.0), rectangle_mean_distance(1.0, 3.0), rtol=1e-12
    )


def test_turns_in_series_and_opposition():
    a, b = ring(0.1, n=100), ring(0.1, 0.02, n=100)
    matrix = winding_inductance([a, b], 1e-3)
    for sign in (1, -1):
        series = [np.concatenate([p, q]) for p, q in zip(a, (b[0], b[1], sign * b[2]))]
        np.testing.assert_allclose(
            winding_inductance([series], 1e-3)[0, 0], matrix[0, 0] + matrix[1, 1] + 2 * sign * matrix[0, 1]
        )
