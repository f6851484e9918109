"""Symmetries found where they are and only there; a problem solved within them has the optimum of the whole."""

import numpy as np
import pytest

from designtools.formers import symmetry
from designtools.formers.cylinder import Cylinder
from designtools.formers.symmetry import Symmetry, find, orbits, vertex_basis
from designtools.recipes import gradient, gradient_setting
from designtools.solve import convex
from designtools.sources import Sheet
from designtools.spec import load

X, Y, Z = np.eye(3)


def spec(axis="x", b0="z", bore="z", **changes):
    """A small coil without shield; `changes` replace whole sections."""
    task = {
        "kind": "gradient",
        "name": "small",
        "version": 1,
        "frame": {"b0_axis": b0, "bore_axis": bore},
        "region": {"shape": "ball", "radius": 0.05},
        "target": {"gradient_axis": axis, "strength": 0.02, "error": 0.06},
        "primary": {"radius": 0.15, "length": 0.45},
        "conductor": {"width": 0.001, "thickness": 0.002, "spacing": 0.0},
        "winding": {"turns": 4},
        "mesh": {"resolution": 0.06},
    }
    return load(task | changes)


@pytest.fixture(autouse=True)
def few_target_points(monkeypatch):
    monkeypatch.setattr(gradient_setting, "TARGET_ORDER", 12)


def found(**arguments):
    return gradient.prepare(spec(**arguments)).symmetry


# --- which symmetries ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "axis, b0, bore, mirrors, order",
    [
        ("x", "z", "z", "xyz", 8),
        ("y", "z", "z", "xyz", 8),
        ("z", "z", "z", "xyz", 32),  # mesh of 16 round: 16 turns and the mirror across
        ("x", "x", "z", "xyz", 8),  # field across the bore
        ("y", "x", "z", "xyz", 8),
        ("z", "x", "z", "xyz", 8),
        ("x", "z", "x", "xyz", 8),  # bore along x
        ("z", "z", "x", "xyz", 8),
    ],
)
def test_a_centred_coil_has_every_mirror(axis, b0, bore, mirrors, order):
    group = found(axis=axis, b0=b0, bore=bore)
    for name in mirrors:
        assert any(f"mirror {name}" == g for g in group.generators)
    assert len(group) % order == 0
    product = np.einsum("aij,bjk->abik", group.maps, group.maps)
    nearest = np.abs(product[:, :, None] - group.maps[None, None]).max(axis=(3, 4))
    assert nearest.min(axis=2).max() < 1e-9  # closed
    index = nearest.argmin(axis=2)
    np.testing.assert_array_equal(group.signs[index], np.outer(group.signs, group.signs))  # signs multiply
    assert np.allclose(group.maps[0], np.eye(3)) and group.signs[0] == 1


def test_a_z_gradient_is_axially_symmetric():
    setting = gradient.prepare(spec("z"))
    around = len(setting.layers[0].mesh.boundaries[0])
    assert f"rotation 2pi/{around}" in setting.symmetry.generators
    rows = np.unique(setting.layers[0].mesh.uv[:, 1]).size
    assert len(setting.symmetry) == 4 * around  # turns, a mirror through the axis, a mirror across it
    assert setting.layers[0].basis.shape[1] == rows // 2  # one unknown per pair of rings, less the gauge


def test_transverse_gradients_turn_over_under_half_a_turn():
    group = found(axis="x")
    half = np.flatnonzero([np.allclose(q, np.diag([-1, -1, 1])) for q in group.maps])
    assert group.signs[half] == -1  # Bz = G x changes sign
    mirror_x, mirror_y, mirror_z = (
        group.signs[np.flatnonzero([np.allclose(q, np.diag(d)) for q in group.maps])] for d in ([-1, 1, 1], [1, -1, 1], [1, 1, -1])
    )
    assert (mirror_x, mirror_y, mirror_z) == (-1, 1, -1)


def test_an_oblique_gradient_keeps_the_mirrors_of_its_own_frame():
    group = gradient.prepare(spec(target={"gradient_axis": [0.6, 0.8, 0], "strength": 0.02, "error": 0.06})).symmetry
    wrong = np.diag([-1.0, 1, 1])
    assert not any(np.allclose(q, wrong) for q in group.maps)
    for q, s in zip(group.maps, group.signs):  # each map takes B.b0 and the gradient axis to +- themselves
        along = np.array([0.6, 0.8, 0])
        assert s == pytest.approx((Z @ q @ Z) * (along @ q @ along))


