"""One contract for every source; a new source is one more row of SOURCES."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import magpylib
import numpy as np
import pytest

from designtools.fields import field_gradient, force, scalar_potential, torque
from designtools.interop import from_magpylib, to_magpylib
from designtools.sources import (
    Arcs,
    Assembly,
    Blocks,
    Cylinders,
    Dipoles,
    Filaments,
    Loops,
    Magnets,
    Polyhedra,
    Posed,
    Sheet,
    Solenoids,
    Spheres,
    Strips,
    Uniform,
)
from designtools.sources.pose import rotation_matrix
from designtools.units import MU_0

MAGPYLIB_MU_0 = magpylib.mu_0


@dataclass(frozen=True)
class Row:
    """A source, the leaf that excites it, points where its field is singular, its dipole moment (A m2)."""

    source: Any
    excitation: str
    singular: tuple = ()
    moment: Any = None
    currents: bool = True  # magpylib's other mu0 enters
    centre: tuple = (0.0, 0.0, 0.0)  # from where its far field is a dipole's
    twin: bool = True  # magpylib has its like

    def with_excitation(self, value):
        leaves = {name: getattr(self.source, name) for name in self.source.__dataclass_fields__}
        return type(self.source)(**{**leaves, self.excitation: value})

    @property
    def value(self):
        return jnp.asarray(getattr(self.source, self.excitation))


TRIANGLE = np.array([[0.1, 0, 0], [0.4, 0.1, 0], [0.2, 0.5, 0.2]])
PYRAMID = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.2], [0.5, 0.5, 0.7]]) / 2
SIDES = np.array([[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]])


def _area(path):
    return sum(np.cross(a, b) for a, b in zip(path, np.roll(path, -1, axis=0))) / 2


SOURCES = {
    "filaments": Row(
        Filaments.from_path(TRIANGLE, 3.0, closed=True), "current", ((0.1, 0, 0), (0.25, 0.05, 0)), 3.0 * _area(TRIANGLE)
    ),
    "loops": Row(
        Loops([[0, 0, 0], [0.1, 0.2, 0.3]], [[0, 0, -1], [1, 0.4, 0.2]], [0.5, 0.2], [2.0, 5.0]),
        "current",
        ((0.5, 0, 0), (0, 0, 0.2), (0, 0, 0)),
        2 * np.pi * 0.25 * np.array([0, 0, -1]) + 5 * np.pi * 0.04 * np.array([1, 0.4, 0.2]) / np.sqrt(1.2),
    ),
    "blocks": Row(
        Blocks([0.3, 0.35], [0.35, 0.5], [-0.1, 0.2], [0.15, 0.25], [1e6, -2e6]),
        "current_density",
        ((0, 0, 0), (0, 0, 0.15), (0.3, 0, -0.1), (0.35, 0, 0.0), (0.32, 0, 0.15)),
        np.pi / 3 * np.array([0, 0, 1e6 * 0.25 * (0.35**3 - 0.3**3) - 2e6 * 0.05 * (0.5**3 - 0.35**3)]),
    ),
    "magnets": Row(
        Magnets([[0.1, 0.2, 0.3]], [[0.2, 0.3, 0.4]], [[0, 0, 0]], [[0.3, -0.4, 1.1]]),
        "polarization",
        ((0.2, 0.2, 0.3), (0.2, 0.35, 0.3), (0.2, 0.35, 0.5), (0.2, 0.35, 0.9)),
        np.array([0.3, -0.4, 1.1]) * 0.024 / MU_0,
        currents=False,
        centre=(0.1, 0.2, 0.3),
    ),
    "sheet": Row(
        Sheet(PYRAMID, SIDES, [0, 0, 0, 0, 30.0]), "stream", ((0.25, 0.25, 0.35), (0.5, 0, 0)), 10.0 * _area(PYRAMID[:4])
    ),
    "arcs": Row(
        Arcs([[0, 0, 0]] * 2, [[0.3, 0.2, 0.5]] * 2, [0.4] * 2, [0.5, 2.5], [2.5, 0.5 + 2 * np.pi], [3.0] * 2),
        "current",
        ((0.0, 0.0, 0.0),),
        3 * np.pi * 0.16 * np.asarray(rotation_matrix([[0.3, 0.2, 0.5]]))[0, :, 2],
        twin=False,
    ),
    "solenoids": Row(
        Solenoids([[0, 0, 0], [0, 0.1, 0]], [[0, 0, 0], [0.3, 0.2, 0]], [0.3, 0.2], [0.5, 0.1], [100.0, -40.0]),
        "current",
        ((0, 0, 0), (0.3, 0, 0.1), (0.3, 0, 0.25), (0, 0, 0.25), (0.1, 0, 0.25)),
        np.pi * (9 * np.array([0, 0, 1.0]) - 1.6 * np.asarray(rotation_matrix([[0.3, 0.2, 0.0]]))[0, :, 2]),
        twin=False,
    ),
    "strips": Row(
        Strips(
            [[0, 0, 0], [0.5, 0, 0], [0.5, 0.4, 0], [0, 0.4, 0]],
            [[0.5, 0, 0], [0.5, 0.4, 0], [0, 0.4, 0], [0, 0, 0]],
            [[0, 0, 0.1]] * 4,
            [20.0] * 4,
        ),
        "current",
        ((0.2, 0, 0.02), (0.2, 0, 0.05), (0.5, 0, 0.05), (0, 0, 0)),
        np.array([0, 0, 4.0]),
    ),
    "cylinders": Row(
        Cylinders(
            [[0, 0, 0], [0.1, 0, 0.5]], [[0, 0, 0], [0.3, 0.2, 0]], [0.0, 0.1], [0.2, 0.15], [0.3, 0.2], [[0.3, -0.4, 1.1], [1, 0, 0.2]]
        ),
        "polarization",
        ((0, 0, 0), (0.2, 0, 0.1), (0.2, 0, 0.15), (0, 0, 0.15), (0.1, 0, 0.15), (0, 0.2, 0.6)),
        (0.012 * np.array([0.3, -0.4, 1.1]) + 0.0025 * np.asarray(rotation_matrix([[0.3, 0.2, 0.0]]))[0] @ [1, 0, 0.2]) * np.pi / MU_0,
        currents=False,
    ),
    "polyhedra": Row(
        Polyhedra(
            np.array([[0, 0, 0], [0.4, 0, 0], [0, 0.3, 0], [0, 0, 0.5], [0.4, 0.4, 0.4]]),
            [[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3], [1, 3, 2], [1, 2, 4], [2, 3, 4], [3, 1, 4]],
            [0, 0, 0, 0, 1, 1, 1, 1],
            [[0.3, -0.4, 1.1], [0.5, 0.2, 0.1]],
        ),
        "polarization",
        ((0, 0, 0), (0.1, 0.1, 0), (0.2, 0, 0), (0.8, 0, 0), (0.2, 0.15, 0)),
        (0.01 * np.array([0.3, -0.4, 1.1]) + np.array([0.5, 0.2, 0.1]) * (0.4 * 0.15 + 0.4 * 0.2 + 0.4 * 0.12 - 0.06) / 6) / MU_0,
        currents=False,
    ),
    "spheres": Row(
        Spheres([[0.1, 0.2, 0.3]], [0.2], [[0.3, -0.4, 1.1]]),
        "polarization",
        ((0.1, 0.2, 0.3), (0.3, 0.2, 0.3)),
        4 / 3 * np.pi * 0.008 * np.array([0.3, -0.4, 1.1]) / MU_0,
        currents=False,
        centre=(0.1, 0.2, 0.3),
    ),
    "dipoles": Row(
        Dipoles([[0.1, 0, 0], [0, 0.2, 0]], [[1.0, 2.0, 3.0], [0.5, 0, -1.0]]), "dipole_moment", ((0.1, 0, 0),), np.array([1.5, 2, 2])
    ),
    "uniform": Row(Uniform([0.1, 0.2, 1.5]), "flux_density"),
}
LOCALISED = [name for name in SOURCES if name != "uniform"]
every = pytest.mark.parametrize("row", SOURCES.values(), ids=SOURCES)
SHARED = [name for name in LOCALISED if SOURCES[name].twin]
shared = pytest.mark.parametrize("row", [SOURCES[name] for name in SHARED], ids=SHARED)
localised = pytest.mark.parametrize("row", [SOURCES[name] for name in LOCALISED], ids=LOCALISED)

POINTS = np.array([[0.9, -0.3, 0.4], [-0.2, 0.1, -0.3], [0.7, 0.8, 1.1], [-1.0, 0.4, 0.2], [0.05, 0.06, 0.7]])


@every
def test_linear_in_its_excitation(row):
    half, double = row.with_excitation(0.5 * row.value), row.with_excitation(2 * row.value)
    for method in ("field", "potential"):
        once = getattr(row.source, method)(POINTS)
        np.testing.assert_allclose(getattr(half, method)(POINTS), 0.5 * once, rtol=1e-13)
        np.testing.assert_allclose(getattr(double, method)(POINTS), 2 * once, rtol=1e-13)


@every
def test_divergence_and_curl_vanish_outside(row):
    slope = np.asarray(field_gradient(row.source, POINTS))
    size = np.abs(slope).max(axis=(1, 2)) + 1e-30
    assert np.all(np.abs(np.trace(slope, axis1=1, axis2=2)) < 1e-10 * size)
    assert np.all(np.abs(slope - slope.transpose(0, 2, 1)).max(axis=(1, 2)) < 1e-10 * size)


@every
def test_curl_of_the_potential_is_the_field(row):
    slope = jax.vmap(jax.jacfwd(lambda p: row.source.potential(p[None])[0]))(POINTS)
    curl = jnp.stack([slope[:, 2, 1] - slope[:, 1, 2], slope[:, 0, 2] - slope[:, 2, 0], slope[:, 1, 0] - slope[:, 0, 1]], -1)
    field = row.source.field(POINTS)
    np.testing.assert_allclose(curl, field, atol=2e-11 * np.abs(field).max(), rtol=1e-10)


@every
def test_taylor_remainder_of_every_numeric_leaf_is_quadratic(row):
    """Halving the step quarters what the derivative leaves over."""
    leaves, tree = jax.tree_util.tree_flatten(row.source)
    rng = np.random.default_rng(2)
    steps = [rng.normal(size=jnp.shape(leaf)) if jnp.asarray(leaf).dtype.kind == "f" else None for leaf in leaves]
    scales = [0.02 * (np.abs(leaf).max() or 1.0) if step is not None else 0 for leaf, step in zip(leaves, steps)]

    def total(t):
        moved = [leaf if step is None else leaf + t * scale * step for leaf, step, scale in zip(leaves, steps, scales)]
        return jnp.sum(jnp.arange(15.0).reshape(5, 3) * tree.unflatten(moved).field(POINTS))

    if isinstance(row.source, Uniform):
        pytest.skip("linear in its only leaf: no remainder")
    value, slope = jax.jvp(total, (0.0,), (1.0,))
    remainder = [abs(float(total(t) - value - t * slope)) for t in (0.1, 0.05)]
    assert remainder[0] / remainder[1] == pytest.approx(4, rel=0.25)


@every
def test_reverse_and_forward_derivatives_agree(row):
    def total(points):
        return jnp.sum(jnp.sin(jnp.arange(15.0)).reshape(5, 3) * row.source.field(points))

    step = np.random.default_rng(3).normal(size=POINTS.shape)
    forward = jax.jvp(total, (jnp.asarray(POINTS),), (jnp.asarray(step),))[1]
    reverse = jnp.sum(jax.grad(total)(jnp.asarray(POINTS)) * step)
    np.testing.assert_allclose(forward, reverse, rtol=1e-9, atol=1e-22)


@localised
def test_far_field_is_its_dipole(row):
    """Error falls with the distance: |B - dipole| / |dipole| < size / distance."""
    directions = np.random.default_rng(4).normal(size=(6, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    for distance in (1e2, 1e3):
        d = distance * directions
        dipole = MU_0 / (4 * np.pi) * (3 * directions * (directions @ row.moment)[:, None] - row.moment) / distance**3
        error = np.abs(np.asarray(row.source.field(row.centre + d)) - dipole).max() / np.abs(dipole).max()
        assert error < 3 / distance


@shared
def test_magpylib_twin_agrees(row):
    scale = MU_0 / MAGPYLIB_MU_0 if row.currents else 1.0
    points = POINTS + 3.0 if isinstance(row.source, Blocks) else POINTS
    field = row.source.field(points)
    twin = scale * to_magpylib(row.source).getB(points)
    np.testing.assert_allclose(twin, field, atol=1e-11 * np.abs(field).max(), rtol=0)


@shared
def test_magpylib_round_trip(row):
    points = POINTS + 3.0 if isinstance(row.source, Blocks) else POINTS
    field = row.source.field(points)
    back = from_magpylib(to_magpylib(row.source))
    np.testing.assert_allclose(back.field(points), field, atol=1e-11 * np.abs(field).max(), rtol=0)


def test_magpylib_has_chords_for_arcs_and_circles_for_solenoids():
    scale = MU_0 / MAGPYLIB_MU_0
    for name, points, limit in (("arcs", POINTS, 5e-6), ("solenoids", POINTS + 3.0, 1e-11)):
        source = SOURCES[name].source
        field = np.asarray(source.field(points))
        error = np.abs(scale * to_magpylib(source).getB(points) - field).max() / np.abs(field).max()
        assert error < limit
        back = from_magpylib(to_magpylib(source)).field(points)
        assert np.abs(back - field).max() < limit * np.abs(field).max()


def test_second_derivatives_on_the_wire_of_a_loop_are_finite():
    angle = np.linspace(0, 6, 7)
    points = 0.4 * np.column_stack([np.cos(angle), np.sin(angle), 0 * angle])

    def total(normal, radius, point):
        return jnp.sum(Loops(jnp.zeros((1, 3)), normal, radius, jnp.ones(1)).field(point[None]))

    curvature = jax.hessian(total, argnums=(0, 1, 2))
    each = jax.vmap(lambda point: curvature(jnp.array([[0.0, 0, 1]]), jnp.array([0.4]), point))(points)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(each))


@pytest.mark.parametrize("radius, length", [(0.3, 0.5), (0.05, 1.0), (0.3, 0.02)])
def test_thin_solenoid_is_right_where_its_loops_take_over(radius, length):
    """Against 200 loops, on the curves where the distances to both rims sum to a multiple of the length."""
    node, weight = np.polynomial.legendre.leggauss(200)
    place = np.column_stack([0 * node, 0 * node, length / 2 * node])
    loops = Loops(place, np.tile([0, 0, 1.0], (200, 1)), np.full(200, radius), weight / 2)
    multiple = np.repeat([1.2, 1.29, 1.3, 1.31, 1.5, 2.0, 5.0, 100.0], 64)
    turn = np.random.default_rng(5).uniform(0, np.pi, len(multiple))
    points = np.column_stack([
        radius + length / 2 * np.sqrt(multiple**2 - 1) * np.sin(turn), 0 * turn, multiple * length / 2 * np.cos(turn)
    ])  # fmt: skip
    exact = np.asarray(loops.field(points))
    source = Solenoids([[0, 0, 0]], [[0, 0, 0]], [radius], [length], [1.0])
    error = np.linalg.norm(source.field(points) - exact, axis=1) / np.linalg.norm(exact, axis=1)
    assert error.max() < 3e-13


@every
def test_vmap_over_the_excitation(row):
    factors = jnp.array([1.0, -2.0, 0.5])
    batch = jax.vmap(lambda k: row.with_excitation(k * row.value).field(POINTS))(factors)
    expected = factors[:, None, None] * row.source.field(POINTS)
    np.testing.assert_allclose(batch, expected, rtol=1e-12, atol=1e-13 * np.abs(expected).max())


@every
def test_jit_changes_nothing(row):
    field = row.source.field(POINTS)
    jitted = jax.jit(lambda source, points: source.field(points))(row.source, POINTS)
    np.testing.assert_allclose(jitted, field, rtol=1e-11, atol=1e-12 * np.abs(field).max())


@localised
def test_value_and_derivatives_are_finite_where_the_field_is_not(row):
    points = jnp.array(row.singular, dtype=float)

    def total(source, points):
        return jnp.sum(source.field(points)) + jnp.sum(source.potential(points))

    assert np.isfinite(row.source.field(points)).all()
    assert np.isfinite(row.source.potential(points)).all()
    assert np.isfinite(field_gradient(row.source, points)).all()
    slope = jax.grad(total, argnums=(0, 1), allow_int=True)(row.source, points)
    for leaf in jax.tree_util.tree_leaves(slope):
        assert leaf.dtype.kind != "f" or np.isfinite(leaf).all()


@localised
def test_extent_brackets_every_conductor(row):
    nearest, farthest = row.source.extent(np.array([0.0, 0.0, 5.0]))
    assert 3.5 < nearest < farthest < 6


def test_assembly_sums_and_nests():
    parts = [row.source for row in SOURCES.values()]
    nested = Assembly([parts[0], Assembly(parts[1:])])
    np.testing.assert_allclose(nested.field(POINTS), sum(part.field(POINTS) for part in parts), rtol=1e-14)
    np.testing.assert_allclose(nested.potential(POINTS), sum(part.potential(POINTS) for part in parts), rtol=1e-14)


def test_from_magpylib_refuses_in_words():
    with pytest.raises(TypeError, match="got Triangle"):
        from_magpylib(magpylib.misc.Triangle(vertices=np.eye(3), polarization=(0, 0, 1)))
    with pytest.raises(ValueError, match="got a path of 2"):
        from_magpylib(magpylib.current.Circle(diameter=1, current=1, position=[(0, 0, 0), (0, 0, 1)]))
    with pytest.raises(TypeError, match="magpylib has no such source"):
        to_magpylib(Uniform([0, 0, 1]))
