"""Regions: weights that make means, rules that are exact to their degree, points that keep the symmetries."""

import numpy as np
import pytest

from designtools import regions
from designtools.audit import unseen_points

CENTRE = np.array([0.01, -0.02, 0.03])
EVERY = {
    "shell": regions.shell(0.1, CENTRE),
    "ball": regions.ball(0.1, CENTRE),
    "ellipsoid": regions.ellipsoid((0.1, 0.12, 0.08), CENTRE),
    "cylinder": regions.cylinder(0.1, 0.4, 24, 31),
    "scattered ball": regions.scattered_ball(0.1, CENTRE),
    "unseen": unseen_points((0.1, 0.12, 0.08), CENTRE, 500, 3),
}


def moment(region, powers):
    """Mean of x^i y^j z^k over the region, about its centre."""
    return region.weights @ np.prod((region.points - CENTRE) ** np.array(powers), axis=1)


def odd_factorial(n):
    return np.prod(np.arange(n, 0, -2.0)) if n > 0 else 1.0


def sphere_mean(i, j, k):
    """Mean of x^i y^j z^k over the unit sphere: (i-1)!! (j-1)!! (k-1)!! / (i+j+k+1)!!, zero where one is odd."""
    odd = i % 2 or j % 2 or k % 2
    return 0.0 if odd else odd_factorial(i - 1) * odd_factorial(j - 1) * odd_factorial(k - 1) / odd_factorial(i + j + k + 1)


def monomials(degree):
    return [(i, j, d - i - j) for d in range(degree + 1) for i in range(d + 1) for j in range(d + 1 - i)]


@pytest.mark.parametrize("name", EVERY)
def test_weights_are_those_of_a_mean(name):
    region = EVERY[name]
    assert len(region) == len(region.weights) == len(region.points)
    assert region.points.shape[1] == 3 and (region.weights > 0).all()
    assert region.weights.sum() == pytest.approx(1, abs=1e-13)


@pytest.mark.parametrize("order", [2, 5, 8, 16])
def test_a_shell_integrates_polynomials_of_its_order_exactly(order):
    region = regions.shell(2.0, CENTRE, order)
    for powers in monomials(order):
        assert moment(region, powers) == pytest.approx(2.0 ** sum(powers) * sphere_mean(*powers), rel=1e-12, abs=1e-10)


def test_a_shell_is_no_better_than_its_order_says():
    """z^(2n) with n Gauss points is the first that fails."""
    order = 8
    first = 2 * (order // 2 + 1)
    assert abs(moment(regions.shell(1.0, CENTRE, order), (0, 0, first)) - sphere_mean(0, 0, first)) > 1e-5


@pytest.mark.parametrize("order", [2, 5, 12])
def test_a_ball_integrates_polynomials_of_its_order_exactly(order):
    region = regions.ball(2.0, CENTRE, order)
    for powers in monomials(order):
        d = sum(powers)
        assert moment(region, powers) == pytest.approx(3 / (d + 3) * 2.0**d * sphere_mean(*powers), rel=1e-12, abs=1e-10)


def test_a_shell_keeps_the_mirror_planes_and_quarter_turns():
    points = regions.shell(1.0, order=10).points
    for image in (points * [-1, 1, 1], points * [1, -1, 1], points * [1, 1, -1], points[:, [1, 0, 2]] * [-1, 1, 1]):
        distance = np.linalg.norm(image[:, None] - points[None], axis=2).min(axis=1)
        assert distance.max() < 1e-14


def test_an_ellipsoid_lies_on_its_surface():
    semi_axes = np.array([0.1, 0.12, 0.08])
    scaled = (EVERY["ellipsoid"].points - CENTRE) / semi_axes
    np.testing.assert_allclose(np.linalg.norm(scaled, axis=1), 1, rtol=1e-14)


def test_a_cylinder_stands_along_its_frame_with_both_rims():
    frame = np.array([[0, 1.0, 0], [0, 0, 1.0], [1.0, 0, 0]])  # axis along x
    region = regions.cylinder(0.2, 0.6, 16, 13, frame)
    x = region.points[:, 0]
    np.testing.assert_allclose(np.hypot(*region.points[:, 1:].T), 0.2, rtol=1e-14)
    assert x.min() == pytest.approx(-0.3, abs=1e-15) and x.max() == pytest.approx(0.3, abs=1e-15)
    assert region.weights @ x**2 == pytest.approx(0.6**2 / 12, rel=2e-2)  # trapezoidal rule: error h^2 / 6
    finer = regions.cylinder(0.2, 0.6, 16, 25, frame)
    errors = [r.weights @ r.points[:, 0] ** 2 - 0.6**2 / 12 for r in (region, finer)]
    assert errors[0] / errors[1] == pytest.approx(4, rel=1e-6)


def test_scattered_points_fill_the_ball_and_crowd_on_its_surface():
    region = regions.scattered_ball(0.1, CENTRE, count=5000, seed=4)
    r = np.linalg.norm(region.points - CENTRE, axis=1) / 0.1
    assert r.max() <= 1 + 1e-12 and np.isclose(r, 1).sum() == 2000
    inside = r[~np.isclose(r, 1)]
    assert (inside**3).mean() == pytest.approx(0.5, abs=0.02)  # uniform in volume
    again = regions.scattered_ball(0.1, CENTRE, count=5000, seed=4)
    np.testing.assert_array_equal(region.points, again.points)
    assert np.abs(region.points - regions.scattered_ball(0.1, CENTRE, count=5000, seed=5).points).max() > 0.01


def test_unseen_points_stay_in_the_ellipsoid():
    region = EVERY["unseen"]
    size = np.linalg.norm((region.points - CENTRE) / [0.1, 0.12, 0.08], axis=1)
    assert size.max() <= 1 + 1e-12 and np.isclose(size, 1).sum() == 200
