"""Siting: contours against closed forms, faults, zones, and drawings read back by other programs."""

import json
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import ezdxf
import matplotlib.image
import numpy as np
import pytest
import shapely
import trimesh

from designtools import result as r
from designtools.export import export
from designtools.fields import field_gradient
from designtools.siting import pull
from designtools.siting.contours import Plane, contour, field_contour, surface_contour
from designtools.siting.drawing import draw
from designtools.siting.faults import without
from designtools.siting.sampling import magnitude, slope
from designtools.siting.site import VIEWS, site_of
from designtools.siting.zones import prism_patches, section
from designtools.sources import Assembly, Blocks, Dipoles, Loops, Uniform
from designtools.spec.siting import Siting
from designtools.units import MU_0

FACTS = json.loads((Path(__file__).parent / "reference" / "fringe_cases.json").read_text())
MERIDIAN = Plane((0, 0, 0), (1, 0, 0), (0, 0, 1))


def coaxial(radii, currents):
    n = len(radii)
    return Loops(np.zeros((n, 3)), np.tile([0.0, 0.0, 1.0], (n, 1)), radii, currents)


DIPOLE = Dipoles([[0.0, 0.0, 0.0]], [[0.0, 0.0, FACTS["dipole"]["moment"]]])
PAIR = coaxial(FACTS["zero_moment_pair"]["radii"], FACTS["zero_moment_pair"]["currents"])


def reach(found):
    return np.abs(np.concatenate(found.lines)).max(axis=0)


# ---- contours ---------------------------------------------------------------------------------------


def thin_solenoid():
    """0.1 mm thick about the same radius, which shifts the line by 1e-7."""
    s, thick = FACTS["thin_solenoid"], 1e-4
    half = s["length"] / 2
    return Blocks([s["radius"] - thick / 2], [s["radius"] + thick / 2], [-half], [half], [s["ampere_turns"] / s["length"] / thick])


@pytest.mark.parametrize(
    "source, level, radial, axial",
    [
        (DIPOLE, 5e-4, FACTS["dipole"]["radial"], FACTS["dipole"]["axial"]),
        (thin_solenoid(), 5e-4, FACTS["thin_solenoid"]["radial_0p5mT"], FACTS["thin_solenoid"]["axial_0p5mT"]),
        (thin_solenoid(), 9e-4, None, FACTS["thin_solenoid"]["axial_0p9mT"]),
        (PAIR, 5e-4, FACTS["zero_moment_pair"]["radial"], FACTS["zero_moment_pair"]["axial"]),
    ],
    ids=["dipole", "solenoid", "solenoid 0.9 mT", "zero moment"],
)
def test_lines_reach_as_far_as_the_closed_forms(source, level, radial, axial):
    found = field_contour(source, level, MERIDIAN)
    across, along = reach(found)
    assert along == pytest.approx(axial, abs=1e-3) and (radial is None or across == pytest.approx(radial, abs=1e-3))
    for line in found.lines:
        np.testing.assert_array_equal(line[0], line[-1])
        np.testing.assert_allclose(magnitude(source, MERIDIAN.points(line)), level, rtol=1e-6)


def test_chords_stay_close_to_the_line_and_the_area_is_that_of_the_dipole():
    found = field_contour(DIPOLE, 5e-4, MERIDIAN)
    (line,) = found.lines
    middle = (line[1:] + line[:-1]) / 2
    r0 = FACTS["dipole"]["radial"]
    distance = np.hypot(*middle.T)
    exact = r0 * (1 + 3 * (middle[:, 1] / distance) ** 2) ** (1 / 6)
    assert np.abs(distance - exact).max() < 2.5e-4
    assert found.area == pytest.approx(FACTS["dipole"]["area"], rel=1e-4)


