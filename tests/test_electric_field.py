"""Induced electric fields: the ball in closed form, bodies of tetrahedra and surfaces against it and against other closed forms."""

from dataclasses import replace

import jax
import numpy as np
import pytest
import trimesh
from scipy import sparse
from test_gradient_physics import rate

from designtools.formers.cylinder import Cylinder
from designtools.problem import Design
from designtools.quantities import electric_field as ef
from designtools.quantities import electric_surface as es
from designtools.quantities.energy import SheetModel
from designtools.sources import Loops, Sheet, Uniform

R = 0.1
COIL = Loops([[0.05, 0, 0.25], [0, 0.1, -0.3]], [[0, 0.3, 1.0], [0, 0, 1.0]], [0.2, 0.25], [1e6, -1e6])
INSIDE = np.random.default_rng(0).uniform(-0.05, 0.05, (8, 3))
Z = np.array([0.0, 0.0, 1.0])


def icosphere(level, semi_axes=(R, R, R)):
    mesh = trimesh.creation.icosphere(subdivisions=level)
    return np.array(mesh.vertices) * semi_axes, np.array(mesh.faces)


def sheets():
    """Two sheets of random stream function, one of them free in a few patterns only."""
    rng, design, models = np.random.default_rng(1), {}, []
    for name, radius, columns in (("inner", 0.2, None), ("outer", 0.25, 5)):
        mesh = Cylinder(radius, 0.4).mesh(0.12)
        count = len(mesh.vertices)
        basis = np.eye(count) if columns is None else np.linalg.qr(rng.normal(size=(count, columns)))[0]
        every = np.arange(len(mesh.faces))
        models.append(SheetModel(name, mesh.vertices, mesh.faces, every, np.ones(len(every)), sparse.csc_array(basis)))
        design[name] = Sheet(mesh.vertices, mesh.faces, 1e5 * basis @ rng.normal(size=basis.shape[1]))
    return models, Design(design)


# --- the ball ---------------------------------------------------------------------------------------


def test_the_field_in_a_ball_obeys_faraday_and_does_not_leave():
    e = lambda p: ef.in_ball(COIL, p[None], (0.01, 0.0, -0.02))[0]
    slopes = np.array([jax.jacfwd(e)(p) for p in INSIDE])
    curl = np.stack([slopes[:, 2, 1] - slopes[:, 1, 2], slopes[:, 0, 2] - slopes[:, 2, 0], slopes[:, 1, 0] - slopes[:, 0, 1]], axis=1)
    np.testing.assert_allclose(curl, -np.asarray(COIL.field(INSIDE)), rtol=1e-8, atol=1e-9 * np.abs(curl).max())
    assert np.abs(np.trace(slopes, axis1=1, axis2=2)).max() < 1e-9 * np.abs(slopes).max()
    arm = INSIDE - [0.01, 0.0, -0.02]
    outward = np.einsum("pc,pc->p", arm, np.array([e(p) for p in INSIDE]))
    assert np.abs(outward).max() < 1e-15 * np.abs(slopes).max()


def test_the_limit_in_a_ball_is_the_field_of_the_sheets():
    models, design = sheets()
    meshes = {m.part: (m.vertices, m.triangles) for m in models}
    centre, points = np.array([0.0, 0.02, 0.01]), INSIDE
    quantity = ef.ball_limit(meshes, points, 300.0, centre)
    exact = 300.0 * sum(ef.in_ball(part, points, centre) for part in design.parts.values())
    np.testing.assert_allclose(quantity.of(design), exact, rtol=1e-9, atol=1e-12 * np.abs(exact).max())
    assert quantity.unit == "V/m" and quantity.of(design).shape == (8, 3)


# --- tetrahedra ---------------------------------------------------------------------------------------


def error_in_ball(body, field):
    exact = np.asarray(ef.in_ball(COIL, body.centres))
    size = np.linalg.norm(exact, axis=1).max()
    off = np.linalg.norm(field - exact, axis=1)
    return np.sqrt((off**2 @ body.volumes) / body.volumes.sum()) / size


