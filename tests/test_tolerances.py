"""Scatter of built magnets against exact geometry and published Monte-Carlos; shim coils and iron that correct it."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

import designtools as dt
from designtools import regions
from designtools.harmonics import harmonics
from designtools.quantities import magnet_shims, scatter
from designtools.quantities.scatter import Tolerances
from designtools.solve import pieces

FACTS = json.loads((Path(__file__).parent / "reference" / "superconductors.json").read_text())["scatter_0.1mm"]
ALL = Tolerances(axial=1e-4, radius=1e-4, thickness=5e-5, length=1e-4, ampere_turns=1e-5, lateral=1e-4, tilt=1e-4)


def magnet(name):
    return dt.Blocks(*np.array(FACTS[name]["coils"]).T)


@pytest.fixture(scope="module")
def sample():
    """The 1.5 T magnet with every kind of error."""
    return scatter.scatter(magnet("wb15_1sh"), ALL, 0.25, samples=1000, seed=4)


@pytest.mark.parametrize("name", ["wb15_1sh", "hb7"])
def test_published_scatter(name):
    """Axial placement of 0.1 mm rms alone, which meets both medians of record; the record does not say what it drew.

    Medians of 178 and 108 ppm against 173 and 114, 95th percentiles of 351 and 298 against 407 and 284 (12,000
    samples): 200 samples, say, have standard errors of 8 and 7, 17 and 17 ppm.
    """
    found = scatter.scatter(magnet(name), Tolerances(axial=1e-4), FACTS[name]["radius_m"], samples=4000, seed=9)
    assert 1e6 * found.nominal == pytest.approx(FACTS[name]["nominal_ppm"], rel=2e-3)
    assert 1e6 * found.quantile(0.5) == pytest.approx(FACTS[name]["median_ppm"], rel=0.08)
    assert 1e6 * found.quantile(0.95) == pytest.approx(FACTS[name]["p95_ppm"], rel=0.17)
    assert found.dominant == "axial" and found.shares["axial"].sum() == pytest.approx(1)


def test_a_thousand_magnets_take_seconds(sample):
    before = time.process_time()
    again = scatter.scatter(magnet("wb15_1sh"), ALL, 0.25, samples=1000, seed=4)
    assert time.process_time() - before < 5
    np.testing.assert_array_equal(again.peak_to_peak, sample.peak_to_peak)


def test_samples_are_the_field_of_displaced_windings(sample):
    """Exact geometry (shifted, tilted blocks) on a dense sphere, against harmonics of order 0 and 1; 1 % of the worst."""
    theta, phi = np.linspace(0, np.pi, 121), np.linspace(0, 2 * np.pi, 48, endpoint=False)
    places = 0.25 * np.stack([np.outer(np.sin(theta), np.cos(phi)), np.outer(np.sin(theta), np.sin(phi)), np.outer(np.cos(theta), np.ones(48))], axis=-1)
    for i in (0, int(np.argmax(sample.peak_to_peak))):
        built = scatter.displaced(magnet("wb15_1sh"), sample.draws.along[i], sample.draws.across[i])
        field = np.asarray(built.field(places.reshape(-1, 3)))[:, 2]
        assert np.ptp(field) / field.mean() == pytest.approx(sample.peak_to_peak[i], rel=0.005)


def test_coefficients_of_order_one_are_those_of_the_exact_source():
    """One block, tiny shift and tilt; the project's own harmonics of the posed block; 1e-5 of the coefficient."""
    one = dt.Blocks([0.3], [0.33], [0.1], [0.2], [1e8])
    model = scatter._Model.of(one, 0.15)
    step = 1e-5
    for across, mine in (([step, 0, 0, 0], model.lateral), ([0, 0, 0, step], model.tilt)):
        table = harmonics(scatter.displaced(one, np.zeros((5, 1)), np.array(across)[:, None]), 0.15, 6, nodes=64)
        np.testing.assert_allclose(np.asarray(table.cosine)[1:7, 1] / step, mine[0, 1:7], rtol=1e-5, atol=1e-6 * np.abs(mine).max())


def test_the_jacobian_predicts_the_scatter(sample):
    np.testing.assert_allclose(sample.linear, sample.peak_to_peak, rtol=0.01)
    shares = {name: float(part.sum()) for name, part in sample.shares.items()}
    assert sum(shares.values()) == pytest.approx(1) and sample.dominant == max(shares, key=shares.get)


