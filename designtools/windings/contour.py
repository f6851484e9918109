"""From a stream function to closed tracks: its level lines on the true surface of the former.

The stream function psi (A) of a sheet current K = grad(psi) x n (n outward) is cut at values one conductor
current I apart.  A wire on each level line, running with the larger psi on its left (seen from outside),
then carries what flows between the neighbouring half levels (Peeren, J. Comput. Phys. 191 (2003) 305).
"""

from __future__ import annotations

from dataclasses import dataclass

import contourpy
import numpy as np
from scipy.interpolate import CloughTocher2DInterpolator, CubicSpline, RectBivariateSpline

from designtools.windings.winding import Track

_RASTER_PER_CELL = 4  # raster cells per cell of the stream function's grid
_FINE = 768  # samples of one level line from which the final points are chosen; a multiple of four


def levels(stream, turns: int | None = None, *, current: float | None = None, rim: float = 0.0):
    """Level values (K,) A, ascending, and the current I (A) of one conductor.

    With `turns` = N the largest |stream - rim| becomes N conductors: I = max|stream - rim| / N.  With `current`
    the conductor current is given: the way to contour a shield in series with its primary.  The values are
    rim + (k - 1/2) I of both signs, as far as the stream function (V,) reaches.  `rim` is the value of the
    stream function on the open rim, see `rim_value`.  ValueError for a flat stream function or a bad number.
    """
    above = np.asarray(stream, float) - rim
    largest = np.abs(above).max()
    if (turns is None) == (current is None):
        raise ValueError(
            f"levels need either turns or current, got turns={turns} and current={current}; give one"
        )
    if current is None:
        if turns < 1 or turns != int(turns):
            raise ValueError(f"turns must be a whole number of at least 1, got {turns}; try 10")
        if largest == 0:
            raise ValueError(
                "the stream function must vary, got the rim's value everywhere; design one first"
            )
        current = largest / turns
    if not current > 0:
        raise ValueError(
            f"current must be positive, got {current} A; the sign belongs in the stream function"
        )
    count = lambda reach: max(0, int(np.floor(reach / current + 0.5 - 1e-9)))
    steps = np.arange(-count(-above.min()), count(above.max()))
    return rim + (steps + 0.5) * current, float(current)


def rim_value(mesh, stream) -> float:
    """Value (A) of the stream function on the first open rim of the mesh; 0 where there is no rim."""
    if not len(mesh.boundaries):
        return 0.0
    return float(np.mean(np.asarray(stream, float)[mesh.boundaries[0]]))


def contours(
    former, mesh, stream, values, *, chord_error: float | None = None, shortest: float = 0.0
) -> tuple[Track, ...]:
    """Closed tracks along stream = value, for each of values (K,) A, in their order.

    `stream` (V,) A at the vertices of `mesh`; between them psi is a bicubic spline (mesh on a grid or in rows in
    u, v) or that spline through a C1 Clough-Tocher surface (any other mesh).  Positive current along a track is the
    direction of K = grad(psi) x n.  Points lie on the former itself, closer where the line bends, so that no
    chord leaves the line by more than about `chord_error` m (default: 1e-3 of the former's half width) and no
    track has fewer than 48 pieces.  Level lines shorter than `shortest` m are left out.  Mirror symmetry of
    psi is kept.  ValueError where a level line runs off an open rim.
    """
    surface = stream_surface(former, mesh, stream)
    if chord_error is None:
        chord_error = 1e-3 * half_width(former)
    u, v = _raster(surface)
    raster = u, v, surface.spline(u, v)
    lines = [line for value in np.atleast_1d(values) for line in _level_lines(surface, raster, float(value))]
    tracks = [_track(former, surface, line, chord_error) for line in lines]
    return tuple(track for track in tracks if track.length >= shortest)