def test_a_plane_beside_the_source_cuts_the_sphere_of_equal_field():
    """Across the dipole's axis the lines are circles, r (1 + 3 h^2/r^2)^(1/6).. solved for the circle's radius."""
    height = 3.0
    found = field_contour(DIPOLE, 5e-4, Plane((0, 0, height), (1, 0, 0), (0, 1, 0)))
    radius = np.hypot(*np.concatenate(found.lines).T)
    assert np.ptp(radius) < 1e-6
    distance = np.hypot(radius[0], height)
    assert distance == pytest.approx(FACTS["dipole"]["radial"] * (1 + 3 * (height / distance) ** 2) ** (1 / 6), abs=1e-6)
    assert field_contour(DIPOLE, 5e-4, Plane((0, 0, 20.0), (1, 0, 0), (0, 1, 0))).lines == ()


def test_pockets_of_weaker_field_are_holes_of_the_area():
    """Opposed loops: |B| vanishes in their middle, and a line runs round that null."""
    opposed = Loops([[0, 0, 0.5], [0, 0, -0.5]], [[0, 0, 1.0], [0, 0, 1.0]], [0.4, 0.4], [1e5, -1e5])
    found = field_contour(opposed, 2e-2, MERIDIAN)
    assert len(found.lines) == 2 and len(found.outermost()) == 1
    outer, hole = sorted((shapely.Polygon(line).area for line in found.lines), reverse=True)
    assert found.area == pytest.approx(outer - hole, rel=1e-9)


def test_lines_on_a_surface_close_and_enclose_the_right_area():
    """On a sphere of 6.5 m the dipole exceeds 0.5 mT in two caps about the poles."""
    ball = trimesh.creation.icosphere(subdivisions=4, radius=6.5)
    found = surface_contour(DIPOLE, 5e-4, ball.vertices, ball.faces)
    cosine = np.sqrt(((6.5 / FACTS["dipole"]["radial"]) ** 6 - 1) / 3)
    assert len(found.lines) == 2 and found.area == pytest.approx(4 * np.pi * 6.5**2 * (1 - cosine), rel=4e-3)
    for line in found.lines:
        np.testing.assert_array_equal(line[0], line[-1])
        np.testing.assert_allclose(magnitude(DIPOLE, line), 5e-4, rtol=1e-6)


def test_lines_on_a_wall_end_at_its_border():
    square = trimesh.creation.box((10, 10, 10)).subdivide().subdivide()
    wall = square.submesh([np.flatnonzero(square.face_normals[:, 0] > 0.9)], append=True)
    found = surface_contour(DIPOLE, 6e-4, wall.vertices + [0, 0, 5.0], wall.faces)
    (line,) = found.lines
    assert np.all(np.isin(np.abs(line[[0, -1], 1]).round(9), 5.0) | np.isin(line[[0, -1], 2].round(9), [0.0, 10.0]))


def test_impossible_contours_are_refused_in_words():
    with pytest.raises(ValueError, match="level must be positive"):
        field_contour(DIPOLE, 0.0, MERIDIAN)
    with pytest.raises(ValueError, match="leave background fields out"):
        contour(partial(magnitude, Assembly([DIPOLE, Uniform([0, 0, 1.0])])), 5e-4, MERIDIAN, 1.0)


# ---- pull on steel ----------------------------------------------------------------------------------


def test_slopes_are_those_of_the_exact_gradient():
    points = np.array([[0.3, 0.2, 1.5], [1.1, 0, 0.4], [2.0, 1.0, -3.0]])
    field, gradient = np.asarray(PAIR.field(points)), np.asarray(field_gradient(PAIR, points))
    exact = np.einsum("pij,pi->pj", gradient, field) / np.linalg.norm(field, axis=1)[:, None]
    np.testing.assert_allclose(slope(PAIR, points)[1], exact, rtol=1e-6, atol=1e-7 * np.abs(exact).max())


class Ramp:
    """|B| = B + slope z, along x."""

    def __init__(self, flux_density, steepness):
        self.start, self.steepness = flux_density, steepness

    def field(self, points):
        return np.stack([self.start + self.steepness * points[:, 2], 0 * points[:, 2], 0 * points[:, 2]], axis=1)


