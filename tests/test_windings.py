"""From stream function to joined winding: level lines, spacing, joining, series, grooves.

Stream functions are analytic, on a cylinder of the size of a head gradient.  Fields of wires and of sheets come from
`Filaments` and `Sheet`, which have their own tests against independent formulas.
"""

import functools
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import Delaunay, cKDTree

from designtools.formers.cylinder import Cylinder
from designtools.formers.mesh import SurfaceMesh
from designtools.sources import Sheet
from designtools.units import MU_0
from designtools.windings.contour import contours, levels, rim_value, stream_surface
from designtools.windings.groove import GrooveError, grooved_former, surface_runs
from designtools.windings.join import JoinError, join, series
from designtools.windings.spacing import (
    clear_gap,
    closest_approach,
    lifted_spacing,
    segment_distance,
    wire_spacing,
)
from designtools.windings.winding import Track, Winding

LENGTH = 0.8
FORMER = Cylinder(0.2, LENGTH)
MESH = FORMER.mesh(0.02)
WIDTH, THICKNESS = 0.003, 0.002
K = 2 * np.pi / LENGTH


def window(v):
    return np.cos(K * v / 2) ** 2


PATTERNS = {
    "transverse": lambda u, v: 100 * np.cos(u) * np.sin(K * v) * window(v),
    "two lobes": lambda u, v: 100 * np.cos(u) * window(v),
    "axial": lambda u, v: 100 * window(v) * np.cos(1.5 * K * v),
    "solenoid": lambda u, v: 100 * v / LENGTH,
    "islands": lambda u, v: (
        100
        * window(v)
        * (np.cos(u) * np.sin(K * v) + 0.6 * np.cos(3 * u + 0.3) * np.cos(1.5 * K * v) + 0.2 * np.cos(v * K))
    ),
}


@functools.cache
def wound(name, turns=10, **options):
    psi = PATTERNS[name](*MESH.uv.T)
    values, current = levels(psi, turns, rim=rim_value(MESH, psi))
    return contours(FORMER, MESH, psi, values, **options), current


def filaments(tracks, current):
    return Winding("", tuple(tracks), current, WIDTH, THICKNESS).filaments()


def points_inside(radius=0.1, count=24):
    direction = np.random.default_rng(3).normal(size=(count, 3))
    return radius * direction / np.linalg.norm(direction, axis=1)[:, None]


def moment(tracks):
    return sum(np.cross(t.points[:-1], t.points[1:]).sum(0) / 2 for t in tracks)


# ---- levels ------------------------------------------------------------------------------------------


def test_turns_set_the_current_and_the_levels_of_both_signs():
    values, current = levels([-5.0, 0.0, 10.0], 4)
    assert current == 2.5
    assert values == pytest.approx([-3.75, -1.25, 1.25, 3.75, 6.25, 8.75])


def test_a_shield_is_contoured_with_the_current_of_its_primary():
    values, current = levels([-4.0, 0.0, 6.4], current=2.5)
    assert (current, list(values)) == (2.5, [-3.75, -1.25, 1.25, 3.75, 6.25])


def test_levels_count_from_the_rim():
    values, current = levels([3.0, 3.0, 7.0], 2, rim=3.0)
    assert current == 2.0 and values == pytest.approx([4.0, 6.0])


@pytest.mark.parametrize(
    "given", [{}, {"turns": 3, "current": 1.0}, {"turns": 0}, {"turns": 2.5}, {"current": -1.0}]
)
def test_levels_refuse_what_makes_no_winding(given):
    with pytest.raises(ValueError, match="got"):
        levels([0.0, 1.0], **given)


def test_levels_refuse_a_flat_stream_function():
    with pytest.raises(ValueError, match="must vary"):
        levels([2.0, 2.0], 3, rim=2.0)


# ---- contours ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PATTERNS)
def test_no_level_line_is_lost_or_split(name):
    tracks, _ = wound(name)
    psi = PATTERNS[name]
    values, _ = levels(psi(*MESH.uv.T), 10, rim=rim_value(MESH, psi(*MESH.uv.T)))
    u, v = np.meshgrid(
        2 * np.pi * np.arange(720) / 720, np.linspace(-LENGTH / 2, LENGTH / 2, 601), indexing="ij"
    )
    # the former with its ends capped is a sphere: one line fewer than regions above and below
    expected = sum(
        regions_round(psi(u, v) > value) + regions_round(psi(u, v) <= value) - 1 for value in values
    )
    assert len(tracks) == expected
    assert all(t.closed and set(t.roles) == {"turn"} for t in tracks)