@dataclass(frozen=True)
class StreamSurface:
    """psi(u, v) in A as one smooth function over the parameter rectangle.

    `u`, `v` grid lines of the spline inside the rectangle; `period` of u or None; `handed` +1 where
    (u, v, outward normal) is right-handed, else -1.
    """

    spline: RectBivariateSpline
    u: np.ndarray
    v: np.ndarray
    period: float | None
    handed: int

    def value(self, uv):
        """psi (n,) A at uv (n,2); u may lie outside its range where it is periodic."""
        return self.spline.ev(*self._inside(uv))

    def gradient(self, uv):
        """Derivatives (n,2) of psi by u and v."""
        at = self._inside(uv)
        return np.stack([self.spline.ev(*at, dx=1), self.spline.ev(*at, dy=1)], axis=-1)

    def onto(self, uv, value, rounds: int = 3):
        """uv (n,2) moved along the gradient (Newton) until psi = value; steps stay below a raster cell."""
        cell = np.array([self.u[1] - self.u[0], self.v[1] - self.v[0]])
        for _ in range(rounds):
            slope = self.gradient(uv) * cell
            square = np.maximum((slope**2).sum(1), 1e-300)
            step = ((value - self.value(uv)) / square)[:, None] * slope
            step /= np.maximum(1.0, 2 * np.linalg.norm(step, axis=1))[:, None]
            uv = uv + step * cell
            uv[:, 1] = np.clip(uv[:, 1], self.v[0], self.v[-1])
        return uv

    def _inside(self, uv):
        u = uv[:, 0] if self.period is None else self.u[0] + np.mod(uv[:, 0] - self.u[0], self.period)
        return u, uv[:, 1]


