"""Closed tracks that give way: each is displaced within its surface, across itself, by a few waves round its length.

The displacement d(s) (m, to the left of the track seen from outside) is a Fourier series over the length of the track,
the same for all images of a track under the symmetry of the task, so that what is symmetric stays so.  A wire dl that
moves by d sweeps a ribbon, whose current is that of a dipole I d x dl; of the distance of two tracks and of the bend of
one the slopes with d are geometry.  All exact to first order, on any surface, and independent of any mesh.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from scipy.interpolate import CubicSpline
from scipy.spatial import cKDTree

from designtools.windings.winding import Track

PER_WAVE = 5  # samples per shortest wave
LEAST_WAVES, MOST_WAVES = 3, 14  # round one track
SAME = 1e-4  # of its length: how far an image may lie from the track that it shall be
KNOT = 10.0  # pitches: the longest detour of a track that is cut off
_DETOUR = 2.0  # a track runs this many times farther than the distance of two of its places that count as apart


@dataclass(frozen=True)
class Family:
    """A track (by its index) and its images: (index, orthogonal map (3,3), sign of the stream function under it).

    `modes` (2K+1, F): the series coefficients (1, cos, sin, cos 2, ...) of displacements that the maps onto itself keep.
    """

    track: int
    images: tuple[tuple[int, np.ndarray, float], ...]
    modes: np.ndarray

    @property
    def waves(self) -> int:
        """K, the most waves round the track."""
        return len(self.modes) // 2


@dataclass(frozen=True)
class Samples:
    """Places on all tracks at equal steps along each.

    `points`, `across` (left), `normals` (N,3); `curvature` (N,3) 1/m, a vector; `moment` (N,3) m^2: sweep x dl of a displacement of 1 m; `size` (N,) m of the step;
    `track` (N,) index; `along`, `around` (N,) m: position on the track and its length; `shape`, `bend` (N,C), sparse:
    displacement (1) and its second derivative along the track (1/m2) per coefficient; `first` (N,): on a track that is no image.
    """

    points: np.ndarray
    across: np.ndarray
    normals: np.ndarray
    curvature: np.ndarray
    moment: np.ndarray
    size: np.ndarray
    track: np.ndarray
    along: np.ndarray
    around: np.ndarray
    shape: sparse.csr_array
    bend: sparse.csr_array
    first: np.ndarray


# --- families -------------------------------------------------------------------------------------------------


def families(tracks, symmetry, shortest: float) -> tuple[Family, ...]:
    """The tracks sorted into families under `symmetry`, displaced in waves of at least `shortest` m (3 to 14 round each)."""
    found, taken = [], set()
    trees = [cKDTree(t.points) for t in tracks]
    for index, track in enumerate(tracks):
        if index in taken:
            continue
        images, kept = {}, []
        for q, sign in zip(symmetry.maps, symmetry.signs):
            image = _image_of(track, q, symmetry.centre, tracks, trees)
            if image == index:
                kept.append((q, float(sign)))
            elif image is not None and image not in taken:
                images.setdefault(image, (image, q, float(sign)))
        taken |= {index, *images}
        own = (index, np.eye(3), 1.0)
        waves = int(np.clip(track.length / shortest, LEAST_WAVES, MOST_WAVES))
        found.append(Family(index, (own, *images.values()), _kept_modes(track, kept, symmetry.centre, waves)))
    return tuple(found)


def _image_of(track, q, centre, tracks, trees) -> int | None:
    """The index of the track onto which the map carries `track`, or None."""
    looked = ((track.points - centre) @ q.T + centre)[:: max(1, len(track.points) // 12)]
    length = track.length
    for index, other in enumerate(tracks):
        if abs(other.length - length) < SAME * length:
            step = np.linalg.norm(np.diff(other.points, axis=0), axis=1).max()
            if trees[index].query(looked)[0].max() <= step and _distance(looked[0], other)[0] < SAME * length:
                return index
    return None


def _distance(point, track) -> tuple[float, float]:
    """Distance (m) of a point from a track and the position (m) along it of the place nearest to it."""
    start, step = track.points[:-1], np.diff(track.points, axis=0)
    size = np.linalg.norm(step, axis=1)
    share = np.clip(np.einsum("ij,ij->i", point - start, step) / np.maximum(size, 1e-300) ** 2, 0, 1)
    away = np.linalg.norm(start + share[:, None] * step - point, axis=1)
    best = int(np.argmin(away))
    return float(away[best]), float(size[:best].sum() + share[best] * size[best])


def _kept_modes(track, kept, centre, waves: int) -> np.ndarray:
    """Orthonormal basis (2K+1, F) of the series with d(Qp) = sign d(p) for the maps that carry the track onto itself."""
    mean = np.zeros((2 * waves + 1,) * 2)
    for q, sign in kept:
        begin = _distance(centre + (track.points[0] - centre) @ q.T, track)[1] / track.length * 2 * np.pi
        same_way = sign * np.linalg.det(q)
        mean += sign * _composed(begin, same_way, waves) / len(kept)
    values, vectors = np.linalg.eigh((mean + mean.T) / 2)
    return vectors[:, values > 0.5]


def _composed(begin: float, same_way: float, waves: int) -> np.ndarray:
    """Matrix from the coefficients of d(t) to those of d(begin + same_way t)."""
    matrix = np.eye(2 * waves + 1)
    for k in range(1, waves + 1):
        c, s, way = np.cos(k * begin), np.sin(k * begin), np.sign(same_way)
        matrix[2 * k - 1 : 2 * k + 1, 2 * k - 1 : 2 * k + 1] = [[c, s], [-way * s, way * c]]
    return matrix


def series(angle, waves: int, derivative: int = 0) -> np.ndarray:
    """1, cos t, sin t, cos 2t ... at angles t (n,), or their derivatives of even order by t: (n, 2K+1)."""
    k = np.repeat(np.arange(1, waves + 1), 2)
    turn = np.asarray(angle)[:, None] * k
    wave = np.where(np.arange(2 * waves) % 2 == 0, np.cos(turn), np.sin(turn))
    factor = (-1) ** (derivative // 2) * k.astype(float) ** derivative
    return np.column_stack([np.full(len(turn), float(derivative == 0)), factor * wave])


def count(found) -> int:
    """Coefficients of all families together."""
    return sum(f.modes.shape[1] for f in found)


def roughness(found, tracks, knee: float, scale) -> np.ndarray:
    """Weights (C,C) of the mean square displacement of all tracks over `scale` (families,) m, waves beyond the `knee`-th dearer by (k/knee)^4."""
    blocks = []
    for family, size in zip(found, scale):
        k = np.concatenate([[0], np.repeat(np.arange(1, family.waves + 1), 2)])
        weight = np.where(k == 0, 1.0, 0.5) * (1 + (k / knee) ** 4) * len(family.images) / len(tracks) / size**2
        blocks.append(family.modes.T @ (weight[:, None] * family.modes))
    whole, at = np.zeros((count(found),) * 2), 0
    for block in blocks:
        whole[at : at + len(block), at : at + len(block)] = block
        at += len(block)
    return whole


# --- samples ----------------------------------------------------------------------------------------------------


def samples(found, tracks, symmetry, finest: float) -> Samples:
    """Places at most about `finest` m apart, or as many as the waves need."""
    at, parts, shapes, bends_ = 0, [], [], []
    for family in found:
        number = max(PER_WAVE * family.waves, int(np.ceil(tracks[family.track].length / finest)))
        own = _sampled(tracks[family.track], number)
        wide = lambda block, at=at: _placed(block @ family.modes, at, count(found))  # noqa: B023
        shape, bend = wide(series(own["angle"], family.waves)), wide(series(own["angle"], family.waves, 2) * (2 * np.pi / own["around"][0]) ** 2)
        at += family.modes.shape[1]
        for index, q, sign in family.images:
            parts.append(_turned(own, q, sign, symmetry.centre) | {"track": np.full(number, index), "first": np.full(number, index == family.track)})
            shapes.append(shape)
            bends_.append(bend)
    joined = {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}
    return Samples(**joined, shape=sparse.vstack(shapes, format="csr"), bend=sparse.vstack(bends_, format="csr"))


def _placed(block, at: int, columns: int):
    """The columns of `block` (N,F) as those from `at` on of a sparse matrix (N,columns)."""
    rows, width = block.shape
    index = np.broadcast_to(np.arange(at, at + width), block.shape).ravel()
    return sparse.csr_array((block.ravel(), index, width * np.arange(rows + 1)), shape=(rows, columns))


def _turned(own: dict, q, sign: float, centre) -> dict:
    """The samples of a track as those of its image."""
    across, normals = own["across"] @ q.T, own["normals"] @ q.T
    moment = -sign * own["size"][:, None] * normals
    points = (own["points"] - centre) @ q.T + centre
    return {"points": points, "across": across, "normals": normals, "curvature": own["curvature"] @ q.T, "moment": moment, "size": own["size"], "along": own["along"], "around": own["around"]}


def _sampled(track, number: int) -> dict:
    """Points, directions and positions at `number` equal steps along a closed track."""
    run = _run(track)
    along = run[-1] * np.arange(number) / number
    between = lambda values: np.column_stack([np.interp(along, run, values[:, c]) for c in range(3)])
    curve = CubicSpline(run, track.points, bc_type="periodic")  # of a polyline itself the curvature is in its corners
    return {
        "curvature": curve(along, 2), "points": between(track.points), "normals": _unit(between(track.normals)), "across": _unit(between(across(track))), "along": along,
        "around": np.full(number, run[-1]), "size": np.full(number, run[-1] / number), "angle": 2 * np.pi * along / run[-1],
    }  # fmt: skip


def across(track) -> np.ndarray:
    """Unit vectors (n,3) in the surface to the left of a closed track, seen from outside."""
    ahead = np.roll(track.points[:-1], -1, axis=0) - np.roll(track.points[:-1], 1, axis=0)
    left = np.cross(track.normals[:-1], ahead)
    return _unit(np.concatenate([left, left[:1]]))


def _run(track) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(track.points, axis=0), axis=1))])


def _unit(vectors) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-300)


def elbow_room(at: Samples, same) -> np.ndarray:
    """Distance (N,) m of each place on a track that is no image from the nearest of another track of its winding, zero for the others."""
    room, group = np.zeros(len(at.track)), same[at.track]
    for k in np.unique(at.track[at.first]):
        own, others = np.flatnonzero(at.first & (at.track == k)), np.flatnonzero((group == same[k]) & (at.track != k))
        room[own] = cKDTree(at.points[others]).query(at.points[own])[0] if len(others) else at.around[own] / (2 * np.pi)
    return room


# --- slopes -----------------------------------------------------------------------------------------------------


def distances(at: Samples, near: float, beside: float, width: float, same) -> tuple[np.ndarray, np.ndarray]:
    """Distances (R,) m below `near` between neighbouring tracks, and their slopes (R,C) with the coefficients.

    From each place on a track that is no image, to its left and to its right, to the nearest of each other turn of the same
    winding, or of the same track farther along than four widths and twice the distance; beyond `beside` m at every
    fourth place.  same: (tracks,) number of the winding of each track.
    """
    own = np.flatnonzero(at.first)
    pairs = cKDTree(at.points).query_ball_point(at.points[own], near + at.size.max())
    one = np.repeat(own, [len(p) for p in pairs])
    two = np.concatenate([np.asarray(p, int) for p in pairs]) if len(own) else np.zeros(0, int)
    away = np.linalg.norm(at.points[one] - at.points[two], axis=1)
    apart = np.abs(at.along[one] - at.along[two])
    apart = np.minimum(apart, at.around[one] - apart)
    hairpin = apart > np.maximum(4 * width, _DETOUR * away) + (at.size[one] + at.size[two]) / 2
    real = (same[at.track[one]] == same[at.track[two]]) & ((at.track[one] != at.track[two]) | hairpin)
    one, two, away = one[real], two[real], away[real]
    left = np.einsum("ij,ij->i", at.points[two] - at.points[one], at.across[one]) > 0
    nearest = _smallest_of_each(one, 2 * at.track[two] + left, away)
    nearest = nearest[(away[nearest] < beside) | (one[nearest] % 4 == 0)]
    return _slopes(at, one[nearest], two[nearest], near)


def _smallest_of_each(one, side, away) -> np.ndarray:
    """For each place and side of each track the pair with the smallest distance."""
    key = one * (side.max(initial=0) + 1) + side
    least = np.full(key.max(initial=-1) + 1, np.inf)
    np.minimum.at(least, key, away)
    nearest = np.flatnonzero(away == least[key])
    return nearest[np.unique(key[nearest], return_index=True)[1]]


def _slopes(at: Samples, one, two, near):
    """Distance of the straight pieces round places `one` and `two`, by feet of one on the other in turn, and how it changes."""
    ahead = lambda k: np.cross(at.across[k], at.normals[k])
    foot = lambda gap, way, k: np.clip(np.einsum("ij,ij->i", gap, way), -at.size[k] / 2, at.size[k] / 2)[:, None]
    u, v, gap = ahead(one), ahead(two), at.points[one] - at.points[two]
    s = np.zeros((len(one), 1))
    for _ in range(3):
        t = foot(gap + s * u, v, two)
        s = foot(t * v - gap, u, one)
    gap = gap + s * u - t * v
    distance = np.linalg.norm(gap, axis=1)
    keep = (distance < near) & (distance > 0)
    one, two, distance, way = one[keep], two[keep], distance[keep], gap[keep] / distance[keep][:, None]
    part = lambda k: sparse.diags_array(np.einsum("ij,ij->i", way, at.across[k])) @ at.shape[k]
    return distance, (part(one) - part(two)).toarray()


def bends(at: Samples) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Curvature in the surface (R,) 1/m, positive to the left, its slopes (R,C), and the curvature (R,) of the surface along the track.

    At the places on tracks that are no images.
    """
    own = np.flatnonzero(at.first)
    curvature, surface = (np.einsum("ij,ij->i", at.curvature[own], direction[own]) for direction in (at.across, at.normals))
    return curvature, (at.bend[own] + sparse.diags_array(curvature**2) @ at.shape[own]).toarray(), surface


