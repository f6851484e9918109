"""Every shape of former keeps its contract; meshes from files; turns on them; what turns do when the stream function moves."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import trimesh
from scipy.spatial.distance import cdist

from designtools.formers.dome import Dome
from designtools.formers.elliptic import EllipticCylinder
from designtools.formers.plate import Plate
from designtools.formers.revolved import Revolved
from designtools.formers.symmetry import Symmetry, components, vertex_basis
from designtools.formers.triangulated import MeshError, parts_of, rims
from designtools.recipes.surfaces import inside, still_groups
from designtools.sources import Sheet
from designtools.units import MU_0
from designtools.windings import contour
from designtools.windings.displacement import on_faces
from designtools.windings.mesh_contour import mesh_contours
from designtools.windings.winding import Winding

TILTED = np.array([[0.0, 0.6, 0.8], [1.0, 0.0, 0.0], [0.0, 0.8, -0.6]])
PLACE = np.array([0.05, -0.1, 0.2])
CONE, WAIST = np.array([[-0.3, 0.2], [0.3, 0.3]]), np.array([[-0.3, 0.25], [0.0, 0.2], [0.2, 0.26], [0.3, 0.3]])
FORMERS = {
    "elliptic": EllipticCylinder(0.2, 0.3, 0.6, TILTED, PLACE),
    "cone": Revolved(CONE, TILTED, PLACE),
    "waist": Revolved(WAIST, TILTED, PLACE),
    "plate": Plate(0.5, 0.4, TILTED, PLACE),
    "disc": Dome(np.inf, 0.3, TILTED, PLACE),
    "cap": Dome(0.15, 0.3, TILTED, PLACE),
}
EVERY = pytest.mark.parametrize("name", FORMERS)
NOBODY = Symmetry(np.eye(3)[None], np.ones(1), (), np.zeros(3))


def some_uv(former, count=40):
    (u0, u1), (v0, v1) = former.span
    uv = np.random.default_rng(0).uniform((u0, v0), (u1, v1), (count, 2))
    return uv * (0.7 if isinstance(former, Dome) else 1.0)


@EVERY
def test_parameters_there_and_back_and_normals(name):
    former = FORMERS[name]
    uv, step = some_uv(former), 1e-6
    for offset in (0.0, 0.003, -0.003):
        np.testing.assert_allclose(former.inverse(former.at(uv, offset)), uv, atol=1e-12)
    du, dv = ((former.at(uv + d) - former.at(uv - d)) / (2 * step) for d in ([step, 0], [0, step]))
    outward = np.cross(du, dv)
    np.testing.assert_allclose(outward / np.linalg.norm(outward, axis=1, keepdims=True), former.normal(uv), atol=1e-8)
    np.testing.assert_allclose(former.at(uv, 0.003) - former.at(uv), 0.003 * former.normal(uv), atol=1e-12)
    if former.developable:
        lengths = [np.linalg.norm(flat(uv + d) - flat(uv), axis=1) for flat in (former.unroll, former.at) for d in ([step, step],)]
        np.testing.assert_allclose(*lengths, rtol=1e-4)


@EVERY
def test_meshes_lie_on_the_surface_look_outward_and_end_in_rims(name):
    former = FORMERS[name]
    mesh = former.mesh(0.03)
    np.testing.assert_allclose(mesh.vertices, former.at(mesh.uv), atol=1e-14)
    a, b, c = np.moveaxis(mesh.corner, 1, 0)
    outward = former.normal(former.inverse(mesh.corner.mean(axis=1)))
    assert (np.cross(b - a, c - a) * outward).sum(axis=1).min() > 0
    walks = [np.sort(np.column_stack([rim, np.roll(rim, -1)]), axis=1) for rim in mesh.boundaries]
    found = [np.sort(np.column_stack([rim, np.roll(rim, -1)]), axis=1) for rim in rims(mesh.faces)]
    assert {tuple(e) for w in walks for e in w} == {tuple(e) for w in found for e in w}
    assert len(mesh.boundaries) == (2 if former.periodic[0] else 1)


EXACT_AREA = {
    "elliptic": 0.6 * FORMERS["elliptic"].circumference,
    "cone": np.pi * 0.5 * np.hypot(0.6, 0.1),
    "cap": 2 * np.pi * 0.15**2 * (1 - np.cos(2.0)),
    "disc": np.pi * 0.09,
}


@pytest.mark.parametrize("name", EXACT_AREA)
def test_areas_converge_with_the_square_of_the_resolution(name):
    former, exact = FORMERS[name], EXACT_AREA[name]
    errors = [abs(former.mesh(size).area.sum() / exact - 1) for size in (0.04, 0.02, 0.01)]
    assert errors[2] < 2e-3 and errors[0] / errors[2] > 8


def test_the_ellipse_is_measured_along_its_arc():
    former = EllipticCylinder(0.2, 0.3, 0.6)
    t = np.linspace(0, 2 * np.pi, 200_001)
    arc = np.linalg.norm(np.diff(np.stack([0.2 * np.cos(t), 0.3 * np.sin(t)], 1), axis=0), axis=1).sum()
    assert former.circumference == pytest.approx(arc, rel=1e-9)
    assert EllipticCylinder(0.2, 0.2, 0.6).circumference == pytest.approx(2 * np.pi * 0.2, rel=1e-14)


# --- from files -----------------------------------------------------------------------------------


def cap_file(folder):
    ball = trimesh.creation.icosphere(subdivisions=3, radius=180)
    few = trimesh.Trimesh(ball.vertices, ball.faces[ball.vertices[ball.faces][:, :, 2].max(axis=1) < 120])
    few.export(folder / "cap.stl")
    return folder / "cap.stl"


def test_parts_rims_and_units_of_a_file(tmp_path):
    two = trimesh.util.concatenate([trimesh.creation.icosphere(3, radius=100), trimesh.creation.icosphere(2, radius=50).apply_translation([300, 0, 0])])
    two.export(tmp_path / "two.obj")
    large, small = parts_of(tmp_path / "two.obj")
    assert large.area.sum() == pytest.approx(4 * np.pi * 0.01, rel=0.02) and len(small.vertices) == 162 and not large.boundaries
    (cap,) = parts_of(cap_file(tmp_path), 1e-3)
    assert len(cap.boundaries) == 1 and np.ptp(cap.vertices[cap.boundaries[0]][:, 2]) < 0.05


@pytest.mark.parametrize("content, words", [(b"solid nothing\nendsolid nothing\n", "must"), (b"\x00\x01", "must")])
def test_files_that_are_no_surface_are_refused_in_words(tmp_path, content, words):
    (tmp_path / "bad.stl").write_bytes(content)
    with pytest.raises(MeshError, match=words):
        parts_of(tmp_path / "bad.stl")


def test_an_inner_wall_is_refused(tmp_path):
    vertices = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, -1, 0]]
    trimesh.Trimesh(vertices, [[0, 1, 2], [0, 1, 3], [0, 1, 4]], process=False).export(tmp_path / "fin.ply")
    with pytest.raises(MeshError, match="edge that 3 triangles share"):
        parts_of(tmp_path / "fin.ply")


# --- turns on triangles -----------------------------------------------------------------------------


def test_turns_on_a_meshed_sphere_make_its_exact_field_and_converge():
    at, errors = np.array([[0.0, 0, 0], [0.25, 0, 0], [0, 0, 0.25]]), []
    exact = 0.6 * MU_0 * 100 * 0.25 * np.array([[0, 0, 0], [0, 0, 1], [1, 0, 0]])
    for size in (3, 4):
        ball = trimesh.creation.icosphere(subdivisions=size, radius=1.0)
        mesh = SimpleNamespace(vertices=np.array(ball.vertices), faces=np.array(ball.faces), corner=np.array(ball.triangles))
        psi = 100 * mesh.vertices[:, 0] * mesh.vertices[:, 2]
        values, current = contour.levels(psi, turns=24)
        field = np.asarray(Winding("s", mesh_contours(mesh, psi, values), current, 1e-3, 1e-3).filaments().field(at))
        errors.append(np.abs(field - exact).max() / np.abs(exact).max())
    assert errors[1] < 2e-3 and errors[0] / errors[1] > 3


def test_turns_face_by_face_are_those_of_the_parameter_plane():
    former = FORMERS["cone"]
    mesh = former.mesh(0.02)
    u, v = mesh.uv.T
    psi = 100 * np.cos(u) * np.sin(2 * np.pi * v / former.span[1][1])
    psi[np.concatenate(mesh.boundaries)] = 0
    values, current = contour.levels(psi, turns=8)
    ours, plane = mesh_contours(mesh, psi, values), contour.contours(former, mesh, psi, values)
    assert len(ours) == len(plane) == 32 and all(t.closed for t in ours)
    here = PLACE + np.random.default_rng(0).uniform(-0.06, 0.06, (30, 3))
    a, b = (np.asarray(Winding("c", t, current, 1e-3, 1e-3).filaments().field(here)) for t in (ours, plane))
    assert np.abs(a - b).max() < 2e-3 * np.abs(b).max()


def test_a_level_line_that_runs_off_a_rim_is_refused():
    mesh = FORMERS["disc"].mesh(0.05)
    with pytest.raises(ValueError, match="runs off an open rim"):
        mesh_contours(mesh, mesh.uv[:, 0], [0.01])


# --- keep-out, constants ------------------------------------------------------------------------------


def test_no_current_flows_in_a_keep_out_and_none_through_it():
    mesh = Plate(0.5, 0.4).mesh(0.02)
    hole = SimpleNamespace(shape="ball", place=(0.1, 0.0, 0.0), radius=0.06)
    still = still_groups(mesh, [hole], 0.0)
    basis = vertex_basis(mesh, NOBODY, still)
    psi = basis @ np.random.default_rng(0).normal(size=basis.shape[1])
    density = np.linalg.norm(np.asarray(Sheet(mesh.vertices, mesh.faces, psi).surface_current()), axis=1)
    middle = mesh.corner.mean(axis=1)
    assert density[inside(hole, middle)].max() < 1e-12 * density.max()
    within = inside(hole, mesh.vertices)
    assert np.ptp(psi[within]) < 1e-12 and abs(psi[within][0]) > 1e-3  # free to float: current may circle the hole


@pytest.mark.parametrize(
    "space, point, out",
    [
        ({"shape": "box", "place": (0, 0, 0), "size": (0.2, 0.1, 0.4)}, (0.09, 0.04, 0.19), (0.09, 0.06, 0.0)),
        ({"shape": "cylinder", "place": (0, 0, 0.1), "radius": 0.05, "length": 0.2, "axis": (1.0, 0, 0)}, (0.09, 0, 0.13), (0.11, 0, 0.1)),
    ],
)
def test_inside_of_a_keep_out(space, point, out):
    assert list(inside(SimpleNamespace(**space), np.array([point, out]))) == [True, False]
    assert inside(SimpleNamespace(**space), np.array([out]), margin=0.02).all()


def test_constants_on_parts_apart_carry_nothing_and_are_left_out():
    a, b = Plate(0.4, 0.4).mesh(0.1), Plate(0.4, 0.4, centre=np.array([0, 0, 0.3])).mesh(0.1)
    both = type(a)(np.concatenate([a.vertices, b.vertices]), np.concatenate([a.faces, b.faces + len(a.vertices)]), None, (a.boundaries[0], b.boundaries[0] + len(a.vertices)))
    assert components(both).max() == 1
    inner = len(both.vertices) - len(a.boundaries[0]) - len(b.boundaries[0])
    assert vertex_basis(both, NOBODY).shape[1] == inner


# --- places on faces ------------------------------------------------------------------------------------


def test_interpolation_on_faces_is_exact_for_linear_functions():
    mesh = FORMERS["disc"].mesh(0.03)
    points = FORMERS["disc"].at(some_uv(FORMERS["disc"]) * 0.9)
    matrix, face = on_faces(mesh, points)
    np.testing.assert_allclose(matrix @ mesh.vertices, points, atol=1e-12)
    assert cdist(points, mesh.corner.mean(axis=1))[np.arange(len(points)), face].max() < 0.03