def test_a_ball_of_tetrahedra_has_the_field_of_the_ball():
    errors, sizes = [], []
    for level in (1, 2, 3):
        body = ef.ellipsoid_body([R] * 3, level=level)
        errors.append(error_in_ball(body, ef.in_body(body, np.asarray(COIL.potential(body.nodes)))))
        sizes.append(1 - body.volumes.sum() / (4 / 3 * np.pi * R**3))
    np.testing.assert_allclose(rate(np.array(errors)), 1, atol=0.15)
    np.testing.assert_allclose(rate(np.array(sizes)), 2, atol=0.1)
    assert errors[-1] < 0.02


def test_neither_the_gauge_nor_what_depends_on_the_radius_matters():
    body = ef.ellipsoid_body([R] * 3, level=2)
    rate_of_a = np.asarray(COIL.potential(body.nodes))
    field = ef.in_body(body, rate_of_a)
    slope = 0.04 * np.array([1.0, -2.0, 0.5])  # A + grad(slope.r)
    np.testing.assert_allclose(ef.in_body(body, rate_of_a + slope), field, atol=1e-6 * np.abs(field).max())
    onion = replace(body, conductivity=np.where(np.linalg.norm(body.centres, axis=1) > R / 2, 0.02, 1.0))
    assert error_in_ball(onion, ef.in_body(onion, rate_of_a)) < 1.3 * error_in_ball(body, field)


def test_many_fields_at_once():
    body = ef.ellipsoid_body([R, 0.08, 0.12], level=1)
    two = np.stack([COIL.potential(body.nodes), Uniform(Z).potential(body.nodes)], axis=2)
    found = ef.in_body(body, two)
    for k in range(2):
        np.testing.assert_allclose(found[..., k], ef.in_body(body, two[..., k]), atol=1e-7 * np.abs(found[..., k]).max())


def test_an_ellipsoid_along_the_field():
    """E = B'(a^2 y, -b^2 x, 0)/(a^2 + b^2): linear, and tangential on the surface."""
    semi = np.array([0.2, 0.12, 0.5])
    body = ef.ellipsoid_body(semi, (0.1, 0.0, 0.3), level=3)
    field = ef.in_body(body, np.asarray(Uniform(100 * Z).potential(body.nodes)))
    x, y = (body.centres - [0.1, 0.0, 0.3])[:, :2].T
    a2, b2 = semi[:2] ** 2
    exact = 100 / (a2 + b2) * np.stack([a2 * y, -b2 * x, 0 * x], axis=1)
    assert np.sqrt(((field - exact) ** 2).sum(1).mean() / (exact**2).sum(1).max()) < 0.03
    vertices, faces = icosphere(3, semi)
    middles = vertices[faces].mean(axis=1)
    found = np.linalg.norm(es.on_surface(vertices, faces, np.asarray(Uniform(100 * Z).potential(middles))), axis=1)
    assert found.max() == pytest.approx(100 * a2 * semi[1] / (a2 + b2), rel=0.01)


def square_peak():
    """Largest E over B' a in a square of side a: the shear stress in a twisted square bar (Timoshenko & Goodier, sec. 109)."""
    odd = np.arange(1, 60, 2)
    return (1 - 8 / np.pi**2 * (1 / (odd**2 * np.cosh(odd * np.pi / 2))).sum()) / 2


def test_a_box_of_voxels():
    assert square_peak() == pytest.approx(0.6753 / 2, rel=1e-3)
    errors = []
    for n in (8, 16, 32):
        body = ef.voxel_body(np.ones((n, n, 2)), [0.2 / n, 0.2 / n, 0.05], [-0.1, -0.1, 0.0])
        field = ef.in_body(body, np.asarray(Uniform(100 * Z).potential(body.nodes + [0.3, 0.2, 0.1])))
        errors.append(ef.largest_field(body, field, 100) / (100 * 0.2 * square_peak()) - 1)
    np.testing.assert_allclose(rate(np.array(errors)), 1, atol=0.4)
    assert abs(errors[-1]) < 0.01


