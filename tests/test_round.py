"""Arcs, thin solenoids and cylinders at hard points: beside the wire, sheet, rim and face, on the axis, far away.

Judges: the laws of Biot-Savart and Coulomb on panels that halve towards the point, in 80-bit numbers; for the solenoid
complete elliptic integrals of the third kind in 30 digits (Callaghan & Maslen, NASA TN D-465, 1960).
"""

import mpmath as mp
import numpy as np
import pytest

from designtools.sources import Arcs, Assembly, Cylinders, Dipoles, Filaments, Loops, Solenoids
from designtools.units import MU_0

mp.mp.dps = 30
NEAR = (1e-3, 1e-6, 1e-9)
MU = 4 * mp.pi * mp.mpf(10) ** -7


def ring(a, point, low, high):
    """Nodes of a circle seen from a point, in 80-bit numbers: panels that halve towards the point's azimuth.

    Directions of the point's azimuth; tau, radial and azimuthal part of (point - node), weights.
    """
    x, y, z = np.asarray(point, np.longdouble)
    r, a = np.hypot(x, y), np.longdouble(a)
    along, across = ((x / r, y / r), (-y / r, x / r)) if r else ((1, 0), (0, 1))
    azimuth = np.arctan2(along[1], along[0])
    low, high = (np.longdouble(v) - azimuth for v in (low, high))
    turns = 2 * np.longdouble(np.pi) * np.arange(-2, 3)[:, None]
    marks = (turns + np.concatenate([[0.0], *(s * 2.0 ** -np.arange(-1, 60) for s in (-1, 1))])).ravel()
    edges = np.unique(np.concatenate([[low, high], marks[(marks > low) & (marks < high)]]))
    t, w = np.polynomial.legendre.leggauss(24)
    half = np.diff(edges)[:, None] / 2
    tau, weight = (edges[:-1, None] + half + half * t).ravel(), (half * w).ravel()
    folded = tau - 2 * np.longdouble(np.pi) * np.round(tau / (2 * np.longdouble(np.pi)))
    return along, across, folded, (r - a) + 2 * a * np.sin(folded / 2) ** 2, -a * np.sin(folded), weight, z


def worst(found, exact):
    found, exact = np.asarray(found, float), np.array(exact, float)
    return (np.abs(found - exact).max(axis=1) / np.abs(exact).max(axis=1)).max()


# --- arcs ----------------------------------------------------------------------------------------------------


def arc_integrals(a, start, stop, point):
    """B and A of 1 A by the law of Biot and Savart."""
    along, across, tau, d, e, w, z = ring(a, point, *sorted((start, stop)))
    w = 1e-7 * a * w * (1 if stop > start else -1)
    c, s, r = np.cos(tau), np.sin(tau), np.sqrt(d * d + e * e + z * z)
    out, aside, up = (np.sum(w * v / r**3) for v in (c * z, s * z, -(c * d + s * e)))
    towards, round_ = np.sum(-w * s / r), np.sum(w * c / r)
    place = lambda u, v: [u * along[0] + v * across[0], u * along[1] + v * across[1]]
    return [*place(out, aside), up], [*place(towards, round_), 0.0]


ARC_POINTS = [
    *([0.5 + d, 0.0, 0.0] for d in NEAR),
    *([-0.5, 0.0, d] for d in NEAR),
    [0, 0, 0], [1e-9, 0, 0.1], [0.3, 0.2, 0.1], [100.0, 50, -20], [1e6, 1e5, 3e5],
]  # fmt: skip


@pytest.mark.parametrize("start, stop", [(0.25, 2.0), (-2.875, 2.875), (1.0, -1.5)])
def test_arc_against_biot_savart(start, stop):
    arc = Arcs([[0, 0, 0]], [[0, 0, 0]], [0.5], [start], [stop], [1.0])
    exact = [arc_integrals(0.5, start, stop, p) for p in ARC_POINTS]
    assert worst(arc.field(ARC_POINTS), [b for b, _ in exact]) < 1e-13
    assert worst(arc.potential(ARC_POINTS), [a for _, a in exact]) < 1e-13


def test_full_turns_are_loops_and_pieces_add_up():
    loop = Loops([[0, 0, 0]], [[0, 0, 1]], [0.5], [1.0])
    points = np.concatenate([np.random.default_rng(0).normal(size=(30, 3)), 1e4 * np.random.default_rng(1).normal(size=(10, 3))])
    make = lambda start, stop, current=1.0: Arcs([[0, 0, 0]], [[0, 0, 0]], [0.5], [start], [stop], [current])
    np.testing.assert_allclose(make(0.2, 0.2 + 4 * np.pi, 0.5).field(points), loop.field(points), rtol=1e-12, atol=1e-30)
    pieces = Assembly([make(0.2, 2.5), make(2.5, -1.0 + 2 * np.pi), make(0.2, -1.0, -1.0)])
    assert worst(pieces.field(points[:30]), loop.field(points[:30])) < 1e-13


