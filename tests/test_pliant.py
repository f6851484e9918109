"""Turns that give way: field, distance and bend answer as told, what is symmetric stays so; the radius of a bend is true."""

from __future__ import annotations

import numpy as np
import pytest

from designtools.formers.cylinder import Cylinder
from designtools.formers.symmetry import Symmetry, find
from designtools.windings import contour, pliant
from designtools.windings.bend import sharpest_bend
from designtools.windings.displacement import dipole_fields
from designtools.windings.spacing import wire_spacing
from designtools.windings.winding import Track, Winding

NOBODY = Symmetry(np.eye(3)[None], np.ones(1), (), np.zeros(3))
FORMER = Cylinder(0.2, 0.6)
CURRENT = 10.0


def onto(points):
    uv = FORMER.inverse(points)
    return FORMER.at(uv), FORMER.normal(uv)


def lobes():
    """Turns of an x gradient on a cylinder, and the symmetry of its task."""
    mesh = FORMER.mesh(0.03)
    u, v = mesh.uv.T
    psi = 100 * np.cos(u) * np.sin(2 * np.pi * v / 0.6)
    psi[np.concatenate(mesh.boundaries)] = 0
    values, _ = contour.levels(psi, turns=4)
    tracks = tuple(pliant.evened(t, 0.01, 400, onto) for t in contour.contours(FORMER, mesh, psi, values))
    kept = lambda q, v: {1.0: 1, -1.0: -1}.get(round(float(v @ q @ v), 9), 0)
    sign = lambda q: kept(q, np.array([0, 0, 1.0])) * kept(q, np.array([1.0, 0, 0]))
    return tracks, find([mesh], np.eye(3), np.zeros(3), sign, len(mesh.boundaries[0]))


@pytest.fixture(scope="module")
def coil():
    return lobes()


def moved(found, tracks, symmetry, c):
    return pliant.moved(found, tracks, symmetry, c, lambda _, track: pliant.evened(track, 0.01, 400, onto))


def some(found, size, seed=0):
    """Random coefficients, slow waves larger."""
    return size * np.random.default_rng(seed).normal(size=pliant.count(found)) / 4


def field(tracks, points):
    return np.asarray(Winding("w", tracks, CURRENT, 1e-3, 1e-3).filaments().field(points))


def test_the_tracks_fall_into_families_of_the_group(coil):
    tracks, symmetry = coil
    found = pliant.families(tracks, symmetry, 0.1)
    assert len(symmetry) == 8
    assert sorted(i for f in found for i, *_ in f.images) == list(range(len(tracks)))
    assert all(len(f.images) == 4 for f in found)  # each lobe is its own mirror image once
    assert all(f.modes.shape[1] == f.waves + 1 for f in found)  # so half its waves are left


@pytest.mark.parametrize("grouped", [True, False])
def test_the_field_of_moved_turns_changes_as_told(coil, grouped):
    tracks, symmetry = coil
    symmetry = symmetry if grouped else NOBODY
    found = pliant.families(tracks, symmetry, 0.1)
    at = pliant.samples(found, tracks, symmetry, 5e-3)
    points = np.random.default_rng(1).uniform(-0.1, 0.1, (20, 3))
    c = some(found, 1e-3)
    told = dipole_fields(points, at.points, CURRENT * at.moment) @ (at.shape @ c)
    true = (field(moved(found, tracks, symmetry, c), points) - field(moved(found, tracks, symmetry, -c), points)) / 2
    np.testing.assert_allclose(told, true, atol=0.01 * np.abs(true).max())


def test_what_is_symmetric_stays_so(coil):
    tracks, symmetry = coil
    found = pliant.families(tracks, symmetry, 0.1)
    after = moved(found, tracks, symmetry, some(found, 5e-3))
    assert max(abs(a.length - b.length) for a, b in zip(after, tracks)) > 2e-3
    points = np.random.default_rng(2).uniform(-0.1, 0.1, (10, 3))
    here = field(after, points)
    for q, sign in zip(symmetry.maps, symmetry.signs):
        np.testing.assert_allclose(field(after, points @ q.T), sign * here @ q.T, atol=1e-6 * np.abs(here).max())