def test_an_offset_region_drops_the_mirror_across():
    group = found(region={"shape": "ball", "radius": 0.05, "centre": [0, 0, 0.03]})
    assert group.generators == ("mirror x", "mirror y", "rotation 2pi/2") and len(group) == 4
    assert found(axis="z", region={"shape": "ball", "radius": 0.05, "centre": [0.0, 0.02, 0]}).generators == ("mirror x", "mirror z")


def test_a_coil_and_region_moved_together_keep_all():
    moved = found(primary={"radius": 0.15, "length": 0.45, "centre": 0.1}, region={"shape": "ball", "radius": 0.05, "centre": [0, 0, 0.1]})
    assert len(moved) == 8
    np.testing.assert_allclose(moved.centre, [0, 0, 0.1])


def test_layers_of_different_length_and_an_offset_shield():
    stray = {"radius": 0.25, "length": 0.5, "limit": 1e-4}
    both = {"stray": stray, "shield": {"radius": 0.2, "length": 0.6}}
    assert len(found(**both)) == 8
    shifted = {"stray": stray, "shield": {"radius": 0.2, "length": 0.6, "centre": 0.02}}
    assert found(**shifted).generators == ("mirror x", "mirror y", "rotation 2pi/2")


def test_an_ellipsoid_breaks_the_turns_of_a_z_gradient():
    group = found(axis="z", region={"shape": "ellipsoid", "semi_axes": [0.05, 0.04, 0.06]})
    assert len(group) == 8 and "rotation 2pi/2" in group.generators


def test_a_magnet_off_centre_counts_only_where_force_is_limited():
    block = {"inner_radius": 0.5, "outer_radius": 0.6, "z_low": 0.1, "z_high": 0.5, "current_density": 1e7}
    magnet = {"flux_density": 1.0, "blocks": [block]}
    assert "mirror z" in found(magnet=magnet).generators
    assert "mirror z" not in found(magnet=magnet, limits={"net_force": 10.0}).generators


def test_no_symmetry_is_found_on_a_mesh_that_has_none():
    mesh = Cylinder(0.2, 0.6).mesh(0.1)
    rng = np.random.default_rng(0)
    crooked = type(mesh)(mesh.vertices + 1e-4 * rng.normal(size=mesh.vertices.shape), mesh.faces, mesh.uv, mesh.boundaries)
    group = find([crooked], np.eye(3), np.zeros(3), lambda q: 1, fold=12)
    assert len(group) == 1 and group.generators == ()
    assert len(find([mesh], np.eye(3), np.zeros(3), lambda q: 0, fold=12)) == 1


# --- bases and orbits ------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", ["x", "z"])
@pytest.mark.parametrize("whole", [True, False], ids=["found", "identity"])
def test_basis_is_orthonormal_symmetric_and_constant_on_rims(axis, whole):
    setting = gradient.prepare(spec(axis))
    layer = setting.layers[0]
    group = setting.symmetry if whole else identity()
    basis = vertex_basis(layer.mesh, group).toarray()
    np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-13)
    for rim in layer.mesh.boundaries:
        assert np.ptp(basis[rim], axis=0).max() < 1e-14
    for q, s in zip(group.maps, group.signs):
        image = symmetry._permutation(layer.mesh.vertices, q)
        np.testing.assert_allclose(basis[image], s * basis, atol=1e-13)
    one = np.ones(len(basis))
    assert np.linalg.norm(basis @ (basis.T @ one) - one) > 0.1  # no column left that carries no current
    assert np.linalg.matrix_rank(basis, tol=1e-9) == basis.shape[1]


def test_basis_leaves_out_nothing():
    """Every symmetric psi that is constant on the rims is in the span, up to a constant."""
    setting = gradient.prepare(spec("z"))
    layer, group = setting.layers[0], setting.symmetry
    z = layer.mesh.uv[:, 1]
    for psi in (z**2, np.cos(20 * z), np.abs(z)):
        span = np.column_stack([layer.basis.toarray(), np.ones(len(z))])
        left = psi - span @ np.linalg.lstsq(span, psi, rcond=None)[0]
        assert np.abs(left).max() < 1e-12
    odd = np.column_stack([layer.basis.toarray(), np.ones(len(z))])
    assert np.abs(z - odd @ np.linalg.lstsq(odd, z, rcond=None)[0]).max() > 0.01 and len(group) > 8