def test_arc_on_the_wire_is_zero_and_beyond_its_end_is_not():
    arc = Arcs([[0, 0, 0]], [[0, 0, 0]], [0.5], [-1.0], [1.0], [1.0])
    field = np.asarray(arc.field([[0.5, 0, 0], [-0.5, 0, 0]]))
    assert np.all(field[0] == 0) and field[1, 2] > 1e-8


def test_arc_closed_by_its_chord_has_the_moment_of_its_area():
    arc = Arcs([[1.0, 2, 3]], [[0, 0, 0]], [0.5], [0.3], [2.0], [2.0])
    end = lambda angle: [1 + 0.5 * np.cos(angle), 2 + 0.5 * np.sin(angle), 3]
    chord = Filaments.from_path([end(2.0), end(0.3)], 2.0)
    np.testing.assert_allclose(arc.moment() + chord.moment(), [0, 0, 0.25 * (1.7 - np.sin(1.7))], atol=1e-13)
    points, elements = arc.current_elements(24)
    np.testing.assert_allclose(np.cross(points, elements).sum(axis=0) / 2, arc.moment(), atol=1e-13)
    np.testing.assert_allclose(arc.extent(np.array([1.0, 2, 3])), 0.5, rtol=1e-15)


# --- solenoids -----------------------------------------------------------------------------------------------


def solenoid_field(a, length, point):
    """B of 1 A in all."""
    a, length, (x, y, z) = mp.mpf(a), mp.mpf(length), (mp.mpf(float(v)) for v in point)
    r = mp.hypot(x, y)

    def end(v):
        farthest2 = (a + r) ** 2 + v * v
        m, n, share = 4 * a * r / farthest2, 4 * a * r / (a + r) ** 2, (a - r) / (a + r)
        third = share * mp.ellippi(n, m) if share else 0
        up = v / (2 * mp.pi * mp.sqrt(farthest2)) * (mp.ellipk(m) + third)
        out = mp.sqrt(farthest2) / (2 * mp.pi * r) * ((1 - m / 2) * mp.ellipk(m) - mp.ellipe(m)) if r else mp.mpf(0)
        return up, out

    (up2, out2), (up1, out1) = end(length / 2 - z), end(-length / 2 - z)
    out = (out2 - out1) / r if r else 0
    return [MU / length * value for value in (out * x, out * y, up2 - up1)]


@pytest.mark.parametrize("a, length", [(0.5, 1.25), (0.5, 0.03125), (0.0625, 2.0)])
def test_solenoid_against_elliptic_integrals(a, length):
    sheet = Solenoids([[0, 0, 0]], [[0, 0, 0]], [a], [length], [1.0])
    h = length / 2
    points = [[0, 0, 0], [0, 0, h], [1e-9, 0, 0.1], [0.3 * a, 0, 0.1 * h], [3 * a, 0, 0.6 * h], [0.7 * a, 0, 2 * h]]
    points += [[30 * a, 0, 7 * h], [1e3, 0, 2e3], [0, a, 0.3 * h]]
    for d in NEAR:
        points += [[a + d, 0, 0], [a - d, 0, 0.1 * h], [a + d, 0, h], [a, 0, h + d], [a - d, 0, h - d], [a - d, 0, h + d]]
    assert worst(sheet.field(points), [solenoid_field(a, length, p) for p in points]) < 5e-13


def test_solenoid_potential_is_that_of_its_loops():
    sheet = Solenoids([[0, 0, 0]], [[0, 0, 0]], [0.5], [1.2], [3.0])
    t, w = np.polynomial.legendre.leggauss(60)
    loops = Loops(np.outer(0.6 * t, [0, 0, 1]), np.tile([0.0, 0, 1], (60, 1)), np.full(60, 0.5), 1.5 * w)
    points = [[0.1, 0.2, 0.1], [0.7, 0.2, 0.4], [0.1, 0.0, 0.9], [3, 4, 5], [0, 0, 0.3], [1e-7, 0, 0], [0.2, 0.2, -1.0], [30, 1, 2]]
    np.testing.assert_allclose(sheet.potential(points), loops.potential(points), rtol=1e-11, atol=1e-20)
    np.testing.assert_allclose(np.asarray(sheet.potential([[0.5, 0, 0]]))[0, [0, 2]], 0, atol=1e-20)