def regions_round(mask):
    """Number of connected regions of a mask (n_u, n_v) that is periodic in u."""
    label, count = ndimage.label(mask)
    pairs = np.unique(np.stack([label[0], label[-1]], 1)[(label[0] > 0) & (label[-1] > 0)], axis=0)
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count + 1, count + 1))
    return connected_components(graph, directed=False)[0] - 1


@pytest.mark.parametrize("name", PATTERNS)
def test_points_lie_on_the_former_and_on_their_level(name):
    psi = PATTERNS[name](*MESH.uv.T)
    surface = stream_surface(FORMER, MESH, psi)
    for track in wound(name)[0]:
        assert np.hypot(*track.points[:, :2].T) == pytest.approx(0.2, abs=1e-14)
        assert np.ptp(surface.value(FORMER.inverse(track.points))) < 1e-6


def test_chords_stay_within_their_error_and_points_are_about_evenly_spaced():
    error = 1e-4
    for coarse, fine in zip(
        wound("transverse", chord_error=error)[0], wound("transverse", chord_error=error / 64)[0]
    ):
        a, b = coarse.points[:-1, None], coarse.points[1:, None]
        p = np.broadcast_to(fine.points[None], (len(a), *fine.points.shape))
        share = np.clip(np.einsum("ijk,ijk->ij", p - a, b - a) / ((b - a) ** 2).sum(-1), 0, 1)
        miss = np.linalg.norm(a + share[..., None] * (b - a) - p, axis=-1).min(0)
        assert miss.max() < 1.3 * error
    for track in wound("transverse")[0]:
        step = np.linalg.norm(np.diff(track.points, axis=0), axis=1)
        assert 48 <= len(step) <= 140 and step.max() < 6 * step.min()


@pytest.mark.parametrize("name", ["transverse", "two lobes", "axial"])
@pytest.mark.parametrize("mirror", [(-1, 1, 1), (1, -1, 1), (1, 1, -1)])
def test_mirror_symmetric_patterns_give_mirror_symmetric_points(name, mirror):
    points = np.concatenate([t.points for t in wound(name)[0]])
    assert cKDTree(points).query(points * mirror)[0].max() < 1e-9


def test_the_field_of_many_turns_converges_to_that_of_the_sheet():
    fine, points = FORMER.mesh(0.01), points_inside()
    sheet = np.asarray(Sheet(fine.vertices, fine.faces, PATTERNS["transverse"](*fine.uv.T)).field(points))
    errors = []
    for turns in (4, 8, 16):
        tracks, current = wound("transverse", turns, chord_error=1e-5)
        wire = np.asarray(filaments(tracks, current).field(points))
        errors.append(np.abs(wire - sheet).max() / np.abs(sheet).max())
    assert errors[2] < 1.5e-3
    assert errors[0] > 3 * errors[1] > 6 * errors[2]  # close to 1/turns^2


@pytest.mark.parametrize("name", ["two lobes", "solenoid", "islands"])
def test_the_magnetic_moment_is_that_of_the_sheet(name):
    tracks, current = wound(name, 40, chord_error=1e-5)
    psi = PATTERNS[name]
    u = 2 * np.pi * (np.arange(256) + 0.5) / 256
    x, w = np.polynomial.legendre.leggauss(64)
    u, v = np.meshgrid(u, x * LENGTH / 2, indexing="ij")
    mass = w * LENGTH / 2 * 0.2 * 2 * np.pi / 256  # moment = integral of psi n dA, plus what the rims enclose
    expected = np.array([(psi(u, v) * f * mass).sum() for f in (np.cos(u), np.sin(u), 0 * u)])
    if name == "solenoid":
        expected[2] = np.pi * 0.2**2 * 100  # current per length 100 A / L, times L, times the area
    assert current * moment(tracks) == pytest.approx(expected, abs=2e-3 * np.abs(100 * np.pi * 0.04))