def test_a_steel_ball_is_drawn_as_the_formula_says():
    ball = FACTS["steel_ball"]
    at = lambda b, s: float(pull.pull(Ramp(b, s), np.zeros((1, 3)))[0])
    assert at(ball["flux_density"], ball["slope"]) == pytest.approx(ball["force_over_weight"], rel=1e-6)
    assert at(1.5, 3.0) == pytest.approx(ball["force_over_weight_saturated_at_3T_per_m"], rel=1e-6)
    assert at(0.1, ball["product_at_1g"] / 0.1) == pytest.approx(1.0, rel=1e-6)
    assert at(0.7 - 1e-9, 1.0) == pytest.approx(at(0.7 + 1e-9, 1.0), rel=1e-6)


def test_the_1_g_line_of_a_dipole():
    """On the axis B = 2k/z^3, so B dB/dz = 12 k^2/z^7; in the midplane 3 k^2/r^7 with k = mu0 m / 4 pi."""
    found = pull.one_g_contour(DIPOLE, MERIDIAN)
    k = MU_0 * FACTS["dipole"]["moment"] / (4 * np.pi)
    product = FACTS["steel_ball"]["product_at_1g"]
    assert reach(found)[1] == pytest.approx((12 * k**2 / product) ** (1 / 7), abs=1e-3)
    level = lambda x: float(pull.pull(DIPOLE, np.array([[x, 0, 0]]))[0])
    assert level((3 * k**2 / product) ** (1 / 7)) == pytest.approx(1.0, rel=1e-5)


def test_peaks_are_found_with_their_place():
    box = site_of({"zones": [{"name": "box", "outline": [[-1, -1.5], [2, -1.5], [2, 3], [-1, 3]], "limit": 1e-3, "bottom": 0.0, "top": 2.0}]}).zones[0]
    centre = np.array([0.4, 2.9, 0.3])
    found = pull.peak(lambda p: -np.linalg.norm(p - centre, axis=1), prism_patches(box))
    np.testing.assert_allclose(found.place, [0.4, 3.0, 0.3], atol=1e-3)
    assert found.value == pytest.approx(-0.1, abs=1e-4)


# ---- faults -----------------------------------------------------------------------------------------


def shielded():
    case = json.loads((Path(__file__).parent / "reference" / "magnets_recomputed.json").read_text())["shielded_1p5T"]
    return Blocks(*np.array(case["coils_r1_r2_z1_z2_J"]).T)


def test_a_lost_shield_leaves_the_primary_alone():
    bare = without(PAIR, "shield")
    np.testing.assert_array_equal(bare.current, [1e6, 0.0])
    alone = FACTS["zero_moment_pair"]["axial_of_the_inner_loop_alone"]
    assert reach(field_contour(bare, 5e-4, MERIDIAN))[1] == pytest.approx(alone, abs=1e-3)
    magnet = shielded()
    lost = np.asarray(without(magnet, "shield").current_density)
    assert np.all(lost[np.asarray(magnet.current_density) < 0] == 0) and np.all(lost[np.asarray(magnet.current_density) > 0] > 0)


def test_faults_by_number_by_name_and_across_an_assembly():
    assert np.asarray(without(PAIR, [1]).current).tolist() == [0.0, -390625.0]
    both = Assembly([coaxial([0.5], [1.0]), coaxial([0.6, 0.7], [2.0, 3.0])])
    parts = without(both, [1, 3]).parts
    assert [np.asarray(p.current).tolist() for p in parts] == [[0.0], [2.0, 0.0]]
    assert without({"main": PAIR, "shield": DIPOLE}, "shield").parts == (PAIR,)


@pytest.mark.parametrize(
    "source, lost, words",
    [
        (PAIR, [3], "numbers from 1 to 2"),
        (coaxial([0.5], [1.0]), "shield", "all coils run the same way"),
        ({"a": PAIR}, ["b"], "parts must be of a, got b"),
        ({"a": PAIR}, ["a"], "all are lost"),
        (DIPOLE, [1], "must be Blocks or Loops"),
    ],
)
def test_impossible_faults_are_refused_in_words(source, lost, words):
    with pytest.raises(ValueError, match=words):
        without(source, lost)


# ---- the site ---------------------------------------------------------------------------------------

