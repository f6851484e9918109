"""Eddy currents in meshed shells: spheres and cylinders in closed form, the circuit equation integrated another way."""

import functools
import json
from pathlib import Path

import numpy as np
import pytest
import trimesh
from scipy import linalg, sparse
from test_gradient_physics import rate, wave

from designtools.formers.cylinder import Cylinder
from designtools.formers.mesh import SurfaceMesh
from designtools.formers.symmetry import Symmetry, find, orbits, vertex_basis
from designtools.problem import Design, Free, Limit, Problem, Term
from designtools.quantities import eddy, field
from designtools.quantities.energy import SheetModel, inductance_matrix
from designtools.quantities.sheet import power_residual
from designtools.regions import Region, shell
from designtools.solve import convex
from designtools.sources import Sheet
from designtools.units import MU_0

THICKNESS, SIGMA = 3e-3, 3.77e7
A, B = 0.4, 0.3  # radii of the shell and of the coil
POINTS = np.random.default_rng(0).uniform(-0.1, 0.1, (6, 3))
INSIDE = Region(POINTS, np.full(6, 1 / 6), "inside")
Z = np.array([0.0, 0.0, 1.0])
NONE = Symmetry(np.eye(3)[None], np.array([1]), (), np.zeros(3))  # nothing but the identity


def sphere(radius, level):
    mesh = trimesh.creation.icosphere(subdivisions=level, radius=radius)
    vertices = np.array(mesh.vertices)
    return SurfaceMesh(vertices, np.array(mesh.faces), vertices[:, :2], ())


def model(name, mesh, basis=None):
    every = np.arange(len(mesh.faces))
    basis = sparse.eye_array(len(mesh.vertices), format="csc") if basis is None else basis
    return SheetModel(name, mesh.vertices, mesh.faces, every, np.ones(len(every)), basis)


@functools.cache
def sphere_in_sphere(level):
    """A coil of psi = 1000 A x z/b^2 on a sphere inside a shell: the modes and the design."""
    mesh = sphere(B, level)
    stream = 1000 * mesh.vertices[:, 0] * mesh.vertices[:, 2] / B**2
    modes = eddy.eddy_modes([eddy.shell("cryostat", sphere(A, level), THICKNESS, SIGMA)], [model("coil", mesh)])
    return modes, Design({"coil": Sheet(mesh.vertices, mesh.faces, stream)})


TAU = eddy.sphere_time_constant(A, THICKNESS, SIGMA, 2)
LEVELS = (1, 2, 3)


# --- spheres --------------------------------------------------------------------------------------


def test_time_constants_of_a_spherical_shell():
    exact = [eddy.sphere_time_constant(A, THICKNESS, SIGMA, degree) for degree in (1, 1, 1, 2, 2, 2, 2, 2, 3)]
    errors = np.array([sphere_in_sphere(level)[0].time_constants[:9] / exact - 1 for level in LEVELS])
    np.testing.assert_allclose(rate(errors), 2, atol=0.4)
    assert np.abs(errors[-1]).max() < 0.018


def test_the_field_left_after_a_ramp():
    """A perfect shield carries -(b/a)^3 of the coil's stream function for degree 2; then it decays with one tau."""
    duration, time = 1e-3, 20e-3
    left = -TAU / duration * np.expm1(-duration / TAU) * np.exp(-time / TAU)
    exact = -((B / A) ** 3) * 0.6 * MU_0 / A**2 * 1000 * POINTS[:, 0] * left
    errors = []
    for level in LEVELS:
        modes, design = sphere_in_sphere(level)
        found = np.asarray(eddy.residual_field(modes, INSIDE, Z, time, duration).of(design))
        errors.append(np.abs(found - exact).max() / np.abs(exact).max())
    np.testing.assert_allclose(rate(errors), 2, atol=0.3)
    assert errors[-1] < 0.025


