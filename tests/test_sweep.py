"""Solids of conductors: watertight, right way out, and with the volume of the wire."""

import numpy as np
import pytest

from designtools.formers.cylinder import Cylinder
from designtools.windings.contour import contours, levels
from designtools.windings.join import join
from designtools.windings.sweep import solids, swept
from designtools.windings.winding import Track

FORMER = Cylinder(0.2, 0.8)
WIDTH, THICKNESS = 0.004, 0.002


def bent(*points):
    points = np.array(points, float)
    return Track(points, np.tile([0.0, 0, 1], (len(points), 1)), ("turn",) * (len(points) - 1))


def relative_volume(mesh, track, width=WIDTH, thickness=THICKNESS):
    return mesh.volume / (track.length * width * thickness)


def loops():
    mesh = FORMER.mesh(0.025)
    u, v = mesh.uv.T
    psi = np.cos(u) * np.sin(2 * np.pi * v / 0.8) * np.cos(np.pi * v / 0.8) ** 2
    values, current = levels(psi, 6)
    return contours(FORMER, mesh, psi, values), current


def test_a_straight_bar_is_exact():
    track = bent([0, 0, 0], [1, 0, 0])
    bar = swept(track, WIDTH, THICKNESS)
    assert bar.is_watertight and relative_volume(bar, track) == pytest.approx(1, rel=1e-12)
    assert bar.bounds == pytest.approx(
        np.array([[0, -WIDTH / 2, -THICKNESS / 2], [1, WIDTH / 2, THICKNESS / 2]])
    )


def test_a_square_frame_is_mitred_exactly():
    track = bent([0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 0])
    frame = swept(track, WIDTH, THICKNESS)
    assert frame.is_watertight and frame.is_winding_consistent and frame.euler_number == 0
    assert relative_volume(frame, track) == pytest.approx(1, rel=1e-12)
    assert frame.bounds[1] == pytest.approx([1 + WIDTH / 2, 1 + WIDTH / 2, THICKNESS / 2])


def test_closed_loops_are_rings_with_the_volume_of_the_wire():
    tracks, _ = loops()
    for track in tracks:
        ring = swept(track, WIDTH, THICKNESS)
        assert ring.is_watertight and ring.is_winding_consistent and ring.euler_number == 0
        assert relative_volume(ring, track) == pytest.approx(1, rel=3e-3)
        radius = np.hypot(*ring.vertices[:, :2].T)
        assert abs(radius - 0.2).max() < THICKNESS / 2 + 1e-3 * THICKNESS + WIDTH**2 / 4 / 0.2


def test_a_joined_winding_is_one_body_through_jogs_and_risers():
    tracks, current = loops()
    winding = join(FORMER, tracks, current, WIDTH, THICKNESS)
    (body,) = solids(winding)
    assert body.is_watertight and body.is_winding_consistent and body.euler_number == 2
    assert relative_volume(body, winding.tracks[0]) == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize("angle", [30, 90, 150, 175])
def test_sharp_corners_stay_watertight(angle):
    a = np.radians(angle)
    track = bent([-1, 0, 0], [0, 0, 0], [np.cos(a), np.sin(a), 0])
    body = swept(track, WIDTH, THICKNESS)
    assert body.is_watertight and body.is_winding_consistent
    assert relative_volume(body, track) == pytest.approx(1, rel=0.01)


def test_a_riser_turns_the_section_over():
    track = bent([-1, 0, 0], [0, 0, 0], [0, 0, 0.02], [0, 1, 0.02])
    body = swept(track, WIDTH, THICKNESS)
    assert body.is_watertight and relative_volume(body, track) == pytest.approx(1, rel=0.01)
    assert body.bounds[1][2] == pytest.approx(0.02 + THICKNESS / 2, abs=1e-9)


def test_repeated_points_do_no_harm_and_nonsense_is_refused():
    track = bent([0, 0, 0], [0.5, 0, 0], [0.5, 0, 0], [1, 0, 0])
    assert relative_volume(swept(track, WIDTH, THICKNESS), track) == pytest.approx(1)
    with pytest.raises(ValueError, match="positive"):
        swept(track, 0.0, THICKNESS)
    with pytest.raises(ValueError, match="distinct"):
        swept(bent([0, 0, 0], [0, 0, 1e-12]), WIDTH, THICKNESS)