ROOM = {
    "levels": ["3 mT"],
    "scanner": {"length": "1.2 m", "width": "2 m", "height": "2 m", "bore": "60 cm"},
    "room": {"outline": [["-2 m", "-3 m"], ["2 m", "-3 m"], ["2 m", "3 m"], ["-2 m", "3 m"]], "doors": [{"start": ["0 m", "-3 m"], "end": ["1 m", "-3 m"]}]},
    "zones": [
        {"name": "corridor", "limit": "0.5 mT", "outline": [["2.2 m", "-3 m"], ["4 m", "-3 m"], ["4 m", "3 m"], ["2.2 m", "3 m"]]},
        {"name": "control room", "limit": "0.5 mT", "outline": [["-2 m", "-6 m"], ["2 m", "-6 m"], ["2 m", "-3.2 m"], ["-2 m", "-3.2 m"]]},
    ],
    "faults": [{"name": "shield quench"}],
}  # fmt: skip


@pytest.fixture(scope="module")
def site():
    return site_of(Siting.model_validate(ROOM).model_dump())


@pytest.fixture(scope="module")
def drawing(site):
    return draw(PAIR, site)


def test_the_site_has_its_lengths_and_directions(site):
    np.testing.assert_array_equal(site.directions, [[1, 0, 0], [0, 0, 1], [0, 1, 0]])
    assert dict(site.levels) == {"0p5mT": 5e-4, "0p9mT": 9e-4, "3mT": 3e-3}
    assert site.floor == -1.0 and site.scanner.top == 1.0 and site.zones[0].top == 1.0 and not site.vertical
    upright = site_of({"up": "z"}, (0, 0, 1))
    assert upright.vertical and np.linalg.det(upright.directions) == pytest.approx(np.linalg.det(site.directions))


def test_zones_are_judged_where_the_field_is_largest(drawing):
    corridor, control = drawing.zones
    np.testing.assert_allclose(corridor.peak.place[[0, 2]], [2.2, 0.0], atol=2e-2)
    assert corridor.peak.value == pytest.approx(np.linalg.norm(PAIR.field(np.array([corridor.peak.place[[0, 2, 1]]]))), rel=1e-9)
    assert corridor.peak.value > 5e-4 > control.peak.value
    assert control.violations == {} and control.area == 0.0


def test_violated_parts_are_zone_and_line_cut_with_each_other(drawing, site):
    corridor = drawing.zones[0]
    line = shapely.Polygon(field_contour(PAIR, 5e-4, site.plane(VIEWS[0])).lines[0])
    part = line.intersection(shapely.Polygon(corridor.zone.outline))
    assert corridor.area == pytest.approx(part.area, rel=1e-3) and corridor.area > 0.01
    for view in VIEWS:
        for ring in corridor.violations[view.name]:
            assert section(corridor.zone, view, sum(_middle(corridor.zone, view)) / 2).buffer(1e-6).contains(shapely.Polygon(ring))


def _middle(zone, view):
    return (zone.bottom, zone.top) if view.depth == 2 else (zone.outline[:, view.depth].min(), zone.outline[:, view.depth].max())


def test_the_fault_reaches_farther_in_the_drawing(drawing):
    normal, lost = drawing.reach("0p5mT"), drawing.reach("shield-quench-0p5mT")
    assert normal[1] == pytest.approx(FACTS["zero_moment_pair"]["axial"], abs=1e-3)
    assert lost[1] == pytest.approx(FACTS["zero_moment_pair"]["axial_of_the_inner_loop_alone"], abs=1e-3)


