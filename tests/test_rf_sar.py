"""SAR over 10 g, its quadratic forms, virtual observation points: exact cases, brute force, proof of the bound."""

import numpy as np
import pytest

from designtools.rf import body, sar, solution, vop


def block(shape, spacing=0.005, density=1000.0, empty=()):
    label = np.ones(shape, np.int32)
    label[tuple(empty)] = 0 if empty else 1
    return body.Body(np.zeros(3), spacing, label, np.array([1, 50 - 40j]), np.array([0.0, density]))


def field_forms(voxels, cubes, density):
    """Averages of a power density (nx,ny,nz) W/kg, as forms of one channel."""
    power = np.asarray(density) * voxels.mass
    return sar.box_sum(sar.cumulative(power), cubes.low, cubes.high) / cubes.mass


def coordinates(voxels):
    return np.meshgrid(*(a / voxels.spacing + 0.5 for a in voxels.axes), indexing="ij")  # in voxels, from the grid's corner


def test_cubes_in_the_middle_hold_ten_grams_and_are_centred():
    voxels = block((15, 15, 15))
    cubes = sar.averaging_cubes(voxels)
    np.testing.assert_allclose(cubes.mass, 0.01, rtol=1e-9)
    middle = np.all(cubes.voxel == 7, axis=1)
    assert middle.sum() == 1
    np.testing.assert_allclose(cubes.high[middle] - cubes.low[middle], 1e-5 ** (1 / 3) / 0.005, rtol=1e-9)


@pytest.mark.parametrize("density", [1000.0, 1040.0, 1700.0])
def test_averages_of_constant_linear_and_quadratic_fields(density):
    """Exact: constant and linear fields their value at the middle; a square its voxels' mean, by hand."""
    voxels = block((15, 15, 15), density=density)
    cubes = sar.averaging_cubes(voxels)
    x, y, z = coordinates(voxels)
    inner = np.all((cubes.voxel >= 5) & (cubes.voxel <= 9), axis=1) & np.all(np.isclose((cubes.low + cubes.high) / 2, cubes.voxel + 0.5), axis=1)
    at = cubes.voxel[inner] + 0.5
    np.testing.assert_allclose(field_forms(voxels, cubes, np.full(x.shape, 3.0)), 3.0, rtol=1e-12)
    np.testing.assert_allclose(field_forms(voxels, cubes, 1 + 2 * x - y + 0.5 * z)[inner], 1 + at @ [2, -1, 0.5], rtol=1e-12)
    half = ((cubes.high - cubes.low) / 2)[inner][:, 0]
    whole = np.floor(half - 0.5)  # full voxels to each side, and the part of the next
    part = half - 0.5 - whole
    spread = 2 * (whole * (whole + 1) * (2 * whole + 1) / 6 + part * (whole + 1) ** 2) / (2 * half)
    np.testing.assert_allclose(field_forms(voxels, cubes, x**2)[inner], at[:, 0] ** 2 + spread, rtol=1e-12)


def test_sums_over_boxes_against_overlaps_voxel_by_voxel():
    random = np.random.default_rng(0)
    values = random.normal(size=(6, 7, 5))
    low = random.uniform(-1, 3, (20, 3))
    high = low + random.uniform(0.1, 4, (20, 3))
    for a, b, found in zip(low, high, sar.box_sum(sar.cumulative(values), low, high)):
        parts = [np.clip(np.minimum(np.arange(n) + 1, b[i]) - np.maximum(np.arange(n), a[i]), 0, 1) for i, n in enumerate(values.shape)]
        assert found == pytest.approx(np.einsum("ijk,i,j,k", values, *parts), abs=1e-12)


def test_voxels_at_faces_and_corners_get_cubes_of_their_own():
    """By the rule: at a flat face no centred cube is valid; those not inside a valid cube get cubes with a face on them."""
    voxels = block((13, 13, 13))
    cubes = sar.averaging_cubes(voxels)
    centred = np.all(np.isclose((cubes.low + cubes.high) / 2, cubes.voxel + 0.5), axis=1)
    assert np.all(np.all(cubes.low[centred] >= -0.5, axis=1))
    assert {tuple(v) for v in cubes.voxel[~centred]} >= {(0, 0, 0), (12, 12, 12)}
    assert np.all(np.any(np.isclose(cubes.low[~centred], cubes.voxel[~centred]) | np.isclose(cubes.high[~centred], cubes.voxel[~centred] + 1), axis=1))
    np.testing.assert_allclose(cubes.mass, 0.01, rtol=1e-9)


