"""Superconducting magnets: the certificate, the blocks, whole turns, and what a reader is told."""

import json
from pathlib import Path

import numpy as np
import pytest

from designtools import regions
from designtools.quantities.coaxial import peak_field
from designtools.quantities.scatter import Tolerances, displaced, scatter
from designtools.quantities.sections import distant_field, nodes_for
from designtools.recipes import block_magnet, magnet_correction, magnet_evidence
from designtools.recipes.clusters import Cluster, rectangles, split
from designtools.recipes.magnet_bound import certificate
from designtools.solve.solution import Status
from designtools.sources import Blocks, Magnets
from designtools.spec import SpecError, load

SPECS = Path(__file__).parents[1] / "specs"
SHIELDED = json.loads((Path(__file__).parent / "reference" / "magnets_recomputed.json").read_text())["shielded_1p5T"]


def directions(count, seed=3):
    u = np.random.default_rng(seed).normal(size=(count, 3))
    return u / np.linalg.norm(u, axis=1, keepdims=True)


def solved(name, **overrides):
    setting = block_magnet.prepare(load(SPECS / name, overrides))
    return setting, block_magnet.solve(setting)


@pytest.fixture(scope="module", params=["whole_body_1p5T.yaml", "whole_body_7T.yaml"])
def whole_body(request):
    return solved(request.param)


def peak_to_peak(setting, blocks, count=4000):
    """On random directions over the whole sphere, which no grid of the optimiser knows."""
    region = setting.spec.region
    field = np.asarray(blocks.field(np.array(region.centre) + region.radius * directions(count)))[:, 2]
    return np.ptp(field) / setting.spec.field.strength


# --- the bars of the published specs ------------------------------------------------------------------


def test_whole_body_magnets_are_within_three_percent_of_the_bound(whole_body):
    setting, solution = whole_body
    assert solution.status is Status.CONVERGED
    blocks = solution.design.parts["windings"].blocks()
    assert 1.0 <= float(np.sum(blocks.volume())) / float(solution.design.parts["windings"].bound) < 1.03
    assert peak_to_peak(setting, blocks) <= setting.spec.field.homogeneity
    assert np.asarray(blocks.field(np.zeros((1, 3))))[0, 2] == pytest.approx(setting.spec.field.strength, rel=1e-7)


def test_bounds_are_those_of_the_reference(whole_body):
    """magnets.json: 0.0977236 and 1.1189026 m3 with a polygon for |B|; ours are within a quarter per cent."""
    setting, solution = whole_body
    known = {1.5: 0.09772363957831234, 7.0: 1.118902634005206}[setting.spec.field.strength]
    assert float(solution.design.parts["windings"].bound) == pytest.approx(known, rel=2.5e-3)


def test_the_fringe_lies_inside_the_ellipse(whole_body):
    """At points on the ellipse that the optimiser did not look at, and a step beyond it."""
    setting, solution = whole_body
    wanted, blocks = setting.spec.fringe, solution.design.parts["windings"].blocks()
    for factor in (1.0, 1.02, 1.3):
        points = directions(500) * factor
        points /= np.sqrt((points[:, :2] ** 2).sum(axis=1) / wanted.radial**2 + points[:, 2] ** 2 / wanted.axial**2)[:, None] / factor
        assert np.linalg.norm(blocks.field(points), axis=1).max() <= wanted.level


def test_blocks_stay_in_the_envelope_and_apart(whole_body):
    setting, solution = whole_body
    e, blocks = setting.spec.envelope, solution.design.parts["windings"].blocks()
    assert np.min(blocks.inner_radius) >= e.inner_radius - 1e-9 and np.max(blocks.outer_radius) <= e.outer_radius + 1e-9
    assert np.min(blocks.z_low) >= e.z_low - 1e-9 and np.max(blocks.z_high) <= e.z_high + 1e-9
    overlap = lambda low, high: np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
    both = np.minimum(overlap(blocks.inner_radius, blocks.outer_radius), overlap(blocks.z_low, blocks.z_high))
    assert both[~np.eye(len(both), dtype=bool)].max() < 1e-6