def test_files_of_the_drawing_are_read_back(drawing, tmp_path):
    spec = {"siting": Siting.model_validate(ROOM).model_dump()}
    design = r.Result("magnet", "pair", "done", source=PAIR, spec=spec, plots={"siting": drawing})
    files = {path.name: path for path in export(design, "siting", tmp_path / "pair.svg")}
    assert set(files) == {"pair-0p5mT.csv", "pair-0p9mT.csv", "pair.dxf", "pair.svg", "pair-side.dxf", "pair-end.dxf", "pair.png"}
    for name in ("pair.dxf", "pair-side.dxf", "pair-end.dxf"):
        document = ezdxf.readfile(files[name])
        lines = document.modelspace().query("LWPOLYLINE")
        assert document.units == ezdxf.units.MM and all(line.closed for line in lines)
        layers = {line.dxf.layer for line in lines}
        assert {"0p5mT", "0p9mT", "3mT", "scanner", "bore", "room", "walls", "zone-corridor", "violation-corridor", "magnet"} <= layers
        assert "violation-control-room" not in layers and "shield-quench-0p5mT" in layers and "steel-1g" in layers
    plan = ezdxf.readfile(files["pair.dxf"]).modelspace()
    points = lambda layer: np.concatenate([np.array(line.get_points("xy")) for line in plan.query(f'LWPOLYLINE[layer=="{layer}"]')])
    np.testing.assert_allclose(np.abs(points("0p5mT")).max(axis=0) / 1e3, [FACTS["zero_moment_pair"]["radial"], FACTS["zero_moment_pair"]["axial"]], atol=1e-3)
    np.testing.assert_allclose(np.abs(points("room")).max(axis=0), [2000, 3000])
    np.testing.assert_allclose(np.abs(points("walls")).max(axis=0), [2200, 3200])
    np.testing.assert_allclose(points("doors").min(axis=0), [0, -3200])
    picture = ElementTree.parse(files["pair.svg"]).getroot()
    assert picture.attrib["width"].endswith("mm") and len(list(picture.iter("{http://www.w3.org/2000/svg}g"))) == 3
    image = matplotlib.image.imread(files["pair.png"])
    assert image.shape[0] > 600 and image[..., :3].std() > 0.02


def test_a_folder_read_back_draws_the_same(drawing, tmp_path):
    spec = {"siting": Siting.model_validate(ROOM | {"faults": [], "zones": []}).model_dump()}
    kept = r.Result("magnet", "pair", "done", source=PAIR, spec=spec)
    again = export(kept, "siting", tmp_path / "pair.svg")
    lines = ezdxf.readfile(again[2]).modelspace().query('LWPOLYLINE[layer=="0p5mT"]')
    drawn = [s.outline for s in drawing.views[0].shapes if s.layer == "0p5mT"]
    np.testing.assert_allclose(np.array(lines[0].get_points("xy")) / 1e3, drawn[0][:-1], atol=1e-6)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"zones": [ROOM["zones"][0] | {"top": "-1 m"}]}, "must lie above bottom"),
        ({"zones": [ROOM["zones"][0]] * 2}, "a name of its own"),
        ({"room": {"outline": [["0 m", "0 m"], ["1 m", "1 m"], ["1 m", "0 m"], ["0 m", "1 m"]]}}, "cross"),
        ({"scanner": ROOM["scanner"] | {"bore": "3 m"}}, "must be smaller than width and height"),
        ({"faults": [{"name": "none", "lost": []}]}, "at least one coil"),
        ({"plates": [{"name": "p", "across": ["1 m", "1 m"], "along": ["0 m", "1 m"], "height": ["0 m", "1 m"]}]}, "two rising lengths"),
    ],
)
def test_contradictions_are_refused_in_words(change, words):
    with pytest.raises(ValueError, match=words):
        Siting.model_validate(ROOM | change)


def test_the_evidence_of_a_site():
    from designtools.recipes.siting_evidence import siting_pieces

    found = siting_pieces(PAIR, Siting.model_validate(ROOM | {"faults": []}))
    assert found.figures["fringe_axial_0p5mT"].value == pytest.approx(FACTS["zero_moment_pair"]["axial"], abs=1e-6)
    assert found.figures["fringe_radial_max_0p5mT"].value >= found.figures["fringe_radial_0p5mT"].value
    rows = r.evaluate_requirements(found.implied, found.figures)
    assert {row["quantity"]: row["status"] for row in rows} == {"zone_corridor_field_max": "MISSED", "zone_control_room_field_max": "MET"}
    assert found.figures["spatial_gradient_max"].value > 0 and "in its bore" in found.figures["spatial_gradient_max"].method
    off = siting_pieces(PAIR, replace_enabled(False))
    assert not off.figures and not off.plots and not off.implied


def replace_enabled(value):
    return Siting(enabled=value)