@pytest.mark.parametrize("frequencies, amplitudes", [(1.0, 1.0), (20.0, 1.0), (1000.0, 1.0), ([20.0, 600.0], [0.7, 0.2])])
def test_the_power_of_a_sinusoid(frequencies, amplitudes):
    x = 2 * np.pi * np.atleast_1d(frequencies) * TAU
    current = np.broadcast_to(amplitudes, x.shape) * 1000 * (B / A) ** 3 * x / np.sqrt(1 + x**2)
    exact = 0.5 / (SIGMA * THICKNESS) * 8 * np.pi / 5 * (current**2).sum()
    errors = []
    for level in LEVELS:
        modes, design = sphere_in_sphere(level)
        errors.append((np.asarray(eddy.power_residual(modes, frequencies, amplitudes).of(design)) ** 2).sum() / exact - 1)
    np.testing.assert_allclose(rate(np.array(errors)), 2, atol=0.4)
    assert abs(errors[-1]) < 0.03


def test_the_step_response_is_one_exponential():
    """The five modes of degree 2 count as one: of the gradient 0.6 mu0 psi/b^2 the shell takes (b/a)^5."""
    weights = POINTS[:, 0] / (POINTS[:, 0] @ POINTS[:, 0])
    found = []
    for level in LEVELS:
        modes, design = sphere_in_sphere(level)
        amplitude, tau = eddy.step_response(modes, design, INSIDE, Z, weights, smallest=1e-3)
        assert len(amplitude) == 1
        found.append([amplitude[0] / (B / A) ** 5 - 1, tau[0] / TAU - 1])
    assert np.abs(found[-1]).max() < 0.01 and np.abs(found[-1][0]) < np.abs(found[0][0])


def test_two_shells_are_coupled():
    """Degree 1 of two concentric spheres: a circuit of two loops with M = L_outer (a/b)^2."""
    radii, found = np.array([0.3, 0.4]), []
    own = MU_0 * radii * 2 / 3
    matrix = np.array([[own[0], own[1] * 0.75**2], [own[1] * 0.75**2, own[1]]])
    exact = linalg.eigh(matrix, np.diag([2 / (SIGMA * 3e-3), 2 / (SIGMA * 1e-3)]), eigvals_only=True)[::-1]
    for level in (1, 2):
        shells = [eddy.shell("a", sphere(0.3, level), 3e-3, SIGMA), eddy.shell("b", sphere(0.4, level), 1e-3, SIGMA)]
        found.append(eddy.eddy_modes(shells, []).time_constants[0])
    assert (4 * found[1] - found[0]) / 3 == pytest.approx(exact[0], rel=3e-3)
    assert exact[0] > 1.1 * max(own[0] * SIGMA * 3e-3, own[1] * SIGMA * 1e-3) / 2


# --- cylinders ------------------------------------------------------------------------------------

CYLINDER = next(r for r in json.loads((Path(__file__).parent / "reference" / "gradient_exact_cases.json").read_text())["cases"] if r["id"] == "ED01")


@pytest.mark.parametrize("order", [1, 2])
def test_a_wave_on_a_long_cylinder_has_the_time_constant_of_the_infinite_one(order):
    a, d, sigma, k = (CYLINDER["inputs"][key] for key in ("a", "d", "sigma", "k"))
    exact, errors = CYLINDER["outputs"][f"m{order}_k_s"], []
    for around in (12, 24):
        source = wave(a, k, order, around, 8.0, 2.0)
        part = model("s", SurfaceMesh(np.asarray(source.vertices), np.asarray(source.faces), None, ()), sparse.csc_array(np.asarray(source.stream)[:, None]))
        every = np.arange(len(part.triangles))
        residual = power_residual("s", every, np.ones(len(every)), part.vertices, part.triangles, 1 / (d * sigma))
        power = (np.asarray(residual.of(Design({"s": source}))) ** 2).sum()
        errors.append(inductance_matrix([part])[0, 0] / power / exact - 1)
    assert (4 * errors[1] - errors[0]) / 3 == pytest.approx(0, abs=0.02) and abs(errors[1]) < 0.06


