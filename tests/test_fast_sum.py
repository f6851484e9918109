"""The tree against the direct sum on geometry nobody chose: its error stays below the bound that was asked for."""

import numpy as np
import pytest

from designtools.fast_sum import fast_field, fast_field_report
from designtools.kernels import octree
from designtools.sources import Assembly, Filaments, Loops, Magnets, Uniform

RNG = np.random.default_rng(20)


def magnets(n, size):
    return Magnets(RNG.random((n, 3)), size * (0.5 + RNG.random((n, 3))), RNG.normal(size=(n, 3)), RNG.normal(size=(n, 3)))


def wires(n, length):
    start = RNG.random((n, 3))
    return Filaments(start, start + length * RNG.normal(size=(n, 3)), RNG.normal(size=n))


def worst(field, exact):
    return np.linalg.norm(field - exact, axis=1).max() / np.linalg.norm(exact, axis=1).max()


@pytest.mark.parametrize("tolerance", [1e-3, 1e-6])
def test_points_inside_and_outside_a_dense_array_of_magnets(tolerance, monkeypatch):
    """Every point is compared, not the sample only; the tree is forced, for the sum is small."""
    monkeypatch.setattr("designtools.fast_sum._SECONDS", {Magnets: (1e-3, 1e-3)})
    source = magnets(600, 0.02)
    clusters = [[0.1, 0.2, 0.3], [0.45, 0.4, 0.6], [0.8, 0.05, 0.9], [1.05, 0.4, 0.4], [1.4, 1.2, 0.1]]
    points = np.concatenate([c + 0.12 * RNG.random((100, 3)) for c in clusters] + [source.centre[:20]])
    report = fast_field_report(source, points, tolerance)
    assert report.depth[0] >= 2
    assert worst(report.field, np.asarray(source.field(points))) <= tolerance
    assert 0 < report.error <= tolerance / 4


def test_wires_and_a_background_together(monkeypatch):
    monkeypatch.setattr("designtools.fast_sum._SECONDS", {Filaments: (1e-3, 1e-3)})
    source = Assembly([wires(3000, 0.01), Uniform([0.0, 0.0, 1e-6])])
    points = RNG.random((1500, 3))
    report = fast_field_report(source, points, 1e-5)
    assert report.depth[0] >= 2 and report.depth[1] == 0
    assert worst(report.field, np.asarray(source.field(points))) <= 1e-5


def test_small_sums_stay_direct():
    source, points = wires(50, 0.1), RNG.random((40, 3))
    report = fast_field_report(source, points)
    assert report.order == report.depth == (0,) and report.error == 0
    np.testing.assert_array_equal(fast_field(source, points), source.field(points))


def test_elements_as_large_as_boxes_are_summed_directly(monkeypatch):
    monkeypatch.setattr("designtools.fast_sum._SECONDS", {Loops: (1e-3, 1e-3)})
    source = Loops(RNG.random((30, 3)), RNG.normal(size=(30, 3)), np.full(30, 0.4), np.ones(30))
    assert fast_field_report(source, RNG.random((40, 3))).depth == (0,)


def test_an_expansion_crosses_every_separated_offset():
    """1/|r - r'| of one charge through each matrix and its mirror images; the error falls as 0.4^p or faster."""
    source, place = np.array([[0.3, -0.2, 0.4]]), np.array([[-0.4, 0.1, 0.25]])
    for order, limit in ((4, 6e-3), (8, 2e-4)):
        moments, test = octree.regular(source, order)[0], octree.regular(place, order)[0]
        for offset, matrix in octree.interaction_matrices(order).items():
            for mirror, sign in octree.mirrors(len(moments)):
                value = test @ (sign * (matrix @ (sign * moments)))
                exact = 1 / np.linalg.norm(mirror * offset + source[0] - place[0])
                assert abs(value - exact) < limit * exact


def test_refusals_are_sentences():
    import jax

    source, points = wires(3, 0.1), RNG.random((4, 3))
    with pytest.raises(ValueError, match="tolerance must be at least 1e-10"):
        fast_field(source, points, 0.0)
    with pytest.raises(TypeError, match="differentiate source.field"):
        jax.grad(lambda p: fast_field(source, p).sum())(points)
