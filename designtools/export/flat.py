"""The flat pattern of tracks on a former: what a workshop cuts, and what the report draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class FlatPattern:
    """A former cut open along `cut` (m of arc from its zero) and laid flat.

    `pieces` are (role, points (n,2) m) with the arc in [0, width]; `width` and `low`, `high` bound the sheet.
    """

    pieces: tuple[tuple[str, np.ndarray], ...]
    cut: float
    width: float
    low: float
    high: float


def former_of(winding, formers):
    """The former a winding lies on: the one of its name, else the nearest to its turns; None without formers."""
    if winding.name in formers:
        return formers[winding.name]
    points = np.concatenate([track.points for track in winding.tracks])[::7]
    return min(formers.values(), key=lambda former: _median_distance(former, points), default=None)


def _median_distance(former, points) -> float:
    return float(np.median(np.linalg.norm(former.at(former.inverse(points)) - points, axis=1)))


def flatten(winding, former, cut: float | None = None) -> FlatPattern:
    """Unroll the tracks of a winding true to length, split by role and at the cut.

    Without `cut` the cut runs where the fewest tracks cross it.  Pieces lifted off the surface (returns, leads)
    are projected onto it.
    """
    (u0, u1), (low, high) = former.span
    (start, bottom), (stop, top) = former.unroll(np.array([[u0, low], [u1, high]]))
    width = float(stop - start)
    flat = [former.unroll(former.inverse(track.points)) - (start, 0.0) for track in winding.tracks]
    if former.periodic[0]:
        arcs = [np.unwrap(points[:, 0], period=width) for points in flat]
        cut = _quietest_cut(arcs, width) if cut is None else cut
        flat = [np.column_stack([arc - cut, points[:, 1]]) for arc, points in zip(arcs, flat)]
    pieces = []
    for track, points in zip(winding.tracks, flat):
        for role, run in _runs(track.roles, points):
            pieces += [(role, part) for part in (_wrap(run, width) if former.periodic[0] else [run])]
    return FlatPattern(tuple(pieces), float(cut or 0.0), width, float(bottom), float(top))


def _quietest_cut(arcs: list[np.ndarray], width: float, candidates: int = 72) -> float:
    cuts = width * np.arange(candidates) / candidates
    crossings = sum(np.abs(np.diff(np.floor((arc[:, None] - cuts) / width), axis=0)).sum(0) for arc in arcs)
    return float(cuts[np.argmin(crossings)])


def _runs(roles, points: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Stretches of equal role, each with both of its end points."""
    changes = [i for i in range(1, len(roles)) if roles[i] != roles[i - 1]]
    bounds = [0, *changes, len(roles)]
    return [(roles[a], points[a : b + 1]) for a, b in zip(bounds, bounds[1:])]


def _wrap(points: np.ndarray, width: float) -> list[np.ndarray]:
    """Cut a polyline with unwrapped arc at the multiples of `width` and bring every part into [0, width]."""
    points = _with_crossings(points, width)
    turn = np.floor((points[:-1, 0] + points[1:, 0]) / 2 / width)
    bounds = [0, *(np.flatnonzero(np.diff(turn)) + 1), len(turn)]
    return [points[a : b + 1] - (turn[a] * width, 0.0) for a, b in zip(bounds, bounds[1:])]


def _with_crossings(points: np.ndarray, width: float) -> np.ndarray:
    """The polyline with a point wherever it passes a multiple of `width`."""
    out = [points[:1]]
    for a, b in zip(points[:-1], points[1:]):
        low, high = sorted((a[0], b[0]))
        marks = np.arange(np.floor(low / width) + 1, np.ceil(high / width)) * width
        if len(marks):
            share = (marks - a[0]) / (b[0] - a[0])
            out.append(a + np.sort(share)[:, None] * (b - a))
            k = np.argsort(share)
            out[-1][:, 0] = marks[k]
        out.append(b[None])
    return np.concatenate(out)