def test_background_within_a_cube_is_bounded():
    """A gap of air in the middle: no centred cube with more than a tenth of air, nor with a face in air."""
    voxels = block((16, 14, 14), empty=(slice(6, 9),))
    cubes = sar.averaging_cubes(voxels)
    centred = np.all(np.isclose((cubes.low + cubes.high) / 2, cubes.voxel + 0.5), axis=1)
    filled = sar.box_sum(sar.cumulative(voxels.inside), cubes.low[centred], cubes.high[centred])
    assert np.all(filled >= 0.9 * np.prod(cubes.high[centred] - cubes.low[centred], axis=1) - 1e-9)


def test_every_voxel_has_a_value_by_the_rule():
    """A voxel without a valid cube of its own takes the largest of those it lies in wholly, voxel by voxel and box by box."""
    voxels = block((12, 11, 10), empty=(slice(0, 3), slice(0, 3), slice(0, 2)))
    cubes = sar.averaging_cubes(voxels)
    values = np.random.default_rng(5).uniform(1, 2, len(cubes.mass))
    found = sar.voxel_map(voxels.label.shape, cubes, values)
    own = {tuple(v): x for v, x in zip(cubes.voxel[: cubes.valid], values)}
    assert np.isfinite(found[voxels.inside]).all() and 0 < cubes.valid < len(values)
    for voxel in np.argwhere(voxels.inside):
        within = np.all((cubes.low <= voxel + 1e-9) & (cubes.high >= voxel + 1 - 1e-9), axis=1)
        faces = np.all(cubes.voxel == voxel, axis=1) & (np.arange(len(values)) >= cubes.valid)
        inside = within & (np.arange(len(values)) < cubes.valid)
        expected = own.get(tuple(voxel), values[inside].max() if inside.any() else values[faces].max() if faces.any() else None)
        assert found[tuple(voxel)] == expected


def test_a_body_lighter_than_ten_grams_is_refused():
    with pytest.raises(ValueError, match="must hold at least 0.01 kg"):
        sar.averaging_cubes(block((3, 3, 3)))


def test_forms_are_the_sar_of_every_drive_and_add_up_to_the_power():
    voxels, random = block((9, 9, 9)), np.random.default_rng(2)
    electric = random.normal(size=(729, 12, 3)) + 1j * random.normal(size=(729, 12, 3))
    sigma, current = np.full(729, 0.6), random.normal(size=3) + 1j * random.normal(size=3)
    whole = sar.Cubes(np.zeros((1, 3)), np.full((1, 3), 9.0), np.array([voxels.mass.sum()]), np.zeros((1, 3), int))
    form = sar.averaged_forms(voxels, whole, electric, sigma)
    local = 0.6 / 8 * np.sum(np.abs(electric @ current) ** 2, axis=1) / 1000.0
    assert sar.of_drive(form, current)[0] == pytest.approx(local.mean(), rel=1e-12)
    frequency = 0.6 / (2 * np.pi * 8.8541878128e-12 * 40)  # where eps = 50 - 40j has this conductivity
    power = solution.power_form(voxels, electric, frequency)
    np.testing.assert_allclose(sar.whole_form(voxels, power), form[0], rtol=1e-6)


def some_forms(count, channels, seed=0):
    """Forms like those of neighbouring cubes: smooth mixtures of a few, and noise."""
    random = np.random.default_rng(seed)
    draw = lambda *shape: random.normal(size=shape) + 1j * random.normal(size=shape)
    heads, place = draw(6, channels, 3), random.uniform(size=(count, 6)) ** 4
    rows = np.einsum("kh,hcr->kcr", place, heads) + 0.05 * draw(count, channels, 3)
    return rows @ np.swapaxes(rows.conj(), 1, 2)


@pytest.mark.parametrize("overestimate", [0.2, 0.1])
def test_no_drive_exceeds_what_the_points_say(overestimate):
    forms = some_forms(1500, 5)
    points = vop.virtual_observation_points(forms, overestimate)
    assert len(points) < len(forms) / 10
    assert vop.underestimate(points, forms) == 0  # proof: every form is dominated by one point
    random = np.random.default_rng(1)
    drives = random.normal(size=(20000, 5)) + 1j * random.normal(size=(20000, 5))
    worst = lambda q: np.max([np.einsum("da,ab,db->d", drives.conj(), m, drives, optimize=True).real for m in q], axis=0)
    true, said = worst(forms), worst(points)
    assert np.all(said >= true)
    room = overestimate * np.linalg.eigvalsh(forms)[:, -1].max() * np.sum(np.abs(drives) ** 2, axis=1)
    assert np.all(said <= true + room * (1 + 1e-9))


def test_points_that_do_not_bound_are_found_out():
    forms = some_forms(300, 4)
    points = vop.virtual_observation_points(forms, 0.1)
    assert vop.underestimate(points * 0.9, forms) > 0.01
