"""How close two conductors come: exact centre distances between pieces of tracks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

SURFACE = ("turn", "jog")
LIFTED = ("return", "link", "lead")

_DETOUR = 2.5  # the conductor must have gone this many times farther than it came: corners do not count


@dataclass(frozen=True)
class Spacing:
    """The closest approach of two pieces of conductor.

    `distance` m between centre lines, `where` (3,) m midway, `tracks` the indices of the two tracks and `roles`
    of the two pieces.  `distance` is infinite where there is nothing to compare.
    """

    distance: float
    where: np.ndarray
    tracks: tuple[int, int]
    roles: tuple[str, str]

    def gap(self, width: float) -> float:
        """Clear gap (m) between conductors `width` m wide; negative where they would overlap."""
        return self.distance - width


def wire_spacing(tracks, width: float = 0.0) -> Spacing:
    """Closest approach of different turns in the surface (roles turn and jog)."""
    return closest_approach(tracks, SURFACE, SURFACE, width)


def lifted_spacing(tracks, width: float = 0.0) -> Spacing:
    """Closest approach of what is lifted off the surface (roles return, link, lead) to anything."""
    return closest_approach(tracks, LIFTED, SURFACE + LIFTED, width)


def closest_approach(tracks, roles, other_roles, width: float = 0.0) -> Spacing:
    """Closest approach of pieces with one of `roles` to pieces with one of `other_roles`, exact.

    Pieces of one track count only when the conductor between them is longer than four widths and 2.5 times the
    distance, so that neighbours and corners along a track are not mistaken for turns.
    """
    pieces = _Pieces(tracks)
    first, second = (np.flatnonzero(np.isin(pieces.role, r)) for r in (roles, other_roles))
    reach = _upper_bound(pieces, first, second, width)
    if not np.isfinite(reach):
        return Spacing(np.inf, np.full(3, np.nan), (-1, -1), ("", ""))
    i, j = _candidates(pieces, first, second, reach)
    distance, middle = _between(pieces, i, j, width)
    best = int(np.argmin(distance))
    a, b = i[best], j[best]
    return Spacing(
        float(distance[best]),
        middle[best],
        (int(pieces.track[a]), int(pieces.track[b])),
        (str(pieces.role[a]), str(pieces.role[b])),
    )


def clear_gap(windings, others) -> Spacing:
    """Least clear gap (m) between the conductors of two sets of windings; negative where a plane cannot part them.

    Pieces are boxes: the section (width across, thickness along the normal) drawn along the centreline.  The gap of two is
    the widest that any of these directions shows: between their nearest points, along the sides of either, square to both.  `distance` is the gap, `tracks` count
    through the windings of each set.  A gap of more than the two largest sections is given as a lower bound.
    """
    tracks = [[t for w in group for t in w.tracks] for group in (windings, others)]
    size = [
        np.array([(w.width, w.thickness) for w in group for _ in w.tracks]) for group in (windings, others)
    ]
    if not tracks[0] or not tracks[1]:
        return Spacing(np.inf, np.full(3, np.nan), (-1, -1), ("", ""))
    pieces, count = _Pieces(tracks[0] + tracks[1]), len(tracks[0])
    first, second = np.flatnonzero(pieces.track < count), np.flatnonzero(pieces.track >= count)
    widest = sum(np.hypot(*group.T).max() / 2 for group in size)
    step = max(widest, float(np.median(pieces.size)))
    (a, a_owner), (b, b_owner) = (_sampled(pieces, index, step) for index in (first, second))
    nearest, at = cKDTree(b).query(a)
    best = int(np.argmin(nearest))
    if nearest[best] - step > 2 * widest:
        i, j = a_owner[best], b_owner[at[best]]
        return Spacing(
            float(nearest[best] - step - widest), (a[best] + b[at[best]]) / 2, *_names(pieces, i, j, count)
        )
    i, j = _candidates(pieces, first, second, 3 * widest + step)
    _, middle, line = _nearest(pieces.start[i], pieces.end[i], pieces.start[j], pieces.end[j])
    section = np.concatenate(size)
    axes = [
        line,
        *_sides(pieces, i),
        *_sides(pieces, j),
        _unit(np.cross(_along(pieces, i), _along(pieces, j))),
    ]
    gap = np.max([_parted(pieces, i, j, section, axis) for axis in axes], axis=0)
    best = int(np.argmin(gap))
    return Spacing(float(gap[best]), middle[best], *_names(pieces, i[best], j[best], count))


def _names(pieces, i, j, count):
    """Tracks of pieces i and j, the second counted from `count`, and their roles."""
    return (int(pieces.track[i]), int(pieces.track[j]) - count), (str(pieces.role[i]), str(pieces.role[j]))


def _parted(pieces, i, j, section, axis):
    """Clear space (n,) m between pieces along unit vectors `axis` (n,3), negative where their shadows overlap."""
    low, high = [], []
    for k in (i, j):
        ends = np.stack([_dot(pieces.start[k], axis), _dot(pieces.end[k], axis)])
        width, thickness = section[pieces.track[k]].T
        across, normal = _sides(pieces, k)
        reach = (np.abs(_dot(across, axis)) * width + np.abs(_dot(normal, axis)) * thickness) / 2
        low.append(ends.min(axis=0) - reach)
        high.append(ends.max(axis=0) + reach)
    return np.where(_dot(axis, axis) > 0, np.maximum(low[1] - high[0], low[0] - high[1]), -np.inf)


def _along(pieces, i):
    return (pieces.end - pieces.start)[i] / np.maximum(pieces.size[i], 1e-300)[:, None]


def _sides(pieces, i):
    """Unit vectors (n,3) across the section of each piece and along its thickness."""
    across = _unit(np.cross(_along(pieces, i), pieces.normal[i]))
    return across, _unit(np.cross(across, _along(pieces, i)))


def _unit(v):
    size = np.linalg.norm(v, axis=1, keepdims=True)
    return np.where(size > 1e-9, v / np.maximum(size, 1e-300), 0.0)


def segment_distance(a, b, c, d):
    """Distance (n,) m between segments a-b and c-d (each (n,3)), and the point (n,3) midway between them."""
    return _nearest(a, b, c, d)[:2]


def _nearest(a, b, c, d):
    """The same, and the unit vector (n,3) from the one nearest point to the other; zero where they coincide.

    Eberly's clamped solution: the closest point of the first line, then of the second, then of the first again.
    """
    p, q, r = b - a, d - c, a - c
    pp, qq, pq = _dot(p, p), _dot(q, q), _dot(p, q)
    pr, qr = _dot(p, r), _dot(q, r)
    safe = lambda x: np.where(x > 0, x, 1.0)
    cross = pp * qq - pq**2
    skew = cross > 1e-14 * pp * qq
    s = np.where(skew, np.clip((pq * qr - qq * pr) / safe(np.where(skew, cross, 0.0)), 0, 1), 0.0)
    t = np.clip((pq * s + qr) / safe(qq), 0, 1)
    s = np.clip((pq * t - pr) / safe(pp), 0, 1)
    x, y = a + s[:, None] * p, c + t[:, None] * q
    distance = np.linalg.norm(x - y, axis=1)
    return distance, (x + y) / 2, (x - y) / np.where(distance > 0, distance, 1.0)[:, None]


def _dot(x, y):
    return np.einsum("ij,ij->i", x, y)


class _Pieces:
    """All segments of all tracks with their track, role, position along it and (closed tracks) its length."""

    def __init__(self, tracks):
        self.start = np.concatenate([t.points[:-1] for t in tracks])
        self.end = np.concatenate([t.points[1:] for t in tracks])
        self.role = np.concatenate([np.asarray(t.roles, dtype=object) for t in tracks])
        self.track = np.repeat(np.arange(len(tracks)), [len(t.roles) for t in tracks])
        self.normal = np.concatenate([t.normals[:-1] for t in tracks])
        self.size = np.linalg.norm(self.end - self.start, axis=1)
        self.along = np.concatenate([np.cumsum(_lengths(t)) - _lengths(t) / 2 for t in tracks])
        around = np.array([t.length if t.closed else np.inf for t in tracks])
        self.around = around[self.track]

    @property
    def centre(self):
        return (self.start + self.end) / 2


def _lengths(track):
    return np.linalg.norm(np.diff(track.points, axis=0), axis=1)


def _distinct(pieces, i, j, distance, width):
    """Whether pieces i and j are different turns rather than neighbours along one track."""
    apart = np.abs(pieces.along[i] - pieces.along[j])
    apart = np.minimum(apart, pieces.around[i] - apart) - (pieces.size[i] + pieces.size[j]) / 2
    touching = 1e-6 * (pieces.size[i] + pieces.size[j])
    least = np.maximum(np.maximum(4 * width, touching), _DETOUR * distance)
    return (pieces.track[i] != pieces.track[j]) | (apart > least)


def _upper_bound(pieces, first, second, width) -> float:
    """A distance that the closest approach cannot exceed: the best of each piece with its nearest few."""
    if not len(first) or not len(second):
        return np.inf
    tree, count = cKDTree(pieces.centre[second]), 8
    while True:
        count = min(count, len(second))
        _, index = tree.query(pieces.centre[first], k=list(range(1, count + 1)))
        distance = _between(pieces, np.repeat(first, count), second[index.ravel()], width)[0]
        if np.isfinite(distance.min()) or count == len(second):
            return float(distance.min())
        count *= 4


def _between(pieces, i, j, width):
    """Distance (n,) m of pieces i from pieces j, infinite where they are neighbours, and the points midway (n,3)."""
    distance, middle = segment_distance(pieces.start[i], pieces.end[i], pieces.start[j], pieces.end[j])
    return np.where((i != j) & _distinct(pieces, i, j, distance, width), distance, np.inf), middle


def _candidates(pieces, first, second, reach):
    """Pairs (i, j) of pieces whose distance may be below `reach`: long pieces are looked up by more points."""
    size = np.maximum(pieces.size, 1e-12)
    step = max(reach, float(np.median(size)))
    a, owner_a = _sampled(pieces, first, step)
    b, owner_b = _sampled(pieces, second, step)
    pairs = cKDTree(a).sparse_distance_matrix(cKDTree(b), reach + step, output_type="coo_matrix")
    i, j = owner_a[pairs.row], owner_b[pairs.col]
    code = np.unique(i * len(size) + j)
    i, j = code // len(size), code % len(size)
    return i[i != j], j[i != j]


def _sampled(pieces, index, step):
    """Points at most `step` apart along pieces `index`, half a step from their ends, and the piece of each."""
    count = np.maximum(1, np.ceil(pieces.size[index] / step)).astype(int)
    owner = np.repeat(index, count)
    rank = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    share = (rank + 0.5) / np.repeat(count, count)
    return pieces.start[owner] + share[:, None] * (pieces.end[owner] - pieces.start[owner]), owner
