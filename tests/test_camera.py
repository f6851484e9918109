"""Field cameras: the probes of the reference file, harmonics by SciPy, noise by drawing, and readings with a liar among them."""

import json
from pathlib import Path

import numpy as np
import pytest

import designtools as dt
from designtools.harmonics import fit
from designtools.pipeline import run
from designtools.quantities import monitoring
from designtools.solve.optimal_points import d_optimal
from designtools.spec import SpecError, load

SPEC = Path(__file__).parents[1] / "specs" / "head_camera.yaml"
LAYOUTS = json.loads((Path(__file__).parent / "reference" / "shims.json").read_text())["probe_layouts"]
SPHERE = {"kind": "camera", "name": "probes", "surface": {"arrangement": "sphere", "radius": 0.1}, "region": {"radius": 0.08}}


def placed(order, probes, **more):
    from designtools.recipes import camera

    setting = camera.prepare(load(SPHERE | {"order": order, "probes": probes} | more))
    return setting, np.asarray(camera.solve(setting).design.parts["probes"].centre)


@pytest.mark.parametrize("order, probes", [(1, 4), (1, 5), (2, 9), (2, 16), (3, 16), (3, 20), pytest.param(4, 25, marks=pytest.mark.slow)])
def test_probes_on_a_sphere_are_as_good_as_the_reference(order, probes):
    setting, places = placed(order, probes)
    np.testing.assert_allclose(np.linalg.norm(places, axis=1), 0.1, rtol=1e-12)
    F = monitoring.basis(places, order, 0.1)
    assert monitoring.condition(F) <= LAYOUTS[f"L{order}_N{probes}"]["condition"] * 1.0005 + 1e-9
    assert monitoring.d_efficiency(F) <= 1 + 1e-12  # the equivalence theorem of Kiefer and Wolfowitz


def test_no_single_exchange_betters_the_choice():
    rng = np.random.default_rng(0)
    rows = monitoring.basis(rng.normal(size=(300, 3)), 2, 1.0)
    chosen = d_optimal(rows, 11, starts=3)[0]
    best = np.linalg.slogdet(rows[chosen].T @ rows[chosen])[1]
    for place in range(11):
        for other in range(0, 300, 7):
            trial = chosen.copy()
            trial[place] = other
            assert np.linalg.slogdet(rows[trial].T @ rows[trial])[1] <= best + 1e-9


def test_probes_keep_their_distance_and_out_of_spaces():
    box = {"shape": "box", "place": [0, 0, 0.1], "size": [0.12, 0.12, 0.06]}
    setting, places = placed(2, 12, spacing=0.05, keep_out=[box], surface={"arrangement": "sphere", "radius": 0.1, "lowest": -0.05})
    assert places[:, 2].min() >= -0.05 - 1e-9
    assert not np.all(np.abs(places - [0, 0, 0.1]) < np.array([0.06, 0.06, 0.03]), axis=1).any()
    away = np.linalg.norm(places[:, None] - places[None], axis=2) + np.eye(12)
    assert away.min() >= 0.05 - 1e-6
    free = placed(2, 12)[1]
    worth = lambda p: monitoring.d_efficiency(monitoring.basis(p, 2, 0.1))
    assert worth(places) < worth(free)


@pytest.mark.parametrize("surface", [{"arrangement": "cylinder", "radius": 0.1, "length": 0.2}, {"arrangement": "ellipsoid", "semi_axes": [0.1, 0.12, 0.09]}])
def test_other_surfaces(surface):
    _, places = placed(2, 12, surface=surface)
    half = np.array(surface.get("semi_axes", (0.1, 0.1, np.inf)))
    np.testing.assert_allclose(np.sum((places / half) ** 2, axis=1), 1, rtol=1e-9)
    assert np.abs(places[:, 2]).max() <= 0.1 + 1e-12


def test_places_from_a_table(tmp_path):
    rng = np.random.default_rng(2)
    table = rng.normal(size=(40, 3)) * 80
    (tmp_path / "places.csv").write_text("x_mm,y_mm,z_mm\n" + "\n".join(",".join(map(str, row)) for row in table))
    _, places = placed(1, 6, surface={"arrangement": "points", "path": str(tmp_path / "places.csv")})
    assert all(np.linalg.norm(table * 1e-3 - p, axis=1).min() < 1e-12 for p in places)