# --- the certificate ----------------------------------------------------------------------------------


def test_no_design_beats_the_bound(whole_body):
    """The bound is below the programme, which is below the blocks; and it does not move with its grid."""
    windings = whole_body[1].design.parts["windings"]
    assert windings.bound <= windings.volume * (1 + 1e-9) and windings.volume <= windings.conductor_volume() * (1 + 1e-6)
    assert windings.bound_error < 1e-3 * windings.bound


def test_impossible_wishes_name_what_to_relax_and_by_how_much():
    weak = {"conductors.0.current_density": "10 A/mm^2"}
    setting, solution = solved("extremity_0p5T.yaml", **weak)
    assert solution.status is Status.INFEASIBLE
    keys = {"strength": "field.strength", "variation": "field.homogeneity", "level": "fringe.level"}
    sentence = block_magnet.relax(setting, solution)
    assert all(keys[r.limit] in sentence for r in solution.relaxations) and "enlarge the envelope" in sentence
    relaxed = {keys[r.limit]: r.achievable * (0.99 if r.limit == "strength" else 1.01) for r in solution.relaxations}
    assert not certificate(block_magnet.prepare(load(SPECS / "extremity_0p5T.yaml", weak | relaxed)).task).relaxations


# --- magnets of other shapes --------------------------------------------------------------------------


def test_a_tighter_ellipse_needs_more():
    wide, tight = (certificate(block_magnet.prepare(load(SPECS / "extremity_0p5T.yaml", changes)).task).bound for changes in ({}, {"fringe.radial": "1.6 m", "fringe.axial": "2 m"}))
    assert tight > wide


def test_asymmetric_magnet_with_a_gap():
    """The region off the middle, a ring kept free, no mirror plane, B0 the other way: the same code."""
    setting, solution = solved(
        "extremity_0p5T.yaml",
        **{
            "symmetric": False, "region.centre": [0, 0, "30 mm"], "field.homogeneity": "60 ppm", "fringe.radial": "2.4 m", "fringe.axial": "3 m",
            "frame.b0_axis": "-z",
            "envelope.keep_out": [{"inner_radius": "170 mm", "outer_radius": "330 mm", "z_low": "-40 mm", "z_high": "40 mm"}],
        },
    )  # fmt: skip
    assert solution.status is Status.CONVERGED
    blocks = solution.design.parts["windings"].blocks()
    assert np.all((np.asarray(blocks.z_low) >= 0.04 - 1e-9) | (np.asarray(blocks.z_high) <= -0.04 + 1e-9))
    assert peak_to_peak(setting, blocks) <= 1.02 * 60e-6
    assert np.asarray(blocks.field(np.array([[0, 0, 0.03]])))[0, 2] == pytest.approx(-0.5, rel=1e-6)


# --- parts --------------------------------------------------------------------------------------------


def test_distant_field_and_its_slopes_against_exact_blocks():
    import jax
    import jax.numpy as jnp

    edges = jnp.array([[0.48, 0.5, 0.0, 0.05], [0.48, 0.51, 0.3, 0.6], [0.9, 0.95, 0.2, 0.6]])
    density = jnp.array([1e8, 1.2e8, -1e8])
    angle = np.linspace(0, np.pi / 2, 11)
    r, z = np.concatenate([0.25 * np.sin(angle), 2 * np.sin(angle)]), np.concatenate([0.25 * np.cos(angle), 3 * np.cos(angle)])
    nodes = nodes_for(edges, r, z)
    found = distant_field(edges, density, r, z, nodes, True)
    twins = np.concatenate([edges, np.asarray(edges)[:, [0, 1, 3, 2]] * [1, 1, -1, -1]])
    exact = np.asarray(Blocks(*twins.T, np.tile(density, 2)).field(np.stack([r, 0 * r, z], axis=1)))
    np.testing.assert_allclose(found, exact[:, [2, 0]], atol=1e-11 * np.abs(exact).max())
    slope, step = jax.jacfwd(distant_field)(edges, density, r, z, nodes, True), 1e-5
    up, down = (distant_field(edges.at[1, 3].add(s), density, r, z, nodes, True) for s in (step, -step))
    np.testing.assert_allclose(slope[..., 1, 3], (up - down) / (2 * step), atol=1e-8 * np.abs(slope).max())