def test_moved_turns_stay_on_the_surface_and_closed(coil):
    tracks, symmetry = coil
    found = pliant.families(tracks, symmetry, 0.1)
    for track in moved(found, tracks, symmetry, some(found, 5e-3)):
        assert track.closed
        np.testing.assert_allclose(np.hypot(*track.points.T[:2]), 0.2, atol=1e-12)


def test_distances_change_as_told(coil):
    """The closest approach of each turn and the next, against the linear prediction of all rows."""
    tracks, symmetry = coil
    found = pliant.families(tracks, symmetry, 0.1)
    same = np.zeros(len(tracks), int)
    at = pliant.samples(found, tracks, symmetry, 2e-3)
    distance, slope = pliant.distances(at, 0.08, 0.08, 1e-3, same)
    assert distance.min() == pytest.approx(wire_spacing(tracks, 1e-3).distance, rel=2e-3)
    c = some(found, 2e-3, seed=3)
    told = (distance + slope @ c).min()
    assert abs(told - distance.min()) > 2e-4  # the change is one that matters
    assert wire_spacing(moved(found, tracks, symmetry, c), 1e-3).distance == pytest.approx(told, abs=0.15 * abs(told - distance.min()))


def test_bends_change_as_told():
    """Of a circle on a plane: its curvature is the same everywhere, so it does not matter which place is which afterwards."""
    t = np.linspace(0, 2 * np.pi, 401)
    circle = (closed(0.1 * np.cos(t), 0.1 * np.sin(t)),)
    found = pliant.families(circle, NOBODY, 0.1)
    flat = lambda _, track: track
    bends = lambda c: pliant.bends(pliant.samples(found, pliant.moved(found, circle, NOBODY, c, flat), NOBODY, np.inf))[0]
    now, slope, surface = pliant.bends(pliant.samples(found, circle, NOBODY, np.inf))
    np.testing.assert_allclose(now, 10.0, rtol=1e-3)
    c = some(found, 2e-4, seed=4)
    measured = (bends(c) - bends(-c)) / 2
    np.testing.assert_allclose(slope @ c, measured, atol=0.02 * np.abs(measured).max())
    np.testing.assert_allclose(surface, 0, atol=1e-9)


# --- bends --------------------------------------------------------------------------------------------


def closed(x, y):
    points = np.column_stack([x, y, np.zeros_like(x)])
    points[-1] = points[0]
    return Track(points, np.tile([0, 0, 1.0], (len(points), 1)), ("turn",) * (len(points) - 1))


@pytest.mark.parametrize("count", [12, 48, 1000])
def test_a_circle_has_its_radius_however_it_is_divided(count):
    t = np.linspace(0, 2 * np.pi, count + 1)
    assert sharpest_bend([closed(0.1 * np.cos(t), 0.1 * np.sin(t))], 2e-3) == pytest.approx(0.1, rel=1e-9)
    uneven = t + 0.3 * np.sin(t)
    assert sharpest_bend([closed(0.1 * np.cos(uneven), 0.1 * np.sin(uneven))], 2e-3) == pytest.approx(0.1, rel=0.02)


@pytest.mark.parametrize("count", [200, 2000])
def test_an_ellipse_is_sharpest_at_its_ends(count):
    t = np.linspace(0, 2 * np.pi, count + 1)
    assert sharpest_bend([closed(0.2 * np.cos(t), 0.1 * np.sin(t))], 1e-3) == pytest.approx(0.05, rel=5e-3)  # b^2 / a


def test_a_corner_is_a_bend_within_the_window_and_other_roles_do_not_count():
    points = np.array([[0, 0, 0], [0.05, 0, 0], [0.1, 0, 0], [0.1, 0.05, 0], [0.1, 0.1, 0.0]])
    fine = np.concatenate([np.linspace(a, b, 50, endpoint=False) for a, b in zip(points, points[1:])] + [points[-1:]])
    corner = Track(fine, np.tile([0, 0, 1.0], (len(fine), 1)), ("turn",) * (len(fine) - 1))
    assert sharpest_bend([corner], 4e-3) == pytest.approx(4e-3 / (np.pi / 2), rel=1e-6)
    lead = Track(fine, corner.normals, ("lead",) * (len(fine) - 1))
    assert sharpest_bend([lead], 4e-3) == np.inf
