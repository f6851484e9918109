"""A magnet from its vendor's table: the exterior multipoles fitted to a shielded magnet's own distances."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

from designtools.siting.contours import crossing
from designtools.siting.equivalent import EquivalentMagnet
from designtools.siting.sampling import logarithm, magnitude
from designtools.sources import Blocks, Dipoles
from designtools.units import MU_0

LEVELS = (0.5e-3, 1e-3, 3e-3, 5e-3, 10e-3, 20e-3)
ANGLES = np.linspace(0, np.pi / 2, 13)


def direction(angle):
    return np.stack([np.sin(angle), 0 * angle, np.cos(angle)], axis=-1)


def distances(source, level, angle, nearest=1.0, farthest=12.0):
    """Outermost distance at which |B| falls through a level, along rays at `angle` from the axis."""
    radii = np.geomspace(nearest, farthest, 200)
    size = magnitude(source, (radii[:, None, None] * direction(angle)).reshape(-1, 3)).reshape(len(radii), -1)
    last = len(radii) - 2 - np.argmax(((size[:-1] >= level) & (size[1:] < level))[::-1], axis=0)
    at = lambda k: logarithm(size[k, np.arange(len(angle))], level)
    low, high = (radii[k][:, None] * direction(angle) for k in (last, last + 1))
    return np.linalg.norm(crossing(lambda p: logarithm(magnitude(source, p), level), low, high, at(last), at(last + 1)), axis=1)


@pytest.fixture(scope="module")
def magnet():
    case = json.loads((Path(__file__).parent / "reference" / "magnets_recomputed.json").read_text())["shielded_1p5T"]
    return Blocks(*np.array(case["coils_r1_r2_z1_z2_J"]).T)


@pytest.fixture(scope="module")
def table(magnet):
    return [(level, *distances(magnet, level, np.array([0, np.pi / 2]))) for level in LEVELS]


def rounded(table, step):
    return [(level, *(round(d / step) * step for d in row)) for level, *row in table]


def test_a_table_to_the_centimetre_gives_every_line_within_centimetres(magnet, table):
    """Also between the two directions of the table, and at a level that is not in it."""
    model = EquivalentMagnet.from_contours(rounded(table, 0.01), rounding=0.01)
    assert model.residual < 0.01
    for level in (0.5e-3, 0.9e-3, 2e-3):
        miss = distances(model, level, ANGLES, 1.5) - distances(magnet, level, ANGLES)
        assert np.abs(miss).max() < 0.06 and np.abs(miss[[0, -1]]).max() < 0.01, level


@pytest.mark.parametrize("step", [0.1, 0.05, 0.01])
def test_the_stated_uncertainty_covers_what_rounding_does(magnet, table, step):
    model = EquivalentMagnet.from_contours(rounded(table, step), rounding=step)
    points = distances(magnet, 5e-4, ANGLES)[:, None] * direction(ANGLES)
    off = np.abs(magnitude(model, points) - 5e-4)
    spread = np.asarray(model.uncertainty(points))
    assert np.all(off < 3 * spread) and spread.max() < 3e-4


def test_a_plain_dipole_misses_a_shielded_magnet_by_most_of_a_metre(magnet, table):
    exact = EquivalentMagnet.from_contours(table, rounding=1e-3)
    dipole = EquivalentMagnet.from_contours(table, rounding=1e-3, terms=1)
    assert exact.residual < 0.01 and dipole.residual > 0.9
    own = Dipoles([[0.0, 0.0, 0.0]], [np.asarray(magnet.moment())])
    assert np.abs(distances(own, 5e-4, ANGLES, 0.3) - distances(magnet, 5e-4, ANGLES)).max() > 0.9


def test_a_dipole_is_found_from_two_distances():
    model = EquivalentMagnet.from_contours([(5e-4, 7.3680629972808, 5.8480354764257)], rounding=1e-6, terms=1)
    np.testing.assert_allclose(np.asarray(model.moment()), [0, 0, 1e6], rtol=1e-9)


def test_its_field_is_a_curl_and_a_gradient(table):
    model = EquivalentMagnet.from_contours(table)
    points = np.array([[2.1, 0.4, 0.7], [-0.3, 1.9, 2.5], [0.0, 0.0, 3.0], [4.0, 0.0, 0.0]])
    field = np.asarray(model.field(points))
    slope = np.asarray(jax.vmap(jax.jacfwd(lambda p: model.potential(p[None])[0]))(points))
    curl = np.stack([slope[:, (k + 2) % 3, (k + 1) % 3] - slope[:, (k + 1) % 3, (k + 2) % 3] for k in range(3)], axis=1)
    gradient = np.asarray(jax.vmap(jax.grad(lambda p: model.scalar_potential(p[None])[0]))(points))
    scale = np.abs(field).max()
    np.testing.assert_allclose(curl, field, rtol=1e-10, atol=1e-12 * scale)
    np.testing.assert_allclose(-MU_0 * gradient, field, rtol=1e-10, atol=1e-12 * scale)


def test_beyond_the_table_it_says_so(table):
    from designtools.recipes.siting_evidence import siting_pieces
    from designtools.result import evaluate_requirements
    from designtools.spec.siting import Siting

    model = EquivalentMagnet.from_contours(table[1:])
    assert model.covers(1e-3) and not model.covers(5e-4) and model.warning(1e-3) == ""
    assert model.warning(5e-4).startswith("OUTSIDE MODEL: the table holds 1 mT to 20 mT")
    far = {"name": "desk", "limit": "0.5 mT", "outline": [[5.0, 0.0], [6.0, 0.0], [6.0, 1.0], [5.0, 1.0]]}
    near = far | {"name": "wall", "limit": "1 mT"}
    found = siting_pieces(model, Siting.model_validate({"levels": ["3 mT"], "zones": [far, near]}))
    assert np.isnan(found.figures["fringe_axial_0p5mT"].value) and "OUTSIDE MODEL" in found.figures["fringe_axial_0p5mT"].method
    assert found.figures["fringe_axial_3mT"].value == pytest.approx(table[2][1], abs=0.03)
    states = {row["quantity"]: row["status"] for row in evaluate_requirements(found.implied, found.figures)}
    assert states == {"zone_desk_field_max": "NOT EVALUATED", "zone_wall_field_max": "MET"}


@pytest.mark.parametrize(
    "rows, words",
    [
        ([(5e-4, 3.0, None)], "at least two distances"),
        ([(5e-4, 3.0, 2.0), (1e-3, 3.5, 1.8)], "must not grow with the level"),
        ([(5e-4, 3.0, -2.0)], "must be positive"),
    ],
)
def test_impossible_tables_are_refused_in_words(rows, words):
    with pytest.raises(ValueError, match=words):
        EquivalentMagnet.from_contours(rows)