def test_rectangles_keep_the_section_of_their_cluster():
    rows = np.linspace(0.3, 0.4, 21)
    length = 0.1 + 0.2 * np.linspace(1, 0, 20)
    lens = Cluster(1, np.stack([rows[:-1], rows[1:]], axis=1), np.stack([0.5 - length / 2, 0.5 + length / 2], axis=1))
    for most in (1, 3, 7):
        edges = rectangles([lens], most).edges
        assert len(edges) <= most
        assert np.sum((edges[:, 1] - edges[:, 0]) * (edges[:, 3] - edges[:, 2])) == pytest.approx(length @ np.diff(rows), rel=1e-9)


@pytest.mark.parametrize(
    "key, value, words",
    [
        ("envelope.z_low", "-200 mm", "must be -z_high"),
        ("envelope.inner_radius", "60 mm", "must keep conductor outside the region"),
        ("fringe.radial", "300 mm", "must make an ellipse that holds the envelope"),
        ("frame.b0_axis", "x", "must be parallel to frame.bore_axis"),
        ("limits.load_line_margin", "25 %", "must be left out without a `wire`"),
    ],
)
def test_contradictions_are_sentences(key, value, words):
    with pytest.raises(SpecError, match=words):
        load(SPECS / "extremity_0p5T.yaml", {key: value})


# --- grading and correction ---------------------------------------------------------------------------------


def test_every_block_gets_the_densest_conductor_that_stands_its_field():
    """Three layers of a solenoid of 9.4 T, NbTi at first: only the outer ones, in less field, may stay so."""
    setting = block_magnet.prepare(load(SPECS / "small_bore_9p4T.yaml", {"conductors.0.zone": None, "conductors.1.zone": None}))
    edges = np.array([[0.085, 0.095, 0, 0.25], [0.095, 0.11, 0, 0.25], [0.112, 0.132, 0, 0.25]])
    box, zero = np.array([[0.085, 0.35, 0, 0.35]] * 3), np.zeros(3)
    nbti = setting.densities[1] * np.ones(3)
    windings = block_magnet.Windings(edges.T.ravel(), nbti, 0.0, np.ones(3), zero, zero, *[zero] * 3, 1.0, 1.0, 0.0, mirrored=True, sense=1.0)
    graded = block_magnet.graded(setting, block_magnet.Frame(windings, box, np.zeros(3, int))).windings
    most, peak = block_magnet.allowed_field(setting), np.asarray(peak_field(graded.blocks()))
    chosen = np.asarray(graded.conductor, int)
    assert chosen[0] == 0 and chosen[2] == 1 and np.all(peak <= most[chosen])
    assert np.all(peak[chosen == 0] > 0.95 * most[1])  # nothing is Nb3Sn without need
    inner, outer, low, high = np.asarray(graded.sections()).T
    np.testing.assert_allclose((outer - inner) * (high - low) * graded.density, (edges[:, 1] - edges[:, 0]) * 0.25 * nbti, rtol=1e-12)
    np.testing.assert_allclose(inner[1:] - outer[:-1], [0, 0.002], atol=1e-12)


def test_clusters_are_cut_where_another_conductor_begins():
    rows = np.linspace(0.3, 0.4, 11)
    whole = Cluster(1, np.stack([rows[:-1], rows[1:]], axis=1), np.tile([0.0, 0.1], (10, 1)))
    pieces, parent = split([whole], [0.3, 0.34, 0.7])
    assert [len(p.r) for p in pieces] == [4, 6] and parent.tolist() == [0, 0] and pieces[1].r[0, 0] == pytest.approx(0.34)


