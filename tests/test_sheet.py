"""Current sheets: exact spheres with convergence rates, Maxwell's equations, sensitivities, pair integrals."""

import functools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import trimesh
from test_segment import curl, jacobian

from designtools.kernels import triangle
from designtools.kernels.face_inductance import pair_integrals, self_integral
from designtools.sources import Sheet
from designtools.sources.sheet import current_operator
from designtools.sources.sheet_operator import field_operator, inductance_matrix
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
        inductance = MU_0 / (4 * np.pi) * np.sum(current * (pair_integrals(corners) @ current))
        eta_errors.append(eta / (gradient * MU_0 / RADIUS**2) - 1)
        figure_errors.append(inductance / eta**2 / (figure * RADIUS**5 / MU_0) - 1)
    np.testing.assert_allclose(rate(np.array(eta_errors)), 2, atol=0.1)
    np.testing.assert_allclose(rate(np.array(figure_errors)), 2, atol=0.25)
    assert abs(figure_errors[-1]) < 0.02


def test_moment_and_far_field():
    source = bumpy()
    moment = source.moment()
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


def fine_integral(outer, inner):
    """Closed form inside; outside 9,216 points: 6 x 6 collapsed Gauss points on each of 256 pieces."""
    part = np.eye(3)[None]
    quarters = np.array([[[2, 0, 0], [1, 1, 0], [1, 0, 1]], [[1, 1, 0], [0, 2, 0], [0, 1, 1]],
                         [[1, 0, 1], [0, 1, 1], [0, 0, 2]], [[1, 1, 0], [0, 1, 1], [1, 0, 1]]]) / 2  # fmt: skip
    for _ in range(4):
        part = (quarters[:, None] @ part).reshape(-1, 3, 3)
    t, w = np.polynomial.legendre.leggauss(6)
    s, r = (g.ravel() for g in np.meshgrid((1 + t) / 2, (1 + t) / 2, indexing="ij"))
    weight = (np.outer(w, w).ravel() / 4 * s * 2)[None] / len(part) * np.ones((len(part), 1))
    barycentric = np.stack([1 - s, s * (1 - r), s * r], axis=1) @ part
    xyz = barycentric.reshape(-1, 3) @ outer
    columns = (tuple(corner[:, None]) for corner in inner)
    values = triangle.inverse_distance(tuple(xyz.T[:, None]), *columns)[0]
    return np.linalg.norm(np.cross(outer[1] - outer[0], outer[2] - outer[0])) / 2 * np.asarray(values)[0] @ weight.ravel()


@pytest.mark.parametrize("tolerance", [1e-3, 1e-6])
def test_pair_integrals_against_fine_quadrature(tolerance):
    """Pairs apart, with a common corner, a common edge and the same, on faces three times as long as wide."""
    vertices, faces = sphere(2)
    corners = (vertices * [1, 1, 3.0])[faces]
    found = pair_integrals(corners, tolerance=tolerance)
    shared = (corners[:, None, :, None] == corners[None, :, None, :]).all(axis=-1).sum(axis=(2, 3))
    for count in range(4):
        for i, j in np.argwhere(shared[:40] == count)[::53][:4]:
            exact = fine_integral(corners[i], corners[j])
            assert found[i, j] == pytest.approx(exact, rel=max(tolerance, 1e-5))  # what the reference reaches at edges
    np.testing.assert_allclose(found, found.T, rtol=1e-14)