@functools.cache
def small_cylinders():
    """A short coil inside a short shell, without symmetry; its equation L x' + R x + M psi' = 0 in matrices."""
    meshes = {"coil": Cylinder(0.2, 0.5).mesh(0.1), "cryostat": Cylinder(0.28, 0.6).mesh(0.13)}
    wall = eddy.shell("cryostat", meshes["cryostat"], THICKNESS, SIGMA)
    coil = model("coil", meshes["coil"], vertex_basis(meshes["coil"], NONE))
    matrix = inductance_matrix([wall.model, coil])
    count = wall.model.basis.shape[1]
    resistance = power_residual("x", wall.model.faces, wall.model.counts, wall.model.vertices, wall.model.triangles, wall.sheet_resistance)
    root = np.asarray(resistance.jacobian(None).parts["x"].stream @ wall.model.basis.toarray())
    x = np.random.default_rng(1).normal(size=coil.basis.shape[1])
    design = Design({"coil": Sheet(coil.vertices, coil.triangles, coil.basis @ x)})
    return wall, coil, matrix[:count, :count], root.T @ root, matrix[:count, count:] @ x, design


def test_modes_solve_the_equation_of_the_circuits():
    """Ramp and decay against the matrix exponential; power against the complex equation."""
    wall, coil, inductance, resistance, flux, design = small_cylinders()
    modes, duration, time = eddy.eddy_modes([wall], [coil]), 0.7e-3, 2e-3
    decay = -np.linalg.solve(inductance, resistance)
    steady = -np.linalg.solve(resistance, flux / duration)
    x = linalg.expm(decay * time) @ (steady - linalg.expm(decay * duration) @ steady)
    source = Sheet(wall.model.vertices, wall.model.triangles, wall.model.basis @ x)
    exact = np.asarray(source.field(POINTS))[:, 2]
    found = np.asarray(eddy.residual_field(modes, INSIDE, Z, time, duration).of(design))
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-3 * np.abs(exact).max())
    omega = 2 * np.pi * 300.0
    wave_form = np.linalg.solve(resistance + 1j * omega * inductance, -1j * omega * flux)
    power = 0.5 * np.real(wave_form.conj() @ resistance @ wave_form)
    assert (np.asarray(eddy.power_residual(modes, 300.0).of(design)) ** 2).sum() == pytest.approx(power, rel=1e-3)


def test_a_ramp_of_no_duration_is_a_step():
    wall, coil, *_, design = small_cylinders()
    modes = eddy.eddy_modes([wall], [coil])
    of = lambda time, duration: np.asarray(eddy.residual_field(modes, INSIDE, Z, time, duration).of(design))
    np.testing.assert_allclose(of(1e-3, 0.0), of(1e-3, 1e-9), rtol=1e-5)
    weights = np.array([1.0, 0, 0, 0, 0, 0])
    amplitude, tau = eddy.step_response(modes, design, INSIDE, Z, weights, smallest=0.0)
    own = np.asarray(design.field(POINTS))[0, 2]
    assert -own * (amplitude @ np.exp(-1e-3 / tau)) == pytest.approx(of(1e-3, 0.0)[0], rel=5e-3)


def test_symmetry_changes_nothing():
    meshes = {"coil": Cylinder(0.2, 0.5).mesh(0.1), "cryostat": Cylinder(0.28, 0.6).mesh(0.14)}
    kept = lambda q, v: {1.0: 1, -1.0: -1}.get(round(v @ q @ v, 9), 0)
    sign = lambda q: kept(q, Z) * kept(q, np.array([1.0, 0, 0]))
    fold = int(np.gcd(*(len(m.boundaries[0]) for m in meshes.values())))
    group = find(list(meshes.values()), np.eye(3), np.zeros(3), sign, fold)
    assert len(group) == 8
    basis, (faces, counts) = vertex_basis(meshes["coil"], group), orbits(meshes["coil"].corner.mean(axis=1), group)
    folded = SheetModel("coil", meshes["coil"].vertices, meshes["coil"].faces, faces, counts, basis)
    modes = eddy.eddy_modes([eddy.shell("cryostat", meshes["cryostat"], THICKNESS, SIGMA, group)], [folded])
    whole = eddy.eddy_modes([eddy.shell("cryostat", meshes["cryostat"], THICKNESS, SIGMA)], [model("coil", meshes["coil"], basis)])
    stream = basis @ np.random.default_rng(0).normal(size=basis.shape[1])
    design = Design({"coil": Sheet(meshes["coil"].vertices, meshes["coil"].faces, stream)})
    a, b = (np.asarray(eddy.residual_field(m, INSIDE, Z, 1e-3, 1e-4).of(design)) for m in (modes, whole))
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3 * np.abs(b).max())
    a, b = ((np.asarray(eddy.power_residual(m, 500.0).of(design)) ** 2).sum() for m in (modes, whole))
    assert a == pytest.approx(b, rel=1e-3) and len(modes.time_constants) < len(whole.time_constants) / 5