# --- what the readings say --------------------------------------------------------------------------


def test_the_spread_of_the_fit_is_that_of_drawn_noise():
    _, places = placed(2, 14)
    F = monitoring.basis(places, 2, 0.1)
    at = monitoring.basis(np.random.default_rng(3).normal(size=(20, 3)) * 0.04, 2, 0.1)
    drawn = np.random.default_rng(4).normal(size=(20_000, 14))
    fields = np.linalg.lstsq(F, drawn.T, rcond=None)[0].T @ at.T
    np.testing.assert_allclose(fields.std(axis=0), monitoring.spread_of_fit(F, at), rtol=0.03)


def test_the_basis_is_that_of_the_harmonics():
    points = np.random.default_rng(5).normal(size=(30, 3)) * 0.05
    coefficients = np.random.default_rng(6).normal(size=9)
    table = fit(points, monitoring.basis(points, 2, 0.1) @ coefficients, 2, 0.1)
    other = np.random.default_rng(7).normal(size=(10, 3)) * 0.05
    np.testing.assert_allclose(table.component(other), monitoring.basis(other, 2, 0.1) @ coefficients, atol=1e-12)


def test_a_lying_probe_is_found_and_left_out():
    _, places = placed(2, 14)
    F = monitoring.basis(places, 2, 0.1)
    rng = np.random.default_rng(8)
    truth = rng.normal(size=(200, 9)) * 1e-6
    noise = 1e-9
    clean = truth @ F.T + noise * rng.normal(size=(200, 14))
    fault = clean.copy()
    liar = rng.integers(14, size=200)
    fault[np.arange(200), liar] += 3 * noise * monitoring.smallest_fault(F)[liar]
    found = monitoring.fitted(F, fault, noise)
    assert np.mean(found.bad[np.arange(200), liar]) > 0.99
    assert monitoring.fitted(F, clean, noise).bad.mean() < 0.01  # one in a thousand, of 14 in each frame
    error = lambda c: np.sqrt(np.mean((c - truth) ** 2))
    naive = fault @ np.linalg.pinv(F).T
    assert error(found.coefficients) < 0.25 * error(naive)


def test_the_smallest_fault_is_found_four_times_in_five():
    _, places = placed(2, 14)
    F = monitoring.basis(places, 2, 0.1)
    size = monitoring.smallest_fault(F)
    residual = np.eye(14) - F @ np.linalg.pinv(F)
    noise = np.random.default_rng(9).normal(size=(20_000, 14))
    for k in (0, 5):
        faulty = noise.copy()
        faulty[:, k] += size[k]
        judged = np.abs(faulty @ residual[k]) / np.sqrt(residual[k, k])
        assert np.mean(judged > monitoring.FALSE_ALARM) == pytest.approx(0.8, abs=0.01)


def test_magnitudes_at_low_field_give_the_field_back_with_its_concomitants():
    """Exact fields of real coils at 10 mT: gradients whose field across is a tenth of the main one."""
    b0 = 10e-3
    _, places = placed(3, 24)
    signs = np.array([[a, b] for a in (1, -1) for b in (1, -1)])
    centre = np.concatenate([[[0, 0, 0.35], [0, 0, -0.35]], [[0.35 * a, 0, 0.25 * b] for a, b in signs]])  # a Maxwell pair, and an x gradient
    normal = np.concatenate([[[0, 0, 1.0], [0, 0, -1]], np.tile([1.0, 0, 0], (4, 1))])
    coils = dt.Loops(centre, normal, np.array([0.3, 0.3, 0.15, 0.15, 0.15, 0.15]), np.concatenate([[3000.0, 3000], 6000.0 * signs[:, 1]]))
    field = np.asarray(coils.field(places))
    assert 0.02 < np.abs(field[:, :2]).max() / b0 < 0.3
    magnitude = np.linalg.norm(field + [0, 0, b0], axis=1)
    F = monitoring.basis(places, 3, 0.1)
    linear = np.linalg.lstsq(F, magnitude - b0, rcond=None)[0]
    exact = monitoring.magnitude_fit(places, magnitude, b0, 3, 0.1)
    inside = np.random.default_rng(10).normal(size=(200, 3)) * 0.03
    true = np.asarray(coils.field(inside))[:, 2]
    error = lambda c: np.abs(monitoring.basis(inside, 3, 0.1) @ c - true).max()
    assert error(exact) < 0.05 * error(linear)