def without_knots(track: Track, pitch: float) -> Track:
    """A closed track whose small detours are cut off: arcs of at most KNOT pitches that come back within `pitch` m of where they left.

    Level lines make them round single vertices where a stream function is flat; no conductor could follow them.
    """
    points = track.points[:-1]
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(track.points, axis=0), axis=1))])
    pairs = cKDTree(points).query_pairs(pitch, output_type="ndarray")
    if not len(pairs):
        return track
    i, j = np.sort(pairs, axis=1).T
    arc, chord = along[j] - along[i], np.linalg.norm(points[i] - points[j], axis=1)
    seam = arc > along[-1] / 2  # the short way goes through the first point
    short = np.where(seam, along[-1] - arc, arc)
    knots = (short > _DETOUR * np.maximum(chord, 1e-12)) & (short > pitch) & (short < min(KNOT * pitch, along[-1] / 4))
    dropped = np.zeros(len(points), bool)
    for a, b, through in zip(i[knots], j[knots], seam[knots]):
        dropped[(np.arange(len(points)) > b) | (np.arange(len(points)) < a) if through else slice(a + 1, b)] = True
    kept = np.flatnonzero(~dropped)
    if len(kept) == len(points) or len(kept) < 8:
        return track
    again = np.append(kept, kept[0])
    points, normals = points[again], track.normals[again]
    if dropped[0]:  # a track that began on a mirror plane begins there again
        points, normals = (np.concatenate([(v[:1] + v[-2:-1]) / 2, v[:-1], (v[:1] + v[-2:-1]) / 2]) for v in (points, normals))
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return Track(points, normals, ("turn",) * (len(points) - 1))