def test_shares_are_variances_of_the_field(sample):
    """Mean square deviation over the sphere of magnets with one kind of error alone, by the samples themselves."""
    alone = {}
    for name in ("axial", "lateral"):
        found = scatter.scatter(magnet("wb15_1sh"), Tolerances(**{name: 1e-4}), 0.25, samples=1000)
        n = np.arange(found.zonal.shape[1])
        change = found.zonal / found.zonal[:, :1] - found.zonal.mean(axis=0) / found.zonal[:, 0].mean()
        first = (found.cosine**2 + found.sine**2) * n * (n + 1) / (2 * (2 * n + 1)) / found.zonal[0, 0] ** 2
        alone[name] = float(np.mean((change**2 / (2 * n + 1))[:, 1:].sum(axis=1) + first.sum(axis=1)))
    expected = sample.shares["axial"].sum() / sample.shares["lateral"].sum()
    assert alone["axial"] / alone["lateral"] == pytest.approx(expected, rel=0.15)


def test_halving_a_tolerance_is_worth_what_it_says(sample):
    tighter = scatter.scatter(magnet("wb15_1sh"), Tolerances(**{**vars(ALL), "axial": 5e-5}), 0.25, samples=1000, seed=4)
    assert sample.halved["axial"] == pytest.approx(np.median(tighter.peak_to_peak), rel=0.01)
    assert min(sample.halved, key=sample.halved.get) in ("axial", "lateral") and sample.halved["axial"] < np.median(sample.peak_to_peak)


def test_yield_has_an_honest_interval():
    """Clopper-Pearson: the ends leave 2.5 % on either side; none and all have one-sided ends."""
    low, high = scatter.clopper_pearson(37, 100)
    assert binom.sf(36, 100, low) == pytest.approx(0.025) and binom.cdf(37, 100, high) == pytest.approx(0.025)
    assert scatter.clopper_pearson(0, 50)[0] == 0 and scatter.clopper_pearson(50, 50)[1] == 1
    found = scatter.scatter(magnet("hb7"), Tolerances(axial=1e-4), 0.2, samples=200)
    share, low, high = found.yield_below(found.quantile(0.8))
    assert low < share < high and share == pytest.approx(0.8, abs=0.01) and found.yield_below(0.0)[0] == 0


def test_errors_that_are_none_are_refused():
    with pytest.raises(ValueError, match="Tolerances: tilt must be zero or positive, got -0.1"):
        Tolerances(tilt=-0.1)
    with pytest.raises(ValueError, match="must lie clear of the blocks"):
        scatter.scatter(magnet("hb7"), Tolerances(), 0.6)


# --- correction -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def coils():
    return magnet_shims.shim_set(0.6, 0.8, 0.25, degree=2, order=2)


def test_shim_coils_make_one_harmonic(coils):
    assert [c.name for c in coils[:5]] == ["Z", "Z2", "X", "Y", "ZX"] and len(coils) == 2 + 4 + 2
    for coil in (coils[1], coils[2], coils[5], coils[7]):
        table = harmonics(coil.source, 0.25, 4, nodes=48)
        values = {"cosine": np.asarray(table.cosine), "sine": np.asarray(table.sine)}
        assert values[coil.kind][coil.degree, coil.order] == pytest.approx(coil.strength, rel=1e-6)
        values[coil.kind] = values[coil.kind] - coil.strength * (np.indices((5, 5)) == np.array([coil.degree, coil.order])[:, None, None]).all(axis=0)
        rest = max(np.abs(v[:, : 3 * coil.order] if coil.order else v).max() for v in values.values())
        assert rest < 1e-5 * coil.strength, coil.name


def test_saddles_are_closed_circuits(coils):
    """What an arc or a leg brings to a node leaves it by the others."""
    for coil in coils[2:]:
        arcs, legs = coil.source.parts
        end = lambda phi: np.stack([0.6 * np.cos(phi), 0.6 * np.sin(phi), arcs.centre[:, 2]], axis=1)
        places = np.concatenate([end(arcs.start), end(arcs.stop), legs.start, legs.end])
        amperes = np.concatenate([-arcs.current, arcs.current, -legs.current, legs.current])
        nodes, index = np.unique(places.round(9) + 0.0, axis=0, return_inverse=True)
        net = np.bincount(index.ravel(), amperes)
        assert len(nodes) == 2 * len(arcs.current) and np.abs(net).max() < 1e-9 and np.abs(arcs.current).max() == pytest.approx(1)