def test_a_line_through_the_seam_is_the_line_elsewhere_turned():
    turn = 2 * np.pi * 16 / 64
    psi = [PATTERNS["transverse"](MESH.uv[:, 0] - shift, MESH.uv[:, 1]) for shift in (0.0, turn)]
    values, _ = levels(psi[0], 5)
    first, second = (np.concatenate([t.points for t in contours(FORMER, MESH, p, values)]) for p in psi)
    n_u = len(np.unique(np.round(MESH.uv[:, 0], 9)))
    tolerance = 1e-9 if (n_u * 16) % 64 == 0 else 2e-5
    c, s = np.cos(turn), np.sin(turn)
    assert cKDTree(second).query(first @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]))[0].max() < tolerance


def test_an_unstructured_mesh_gives_nearly_the_same_lines():
    rng = np.random.default_rng(5)
    u, v = MESH.uv.T
    inside = np.abs(v) < LENGTH / 2 - 1e-6
    uv = MESH.uv + inside[:, None] * rng.uniform(-0.3, 0.3, (len(u), 2)) * [0.1, 0.02]
    mesh = SurfaceMesh(FORMER.at(uv), Delaunay(uv * [0.2, 1]).simplices, uv, MESH.boundaries)
    psi = PATTERNS["transverse"](*uv.T)
    values, _ = levels(PATTERNS["transverse"](u, v), 8)
    scattered = contours(FORMER, mesh, psi, values)
    regular = contours(FORMER, MESH, PATTERNS["transverse"](u, v), values, chord_error=1e-6)
    assert len(scattered) == len(regular)
    reference = np.concatenate([t.points for t in regular])
    miss = cKDTree(reference).query(np.concatenate([t.points for t in scattered]))[0]
    assert np.sqrt(np.mean(miss**2)) < 1.5e-3 and np.median(miss) < 1e-3


def test_a_frame_and_a_centre_move_the_tracks_with_the_former():
    frame = np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])
    moved = replace(FORMER, frame=frame, centre=np.array([0.1, 0.2, 0.3]))
    mesh = moved.mesh(0.02)
    psi = PATTERNS["transverse"](*mesh.uv.T)
    there, here = contours(moved, mesh, psi, [20.0, 60.0]), contours(FORMER, MESH, psi, [20.0, 60.0])
    for a, b in zip(there, here):
        assert a.points == pytest.approx(moved.centre + b.points @ frame, abs=1e-12)


def test_a_line_that_runs_off_a_rim_is_refused_in_words():
    psi = np.cos(MESH.uv[:, 0])
    with pytest.raises(ValueError, match="runs off the open rim"):
        contours(FORMER, MESH, psi, [0.5])


def test_stream_values_must_fit_the_mesh():
    with pytest.raises(ValueError, match="one value for each"):
        contours(FORMER, MESH, np.zeros(3), [0.5])
    with pytest.raises(ValueError, match="finite"):
        contours(FORMER, MESH, np.full(len(MESH.uv), np.nan), [0.5])


def test_short_level_lines_can_be_left_out():
    tracks, _ = wound("transverse")
    kept, _ = wound("transverse", shortest=0.5)
    assert 0 < len(kept) < len(tracks) and min(t.length for t in kept) >= 0.5


# ---- spacing -----------------------------------------------------------------------------------------


def test_segment_distance_against_dense_sampling():
    a, b, c, d = np.random.default_rng(1).normal(size=(4, 100, 3))
    distance, _ = segment_distance(a, b, c, d)
    t = np.linspace(0, 1, 161)[None, :, None]
    x, y = a[:, None] + t * (b - a)[:, None], c[:, None] + t * (d - c)[:, None]
    sampled = np.array([np.linalg.norm(p[:, None] - q[None], axis=2).min() for p, q in zip(x, y)])
    assert np.all(sampled >= distance - 1e-12) and np.all(sampled - distance < 0.02)
    parallel = segment_distance(
        np.array([[0.0, 0, 0]]), np.array([[1.0, 0, 0]]), np.array([[2.0, 1, 0]]), np.array([[5.0, 1, 0]])
    )
    assert parallel[0] == pytest.approx(np.sqrt(2))


def line(*points, role="turn"):
    points = np.array(points, float)
    return Track(points, np.tile([0.0, 0, 1], (len(points), 1)), (role,) * (len(points) - 1))