def evened(track, step: float, most: int, onto) -> Track:
    """A closed track with points at equal steps of about `step` m, at most `most`, on a smooth curve through its own.

    The count is a multiple of four, so that a track that begins on a mirror plane keeps it; onto(points) -> points and
    normals on the surface.
    """
    run = _run(track)
    number = 4 * int(np.ceil(min(most, run[-1] / step) / 4))
    curve = CubicSpline(run, track.points, bc_type="periodic")
    points, normals = onto(curve(run[-1] * np.arange(number + 1) / number))
    points[-1], normals[-1] = points[0], normals[0]
    return Track(points, normals, track.roles[:1] * number)


# --- moving -----------------------------------------------------------------------------------------------------


def moved(found, tracks, symmetry, coefficients, settled) -> tuple[Track, ...]:
    """The tracks displaced; settled(index, track) -> that track on its surface."""
    result, at = list(tracks), 0
    for family in found:
        track, width = tracks[family.track], family.modes.shape[1]
        run = _run(track)
        way = series(2 * np.pi * run / run[-1], family.waves) @ family.modes @ coefficients[at : at + width]
        at += width
        own = settled(family.track, replace(track, points=track.points + way[:, None] * across(track)))
        for index, q, sign in family.images:
            result[index] = _imaged(own, q, sign, symmetry.centre)
    return tuple(result)


def _imaged(track, q, sign, centre) -> Track:
    """The image of a track, run in the direction of its current."""
    way = 1 if sign * np.linalg.det(q) > 0 else -1
    points, normals = (track.points - centre) @ q.T + centre, track.normals @ q.T
    return Track(points[::way], normals[::way], track.roles[::way])