def test_the_set_corrects_the_scatter(sample, coils):
    """The currents of one sample take its harmonics to degree 2 away, in the field itself."""
    need = magnet_shims.required_ampere_turns(coils, sample)
    assert need["Z2"] > need["Z"] > 10 and need["C22"] == need["S22"] == 0
    i, points = 7, regions.shell(0.25, order=16).points
    found = {(0, "cosine"): sample.zonal[i], (1, "cosine"): sample.cosine[i], (1, "sine"): sample.sine[i]}
    field = np.asarray(scatter.displaced(magnet("wb15_1sh"), sample.draws.along[i], sample.draws.across[i]).field(points))[:, 2]
    before = np.ptp(field)
    for coil in coils[:6]:
        current = -found[coil.order, coil.kind][coil.degree] / coil.strength
        field = field + current * np.asarray(coil.source.field(points))[:, 2]
    left = scatter.peak_to_peak(sample.zonal[[i]], sample.cosine[[i]], sample.sine[[i]], shimmed=2)[0]
    assert np.ptp(field) < 0.7 * before and np.ptp(field) / field.mean() == pytest.approx(left, rel=0.1)


def test_iron_is_a_dipole():
    points, places = np.array([[0.05, 0.02, -0.1], [0.0, 0.0, 0.2]]), magnet_shims.tray_pockets(0.4, 6, 3, 0.9)
    response = np.asarray(magnet_shims.iron_response(points, places, 1e-6, saturation=2.0))
    cube = dt.Magnets(centre=places[4:5], size=[[0.01, 0.01, 0.01]], rotation=[[0.0, 0.0, 0.0]], polarization=[[0.0, 0.0, 2.0]])
    np.testing.assert_allclose(response[:, 4], np.asarray(cube.field(points))[:, 2], rtol=1e-3)
    assert places.shape == (18, 3) and np.allclose(np.hypot(*places[:, :2].T), 0.4) and places[:, 2].max() == pytest.approx(0.3)


def test_pieces_are_placed_as_well_as_can_be():
    """Small enough to try every placement."""
    rng = np.random.default_rng(3)
    base, response = rng.normal(size=12), rng.normal(size=(12, 5))
    found = pieces.place_pieces(base, response, 2)
    every = np.stack(np.meshgrid(*[np.arange(3)] * 5, indexing="ij"), axis=-1).reshape(-1, 5)
    best = np.ptp(base[:, None] + response @ every.T, axis=0).min()
    assert found.value == pytest.approx(best, rel=1e-9) and found.bound == pytest.approx(best, rel=1e-4)
    assert found.relaxed <= found.bound * (1 + 1e-9) and found.value == pytest.approx(np.ptp(base + response @ found.counts))
    none = pieces.place_pieces(base, response, 2, thrift=100.0)
    assert none.counts.sum() == 0 and none.value == found.before == pytest.approx(np.ptp(base))


def test_trays_flatten_a_scattered_magnet(sample):
    """60 pockets on 12 trays; the outcome is counted again from the pieces, and the bound lies below it."""
    points = regions.shell(0.25, order=12).points
    i = int(np.argsort(sample.peak_to_peak)[500])
    field = np.asarray(scatter.displaced(magnet("wb15_1sh"), sample.draws.along[i], sample.draws.across[i]).field(points))[:, 2]
    response = np.asarray(magnet_shims.iron_response(points, magnet_shims.tray_pockets(0.42, 12, 5, 1.0), 1e-6))
    found = pieces.place_pieces(field, response, 40, seconds=3.0)
    assert found.bound <= found.value < 0.3 * found.before and found.counts.max() <= 40 and found.counts.dtype.kind == "i"
    assert found.value == pytest.approx(np.ptp(field + response @ found.counts), rel=1e-12) and 0 <= found.gap < 1


def test_trays_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="place_pieces: base"):
        pieces.place_pieces(np.zeros(3), np.zeros((4, 2)), 1)
    assert pieces.place_pieces(np.zeros(3), np.ones((3, 2)), 1).value == 0