def test_corrections_take_out_the_scatter_in_the_field_itself():
    """Coils and pieces counted again in the field of the displaced blocks, not in the harmonics that sized them."""
    blocks = Blocks(*np.array(SHIELDED["coils_r1_r2_z1_z2_J"]).T)
    wanted = {"coils.radius": "400 mm", "coils.half_length": "700 mm", "trays.radius": "430 mm", "trays.length": "1.2 m", "trays.trays": 8, "trays.pockets": 7}
    spec = load(SPECS / "whole_body_1p5T.yaml", {f"correction.{key}": value for key, value in wanted.items()})
    spread = scatter(blocks, Tolerances(axial=1e-4, radius=1e-4, lateral=1e-4), 0.25, samples=200, seed=1)
    found = magnet_correction.corrections(spec, blocks, spread, lambda words: None)
    figures = magnet_correction.figures(found, spec.correction)
    assert figures["homogeneity_pp_coils"].value < 0.4 * spread.quantile(0.95)
    assert figures["homogeneity_pp_iron"].value < 0.3 * spread.quantile(0.95) and 0 < figures["shim_iron_mass"].value < 20
    points, iron = 0.25 * directions(150), found.iron
    field = np.asarray(displaced(blocks, spread.draws.along[iron.sample], spread.draws.across[iron.sample]).field(points))[:, 2]
    assert iron.before == pytest.approx(np.ptp(field) / field.mean(), rel=0.1)
    pieces = Magnets(iron.places, np.full((56, 3), 0.01), np.zeros((56, 3)), np.outer(iron.placed.counts, [0, 0, 2.0]))  # 1 cm3 each
    filled = field + np.asarray(pieces.field(points))[:, 2]
    assert np.ptp(filled) / filled.mean() == pytest.approx(iron.after, rel=0.35) and np.ptp(filled) < 0.3 * np.ptp(field)


def test_harmonics_of_a_long_winding_are_those_of_its_field():
    """A coil seven times longer than its radius: the series' rms over the ball is that of the field itself."""
    coil = Blocks(*np.array([[0.085, 0.109, -0.29, 0.29, 1.3e8]]).T)
    region = load(SPECS / "small_bore_9p4T.yaml").region
    radius = max(region.half_widths)
    points = regions.ball(radius, order=24)
    field = np.asarray(coil.field(points.points))[:, 2]
    found = magnet_evidence.volume_rms(magnet_evidence.zonal(coil, region))
    assert found == pytest.approx(magnet_evidence.rms(field, points.weights), rel=1e-6)


# --- wound ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_wound_magnet_has_whole_turns_and_keeps_its_limits():
    setting, solution = solved("whole_body_1p5T_wound.yaml", **{"siting.enabled": False})
    assert solution.status is Status.CONVERGED
    windings = solution.design.parts["windings"]
    wire, blocks = setting.spec.conductors[0].wire, windings.blocks()
    layers = np.asarray(blocks.outer_radius - blocks.inner_radius) / wire.height
    turns = np.asarray(blocks.z_high - blocks.z_low) / wire.width
    np.testing.assert_allclose(layers, np.round(layers), atol=1e-6)
    np.testing.assert_allclose(turns, np.round(turns), atol=1e-6)
    assert peak_to_peak(setting, blocks) <= setting.spec.field.homogeneity
    evidence = block_magnet.evidence(setting, solution, block_magnet.wind(setting, solution), lambda words: None)
    value = {name: figure.value for name, figure in evidence.figures.items()}
    assert value["hoop_stress_max"] <= 150e6 and value["critical_current_margin"] >= 0.25
    assert value["hot_spot_temperature"] <= 150 and 0 < value["optimality_gap"] < 0.1