def test_spacing_finds_the_closest_place_of_long_pieces():
    found = wire_spacing([line([0, 0, 0], [10, 0, 0]), line([3, 0.01, 5], [3, 0.01, -5])], 0.002)
    assert found.distance == pytest.approx(0.01) and found.gap(0.002) == pytest.approx(0.008)
    assert found.where == pytest.approx([3, 0.005, 0]) and found.tracks in ((0, 1), (1, 0))


def test_corners_and_neighbours_of_one_track_do_not_count_but_hairpins_do():
    corner = line(*[[x, 0, 0] for x in np.linspace(0, 1, 20)], *[[1, y, 0] for y in np.linspace(0.05, 1, 20)])
    assert wire_spacing([corner]).distance == np.inf
    hairpin = line([0, 0, 0], [1, 0, 0], [1, 0.03, 0], [0.5, 0.03, 0], [0, 0.03, 0])
    assert wire_spacing([hairpin], 0.002).distance == pytest.approx(0.03)


def test_lifted_crossings_are_measured_on_their_own():
    turn, above = line([0, 0, 0], [1, 0, 0]), line([0.5, -1, 0.004], [0.5, 1, 0.004], role="link")
    assert wire_spacing([turn, above]).distance == np.inf
    assert lifted_spacing([turn, above]).distance == pytest.approx(0.004)
    assert closest_approach([turn], ("turn",), ("lead",)).distance == np.inf


def test_spacing_of_two_rings_is_their_distance():
    u = np.linspace(0, 2 * np.pi, 97)
    rings = []
    for v in (0.0, 0.01):
        uv = np.stack([u, np.full(97, v)], 1)
        points = FORMER.at(uv)
        points[-1] = points[0]
        rings.append(Track(points, FORMER.normal(uv), ("turn",) * 96))
    assert wire_spacing(rings, WIDTH).distance == pytest.approx(0.01, abs=1e-12)


# ---- joining -----------------------------------------------------------------------------------------

# largest change of the field by joining, relative to its largest value on a shell of half the radius; the 40 mm
# pitch of the solenoid tilts its turns
FIELD_CHANGE = {"transverse": 4e-3, "two lobes": 1e-2, "axial": 4e-3, "solenoid": 1.5e-2, "islands": 6e-3}


@pytest.fixture(scope="module", params=list(PATTERNS))
def joined(request):
    tracks, current = wound(request.param, 20 if request.param == "solenoid" else 10)
    return request.param, tracks, join(FORMER, tracks, current, WIDTH, THICKNESS)


def test_joining_makes_one_conductor_without_gaps(joined):
    _, _, winding = joined
    (track,) = winding.tracks
    assert not track.closed and len(track.roles) == len(track.points) - 1
    assert {"turn", "return", "link", "lead"} <= set(track.roles) <= {"turn", "jog", "return", "link", "lead"}
    step = np.linalg.norm(np.diff(track.points, axis=0), axis=1)
    assert step.min() > 1e-6
    in_turns = np.isin(track.roles, ("turn", "jog"))
    assert step[in_turns].max() < 0.1  # no chord takes a short cut through the bore
    assert np.hypot(*track.points[:, :2].T).min() > 0.2 - 1e-3


def test_lifted_pieces_follow_the_surface(joined):
    _, _, winding = joined
    track = winding.tracks[0]
    middle = (track.points[:-1] + track.points[1:]) / 2
    assert np.hypot(*middle[:, :2].T).min() > 0.2 - 4e-4


def test_joining_keeps_the_field(joined):
    name, tracks, winding = joined
    points = points_inside()
    loose, wired = (
        np.asarray(s.field(points)) for s in (filaments(tracks, winding.current), winding.filaments())
    )
    change = np.abs(wired - loose).max(axis=0) / np.abs(loose).max()
    assert change.max() < FIELD_CHANGE[name]
    if name in ("transverse", "axial"):
        assert change[2] < 1e-3  # the trunk's columns carry no azimuthal current


def test_joining_keeps_the_magnetic_moment(joined):
    name, tracks, winding = joined
    around = winding.tracks[0].points
    closed = [line(*around, around[0])]
    size = sum(t.length for t in tracks) * 0.2 / 2
    assert np.abs(moment(closed) - moment(tracks)).max() < 0.5 * FIELD_CHANGE[name] * size


