"""Soft iron by finite elements, against spheres, a shell and a cube; needs scikit-fem (the extra `iron`)."""

import numpy as np
import pytest

pytest.importorskip("skfem")

from designtools.siting import steel  # noqa: E402
from designtools.siting.iron import Body, brick_mesh, iron_source, magnetise, plates_in_field  # noqa: E402
from designtools.siting.sampling import magnitude  # noqa: E402
from designtools.siting.site import site_of  # noqa: E402
from designtools.sources import Dipoles, Loops  # noqa: E402
from designtools.units import MU_0  # noqa: E402


def half_disc(layers):
    """A mesh of the meridian plane whose layers lie between half circles of these radii."""
    import skfem

    lines = np.asarray(layers)
    square = skfem.MeshQuad.init_tensor(lines, np.concatenate([-lines[:0:-1], lines]))
    side, distance = np.abs(square.p).max(axis=0), np.linalg.norm(square.p, axis=0)
    radius = side[square.t].max(axis=0)
    return skfem.MeshQuad(square.p * side / np.where(distance > 0, distance, 1), square.t), radius


def around(inner, *edges):
    outside = edges[-1] * 1.25 ** np.arange(1, 9)
    return np.unique(np.concatenate([inner, edges, outside]).round(12))


def uniform(strength):
    return lambda points: np.tile([0.0] * (points.shape[1] - 1) + [strength], (len(points), 1))


def sphere(curve, strength, cells=8):
    mesh, radius = half_disc(around(np.linspace(0, 1, cells + 1), 1.0))
    found = magnetise(mesh, [Body("sphere", np.flatnonzero(radius <= 1 + 1e-9), curve)], uniform(strength), axisymmetric=True)
    return found, mean(found, "sphere")


def mean(found, name):
    volume = found.volume[name]
    return volume @ found.polarization[name] / volume.sum()


@pytest.mark.parametrize("permeability, strength", [(1000.0, 1e-3), (5.0, 1.0)])
def test_a_linear_sphere_is_polarised_as_in_closed_form(permeability, strength):
    """J = 3 (mu - 1)/(mu + 2) B0 (Jackson, sec. 5.11); outside it is a dipole."""
    found, polarization = sphere(steel.linear(permeability), strength)
    exact = 3 * (permeability - 1) / (permeability + 2) * strength
    assert found.converged and polarization == pytest.approx([0, exact], abs=1e-3 * exact)
    dipole = Dipoles([[0.0, 0.0, 0.0]], [[0.0, 0.0, exact / MU_0 * 4 * np.pi / 3]])
    points = np.array([[0.0, 0.0, 2.0], [2.0, 0.0, 0.0], [1.3, 0.0, 1.3]])
    np.testing.assert_allclose(iron_source(found).field(points), dipole.field(points), atol=0.01 * exact / 12)


def test_the_polarised_sphere_converges_with_the_mesh():
    errors = [abs(sphere(steel.linear(5.0), 1.0, cells)[1][1] / (12 / 7) - 1) for cells in (4, 12)]
    assert errors[1] < errors[0] / 4


@pytest.mark.parametrize("strength", [0.3, 3.0])
def test_a_saturating_sphere(strength):
    """Below Js/3 it is polarised as if its permeability were constant, beyond it holds Js."""
    found, polarization = sphere(steel.saturating(1000.0, 2.0), strength)
    assert found.converged and polarization[1] == pytest.approx(min(2.0, 3 * 999 / 1002 * strength), rel=3e-3)


def test_steel_in_a_strong_field_converges_quadratically_to_its_own_curve():
    """In a sphere H = B0/mu0 - J/(3 mu0), uniform: J and H must be a point of the curve."""
    from scipy.optimize import brentq

    curve = steel.low_carbon()
    found, polarization = sphere(curve, 0.5)
    exact = brentq(lambda j: float(curve.polarization(np.array([(0.5 - j / 3) / MU_0]))[0][0]) - j, 0.0, 1.5 - 1e-9)
    assert polarization[1] == pytest.approx(exact, rel=2e-3)
    a, b, c = found.residuals[-3:]
    assert found.converged and c < b**1.5 < a


def test_a_spherical_shell_shields_as_in_closed_form():
    """9 mu / ((2 mu + 1)(mu + 2) - 2 (a/b)^3 (mu - 1)^2) of the field remains inside (Jackson, sec. 5.12)."""
    mu, a, b = 100.0, 1.0, 1.1
    mesh, radius = half_disc(around(np.linspace(0, a, 17), a, (a + b) / 2, b))
    shell = np.flatnonzero((radius > a + 1e-9) & (radius <= b + 1e-9))
    found = magnetise(mesh, [Body("shell", shell, steel.linear(mu))], uniform(1.0), axisymmetric=True)
    inside = 1 + np.asarray(iron_source(found).field(np.array([[1e-3, 0, 0.0], [0.3, 0, 0.4]])))[:, 2]
    exact = 9 * mu / ((2 * mu + 1) * (mu + 2) - 2 * (a / b) ** 3 * (mu - 1) ** 2)
    np.testing.assert_allclose(inside, exact, atol=4e-3)  # of the field applied, of which 0.156 remains


def test_a_cube_of_iron_has_its_known_polarisability():
    """3.6442 volumes at infinite permeability: A. Sihvola et al., IEEE Trans. Antennas Propag. 52 (2004) 2226."""
    values = []
    for cells in (4, 8):
        mesh, bodies = brick_mesh([np.array([[-0.5] * 3, [0.5] * 3])], ["cube"], steel.linear(1e4), cells, 2)
        found = magnetise(mesh, bodies, uniform(1.0))
        assert found.converged
        values.append(mean(found, "cube")[2])
    assert abs(values[1] / 3.6442 - 1) < abs(values[0] / 3.6442 - 1) < 0.2
    assert values[1] == pytest.approx(3.6442, rel=0.06)


