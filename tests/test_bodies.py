"""Polyhedra, spheres, dipoles, strips, posed sources; scalar potentials; forces between every two kinds."""

import itertools

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from designtools.fields import field_gradient, force, scalar_potential, torque
from designtools.sources import (
    Arcs,
    Assembly,
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
from designtools.units import MU_0

mp.mp.dps = 30
J = [0.3, -0.4, 1.1]
SIZE = [0.25, 0.3125, 0.375]
CORNERS = np.array(list(itertools.product((0, 1), repeat=3)))
BOX = np.array(
    [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]]
)


def box(centre=(0, 0, 0), polarization=J, scale=1.0):
    vertices = np.asarray(centre) + (CORNERS - 0.5) * np.array(SIZE) * scale
    return Polyhedra(vertices, BOX, np.zeros(12), [polarization])


def cuboid_field(point):
    """B of the box by the closed sum over its corners, 30 digits."""
    table = mp.zeros(3, 3)
    half = [mp.mpf(s) / 2 for s in SIZE]
    for signs in itertools.product((-1, 1), repeat=3):
        u = [s * h - mp.mpf(float(p)) for s, h, p in zip(signs, half, point)]
        r, sign = mp.sqrt(sum(x * x for x in u)), np.prod(signs)
        for i in range(3):
            j, k = (i + 1) % 3, (i + 2) % 3
            table[i, i] -= sign * mp.atan(u[j] * u[k] / (u[i] * r))
            table[i, j] += sign * mp.log(u[k] + r)
            table[j, i] += sign * mp.log(u[k] + r)
    inside = all(abs(p) < h for p, h in zip(point, half))
    return [float(sum(table[i, j] * J[j] for j in range(3)) / (4 * mp.pi) + (J[i] if inside else 0)) for i in range(3)]


def worst(found, exact):
    found, exact = np.asarray(found), np.asarray(exact)
    return (np.abs(found - exact).max(axis=1) / np.abs(exact).max(axis=1)).max()


def directions(count, seed=1):
    d = np.random.default_rng(seed).normal(size=(count, 3))
    return d / np.linalg.norm(d, axis=1, keepdims=True)


def test_polyhedron_against_the_cuboid():
    """Within 1e-9 of faces, edges and a corner (where flat edges end), inside, and on both sides of the far form."""
    points = [[0.01, 0.02, 0.03], *(s * d for s, d in zip((0.3, 1.0, 4.0, 7.0, 9.0, 100.0, 1e5), directions(7)))]
    for e in (1e-3, 1e-6, 1e-9):
        points += [[0.125 + e, 0.02, 0.03], [0.125 + e, 0.15625 + e, 0.03], [0.125 + e, 0.15625 + e, 0.1875 + e], [0.125 - e, 0.02, 0.03]]
    assert worst(box().field(np.array(points)), [cuboid_field(p) for p in points]) < 1e-12


def test_bodies_add_and_nest():
    """A box inside a box of opposite polarization is a hollow box; its potential too."""
    inner, outer = box(polarization=np.negative(J), scale=0.5), box()
    both = Polyhedra(
        np.concatenate([outer.vertices, inner.vertices]), np.concatenate([BOX, BOX + 8]), np.repeat([0, 1], 12), [J, np.negative(J)]
    )
    points = np.concatenate([0.2 * directions(5), 3 * directions(5, 2)])
    for method in ("field", "scalar_potential"):
        expected = np.asarray(getattr(outer, method)(points) + getattr(inner, method)(points))
        np.testing.assert_allclose(getattr(both, method)(points), expected, atol=1e-13 * np.abs(expected).max())
    np.testing.assert_allclose(both.field([[0.0, 0, 0]]), 0, atol=1e-14)  # by similarity
    np.testing.assert_allclose(both.volume(), np.prod(SIZE) * np.array([1, 1 / 8]), rtol=1e-14)
    assert outer.extent(np.zeros(3))[0] == 0 and outer.extent(np.array([1.0, 0, 0]))[0] == pytest.approx(0.875)


