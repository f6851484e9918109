"""Lines and areas of equal field: in any plane, and on any surface of triangles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import contourpy
import numpy as np

from designtools.siting.sampling import end_of_level, logarithm, magnitude

COARSE, CELLS = 64, 90  # points along each side of the first and of the second grid
CLOSE = 1e-7  # m, how near a vertex lies to the exact line
SAG = 2e-4  # m, largest distance of a chord from the exact line


@dataclass(frozen=True)
class Plane:
    """Where a contour is drawn: `origin` (3,) m and two orthogonal unit vectors; coordinates (n,2) m along these."""

    origin: tuple
    first: tuple
    second: tuple

    def points(self, flat) -> np.ndarray:
        """Points (n,3) m in space of coordinates (n,2) m in the plane."""
        return np.asarray(self.origin, float) + np.asarray(flat) @ np.array([self.first, self.second], float)


@dataclass(frozen=True)
class Contour:
    """Where a quantity crosses `level`: closed `lines` (n,2) m in the plane, the larger values on their left.

    area (m2): where the quantity exceeds the level; pockets of smaller values are left out.
    """

    level: float
    lines: tuple[np.ndarray, ...]

    @property
    def area(self) -> float:
        return float(sum(_signed_area(line) for line in self.lines))

    def outermost(self) -> tuple[np.ndarray, ...]:
        """The lines that lie inside no other: a pocket of weaker field near the coils is no place to stand."""
        from shapely import Polygon

        areas = [Polygon(line) for line in self.lines]
        inside = [any(b is not a and b.contains(a) for b in areas) for a in areas]
        return tuple(line for line, hidden in zip(self.lines, inside) if not hidden)


def field_contour(source, level: float, plane: Plane, cells: int = CELLS, sag: float = SAG) -> Contour:
    """Lines of |B| = level (T) in a plane; see `contour`."""
    return contour(partial(magnitude, source), level, plane, source.extent(np.zeros(3))[1], cells, sag)


def contour(of, level: float, plane: Plane, size: float, cells: int = CELLS, sag: float = SAG) -> Contour:
    """Lines of of(points) = level in a plane, exact at their vertices to 1e-7 m, between them to `sag` m.

    of: points (P,3) m -> (P,) positive values that fall below the level far away; size (m): its sources lie within
    it of the origin.  The grid that finds the lines has `cells` points along the longer side of the region: details
    smaller than its spacing can be missed, every line found is refined on `of` itself.  Where `of` is NaN nothing is
    known; lines that run into such a part are left out.
    """
    if not level > 0:
        raise ValueError(f"contour: level must be positive, got {level!r}")
    excess = lambda flat: logarithm(of(plane.points(flat)), level)
    middle, half = _window(plane, end_of_level(of, level, start=1.1 * size))
    if not half:
        return Contour(float(level), ())
    x, y = (np.linspace(c - half, c + half, COARSE) for c in middle)
    x, y = _shrunk(x, y, _grid(excess, x, y), cells)
    lines = contourpy.contour_generator(x, y, (values := _grid(excess, x, y)).T).lines(0.0)
    closed = [line for line in map(np.asarray, lines) if np.array_equal(line[0], line[-1])]
    return Contour(float(level), tuple(_smooth(excess, line, sag) for line in _on_edges(excess, closed, x, y, values)))


def _window(plane: Plane, radius: float):
    """Middle (2,) and half width of a square that holds the disc in which the plane cuts the sphere; 0 for none."""
    origin, axes = np.asarray(plane.origin, float), np.array([plane.first, plane.second], float)
    foot = -axes @ origin
    away = np.linalg.norm(plane.points(foot[None]))
    return foot, float(np.sqrt(max(radius**2 - away**2, 0.0)))


def _grid(excess, x, y) -> np.ndarray:
    flat = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1)
    return excess(flat.reshape(-1, 2)).reshape(len(x), len(y))


def _shrunk(x, y, values, cells: int):
    """Axes of a finer grid that just holds what lies above the level."""
    sides = []
    for axis, across in ((x, 1), (y, 0)):
        inside = np.flatnonzero((values >= 0).any(axis=across))
        step = axis[1] - axis[0]
        low, high = (axis[inside[0]], axis[inside[-1]]) if inside.size else (axis[0], axis[-1])
        sides.append((low - 1.5 * step, high + 1.5 * step))
    spacing = max(high - low for low, high in sides) / (cells - 1)
    return [np.linspace(low, high, max(33, int(np.ceil((high - low) / spacing)) + 1)) for low, high in sides]


# ---- onto the exact line ----------------------------------------------------------------------------


def _on_edges(excess, lines, x, y, values) -> list[np.ndarray]:
    """Vertices of closed lines moved along the grid edges they lie on to where the quantity itself crosses."""
    if not lines:
        return []
    open_line = np.concatenate([line[:-1] for line in lines])
    column, row = (np.clip(np.searchsorted(a, v, "right") - 1, 0, len(a) - 2) for a, v in ((x, open_line[:, 0]), (y, open_line[:, 1])))
    nearest = [np.argmin(np.abs(a[None] - v[:, None]), axis=1) for a, v in ((x, open_line[:, 0]), (y, open_line[:, 1]))]
    off = np.stack([np.abs(a[n] - v) / (a[1] - a[0]) for a, n, v in zip((x, y), nearest, open_line.T)])
    along_y = off[0] <= off[1]  # the vertex lies on a grid line x = const
    low = np.where(along_y, nearest[0], column), np.where(along_y, row, nearest[1])
    high = np.where(along_y, nearest[0], column + 1), np.where(along_y, row + 1, nearest[1])
    ends = [np.stack([x[i], y[j]], axis=1) for i, j in (low, high)]
    moved = np.split(crossing(excess, *ends, values[low], values[high]), np.cumsum([len(line) - 1 for line in lines])[:-1])
    return [np.concatenate([line, line[:1]]) for line in moved]


def crossing(excess, a, b, at_a, at_b, rounds: int = 30) -> np.ndarray:
    """Points (n,d) between a and b (n,d) where excess(points) = 0; at_a, at_b (n,) must differ in sign.

    The Illinois variant of regula falsi, every edge at once, until no guess moves by more than 1e-7 m or each value
    is zero to 1e-9.
    """
    low, high, f_low, f_high = np.zeros(len(a)), np.ones(len(a)), at_a.copy(), at_b.copy()
    length, guess = np.linalg.norm(b - a, axis=1), np.full(len(a), 0.5)
    for _ in range(rounds):
        share = np.where(f_low == f_high, 0.5, f_low / np.where(f_low == f_high, 1.0, f_low - f_high))
        new = low + (high - low) * np.clip(share, 0.0, 1.0)
        moved, guess = np.abs(new - guess) * length, new
        value = excess(a + guess[:, None] * (b - a))
        beyond = np.sign(value) == np.sign(f_low)
        f_low, f_high = np.where(beyond, value, f_low / 2), np.where(beyond, f_high / 2, value)
        low, high = np.where(beyond, guess, low), np.where(beyond, high, guess)
        if np.all((np.abs(value) < 1e-9) | (moved < CLOSE)):
            break
    return a + guess[:, None] * (b - a)


def _smooth(excess, line, sag: float) -> np.ndarray:
    """The closed line with points put between its vertices until no chord is farther than `sag` from the exact line."""
    done = np.zeros(len(line) - 1, bool)
    for _ in range(8):
        todo = np.flatnonzero(~done)
        if not todo.size:
            break
        middle, away = _projected(excess, line[todo], line[todo + 1])
        done[todo] = away <= sag
        split = todo[away > sag]
        line = np.insert(line, split + 1, middle[away > sag], axis=0)
        done = np.insert(done, split + 1, False)
    return line


def _projected(excess, start, end):
    """The exact line opposite the middle of each chord, and how far it is; a chord without one nearby counts as exact."""
    chord = end - start
    length = np.linalg.norm(chord, axis=1)
    normal = np.stack([-chord[:, 1], chord[:, 0]], axis=1) / np.maximum(length, 1e-300)[:, None]
    middle, small = (start + end) / 2, np.maximum(1e-6, 1e-4 * length)
    at, beside = np.split(excess(np.concatenate([middle, middle + small[:, None] * normal])), 2)
    slope = np.where(beside == at, np.inf, (beside - at) / small)  # of a chord that is off by its curvature only
    away = np.zeros(len(start))
    for _ in range(3):
        away = np.clip(away - at / slope, -length / 2, length / 2)
        at = excess(middle + away[:, None] * normal)
    settled = np.abs(at) < 1e-6
    return middle + away[:, None] * normal, np.where(settled, np.abs(away), 0.0)


def _signed_area(line) -> float:
    x, y = line[:-1].T
    return float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2)


# ---- on a surface -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class SurfaceContour:
    """Where a quantity crosses `level` on a surface: `lines` (n,3) m, closed unless they end at its border; the area
    (m2) above the level."""

    level: float
    lines: tuple[np.ndarray, ...]
    area: float


def surface_contour(source, level: float, vertices, faces) -> SurfaceContour:
    """Lines of |B| = level (T) on the triangles `faces` (F,3) of `vertices` (V,3) m: a wall, a floor, a cover.

    Their points lie on the edges of the triangles, each where |B| itself has the level; straight between them.
    """
    excess = lambda points: logarithm(magnitude(source, points), level)
    vertices, faces = np.asarray(vertices, float), np.asarray(faces)
    values = excess(vertices)
    edges = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]], axis=2)
    crossed, index = np.unique(edges.reshape(-1, 2), axis=0, return_inverse=True)
    index = index.reshape(-1, 3)
    cut = (values[crossed] >= 0).sum(axis=1) == 1
    places = vertices[crossed[:, 0]].copy()
    a, b = crossed[cut].T
    places[cut] = crossing(excess, vertices[a], vertices[b], values[a], values[b]) if cut.any() else places[cut]
    segments = np.array([row[cut[row]] for row in index if cut[row].any()], int).reshape(-1, 2)
    lines = tuple(places[chain] for chain in _chains(segments))
    return SurfaceContour(float(level), lines, _area_above(vertices, faces, values, places, index))


def _chains(segments) -> list[list[int]]:
    """Segments (pairs of node numbers) joined end to end."""
    neighbours: dict[int, list[int]] = {}
    for a, b in segments.tolist():
        neighbours.setdefault(a, []).append(b)
        neighbours.setdefault(b, []).append(a)
    chains = []
    for start in sorted(neighbours, key=lambda node: len(neighbours[node])):  # open ends first
        if neighbours[start]:
            chain = [start]
            while neighbours[chain[-1]]:
                step = neighbours[chain[-1]].pop()
                neighbours[step].remove(chain[-1])
                chain.append(step)
            chains.append(chain)
    return chains


def _area_above(vertices, faces, values, places, index) -> float:
    """Area of the part of each triangle above the level: the whole, the corner cut off, or what is left of it."""
    above = values[faces] >= 0
    count = above.sum(axis=1)
    corner = np.where(count == 1, np.argmax(above, axis=1), np.argmin(above, axis=1))
    row = np.arange(len(faces))
    tip = vertices[faces[row, corner]]
    cut = _triangle_area(tip, places[index[row, corner]], places[index[row, (corner + 2) % 3]])
    whole = _triangle_area(*(vertices[faces[:, k]] for k in range(3)))
    return float(np.sum(np.select([count == 3, count == 1, count == 2], [whole, cut, whole - cut], 0.0)))


def _triangle_area(a, b, c) -> np.ndarray:
    return np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