def test_a_staircase_peaks_and_its_percentile_does_not():
    x = (np.arange(24) + 0.5) / 12 - 1
    inside = sum(np.square(np.meshgrid(x, x, x, indexing="ij"))) < 1
    body = ef.voxel_body(0.2 * inside, [R / 12] * 3, [-R] * 3)
    field = ef.in_body(body, np.asarray(Uniform(100 * Z).potential(body.nodes)))
    exact = 100 * R / 2
    assert ef.largest_field(body, field, 100) > 1.2 * exact
    assert ef.largest_field(body, field) == pytest.approx(exact, rel=0.05)
    assert np.all(body.conductivity == 0.2) and body.volumes.sum() == pytest.approx(inside.sum() * (R / 12) ** 3, rel=1e-12)


def test_two_bodies_that_do_not_touch():
    """Each has its own constant in the potential; both have the field of a body alone."""
    conductivity = np.zeros((7, 3, 3))
    conductivity[:3], conductivity[4:] = 1.0, 0.5
    body = ef.voxel_body(conductivity, [0.01] * 3)
    field = ef.in_body(body, np.asarray(Uniform(Z).potential(body.nodes)))
    half = len(body.cells) // 2
    np.testing.assert_allclose(field[:half], field[half:], atol=1e-7 * np.abs(field).max())


def test_the_limit_in_a_body_is_the_field_of_the_sheets():
    models, design = sheets()
    np.testing.assert_allclose(
        ef.potential_operator(models[0], INSIDE) @ (models[0].basis.T @ np.asarray(design.parts["inner"].stream)),
        design.parts["inner"].potential(INSIDE), rtol=1e-10,
    )  # fmt: skip
    body = ef.ellipsoid_body([0.1, 0.08, 0.12], level=2)
    quantity = ef.body_limit(body, models, 300.0)
    cells = ef.surface_cells(body)
    exact = ef.in_body(body, 300.0 * np.asarray(design.potential(body.nodes)))[cells]
    np.testing.assert_allclose(quantity.of(design), exact, atol=1e-6 * np.abs(exact).max())
    assert len(cells) == 20 * 4**2 and np.linalg.norm(body.centres[cells] / [0.1, 0.08, 0.12], axis=1).min() > 0.7


# --- surfaces -----------------------------------------------------------------------------------------


def test_a_surface_has_the_field_of_the_ball():
    errors, peaks = [], []
    for level in (1, 2, 3):
        vertices, faces = icosphere(level)
        middles = vertices[faces].mean(axis=1)
        found = es.on_surface(vertices, faces, np.asarray(COIL.potential(middles)))
        exact = np.asarray(ef.in_ball(COIL, R * middles / np.linalg.norm(middles, axis=1, keepdims=True)))
        size = np.linalg.norm(exact, axis=1).max()
        errors.append(np.sqrt(((found - exact) ** 2).sum(1).mean()) / size)
        peaks.append(np.linalg.norm(found, axis=1).max() / size - 1)
    assert np.all(rate(np.array(errors)) > 1.1) and errors[-1] < 0.01 and abs(peaks[-1]) < 0.002


def test_the_limit_on_a_surface_is_the_field_of_the_sheets():
    models, design = sheets()
    vertices, faces = icosphere(1, (0.1, 0.08, 0.12))
    quantity = es.surface_limit(vertices, faces, models, 300.0)
    exact = es.on_surface(vertices, faces, 300.0 * np.asarray(design.potential(vertices[faces].mean(axis=1))))
    np.testing.assert_allclose(quantity.of(design), exact, atol=1e-10 * np.abs(exact).max())
    few = es.surface_limit(vertices, faces, models, 300.0, chosen=[3, 7])
    np.testing.assert_allclose(few.of(design), exact[[3, 7]], atol=1e-10 * np.abs(exact).max())


def test_bad_bodies_are_refused():
    vertices, faces = icosphere(1)
    for wrong in (faces[1:], faces[:, ::-1]):
        with pytest.raises(ValueError, match="closed with normals outward"):
            es.on_surface(vertices, wrong, np.zeros((len(wrong), 3)))
    with pytest.raises(ValueError, match="voxel_body"):
        ef.voxel_body(np.zeros((3, 3, 3)), [1.0] * 3)