def test_magnitudes_of_fields_within_the_model_are_exact():
    """Potentials without sectoral terms to the order fitted: Gauss-Newton ends at rounding."""
    _, places = placed(2, 16)
    truth = np.random.default_rng(11).normal(size=9) * 4e-4
    across_1, across_2, along = monitoring._field_basis(places, 2, 0.1, (0, 0, 1.0))
    magnitude = np.sqrt((10e-3 + along @ truth) ** 2 + (across_1 @ truth) ** 2 + (across_2 @ truth) ** 2)
    np.testing.assert_allclose(monitoring.magnitude_fit(places, magnitude, 10e-3, 2, 0.1), truth, atol=1e-15)


def test_fields_of_the_basis_are_fields():
    """Along the axis they are the basis; across it they follow from a potential: no curl, no divergence."""
    points = np.random.default_rng(12).normal(size=(6, 3)) * 0.05
    parts = lambda p: np.stack(monitoring._field_basis(p, 3, 0.1, (0, 0, 1.0)), axis=1)
    np.testing.assert_allclose(parts(points)[:, 2], monitoring.basis(points, 3, 0.1), atol=1e-12)
    step = 1e-6
    slope = np.stack([(parts(points + step * e) - parts(points - step * e)) / (2 * step) for e in np.eye(3)], axis=-1)  # P, component, K, derivative
    np.testing.assert_allclose(np.einsum("pckc->pk", slope), 0, atol=1e-6)
    np.testing.assert_allclose(slope, np.swapaxes(slope, 1, 3), atol=1e-6)


# --- the spec, end to end -----------------------------------------------------------------------------


def test_the_head_camera_meets_its_spec_and_reads(tmp_path):
    first = run(SPEC, out=tmp_path / "camera")
    assert first.status == "done" and (tmp_path / "camera" / "report.html").exists()
    assert abs(first.audit["other harmonics"]["difference from ours"]) < 1e-10
    drawn = first.audit["drawn noise"]
    assert drawn["largest spread in the region (T)"] == pytest.approx(drawn["predicted there (T)"], rel=0.06)
    assert drawn["one frame, difference from harmonics.fit (T)"] < 1e-18
    places = np.array(first.audit["probes_m"])
    radius = float(np.linalg.norm(places, axis=1).mean())
    frames = 42.577478518e6 * (1e-6 * monitoring.basis(places, 3, radius)[:, :4].sum(axis=1))[None] + np.zeros((3, 1))
    frames[1, 7] += 42.577478518e6 * 5e-7
    np.savetxt(tmp_path / "frames.csv", frames, delimiter=",")
    second = run(SPEC, overrides={"readings": {"path": str(tmp_path / "frames.csv")}})
    assert second.figures["readings_bad"].value == 1 and second.audit["readings"]["bad"] == [[], [7], []]
    assert second.figures["fit_residual_rms"].value < 1e-10


@pytest.mark.parametrize(
    "change, words",
    [
        ({"probes": 15}, r"at least \(order \+ 1\)\^2 = 16"),
        ({"spacing": "150 mm"}, "must leave room for 24 probes"),
        ({"surface.lowest": "130 mm"}, "must leave a part of the surface"),
        ({"surface": {"arrangement": "cylinder", "radius": "0.1 m"}}, "surface.length"),
        ({"readings": {"path": str(SPEC)}}, "must hold numbers"),
    ],
)
def test_what_cannot_be_is_refused_in_words(change, words):
    with pytest.raises(SpecError, match=words):
        run(SPEC, overrides=change)