def test_free_rims_count_one_unknown_each_and_one_gauge():
    mesh = Cylinder(0.2, 0.6).mesh(0.1)
    inner = len(mesh.vertices) - sum(map(len, mesh.boundaries))
    assert vertex_basis(mesh, identity()).shape == (len(mesh.vertices), inner + 2 - 1)


def identity():
    return Symmetry(np.eye(3)[None], np.array([1]), (), np.zeros(3))


def test_orbits_count_every_point_once():
    group = found(axis="x")
    points = np.array([[1, 2, 3.0], [0, 2, 3], [0, 0, 3], [0, 0, 0], [1, 0, 0]])
    every = np.unique(np.concatenate([points @ q.T for q in group.maps]).round(12), axis=0)
    index, count = orbits(every, group)
    assert sorted(count) == [1, 2, 2, 4, 8] and len(index) == 5
    faces, counts = orbits(gradient.prepare(spec()).layers[0].mesh.corner.mean(axis=1), group)
    assert counts.sum() == len(gradient.prepare(spec()).layers[0].mesh.faces) and counts.max() == 8
    lonely, ones = orbits(points, group)  # no partners present
    assert len(lonely) == 5 and (ones == 1).all()


def test_symmetric_stream_functions_make_symmetric_fields():
    for axis, b0, bore in (("x", "z", "z"), ("y", "x", "z"), ("z", "z", "x")):
        setting = gradient.prepare(spec(axis, b0, bore))
        layer, group = setting.layers[0], setting.symmetry
        psi = layer.basis @ np.random.default_rng(1).normal(size=layer.basis.shape[1])
        sheet = Sheet(layer.mesh.vertices, layer.mesh.faces, psi)
        where = np.random.default_rng(2).uniform(-0.05, 0.05, (6, 3))
        b = np.asarray(sheet.field(where))
        for q, s in zip(group.maps, group.signs):
            np.testing.assert_allclose(sheet.field(where @ q.T), s * b @ q.T, atol=1e-12 * np.abs(b).max())


# --- the same optimum ------------------------------------------------------------------------------


def both_ways(monkeypatch, task):
    """The optimum within the symmetries, and without any."""
    folded = gradient.prepare(task)
    monkeypatch.setattr(gradient_setting, "_symmetry", lambda *_: identity())
    whole = gradient.prepare(task)
    assert len(folded.symmetry) > 1 and whole.layers[0].basis.shape[1] > 3 * folded.layers[0].basis.shape[1]
    return [(s, convex.solve(gradient.problem(s))) for s in (folded, whole)]


@pytest.mark.parametrize("axis, b0, bore", [("x", "z", "z"), ("z", "z", "z"), ("y", "x", "z")])
def test_the_symmetric_optimum_is_the_optimum(monkeypatch, axis, b0, bore):
    weights = {"power": 1.0, "stored_energy": 0.5}
    (small, ours), (large, theirs) = both_ways(monkeypatch, spec(axis, b0, bore, objective=weights))
    assert ours.status.ok and theirs.status.ok
    assert ours.objective == pytest.approx(theirs.objective, rel=1e-6)
    a, b = (np.asarray(s.design.parts["primary"].stream) for s in (ours, theirs))
    a, b = a - a.mean(), b - b.mean()
    np.testing.assert_allclose(a, b, atol=1e-3 * np.abs(b).max())


def test_the_symmetric_optimum_is_the_optimum_with_shield_and_cones(monkeypatch):
    task = spec(shield={"radius": 0.2, "length": 0.6}, stray={"radius": 0.25, "length": 0.25, "limit": 5e-5}, mesh={"resolution": 0.075})
    (_, ours), (_, theirs) = both_ways(monkeypatch, task)
    assert ours.status.ok and theirs.status.ok
    assert ours.slacks["stray.limit"] < 1e-9  # the cones bind
    assert ours.objective == pytest.approx(theirs.objective, rel=1e-4)  # cones are cut to 2e-5