def stream_surface(former, mesh, stream) -> StreamSurface:
    """The smooth psi(u, v) of vertex values `stream` (V,) A on `mesh`; ValueError where shapes disagree."""
    stream = np.asarray(stream, float)
    if stream.shape != (len(mesh.uv),):
        raise ValueError(
            f"stream must have one value for each of {len(mesh.uv)} vertices, got shape {stream.shape}; use the mesh it was designed on"
        )
    if not np.all(np.isfinite(stream)):
        raise ValueError("stream must be finite, got NaN or infinity; check the solver's status")
    if former.periodic[1]:
        raise ValueError(
            "contours need a former that is open or ends in poles along v, got one periodic in v; swap u and v"
        )
    (u_low, u_high), _ = former.span
    period = u_high - u_low if former.periodic[0] else None
    u, v, grid = (
        _as_grid(mesh.uv, stream, period)
        or _as_rows(mesh.uv, stream, period)
        or _resampled(former, mesh, stream, period)
    )
    pad = 0 if period is None else 24  # a cubic spline forgets its ends by a factor 0.27 per knot
    around = np.arange(-pad, len(u) + pad)
    wide = u[around % len(u)] + (period or 0) * (around // len(u))
    spline = RectBivariateSpline(wide, v, grid[around % len(u)])
    return StreamSurface(spline, u, v, period, _handedness(former))


def half_width(former) -> float:
    """Half the middle one of the former's three extents, m: the radius of a cylinder or a sphere."""
    return float(np.sort(np.ptp(_sampled(former).reshape(-1, 3), axis=0))[1] / 2)


def mean_metric(former) -> np.ndarray:
    """Metres per unit of u and of v (2,), averaged over the former."""
    at = _sampled(former)
    mean = lambda axis: np.linalg.norm(np.diff(at, axis=axis), axis=2).mean() * (at.shape[axis] - 1)
    return np.array([mean(0), mean(1)]) / np.ptp(np.array(former.span), axis=1)


def chord_pieces(former, start, end, chord_error) -> int:
    """Pieces that a straight line in (u, v) needs so that its chords stay within chord_error of the surface."""
    share = np.linspace(0, 1, 9)[:, None]
    points = former.at(start + share * (end - start))
    sag = np.linalg.norm(points - (points[0] + share * (points[-1] - points[0])), axis=1).max()
    return max(1, int(np.ceil(np.sqrt(sag / chord_error) - 1e-9)))


def _sampled(former, count: int = 33):
    (u0, u1), (v0, v1) = former.span
    grid = np.meshgrid(np.linspace(u0, u1, count), np.linspace(v0, v1, count), indexing="ij")
    return former.at(np.stack(grid, -1).reshape(-1, 2)).reshape(count, count, 3)


def _handedness(former) -> int:
    (u0, u1), (v0, v1) = former.span
    uv = np.array([[0.45 * u0 + 0.55 * u1, 0.45 * v0 + 0.55 * v1]])
    du, dv = (np.array([[1e-4 * (u1 - u0), 0]]), np.array([[0, 1e-4 * (v1 - v0)]]))
    tangent = lambda d: (former.at(uv + d) - former.at(uv - d))[0]
    return int(np.sign(np.dot(np.cross(tangent(du), tangent(dv)), former.normal(uv)[0])))


def _as_grid(uv, stream, period):
    """(u, v, values) when the vertices are a full grid in (u, v), else None."""
    key = np.round(uv / np.ptp(uv, axis=0), 9)
    (u_key, iu), (v_key, iv) = (np.unique(key[:, k], return_inverse=True) for k in (0, 1))
    if (
        len(u_key) * len(v_key) != len(uv)
        or len(np.unique(iu * len(v_key) + iv)) != len(uv)
        or min(len(u_key), len(v_key)) < 4
    ):
        return None
    u, v, grid = np.zeros(len(u_key)), np.zeros(len(v_key)), np.zeros((len(u_key), len(v_key)))
    u[iu], v[iv], grid[iu, iv] = uv[:, 0], uv[:, 1], stream
    if period is not None and np.isclose(u[-1] - u[0], period):  # a seam stored twice
        u, grid = u[:-1], grid[:-1]
    return u, v, grid


def _as_rows(uv, stream, period):
    """(u, v, values) at half steps when the vertices stand in rows of equal v, n to the period of u, else None.

    Rows may be shifted against one another; a periodic cubic spline along each row gives the values between.
    """
    if period is None:
        return None
    v, row = np.unique(np.round(uv[:, 1] / np.ptp(uv[:, 1]), 9), return_inverse=True)
    n = len(uv) // len(v)
    order = np.lexsort((uv[:, 0], row))
    if len(v) < 4 or n < 4 or not np.array_equal(row[order], np.repeat(np.arange(len(v)), n)):
        return None
    u, level = uv[order, 0].reshape(-1, n), uv[order, 1].reshape(-1, n)[:, 0]
    if not np.allclose(np.diff(u, axis=1), period / n, rtol=0, atol=1e-9 * period):
        return None
    psi = stream[order].reshape(-1, n)
    common = period * np.arange(2 * n) / (2 * n)
    along = lambda at, f: CubicSpline(np.append(at, at[0] + period), np.append(f, f[0]), bc_type="periodic")
    return (
        common,
        level,
        np.stack([along(at, f)(at[0] + np.mod(common - at[0], period)) for at, f in zip(u, psi)], axis=1),
    )


def _resampled(former, mesh, stream, period):
    """(u, v, values) of the Clough-Tocher surface through scattered vertices, on a grid half an edge wide."""
    (u0, u1), (v0, v1) = former.span
    scale = mean_metric(former)
    copies = (0,) if period is None else (-1, 0, 1)
    sites = np.concatenate([(mesh.uv + [k * (period or 0), 0]) * scale for k in copies])
    psi = CloughTocher2DInterpolator(sites, np.tile(stream, len(copies)), tol=1e-9, maxiter=2000)
    corner = mesh.vertices[mesh.faces]
    step = 0.5 * np.median(np.linalg.norm(corner - np.roll(corner, 1, axis=1), axis=2))
    n_u = 4 * int(np.ceil((u1 - u0) * scale[0] / step / 4))
    u = u0 + (u1 - u0) * np.arange(n_u + (period is None)) / n_u
    v = np.linspace(v0, v1, 2 * int(np.ceil((v1 - v0) * scale[1] / step / 2)) + 1)
    at = np.stack(np.meshgrid(u, v, indexing="ij"), axis=-1) * scale
    inside = np.clip(at, sites.min(0), sites.max(0))
    grid = psi(inside)
    if not np.all(np.isfinite(grid)):
        raise ValueError(
            f"the mesh must cover the former's whole parameter rectangle, got {np.isnan(grid).mean():.1%} of it uncovered; mesh the former itself"
        )
    return u, v, grid


def _level_lines(surface, raster, value) -> list:
    """Closed lines psi = value as (n,2) uv with u unwrapped; the end repeats the start, up to a period in u."""
    u, v, grid = raster
    pieces = contourpy.contour_generator(u, v, grid.T).lines(value)
    closed = [p for p in pieces if np.array_equal(p[0], p[-1])]
    lines = closed + _stitched(
        [p for p in pieces if not np.array_equal(p[0], p[-1])], u, surface.period, value
    )
    lines = [line for line in lines if len(line) > 3]
    return [_directed(surface, surface.onto(line, value), value) for line in lines]


def _raster(surface):
    """Raster lines in u and v that hold the mirror planes of the spline's grid; the seam appears twice."""
    last = surface.u[-1] if surface.period is None else surface.u[0] + surface.period
    n_u = _RASTER_PER_CELL * max(len(surface.u), 32)
    n_v = _RASTER_PER_CELL * max(len(surface.v) - 1, 32)
    return np.linspace(surface.u[0], last, n_u + 1), np.linspace(surface.v[0], surface.v[-1], n_v + 1)


def _stitched(pieces, u, period, value) -> list:
    """Open pieces joined across the seam u[0] ~ u[-1] to closed lines; ValueError where one ends on a rim."""
    lines, pieces = [], list(pieces)
    while pieces:
        line = pieces.pop(0)
        while not _closes(line, period):
            line = _prolonged(line, pieces, u, period, value)
        lines.append(line)
    return lines


def _closes(line, period) -> bool:
    step = line[-1] - line[0]
    turns = 0 if period is None else step[0] / period
    return (
        len(line) > 2
        and abs(step[1]) < 1e-12
        and abs(turns - np.rint(turns)) < 1e-9
        and (abs(step[0]) < 1e-12 or abs(turns) > 0.5)
    )


def _prolonged(line, pieces, u, period, value):
    """`line` with the piece that goes on where it meets the seam."""
    end = line[-1]
    inside = u[0] if period is None else u[0] + np.mod(end[0] - u[0] + 1e-12, period)
    if period is None or abs(inside - u[0]) > 1e-9 * period or not pieces:
        raise ValueError(
            f"the level line at {value:.4g} A must close, but it runs off the open rim at u={end[0]:.4g}, v={end[1]:.4g}; "
            "hold the stream function constant along each rim, or choose levels that differ from the rim's values"
        )
    misses = [abs(p[0, 1] - end[1]) + 1e3 * (not _on_far_side(line, p, u)) for p in pieces]
    best = pieces.pop(int(np.argmin(misses)))
    turns = np.rint((end[0] - best[0, 0]) / period)
    return np.concatenate([line, best[1:] + [turns * period, 0]])


def _on_far_side(line, piece, u) -> bool:
    """Whether `piece` starts on the seam side opposite to the one on which `line` ends."""
    rising = line[-1, 0] > line[-2, 0]
    return np.isclose(piece[0, 0], u[0] if rising else u[-1])


def _directed(surface, line, value):
    """The line with larger psi on its left as seen from outside."""
    step = np.diff(line, axis=0)
    slope = surface.gradient((line[:-1] + line[1:]) / 2)
    leftward = surface.handed * (slope[:, 1] * step[:, 0] - slope[:, 0] * step[:, 1]).sum()
    return line if leftward > 0 else line[::-1]


def _track(former, surface, line, chord_error) -> Track:
    value = float(np.median(surface.value(line)))
    line = _from_canonical_start(line, surface.period)
    fine = surface.onto(_spread(former, line, np.linspace(0, 1, _FINE + 1)), value)
    uv = surface.onto(_spread(former, fine, _positions(former.at(fine), chord_error)), value)
    uv[-1] = uv[0]
    points, normals = former.at(uv), former.normal(uv)
    return Track(points, normals, ("turn",) * (len(points) - 1))


def _from_canonical_start(line, period):
    """The closed line begun where it crosses the u of its centre farthest out in |v| (a ring: at u = 0).

    Mirror images then begin at mirrored points, so that the final points are mirror images too.
    """
    ring = abs(line[-1, 0] - line[0, 0]) > 1e-9
    offset = line[:, 0] if ring else line[:, 0] - _centroid(line)[0]
    sheet = np.floor(offset / period + 1e-9) if ring else (offset >= 0).astype(float)
    crossing = np.flatnonzero(sheet[:-1] != sheet[1:])
    wanted = period * np.maximum(sheet[crossing], sheet[crossing + 1]) if ring else 0.0
    share = (wanted - offset[crossing]) / (offset[crossing + 1] - offset[crossing])
    points = line[crossing] + share[:, None] * (line[crossing + 1] - line[crossing])
    best = np.lexsort((-points[:, 1], np.round(-np.abs(points[:, 1]), 9)))[0]
    shift, start = line[-1] - line[0], points[best]
    before, after = line[1 : crossing[best] + 1], line[crossing[best] + 1 :]
    return np.concatenate([start[None], after, before + shift, (start + shift)[None]])


def _centroid(line):
    """Centre of area (2,) of a closed line in the (u, v) plane."""
    a, b = line[:-1] - line[0], line[1:] - line[0]
    cross = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    return line[0] + ((a + b) * cross[:, None]).sum(0) / (3 * cross.sum())


def _spread(former, line, share):
    """uv (m,2) at fractions `share` (m,) of the length of the line, measured on the former."""
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(former.at(line), axis=0), axis=1))])
    at = share * length[-1]
    return np.stack([np.interp(at, length, line[:, k]) for k in (0, 1)], axis=1)