@pytest.mark.parametrize(
    "faces, message",
    [
        (BOX[:-1], "edge from vertex 1 to 3 belongs to one face only"),
        (BOX[:, ::-1], "counter-clockwise seen from outside, but body 0 encloses -0.029"),
        (np.concatenate([BOX[:-1], BOX[-1:, ::-1]]), "edge from vertex 3 to 7 is run through twice"),
        (BOX + 1, "whole numbers from 0 to 7"),
    ],
)
def test_polyhedra_refuse_what_is_no_body(faces, message):
    with pytest.raises(ValueError, match=message):
        Polyhedra((CORNERS - 0.5) * SIZE, faces, np.zeros(len(faces)), [J])


def test_sphere_inside_and_out():
    sphere = Spheres([[0.1, 0.2, 0.3]], [0.2], [J])
    np.testing.assert_allclose(sphere.field([[0.15, 0.2, 0.3]])[0], 2 / 3 * np.array(J), rtol=1e-15)
    dipole = Dipoles([[0.1, 0.2, 0.3]], [sphere.moment()])
    points = np.array([0.1, 0.2, 0.3]) + 0.3 * directions(10)
    for method in ("field", "potential", "scalar_potential"):
        np.testing.assert_allclose(getattr(sphere, method)(points), getattr(dipole, method)(points), rtol=1e-12)
    inside, outside = (np.asarray(sphere.potential([0.1, 0.2, 0.3] + s * directions(10))) for s in (0.2 - 1e-12, 0.2 + 1e-12))
    np.testing.assert_allclose(inside, outside, atol=1e-10)


def test_strip_is_its_wires():
    strip = Strips([[0, 0, 0]], [[1, 0, 0]], [[0, 0.2, 0.1]], [5.0])
    t, w = np.polynomial.legendre.leggauss(120)
    aside = np.outer(t / 2, [0, 0.2, 0.1])
    wires = Filaments(aside, aside + [1.0, 0, 0], 2.5 * w)
    points = np.array([[0.5, 0.2, -0.1], [0.3, 0.1, 0.3], [1.2, 0, 0.1], [3, 4, 5], [0.5, 0.02, 0.4]])
    assert worst(strip.field(points), wires.field(points)) < 1e-12
    np.testing.assert_allclose(strip.potential(points)[:, 0], wires.potential(points)[:, 0], rtol=1e-12)
    on = np.asarray(strip.field([[0.5, 0, 0], [0.5, 0.1, 0.05], [0, 0, 0]]))
    assert np.isfinite(on).all()
    np.testing.assert_allclose(on[0], 0, atol=1e-18)  # the mean of both sides, by symmetry


POLARISED = {
    "magnets": Magnets([[0.1, 0.2, 0.3]], [[0.2, 0.3, 0.4]], [[0.1, 0.2, 0.3]], [J]),
    "cylinders": Cylinders([[0.1, 0.2, 0.3]], [[0.1, 0.2, 0.3]], [0.1], [0.3], [0.4], [J]),
    "polyhedra": box((0.1, 0.2, 0.3)),
    "spheres": Spheres([[0.1, 0.2, 0.3]], [0.2], [J]),
    "dipoles": Dipoles([[0.1, 0.2, 0.35]], [[1e3, 2e3, 3e3]]),
}
PYRAMID = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.2], [0.5, 0.5, 0.7]]) / 2
CLOSED = {
    "loops": Loops([[0, 0, 0], [0.15, 0.25, 0.4]], [[0, 0, -1], [1, 0.4, 0.2]], [0.5, 0.2], [2.0, 5.0]),
    "sheet": Sheet(PYRAMID, [[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]], [0, 0, 0, 0, 30.0]),
    "uniform": Uniform([0.1, 0.2, 0.3]),
}