def test_every_turn_keeps_its_direction_and_its_place(joined):
    _, tracks, winding = joined
    track = winding.tracks[0]
    start = np.concatenate([t.points[:-1] for t in tracks])
    along = np.concatenate([np.diff(t.points, axis=0) for t in tracks])
    turns = np.isin(track.roles, ("turn",))
    middle = ((track.points[:-1] + track.points[1:]) / 2)[turns]
    step = np.diff(track.points, axis=0)[turns]
    distance, index = cKDTree(start + along / 2).query(middle)
    cosine = (
        (step * along[index]).sum(1) / np.linalg.norm(step, axis=1) / np.linalg.norm(along[index], axis=1)
    )
    near = distance < 0.3 * np.linalg.norm(along[index], axis=1)
    assert near.mean() > 0.7 and cosine[near].min() > 0.8


def test_no_conductor_collides(joined):
    _, tracks, winding = joined
    loose, wired = wire_spacing(tracks, WIDTH).distance, wire_spacing(winding.tracks, WIDTH).distance
    assert wired > 0.95 * loose
    assert lifted_spacing(winding.tracks, WIDTH).distance > 0.95 * min(1.5 * THICKNESS, loose)


def test_joining_states_what_it_adds(joined):
    _, tracks, winding = joined
    loose = sum(t.length for t in tracks)
    extra = winding.length_of("return", "link", "lead")
    assert winding.length_of("turn", "jog") == pytest.approx(loose, rel=0.1)
    assert winding.length == pytest.approx(winding.length_of("turn", "jog") + extra)
    assert 0 < extra < loose


def test_terminals_lie_one_above_the_other_beyond_the_chosen_end(joined):
    _, tracks, winding = joined
    a, b = winding.terminals
    assert np.linalg.norm(a - b) == pytest.approx(1.5 * THICKNESS) and min(a[2], b[2]) > LENGTH / 2 + 0.049
    low = join(FORMER, tracks, winding.current, WIDTH, THICKNESS, leads="low", azimuth=1.0)
    assert low.terminals[:, 2].max() < -LENGTH / 2 - 0.049
    assert np.arctan2(low.terminals[:, 1], low.terminals[:, 0]) == pytest.approx(1.0)


def test_joining_is_deterministic():
    tracks, current = wound("islands")
    first, second = (join(FORMER, tracks, current, WIDTH, THICKNESS).tracks[0] for _ in range(2))
    assert np.array_equal(first.points, second.points) and first.roles == second.roles


def test_joining_refuses_open_tracks_and_conductors_without_room():
    tracks, current = wound("transverse")
    winding = join(FORMER, tracks, current, WIDTH, THICKNESS)
    with pytest.raises(JoinError, match="closed tracks"):
        join(FORMER, winding.tracks, current, WIDTH, THICKNESS)
    with pytest.raises(JoinError, match="column"):
        join(FORMER, tracks, current, 0.3, THICKNESS)
    with pytest.raises(JoinError, match="high"):
        join(FORMER, tracks, current, WIDTH, THICKNESS, leads="left")


def test_joining_many_loops_is_quick():
    import time

    tracks, current = wound("transverse", 38)
    assert len(tracks) > 150
    start = time.process_time()
    join(FORMER, tracks, current, 0.001, 0.001)
    assert time.process_time() - start < 3.0


def test_a_shield_joins_in_series_with_its_primary():
    outer = Cylinder(0.26, 1.0)
    mesh = outer.mesh(0.03)
    tracks, current = wound("transverse")
    psi = -45 * np.cos(mesh.uv[:, 0]) * np.sin(2 * np.pi * mesh.uv[:, 1]) * np.cos(np.pi * mesh.uv[:, 1]) ** 2
    shield = contours(outer, mesh, psi, levels(psi, current=current)[0])
    options = {"azimuth": 0.8, "lead_length": 0.03}
    layers = (
        join(FORMER, tracks, current, WIDTH, THICKNESS, **options, name="primary"),
        join(outer, shield, current, WIDTH, THICKNESS, **options, name="shield"),
    )
    whole = series(layers)
    assert whole[0].tracks[0].points[-1] == pytest.approx(whole[1].tracks[0].points[0], abs=1e-12)
    terminals = whole[0].terminals[0], whole[1].terminals[1]
    assert np.linalg.norm(np.subtract(*terminals)) == pytest.approx(3 * WIDTH)
    a, b = (w.tracks[0] for w in whole)
    through = Track(
        np.concatenate([a.points, b.points[1:]]),
        np.concatenate([a.normals, b.normals[1:]]),
        a.roles + b.roles,
    )
    assert lifted_spacing([through], WIDTH).distance > 0.95 * 1.5 * THICKNESS
    points = points_inside()
    loose = sum(np.asarray(filaments(t, current).field(points)) for t in (tracks, shield))
    wired = sum(np.asarray(w.filaments().field(points)) for w in whole)
    assert np.abs(wired - loose).max() < 8e-3 * np.abs(loose).max()
    assert np.abs(wired - loose)[:, 2].max() < 1e-3 * np.abs(loose).max()


