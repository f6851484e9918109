"""How sharply a conductor is bent: the true curvature of its track, however finely the polyline is sampled."""

from __future__ import annotations

import numpy as np

from designtools.windings.spacing import SURFACE


def sharpest_bend(tracks, window: float, roles=SURFACE) -> float:
    """Smallest radius (m) of bend of the pieces with one of `roles` (default: turns and jogs); infinite where none bends.

    The direction of a track is known in the middle of each piece and turns evenly from one middle to the next: exact on
    a circle in chords of any length.  The radius is `window` m over the angle by which it turns within `window` m of
    track, so that a corner counts as a bend that the conductor makes within its own width.
    """
    return min((window / most for most in (_most_turned(t, window, roles) for t in tracks) if most > 0), default=np.inf)


def _most_turned(track, window: float, roles) -> float:
    """Largest angle (rad) by which the direction turns within `window` m, over runs of pieces with one of `roles`."""
    step = np.diff(track.points, axis=0)
    size = np.linalg.norm(step, axis=1)
    mine = np.isin(np.asarray(track.roles), roles) & (size > 1e-9 * size.sum())
    if track.closed and mine.all():
        return _turned(np.tile(step, (2, 1)), np.tile(size, 2), window)
    ends = np.flatnonzero(np.diff(np.concatenate([[False], mine, [False]]).astype(int)))
    return max((_turned(step[a:b], size[a:b], window) for a, b in ends.reshape(-1, 2)), default=0.0)


def _turned(step, size, window: float) -> float:
    """Largest angle between directions `window` m apart along a run of pieces."""
    if len(size) < 2:
        return 0.0
    direction = step / size[:, None]
    cosine = np.einsum("ij,ij->i", direction[1:], direction[:-1])
    sine = np.linalg.norm(np.cross(direction[1:], direction[:-1]), axis=1)
    angle = np.arctan2(sine, cosine)
    arc = angle / 2 / np.maximum(np.sin(angle / 2), 1e-300)  # over its chord; 1 where nothing turns
    between = (size[1:] + size[:-1]) / 2 * np.where(angle > 0, arc, 1.0)
    middle = np.concatenate([[0.0], np.cumsum(between)])
    ends = np.concatenate([middle, middle - window, middle + window])
    ends = ends[(ends >= middle[0]) & (ends + window <= middle[-1])] if window < middle[-1] - middle[0] else middle[:1]
    one, two = (_direction(direction, angle, middle, at) for at in (ends, np.minimum(ends + window, middle[-1])))
    turned = np.arctan2(np.linalg.norm(np.cross(one, two), axis=1), np.einsum("ij,ij->i", one, two))
    return float(turned.max(initial=0.0))


def _direction(direction, angle, middle, at) -> np.ndarray:
    """Unit vectors (n,3) at positions `at` (n,) m, turned evenly between the middles of the pieces."""
    k = np.clip(np.searchsorted(middle, at, side="right") - 1, 0, len(angle) - 1)
    share = np.clip((at - middle[k]) / (middle[k + 1] - middle[k]), 0, 1)
    bent = np.maximum(angle[k], 1e-12)
    whole = np.sin((1 - share) * bent)[:, None] * direction[k] + np.sin(share * bent)[:, None] * direction[k + 1]
    return whole / np.sin(bent)[:, None]
