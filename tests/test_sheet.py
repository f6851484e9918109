"""Current sheets: exact spheres with convergence rates, Maxwell's equations, sensitivities, pair integrals."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import trimesh
from test_segment import curl, jacobian

from designtools.kernels import face_inductance, triangle
from designtools.kernels.face_inductance import pair_integrals, self_integral
from designtools.sources import Sheet
from designtools.sources.sheet import current_operator, magnetic_moment
from designtools.units import MU_0

RADIUS = 0.3
INSIDE = 0.3 * RADIUS * np.random.default_rng(0).normal(size=(20, 3)).clip(-1, 1)


@functools.cache
def sphere(level):
    mesh = trimesh.creation.icosphere(subdivisions=level, radius=RADIUS)
    return np.array(mesh.vertices), np.array(mesh.faces)


def sheet(level, stream):
    vertices, faces = sphere(level)
    return Sheet(vertices, faces, stream(*(vertices.T / RADIUS)))


def bumpy(level=2):
    return sheet(level, lambda x, y, z: 100 * (z + x * z + np.sin(3 * x * y)))


def rate(errors):
    """Orders of convergence per halving of the mesh size."""
    return np.log2(np.abs(errors[:-1]) / np.abs(errors[1:]))


def test_uniform_field_inside_a_sphere():
    exact = 2 / 3 * MU_0 * 100 / RADIUS
    errors = []
    for level in (1, 2, 3):
        field = np.asarray(sheet(level, lambda x, y, z: 100 * z).field(INSIDE[:5] / 3))
        errors.append(field[:, 2].mean() / exact - 1)
        assert np.abs(field[:, :2]).max() < 0.01 * exact  # current +phi: field along +z
    assert abs(errors[-1]) < 1e-3 or np.all(rate(np.array(errors)) > 1.8)
    field = sheet(4, lambda x, y, z: 100 * z).field(INSIDE)
    np.testing.assert_allclose(field, np.broadcast_to([0, 0, exact], field.shape), atol=2e-5 * exact)


@pytest.mark.parametrize(
    "stream, row, gradient, figure",
    [
        # Exact on a sphere of radius a, per ampere of psi0: gradient G/(mu0 psi0/a^2) and L/eta^2 / (a^5/mu0)
        (lambda x, y, z: x * z, 0, 0.6, 8 * np.pi / 9),
        (lambda x, y, z: (3 * z**2 - 1) / 2, 2, 1.2, 2 * np.pi / 3),
    ],
    ids=["xz", "P2"],
)
def test_gradient_and_energy_of_exact_spheres(stream, row, gradient, figure):
    eta_errors, figure_errors = [], []
    for level in (1, 2, 3):
        source = sheet(level, stream)
        eta = jacobian(source.field, np.zeros((1, 3)))[0, 2, row]
        corners = source.vertices[source.faces]
        current = np.asarray(source.surface_current())
        inductance = MU_0 / (4 * np.pi) * np.sum(current * (pair_integrals(corners, corners) @ current))
        eta_errors.append(eta / (gradient * MU_0 / RADIUS**2) - 1)
        figure_errors.append(inductance / eta**2 / (figure * RADIUS**5 / MU_0) - 1)
    np.testing.assert_allclose(rate(np.array(eta_errors)), 2, atol=0.1)
    np.testing.assert_allclose(rate(np.array(figure_errors)), 2, atol=0.25)
    assert abs(figure_errors[-1]) < 0.02


def test_moment_and_far_field():
    source = bumpy()
    moment = magnetic_moment(source)
    a, b, c = np.moveaxis(source.vertices[source.faces], 1, 0)
    by_stream = (source.stream[source.faces].mean(axis=1)[:, None] * np.cross(b - a, c - a)).sum(axis=0) / 2
    np.testing.assert_allclose(
        moment, by_stream, atol=1e-12 * np.abs(moment).max()
    )  # closed surface: integral of psi n
    direction, errors = np.array([0.36, 0.48, 0.8]), []
    for distance in (50.0, 100.0):
        dipole = 1e-7 * (3 * direction * (direction @ moment) - moment) / distance**3
        errors.append(
            np.abs(source.field(distance * direction[None])[0] - dipole).max() / np.abs(dipole).max()
        )
    assert errors[0] < 0.02 and 0.45 < errors[1] / errors[0] < 0.55


def test_surface_current_by_its_operator_and_sign():
    source = bumpy()
    current = np.asarray(source.surface_current())
    by_operator = current_operator(source.vertices, source.faces) @ source.stream
    np.testing.assert_allclose(by_operator.reshape(-1, 3), current, rtol=1e-12, atol=1e-9)
    flat = Sheet(
        [[0.0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]], [0.0, 1.0, 0.0]
    )  # psi = x, n = z: K = x cross z
    np.testing.assert_allclose(flat.surface_current(), [[0, -1, 0]], atol=1e-15)


def test_shared_edges_equal_the_sum_over_faces():
    source, xyz = bumpy(), np.concatenate([INSIDE, 3 * INSIDE])
    plain = triangle.field(xyz, source.vertices[source.faces], source.surface_current())
    np.testing.assert_allclose(source.field(xyz), plain, atol=1e-13 * np.abs(plain).max())
    traced = jax.jit(lambda s: s.field(xyz))(source)
    np.testing.assert_allclose(traced, plain, atol=1e-13 * np.abs(plain).max())


def test_maxwell_inside_and_outside():
    source, xyz = bumpy(1), np.concatenate([INSIDE[:5], 5 * INSIDE[:5] + [1.0, 0, 0]])
    slope = jacobian(source.field, xyz)
    scale = np.abs(slope).max(axis=(1, 2))
    assert np.all(np.abs(jnp.trace(slope, axis1=1, axis2=2)) < 1e-11 * scale)
    assert np.all(np.abs(curl(slope)).max(axis=1) < 1e-11 * scale)
    field = source.field(xyz)
    np.testing.assert_allclose(curl(jacobian(source.potential, xyz)), field, atol=1e-11 * np.abs(field).max())


def test_sensitivity_rows_match_the_field():
    vertices, faces = sphere(2)
    stream = bumpy().stream
    back = jax.vjp(lambda psi: Sheet(vertices, faces, psi).field(INSIDE)[:, 2], stream)[1]
    rows = jax.vmap(back)(jnp.eye(len(INSIDE)))[0]
    field = bumpy().field(INSIDE)
    np.testing.assert_allclose(rows @ stream, field[:, 2], atol=1e-13 * np.abs(field).max())


def test_derivative_in_vertices_by_taylor():
    source = bumpy(1)
    step = np.random.default_rng(3).normal(size=source.vertices.shape)

    def value(vertices):
        return 1e6 * jnp.sum(Sheet(vertices, source.faces, source.stream).field(INSIDE[:4]) ** 2)

    slope = jnp.vdot(jax.grad(value)(jnp.asarray(source.vertices)), step)

    def remainder(h):
        return abs((value(source.vertices + h * step) - value(source.vertices - h * step)) / (2 * h) - slope)

    assert 3.5 < remainder(1e-3) / remainder(5e-4) < 4.5


def test_finite_on_the_sheet():
    source = bumpy(1)
    corners = source.vertices[source.faces]
    xyz = jnp.asarray(
        np.concatenate([corners.mean(axis=1)[:5], corners[:3, 0], (corners[:3, 0] + corners[:3, 1]) / 2])
    )
    assert np.isfinite(source.field(xyz)).all() and np.isfinite(source.potential(xyz)).all()
    slopes = jax.grad(
        lambda v, p: (Sheet(v, source.faces, source.stream).field(p) ** 2).sum(), argnums=(0, 1)
    )(jnp.asarray(source.vertices), xyz)
    assert all(np.isfinite(leaf).all() for leaf in slopes)


def test_bad_faces_are_refused():
    with pytest.raises(ValueError, match="whole numbers from 0 to 2.*count vertices from zero"):
        Sheet(np.eye(3), [[1, 2, 3]], np.zeros(3))
    with pytest.raises(ValueError, match="stream"):
        Sheet(np.eye(3), [[0, 1, 2]], np.zeros(2))


def test_pair_integrals_against_fine_quadrature():
    """Pairs by how many corners they share, against the closed inner integral and 15,360 outer points."""
    vertices, faces = sphere(2)
    corners = vertices[faces]
    found = pair_integrals(corners, corners)
    fine = face_inductance._CORNER_RULE
    for _ in range(4):
        fine = face_inductance._quarter(fine)
    fine = face_inductance._extrapolate(fine)
    i, j = np.divmod(np.arange(40**2), 40)
    shared = face_inductance._shared_corners(corners[i], corners[j])
    rng = np.random.default_rng(0)
    for count, bound in ((0, 3e-5), (1, 4e-5), (2, 4e-5)):
        pairs = rng.choice(np.flatnonzero(shared == count), 20)
        exact = face_inductance._near(corners[i[pairs]], corners[j[pairs]], fine)
        assert np.abs(found[i[pairs], j[pairs]] - exact).max() < bound * found.max()
    np.testing.assert_allclose(found, found.T, rtol=1e-12)


def test_self_integral_of_a_right_triangle():
    # legs 1: the outer integral of the closed potential by subdivision and extrapolation
    corners = np.array([[[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]])
    rule = face_inductance._CORNER_RULE
    for _ in range(4):
        rule = face_inductance._quarter(rule)
    outer = face_inductance._near(corners, corners, face_inductance._extrapolate(rule))
    np.testing.assert_allclose(outer, self_integral(corners), rtol=1e-6)
    np.testing.assert_allclose(self_integral(corners * 2), 8 * self_integral(corners), rtol=1e-14)


def test_pair_integrals_far_are_areas_over_distance():
    near = np.array([[[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]])
    distances = np.array([30.0, 60.0])
    far = near + np.array([[[0, 0, d]] for d in distances])
    np.testing.assert_allclose(pair_integrals(near, far)[0] * distances, 0.25, rtol=2e-4)