@pytest.mark.parametrize("source", [*POLARISED.values(), *CLOSED.values()], ids=[*POLARISED, *CLOSED])
def test_h_is_minus_the_slope_of_the_scalar_potential(source):
    points = jnp.asarray(np.concatenate([[[0.1, 0.2, 0.3], [0.3, 0.25, 0.32]], 0.9 * directions(8), 300 * directions(6, 2)]))
    slope = jax.vmap(jax.grad(lambda p: scalar_potential(source, p[None])[0]))(points)
    field = np.asarray(source.field(points))
    gap = field + MU_0 * np.asarray(slope)  # the polarization inside, nothing outside
    inside = np.abs(gap).max(axis=1) > 1e-6 * np.abs(field).max(axis=1)
    assert inside.sum() == (0 if source in (*CLOSED.values(), POLARISED["dipoles"]) else 1)
    expected = np.asarray(source.polarization_in_space()[0]) if hasattr(source, "polarization_in_space") else np.array(J)
    np.testing.assert_allclose(gap[inside], np.broadcast_to(expected, gap[inside].shape), atol=1e-11)
    np.testing.assert_allclose(gap[~inside], 0, atol=1e-10 * np.abs(field[~inside]).max())


def test_scalar_potential_is_refused_where_there_is_none():
    wire = Filaments.from_path([[0, 0, 0], [1, 0, 0]])
    with pytest.raises(TypeError, match="got Filaments; use `potential`"):
        scalar_potential(Assembly([CLOSED["loops"], Posed(wire, [0, 0, 1], [0, 0, 0])]), np.zeros((1, 3)))
    with pytest.raises(ValueError, match="must be 0 on every rim of the sheet, got up to 1 A"):
        Sheet(PYRAMID, CLOSED["sheet"].faces, [0, 0, 0, 1.0, 0]).scalar_potential(np.zeros((1, 3)))


PARTNERS = {
    **POLARISED,
    "arcs": Arcs([[0, 0, 0]] * 2, [[0.3, 0.2, 0.5]] * 2, [0.4] * 2, [0.5, 2.5], [2.5, 0.5 + 2 * np.pi], [3e3] * 2),
    "solenoids": Solenoids([[0, 0, 0]], [[0.3, 0.2, 0]], [0.3], [0.5], [1e4]),
    "strips": Strips(
        [[0, 0, 0], [0.5, 0, 0], [0.5, 0.4, 0], [0, 0.4, 0]],
        [[0.5, 0, 0], [0.5, 0.4, 0], [0, 0.4, 0], [0, 0, 0]],
        [[0, 0, 0.1]] * 4,
        [2e3] * 4,
    ),
}
FAR_MAGNET = Cylinders([[1.5, 0.3, 0.2]], [[0.5, 0.2, 0]], [0.1], [0.3], [0.4], [[0.5, 0.2, 1.0]])


@pytest.mark.parametrize("source", PARTNERS.values(), ids=PARTNERS)
def test_action_is_reaction(source):
    other = Assembly([FAR_MAGNET, Posed(Loops([[0, 0, 0]], [[0, 0, 1]], [0.3], [1e4]), [0.2, 1.6, 0.1], [0.3, 0, 0])])
    push, twist = np.asarray(force(source, other)), np.asarray(torque(source, other))
    np.testing.assert_allclose(push, -np.asarray(force(other, source)), atol=1e-6 * np.abs(push).max())
    np.testing.assert_allclose(twist, -np.asarray(torque(other, source)), atol=1e-6 * np.abs(twist).max())


@pytest.mark.parametrize("source", PARTNERS.values(), ids=PARTNERS)
def test_torque_in_a_uniform_field_is_m_cross_b(source):
    b, moment = np.array([0.3, -0.2, 1.0]), np.asarray(source.moment())
    np.testing.assert_allclose(torque(source, Uniform(b)), np.cross(moment, b), atol=1e-10 * np.linalg.norm(moment))
    np.testing.assert_allclose(force(source, Uniform(b)), 0, atol=1e-10 * np.linalg.norm(moment))


