"""Tracks of conductor: what a workshop winds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Track:
    """One run of conductor: points (n,3) m along its centreline, unit normals (n,3) of the surface it lies on.

    A closed track repeats its first point at its end.  `roles` (n-1,) names each piece: `turn`, `jog`
    (step from one turn to the next in the surface), `return` (runs back over the turns, lifted off the
    surface), `link` (joins lobes or layers), `lead` (to the terminals).  Positive current runs from the first
    point to the last.
    """

    points: np.ndarray
    normals: np.ndarray
    roles: tuple[str, ...]

    @property
    def closed(self) -> bool:
        return bool(np.allclose(self.points[0], self.points[-1], rtol=0, atol=1e-12))

    @property
    def length(self) -> float:
        return float(np.linalg.norm(np.diff(self.points, axis=0), axis=1).sum())


@dataclass(frozen=True)
class Winding:
    """The tracks of one layer, all in series with `current` A, of a rectangular conductor.

    `width` m in the surface and `thickness` m along the normal; `terminals` (2,3) m when joined, else None.
    Tracks run in the direction of positive current.
    """

    name: str
    tracks: tuple[Track, ...]
    current: float
    width: float
    thickness: float
    terminals: np.ndarray | None = None

    @property
    def length(self) -> float:
        """Conductor length in m."""
        return sum(track.length for track in self.tracks)

    def length_of(self, *roles: str) -> float:
        """Length in m of the pieces with one of `roles`; what joining added is all but "turn"."""
        sizes = (np.linalg.norm(np.diff(t.points, axis=0), axis=1)[np.isin(t.roles, roles)].sum() for t in self.tracks)
        return float(sum(sizes))

    def filaments(self):
        """The centrelines as exact straight segments carrying the current."""
        from designtools.sources import Filaments

        start = np.concatenate([t.points[:-1] for t in self.tracks])
        end = np.concatenate([t.points[1:] for t in self.tracks])
        return Filaments(start=start, end=end, current=np.full(len(start), float(self.current)))