def test_a_plate_shields_what_stands_behind_it_and_saturation_is_flagged():
    magnet = Dipoles([[0.0, 0.0, 0.0]], [[0.0, 0.0, 1e5]])
    plate = {"name": "wall", "across": ["1 m", "1.02 m"], "along": ["-1 m", "1 m"], "height": ["0 m", "2 m"]}
    shielded = plates_in_field(magnet, site_of({"plates": [plate]}), cells=6)
    behind, before = np.array([[1.4, 0.0, 0.0]]), np.array([[-1.4, 0.0, 0.0]])
    assert magnitude(shielded.source, behind)[0] < 0.6 * magnitude(magnet, behind)[0]
    assert magnitude(shielded.source, before)[0] == pytest.approx(magnitude(magnet, before)[0], rel=0.05)
    assert not shielded.plates[0].saturated and 0 < shielded.plates[0].mean < shielded.plates[0].peak < 1.7
    strong = Dipoles([[0.0, 0.0, 0.0]], [[0.0, 0.0, 5e6]])
    soaked = plates_in_field(strong, site_of({"plates": [plate]}), cells=6)
    assert soaked.plates[0].saturated and soaked.plates[0].peak > 1.7 and soaked.record["converged"]


def test_the_plate_is_the_same_in_a_turned_frame():
    """A source along y with x up, its plate moved alike: the same polarisation behind the plate."""
    plate = {"name": "wall", "across": ["1 m", "1.05 m"], "along": ["-0.6 m", "0.8 m"], "height": ["0.2 m", "2 m"]}
    fields = []
    for up, bore in (("y", (0, 0, 1.0)), ("x", (0, 1.0, 0))):
        site = site_of({"plates": [plate], "up": up}, bore)
        magnet = Dipoles([[0.0, 0.0, 0.0]], [1e5 * np.asarray(bore)])
        shielded = plates_in_field(magnet, site, cells=4)
        fields.append(np.asarray(shielded.source.field(site.points([[1.3, 0.1, 0.3]]))) @ site.directions.T)
    np.testing.assert_allclose(fields[1], fields[0], rtol=1e-4, atol=1e-9)


def test_curves_are_smooth_saturate_and_refuse_nonsense():
    curve = steel.low_carbon()
    h = np.geomspace(1, 1e6, 200)
    j, slope = curve.polarization(h)
    assert np.all(np.diff(j) >= 0) and np.all(slope >= 0) and j[-1] == pytest.approx(2.0, abs=5e-3)
    assert 1.4 < curve.knee < 1.9
    step = 1e-6 * h
    np.testing.assert_allclose((curve.polarization(h + step)[0] - curve.polarization(h - step)[0]) / (2 * step), slope, rtol=1e-3, atol=1e-9)
    with pytest.raises(ValueError, match="start at 0 and rise"):
        steel.curve_of("bad", [0, 1, 1], [0, 1, 2])


def test_the_evidence_of_a_site_with_a_plate(monkeypatch):
    """On a coarse mesh, which is what takes long."""
    from functools import partial

    from designtools.siting import iron

    monkeypatch.setattr(iron, "plates_in_field", partial(plates_in_field, cells=4))
    from designtools.recipes.siting_evidence import siting_pieces
    from designtools.spec.siting import Siting

    magnet = Loops([[0.0, 0.0, 0.0]], [[0.0, 0.0, 1.0]], [0.3], [3.5e5])
    zone = {"name": "desk", "limit": "1 mT", "outline": [[1.3, -0.5], [2.0, -0.5], [2.0, 0.5], [1.3, 0.5]], "bottom": "0.5 m", "top": "1.5 m"}
    plate = {"name": "wall", "across": ["1 m", "1.05 m"], "along": ["-1 m", "1 m"], "height": ["0 m", "2 m"]}
    bare = siting_pieces(magnet, Siting.model_validate({"zones": [zone]}))
    kept = siting_pieces(magnet, Siting.model_validate({"zones": [zone], "plates": [plate]}))
    field = lambda found: found.figures["zone_desk_field_max"].value
    assert field(kept) < 0.5 * field(bare) and "plates" in {s.layer for s in kept.plots["siting"].views[0].shapes}
    assert kept.audit["plates"]["solver"]["converged"] and kept.plots["plates"].rows[0][4] == "below saturation"
    (row,) = kept.plots["attenuation"].rows
    assert row[0] == "desk" and float(row[3]) > 2
    moment = 3.5e5 * np.pi * 0.3**2  # parallel to an infinite plate of infinite permeability 1 m away it is pulled as by its image
    image = 3 * 4e-7 * np.pi * moment**2 / (4 * np.pi * 2.0**4)
    assert 0.5 * image < kept.figures["plates_force"].value < 1.3 * image


def test_a_magnet_pulls_a_plate_as_the_plate_pulls_it():
    from designtools.fields import force, torque
    from designtools.siting.site import site_of
    from designtools.spec.siting import Siting

    magnet = Loops([[0.0, 0.0, 0.0]], [[0.0, 0.6, 0.8]], [0.3], [3.5e5])
    plate = {"name": "wall", "across": ["1 m", "1.05 m"], "along": ["-1 m", "1 m"], "height": ["0 m", "2 m"]}
    found = plates_in_field(magnet, site_of(Siting.model_validate({"plates": [plate]}).model_dump(), (0.0, 0.0, 1.0)), cells=4)
    for load in (force, torque):
        on, by = np.asarray(load(magnet, found.iron)), np.asarray(load(found.iron, magnet))
        np.testing.assert_allclose(on, -by, atol=1e-6 * np.linalg.norm(on))