# --- in a problem, and as pre-emphasis --------------------------------------------------------------


def test_a_limit_on_the_eddy_field_is_held():
    """Two layers, so that there is a choice; the quiet coil costs more power and leaves what was asked."""
    meshes = {"inner": Cylinder(0.20, 0.7).mesh(0.16), "outer": Cylinder(0.26, 0.8).mesh(0.2)}
    coils = [model(name, mesh, vertex_basis(mesh, NONE)) for name, mesh in meshes.items()]
    modes = eddy.eddy_modes([eddy.shell("cryostat", Cylinder(0.34, 0.9).mesh(0.2), THICKNESS, SIGMA)], coils)
    start = Design({m.part: Sheet(m.vertices, m.triangles, np.zeros(len(m.vertices))) for m in coils})
    free = [Free(lambda d, n=m.part: d.parts[n].stream, -1e6, 1e6, m.part, m.basis) for m in coils]
    power = [Term(power_residual(m.part, m.faces, m.counts, m.vertices, m.triangles, 1e-5)) for m in coils]
    region = shell(0.08, order=4)
    wanted = 0.01 * region.points[:, 0]
    encoded = Limit(field.component(region, Z, "target"), wanted - 2e-4, wanted + 2e-4, scale=2e-4)
    left = eddy.residual_field(modes, region, Z, 1e-3, 1e-3)
    loud = convex.solve(Problem(start, free, power, [encoded]))
    quiet = convex.solve(Problem(start, free, power, [encoded, Limit(left, -1e-6, 1e-6, scale=1e-6)]))
    size = lambda solution: np.abs(np.asarray(left.of(solution.design))).max()
    assert loud.status.ok and quiet.status.ok
    assert size(loud) > 2e-5 and size(quiet) <= 1e-6 * (1 + 1e-6) and quiet.objective > loud.objective


def test_preemphasis_is_the_inverse_of_the_response():
    """P(s) times its inverse is 1 at any s, for several exponentials; amplitudes of a half cannot be undone by more."""
    a, tau = np.array([0.05, 0.02, -0.01]), np.array([0.01, 0.1, 0.6])
    b, times = eddy.preemphasis(a, tau)
    s = np.array([1j, 30j, 5 + 400j, 1e4])[:, None]
    lags = lambda size, time: (size * s * time / (1 + s * time)).sum(axis=1)
    np.testing.assert_allclose((1 - lags(a, tau)) * (1 + lags(b, times)), 1, rtol=1e-12)
    assert np.all(np.diff(times) < 0)
    with pytest.raises(ValueError, match="sum to less than 1"):
        eddy.preemphasis([0.7, 0.4], [1.0, 2.0])


def test_limits_of_the_closed_forms():
    of = lambda m, k: eddy.cylinder_time_constant(0.45, 3e-3, SIGMA, m, k)
    for m in range(3):
        assert of(m, 1e-3) == pytest.approx(of(m, 0.0), rel=1e-5)
        ratio = eddy.perfect_shield_ratio
        assert ratio(0.3, 0.4, m, 1e-3) == pytest.approx(ratio(0.3, 0.4, m), rel=1e-6)
    flat = MU_0 * SIGMA * 3e-3 / 2 / 500.0  # a plane: mu0 sigma d / 2k
    assert of(0, 500.0) == pytest.approx(flat, rel=1e-2)