def _positions(points, chord_error):
    """Fractions of length at which to keep points of a closed, evenly sampled curve (n,3).

    A chord of length s leaves a curve of curvature k by k s^2 / 8; the density of points follows from that,
    but spans at most a 48th of the curve and changes smoothly.  The count is a multiple of four.
    """
    step = np.linalg.norm(np.diff(points, axis=0), axis=1)
    p = points[:-1]
    bend = np.roll(p, -1, axis=0) - 2 * p + np.roll(p, 1, axis=0)
    curvature = np.linalg.norm(bend, axis=1) / step.mean() ** 2
    total = step.sum()
    density = np.maximum(np.sqrt(curvature / (8 * chord_error)), 48 / total)
    density = _widened(density, len(p) // 128)
    mass = np.concatenate([[0], np.cumsum((density + np.roll(density, -1)) / 2 * step)])
    count = 4 * int(np.ceil(mass[-1] / 4 - 1e-9))
    share = np.concatenate([[0], np.cumsum(step)]) / total
    return np.interp(np.linspace(0, mass[-1], count + 1), mass, share)


def _widened(density, reach):
    """Running maximum, then mean, over +-reach samples of a periodic density."""
    shifted = np.stack([np.roll(density, k) for k in range(-reach, reach + 1)])
    high = shifted.max(0)
    return np.mean([np.roll(high, k) for k in range(-reach, reach + 1)], axis=0)