def test_posed_is_the_source_in_its_new_place():
    """A magnet turned by its own rotation or by Posed; a posed Assembly; both derivatives by Taylor."""
    position, turn, points = np.array([0.3, 0.2, 0.1]), np.array([0.4, 0.5, 0.6]), directions(10)
    plain = Magnets([[0, 0, 0]], [SIZE], [[0, 0, 0]], [J])
    posed, own = Posed(plain, position, turn), Magnets([position], [SIZE], [turn], [J])
    for method in ("field", "potential", "scalar_potential"):
        expected = np.asarray(getattr(own, method)(points))
        np.testing.assert_allclose(getattr(posed, method)(points), expected, atol=1e-12 * np.abs(expected).max())
    np.testing.assert_allclose(posed.moment(), own.moment(), rtol=1e-12)
    np.testing.assert_allclose(posed.extent(np.ones(3)), own.extent(np.ones(3)), rtol=1e-12)
    loop = CLOSED["loops"]
    couple = Posed(Assembly([plain, loop]), position, turn)
    np.testing.assert_allclose(couple.field(points), posed.field(points) + Posed(loop, position, turn).field(points), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(force(couple, FAR_MAGNET), force(own, FAR_MAGNET) + force(Posed(loop, position, turn), FAR_MAGNET), atol=1e-9)
    assert not hasattr(posed, "current_elements") and hasattr(posed, "charge_elements")

    total = lambda p, r: jnp.sum(jnp.arange(30.0).reshape(10, 3) * Posed(loop, p, r).field(points))
    steps = jnp.array([0.3, -0.2, 0.5]), jnp.array([-0.1, 0.4, 0.2])
    value, slope = jax.jvp(total, (jnp.asarray(position), jnp.asarray(turn)), steps)
    miss = [abs(total(position + h * steps[0], turn + h * steps[1]) - value - h * slope) for h in (1e-2, 5e-3)]
    assert miss[0] / miss[1] == pytest.approx(4, rel=0.2)


def test_force_on_a_dipole_is_the_gradient_of_its_energy():
    place, moment = np.array([0.3, 0.1, 0.4]), np.array([1.0, 2.0, 3.0])
    energy = lambda p: jnp.sum(moment * CLOSED["loops"].field(p[None])[0])
    np.testing.assert_allclose(force(Dipoles([place], [moment]), CLOSED["loops"]), jax.grad(energy)(place), rtol=1e-10)


def test_unequal_leaves_are_refused_in_words():
    with pytest.raises(ValueError, match=r"Spheres: the shapes must be centre, polarization \(N,3\) and radius \(N,\)"):
        Spheres([[0, 0, 0]], [0.1, 0.2], [J])
    with pytest.raises(ValueError, match="Posed: position and rotation must have shape"):
        Posed(FAR_MAGNET, [[0, 0, 0]], [0, 0, 0])
    assert np.isfinite(np.asarray(field_gradient(Dipoles([[0, 0, 0]], [[0, 0, 1]]), np.zeros((1, 3))))).all()


def test_solids_are_drawn_with_their_volume():
    from designtools.export.bodies import _SOLID

    for name, error in (("Cylinders", 1e-3), ("Spheres", 5e-3), ("Polyhedra", 1e-12)):
        source = POLARISED[name.lower()]
        (mesh,) = _SOLID[name](source)
        assert mesh.is_watertight and float(source.volume()[0]) == pytest.approx(mesh.volume, rel=error)
        assert source.extent(mesh.vertices.mean(axis=0) + 5.0)[1] >= np.linalg.norm(mesh.vertices.mean(axis=0) + 5.0 - mesh.vertices, axis=1).max() - 1e-12