def test_faces_that_lie_close_without_common_corners():
    one = np.array([[[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]])
    for shift in ([0.05, 0.1, 0.02], [0.4, 0.3, 1e-3]):
        found = pair_integrals(one, one + np.array(shift), tolerance=1e-6)[0, 0]
        assert found == pytest.approx(fine_integral(one[0], one[0] + shift), rel=1e-5)


def test_self_integral_of_a_right_triangle():
    """Legs 1, against quadrature; goes with the cube of the size."""
    corners = np.array([[[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]])
    assert self_integral(corners)[0] == pytest.approx(fine_integral(corners[0], corners[0]), rel=1e-5)
    np.testing.assert_allclose(self_integral(corners * 2), 8 * self_integral(corners), rtol=1e-14)


def test_pair_integrals_far_are_areas_over_distance():
    near = np.array([[[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]])
    distances = np.array([30.0, 60.0])
    far = near + np.array([[[0, 0, d]] for d in distances])
    np.testing.assert_allclose(pair_integrals(near, far)[0] * distances, 0.25, rtol=2e-4)


def test_coupling_is_the_sandwich_of_the_pair_integrals():
    vertices, faces = sphere(1)
    flow, integrals = current_operator(vertices, faces), pair_integrals(vertices[faces])
    sandwich = sum(flow[c::3].T @ (integrals @ flow[c::3].toarray()) for c in range(3))
    found = inductance_matrix(vertices, faces) / (MU_0 / (4 * np.pi))
    np.testing.assert_allclose(found, sandwich, atol=1e-13 * np.abs(sandwich).max())


def test_inductance_matrix_to_1e_4_of_its_largest_entry():
    vertices, faces = sphere(2)
    fine = inductance_matrix(vertices, faces, tolerance=1e-7)
    assert np.abs(inductance_matrix(vertices, faces) - fine).max() < 1e-4 * fine.max()


def test_field_operator_is_the_field_everywhere():
    """In the faces, beside them and far away; a tile that is not full."""
    source = bumpy()
    corners = source.vertices[source.faces][:4]
    near = corners.mean(axis=1) * (1 + 1e-7)
    points = np.concatenate([INSIDE, 7 * INSIDE, corners.mean(axis=1), near])
    matrix = field_operator(source.vertices, source.faces, np.tile(points, (2, 1)))
    field = np.asarray(source.field(points))
    np.testing.assert_allclose(matrix[: len(points)] @ source.stream, field, atol=2e-13 * np.abs(field).max())
    np.testing.assert_array_equal(matrix[: len(points)], matrix[len(points) :])


def test_field_operator_against_many_digits():
    """One vertex of a pyramid: Biot-Savart of its faces' currents with 30 digits, near, far and in a face."""
    mpmath.mp.dps = 30
    vertices = np.array([[0, 0, 0.3], [0.2, 0, 0], [0, 0.25, 0], [-0.2, 0, 0.05], [0, -0.15, 0]])
    faces = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 4, 1]])
    points = np.array([[0.31, -0.2, 0.4], [0.05, 0.04, 0.1], [1.5, 2.0, -1.0], vertices[faces[0]].mean(axis=0)])
    found = field_operator(vertices, faces, points)[:, :, 0]
    for point, value in zip(points, found):
        exact = np.array([float(c) for c in _many_digits(vertices, faces, point)])
        np.testing.assert_allclose(value, exact, atol=1e-13 * np.abs(exact).max())


def _many_digits(vertices, faces, point):
    """T per ampere of vertex 0: K x I by solid angle and edge logarithms (Wilton et al. 1984), all in mpmath."""
    vector = lambda values: mpmath.matrix([mpmath.mpf(float(x)) for x in values])
    minus = lambda u, v: [a - b for a, b in zip(u, v)]
    dot = lambda u, v: mpmath.fsum(a * b for a, b in zip(u, v))
    cross = lambda u, v: [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]]
    norm = lambda u: mpmath.sqrt(dot(u, u))
    total = [mpmath.mpf(0)] * 3
    p = list(vector(point))
    for face in faces:
        c = [list(vector(vertices[k])) for k in face]
        normal = cross(minus(c[1], c[0]), minus(c[2], c[0]))
        area = norm(normal)
        n = [x / area for x in normal]
        current = [x / area for x in minus(c[2], c[1])]  # psi = 1 at the first corner
        r = [minus(p, q) for q in c]
        a = [norm(q) for q in r]
        triple = dot(r[0], normal)
        scale = a[0] * a[1] * a[2] + dot(r[0], r[1]) * a[2] + dot(r[1], r[2]) * a[0] + dot(r[2], r[0]) * a[1]
        flat = abs(triple) < 1e-15 * area * max(a)  # in the face, to the digits of the point: the mean of both sides
        solid = mpmath.mpf(0) if flat else 2 * mpmath.atan2(triple, scale)
        integral = [x * solid for x in n]
        for i in range(3):
            side = minus(c[(i + 1) % 3], c[i])
            length, ends = norm(side), a[i] + a[(i + 1) % 3]
            log = mpmath.log((ends + length) / (ends - length)) / length
            integral = [x + y * log for x, y in zip(integral, cross(side, n))]
        total = [x + y for x, y in zip(total, cross(current, integral))]
    return [x * mpmath.mpf(MU_0) / (4 * mpmath.pi) for x in total]