def test_series_refuses_layers_that_do_not_fit():
    tracks, current = wound("two lobes")
    here, there = (join(FORMER, tracks, current, WIDTH, THICKNESS, azimuth=a) for a in (0.5, 1.5))
    with pytest.raises(JoinError, match="same azimuth"):
        series([here, there])
    with pytest.raises(JoinError, match="equal currents"):
        series([here, replace(there, current=2 * current)])
    with pytest.raises(JoinError, match="join each layer"):
        series([Winding("loose", tracks, current, WIDTH, THICKNESS)])


# ---- grooves -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["transverse", "axial"])
def test_a_grooved_former_is_watertight_and_lacks_the_volume_of_the_wire(name):
    tracks, _ = wound(name, chord_error=2e-5)
    body = grooved_former(FORMER, tracks, WIDTH, 0.002, 0.003, chord_error=2e-5)
    assert body.is_watertight and body.is_winding_consistent
    tube = np.pi * (0.201**2 - 0.196**2) * LENGTH
    cut = sum(t.length for t in tracks) * WIDTH * 0.002
    assert tube - body.volume == pytest.approx(cut, rel=0.02)
    assert body.bounds[1] == pytest.approx([0.201, 0.201, LENGTH / 2], abs=1e-6)


def test_only_what_lies_in_the_surface_is_cut():
    tracks, current = wound("two lobes", 5)
    winding = join(FORMER, tracks, current, WIDTH, THICKNESS)
    runs = surface_runs(winding.tracks[0])
    assert len(runs) == 2 and all(set(r.roles) <= {"turn", "jog"} for r in runs)
    assert sum(r.length for r in runs) == pytest.approx(winding.length_of("turn", "jog"))
    assert grooved_former(FORMER, winding.tracks, WIDTH, 0.002, 0.003).is_watertight


def test_grooves_refuse_impossible_sizes():
    with pytest.raises(GrooveError, match="positive"):
        grooved_former(FORMER, (), 0.0, 0.002, 0.003)
    with pytest.raises(GrooveError, match="bore"):
        grooved_former(FORMER, (), 0.002, 0.002, 0.25)


# ---- other formers -----------------------------------------------------------------------------------


class Plate:
    """A flat former, open on all sides."""

    periodic, span = (False, False), ((-0.3, 0.3), (-0.25, 0.25))

    def at(self, uv, offset=0.0):
        return np.column_stack([uv, np.broadcast_to(offset, len(uv))])

    def normal(self, uv):
        return np.tile([0.0, 0, 1], (len(uv), 1))

    def inverse(self, points):
        return np.array(points)[:, :2]


class Sphere:
    """Unit sphere; v = pi - polar angle ends in the poles."""

    periodic, span = (True, False), ((0.0, 2 * np.pi), (0.0, np.pi))

    def normal(self, uv):
        u, v = np.asarray(uv).T
        return np.stack([np.sin(v) * np.cos(u), np.sin(v) * np.sin(u), -np.cos(v)], 1)

    def at(self, uv, offset=0.0):
        return self.normal(uv) * (1 + np.broadcast_to(offset, len(uv)))[:, None]

    def inverse(self, points):
        x, y, z = np.asarray(points).T
        return np.stack(
            [np.mod(np.arctan2(y, x), 2 * np.pi), np.pi - np.arccos(z / np.hypot(np.hypot(x, y), z))], 1
        )


def grid_mesh(former, n_u, n_v):
    (u0, u1), (v0, v1) = former.span
    u = np.linspace(u0, u1, n_u, endpoint=not former.periodic[0])
    uv = np.stack(np.meshgrid(u, np.linspace(v0, v1, n_v), indexing="ij"), -1).reshape(-1, 2)
    return SurfaceMesh(former.at(uv), np.zeros((0, 3), int), uv, ())