# --- cylinders -----------------------------------------------------------------------------------------------


def cylinder_field(a, length, jx, jz, point):
    """B of a solid cylinder polarised (jx, 0, jz): its surface charge, and J inside."""
    along, across, tau, d, e, w, z = ring(a, point, 0.0, 2 * np.longdouble(np.pi))
    ends = length / 2 - z, -length / 2 - z
    square = d * d + e * e
    r1, r2 = (np.sqrt(square + v * v) for v in ends)
    reach = (ends[0] / r1 - ends[1] / r2) / square
    charge = jx * a / (4 * np.pi) * w * (np.cos(tau) * along[0] + np.sin(tau) * across[0])
    out, aside, up = (np.sum(charge * v) for v in (d * reach, e * reach, 1 / r1 - 1 / r2))
    inside = np.hypot(*point[:2]) < a and abs(point[2]) < length / 2
    axial = [float(jz * length / MU * b) for b in solenoid_field(a, length, point)]
    transverse = out * along[0] + aside * across[0] + jx * inside, out * along[1] + aside * across[1], up
    return [u + v for u, v in zip(transverse, axial)]


def test_cylinder_against_its_surface_charge():
    magnet = Cylinders([[0, 0, 0]], [[0, 0, 0]], [0.0], [0.25], [0.5], [[0.5, 0, 1.0]])
    points = [[0, 0, 0.125], [0.1, 0.05, 0.2], [0.3, 0.1, 0.1], [1, 2, 3], [0.1, 0.1, 0.3]]
    for d in NEAR:
        points += [[0.25 + d, 0, 0.1], [0.25 - d, 0, 0.1], [0, 0.25 + d, 0.25 + d], [0.125, 0, 0.25 + d], [0.26, 0, 0.25 + d]]
    assert worst(magnet.field(points), [cylinder_field(0.25, 0.5, 0.5, 1, p) for p in points]) < 1e-12


def test_bored_cylinder_is_a_cylinder_less_a_cylinder():
    pose = [[0.1, 0.2, 0.3]], [[0.3, -0.2, 0.4]]
    make = lambda inner, outer, sign=1: Cylinders(*pose, [inner], [outer], [0.5], sign * np.array([[0.3, -0.4, 1.1]]))
    points = np.random.default_rng(3).normal(size=(60, 3))
    parts = Assembly([make(0.0, 0.3), make(0.0, 0.2, -1)])
    for method in ("field", "potential", "scalar_potential"):
        expected = np.asarray(getattr(parts, method)(points))
        np.testing.assert_allclose(getattr(make(0.2, 0.3), method)(points), expected, atol=2e-13 * np.abs(expected).max())


def test_cylinder_from_afar():
    """The two forms meet at 40 half-diagonals, and at 1e6 the field is the dipole's."""
    magnet = Cylinders([[0, 0, 0]], [[0, 0, 0]], [0.1], [0.3], [0.8], [[0.3, -0.4, 1.1]])
    directions = np.random.default_rng(5).normal(size=(20, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    inside, outside = (40 * 0.5 * (1 + d) * directions for d in (-1e-9, 1e-9))
    for method, power in (("field", 3), ("potential", 2), ("scalar_potential", 2)):
        below, above = (np.asarray(getattr(magnet, method)(p)) for p in (inside, outside))
        np.testing.assert_allclose(below, above * (1 + 2e-9) ** power, atol=2e-12 * np.abs(above).max())
    dipole = Dipoles([[0, 0, 0]], [magnet.moment()])
    assert worst(magnet.field(1e6 * directions), np.asarray(dipole.field(1e6 * directions))) < 1e-11


def test_faces_of_a_cylinder_are_stated():
    """On its lateral surface B is the mean of both sides; the axial part is continuous through the ends."""
    magnet = Cylinders([[0, 0, 0]], [[0, 0, 0]], [0.0], [0.25], [0.5], [[0.5, 0.2, 1.0]])
    on, out, within = np.asarray(magnet.field([[0.25, 0, 0.125], [0.25 + 1e-9, 0, 0.125], [0.25 - 1e-9, 0, 0.125]]))
    np.testing.assert_allclose(on, (out + within) / 2, atol=1e-7)
    assert np.isfinite(np.asarray(magnet.field([[0.25, 0, 0.25], [0.1, 0, 0.25]]))).all()
    assert float(magnet.volume()[0]) * 0.5 / MU_0 == pytest.approx(float(magnet.moment()[0]))
