"""What errors of winding and assembly do to the field of wires: to first order in each error, for many coils at once.

An error moves the points of tracks: a whole layer shifted, turned about an axis or grown along its surface's normals (its former
too thick), or one turn wider within its surface.  The field changes of all errors are found once, by central differences
through the exact field of straight segments, each with the root mean square of its error as step; a coil with errors is then a
sum of them with normal numbers.  Errors of a tenth of a millimetre are far below the distance to any point of interest, so the
second order is about their ratio times the change itself; `exact_field` says what it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from designtools.sources import Filaments
from designtools.windings.winding import Track, Winding

KINDS = ("shift", "rotation", "expansion", "turns")


@dataclass(frozen=True)
class WireErrors:
    """Root mean square errors, normal and independent of each other.

    shift (m): of a layer along each of three axes; rotation (rad): of a layer about the axis; expansion (m): of a layer along
    its normals; turns (m): of each turn, sideways within its surface.
    """

    shift: float = 0.0
    rotation: float = 0.0
    expansion: float = 0.0
    turns: float = 0.0


@dataclass(frozen=True)
class Mode:
    """One error: its kind, and how far it moves the points of each track (tracks of all windings in turn) (n,3) m, None where it does not."""

    kind: str
    moves: tuple[np.ndarray | None, ...]


@dataclass(frozen=True)
class Changes:
    """Field (P,3) T without errors, its change (M,P,3) T by each error of one standard deviation, and the kind of each (M,)."""

    field: np.ndarray
    change: np.ndarray
    kinds: tuple[str, ...]

    def draws(self, samples: int, seed: int) -> np.ndarray:
        """Normal numbers (samples, M)."""
        return np.random.default_rng(seed).normal(size=(samples, len(self.kinds)))

    def halved(self, kind: str) -> np.ndarray:
        """Factors (M,) on the errors with those of one kind halved."""
        return np.where(np.array(self.kinds) == kind, 0.5, 1.0)


def modes_of(windings: Sequence[Winding], errors: WireErrors, axis, centre=(0.0, 0.0, 0.0)) -> list[Mode]:
    """Every error of nonzero size; axis (3,), centre (3,) m: about which layers turn."""
    tracks = [track for w in windings for track in w.tracks]
    owner = [k for k, w in enumerate(windings) for _ in w.tracks]
    found: list[Mode] = []
    for layer in range(len(windings)):
        for kind, move in _of_layer(errors, np.asarray(axis, float), np.asarray(centre, float)):
            found.append(Mode(kind, tuple(move(t) if o == layer else None for t, o in zip(tracks, owner))))
    if errors.turns:
        for k, track in enumerate(tracks):
            for move in _of_turns(track, errors.turns):
                found.append(Mode("turns", tuple(move if i == k else None for i in range(len(tracks)))))
    return found


def _of_layer(errors: WireErrors, axis, centre):
    """(kind, track -> move (n,3)) of every error of a whole layer."""
    if errors.shift:
        for step in errors.shift * np.eye(3):
            yield "shift", lambda t, step=step: np.broadcast_to(step, t.points.shape)
    if errors.rotation:
        yield "rotation", lambda t: errors.rotation * np.cross(axis, t.points - centre)
    if errors.expansion:
        yield "expansion", lambda t: errors.expansion * t.normals


def _of_turns(track: Track, size: float) -> Iterator[np.ndarray]:
    """Moves (n,3) of a track, one for each of its runs of the role `turn`: sideways within the surface."""
    along = np.gradient(track.points, axis=0)
    side = np.cross(track.normals, along)
    side /= np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-300)
    turn = np.array(track.roles) == "turn"
    edges = np.flatnonzero(np.diff(np.concatenate([[0], turn.astype(int), [0]])))
    for a, b in zip(edges[::2], edges[1::2]):
        move = np.zeros_like(track.points)
        move[a : b + 1] = size * side[a : b + 1]
        if track.closed and a == 0 and b == len(turn):
            move[-1] = move[0]
        yield move


def changes(windings: Sequence[Winding], modes: Sequence[Mode], points) -> Changes:
    """The field of the windings at points (P,3) m and what each error changes of it."""
    tracks = [track for w in windings for track in w.tracks]
    currents = [w.current for w in windings for _ in w.tracks]
    points = np.asarray(points, float)
    moved = lambda mode: sum((_difference(t, i, move, points) for t, i, move in zip(tracks, currents, mode.moves) if move is not None), np.zeros_like(points))
    still = sum(np.asarray(w.filaments().field(points)) for w in windings)
    change = np.stack([moved(mode) for mode in modes]) if modes else np.zeros((0, *points.shape))
    return Changes(still, change, tuple(mode.kind for mode in modes))


def _difference(track: Track, current: float, move: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Half the difference (P,3) T between the fields of a track moved one way and the other; pieces that rest cancel and are left out."""
    stirred = np.abs(move).max(axis=1) > 0
    used = np.flatnonzero(stirred[:-1] | stirred[1:])
    one, other = ((track.points + sign * move) for sign in (1, -1))
    flow = np.full(len(used), float(current))
    idle = max(6, (2 * len(used) - 1).bit_length())  # as many pieces as a power of two: few programs to compile
    filled = lambda a, b: np.resize(np.concatenate([a, b]), (2**idle, *a.shape[1:]))
    flow = np.pad(np.concatenate([flow, -flow]), (0, 2**idle - 2 * len(used)))
    both = Filaments(filled(one[used], other[used]), filled(one[used + 1], other[used + 1]), flow)
    return np.asarray(both.field(points)) / 2


def exact_field(windings: Sequence[Winding], modes: Sequence[Mode], numbers, points) -> np.ndarray:
    """Field (P,3) T with all errors at once, of the size numbers (M,) times their standard deviations: nothing is linear here."""
    tracks = [track for w in windings for track in w.tracks]
    currents = [w.current for w in windings for _ in w.tracks]
    total = np.zeros_like(np.asarray(points, float))
    for k, (track, current) in enumerate(zip(tracks, currents)):
        path = track.points + sum((n * m.moves[k] for n, m in zip(numbers, modes) if m.moves[k] is not None), np.zeros_like(track.points))
        total += np.asarray(Filaments(path[:-1], path[1:], np.full(len(path) - 1, float(current))).field(points))
    return total