def test_lobes_on_a_plate_are_joined_and_grooved():
    former, mesh = Plate(), grid_mesh(Plate(), 31, 27)
    u, v = mesh.uv.T
    psi = 100 * np.cos(np.pi * u / 0.6) * np.cos(np.pi * v / 0.5) * np.sin(2 * np.pi * v / 0.5)
    values, current = levels(psi, 6)
    tracks = contours(former, mesh, psi, values)
    assert len(tracks) == 12
    winding = join(former, tracks, current, 0.002, 0.002)
    assert wire_spacing(winding.tracks, 0.002).distance > 0.95 * wire_spacing(tracks, 0.002).distance
    assert lifted_spacing(winding.tracks, 0.002).distance > 0.95 * 0.003
    body = grooved_former(former, winding.tracks, 0.002, 0.002, 0.003)
    assert body.is_watertight and 0.9 * 0.6 * 0.5 * 0.005 < body.volume < 0.6 * 0.5 * 0.005


def test_wires_on_a_sphere_have_the_exact_field():
    former, mesh = Sphere(), grid_mesh(Sphere(), 64, 33)
    x, _, z = mesh.vertices.T
    at = np.array([[0.0, 0, 0], [0.25, 0, 0], [0, 0, 0.25]])
    uniform, gradient = (
        2 / 3 * MU_0 * 100,
        0.6 * MU_0 * 100 * 0.25,
    )  # psi0 z/a: 2 mu0 psi0/3a; psi0 xz/a^2: 0.6 mu0 psi0/a^2
    for psi, expected in (
        (100 * z, uniform * np.array([[0, 0, 1], [0, 0, 1], [0, 0, 1]])),
        (100 * x * z, gradient * np.array([[0, 0, 0], [0, 0, 1], [1, 0, 0]])),
    ):
        values, current = levels(psi, 24)
        field = np.asarray(
            filaments(contours(former, mesh, psi, values, chord_error=1e-4), current).field(at)
        )
        assert field == pytest.approx(expected, abs=2e-3 * np.abs(expected).max())


# --- gaps between the windings of different coils --------------------------------------------------


def _ring(radius, height=0.0, width=2e-3, thickness=1e-3, sides=240):
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    out = np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    return Winding(
        "ring", (Track(radius * out + [0, 0, height], out, ("turn",) * sides),), 1.0, width, thickness
    )


@pytest.mark.parametrize(
    ("a", "b", "gap"),
    [
        (_ring(0.1), _ring(0.104), 3e-3),  # one round the other: half of each thickness
        (_ring(0.1), _ring(0.1, 0.006), 4e-3),  # side by side: half of each width
        (_ring(0.1), _ring(0.1005), -0.5e-3),  # one in the other
    ],
)
def test_the_gap_of_coaxial_rings_is_known(a, b, gap):
    found = clear_gap([a], [b])
    assert found.distance == pytest.approx(gap, abs=0.104 * (1 - np.cos(np.pi / 240)))
    assert clear_gap([b], [a]).distance == pytest.approx(found.distance, abs=1e-12)


def test_a_wide_gap_is_bounded_from_below():
    found = clear_gap([_ring(0.1)], [_ring(0.2)]).distance
    assert 0.09 < found <= 0.099


def test_the_gap_is_below_all_pairs_of_points():
    rng = np.random.default_rng(3)
    for _ in range(5):
        a, b = (np.cumsum(rng.normal(size=(30, 3)), axis=0) * 1e-2 + shift for shift in (0.0, 0.05))
        up = np.tile([0.0, 0.0, 1.0], (30, 1))
        made = [Winding("w", (Track(p, up, ("turn",) * 29),), 1.0, 1e-9, 1e-9) for p in (a, b)]
        dense = [
            np.concatenate([p[:-1] + t * (p[1:] - p[:-1]) for t in np.linspace(0, 1, 60)]) for p in (a, b)
        ]
        brute = np.linalg.norm(dense[0][:, None] - dense[1], axis=2).min()
        step = np.median(np.linalg.norm(np.diff(np.stack([a, b]), axis=1), axis=2))
        assert 0 <= brute - clear_gap(made[:1], made[1:]).distance < step + 2e-3
