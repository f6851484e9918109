"""Conductors of an RF coil as windings, which every exporter knows: one per channel, of the wire's own section."""

from __future__ import annotations

import numpy as np

from designtools.rf.wires import Wires
from designtools.windings.winding import Track, Winding


def windings(coil: Wires, wire_radius: float, centre) -> tuple[Winding, ...]:
    """Each channel's conductors that no channel before it has, as chains; a square of the wire's area stands for its section."""
    width = float(np.sqrt(np.pi) * wire_radius)
    taken, found = np.zeros(len(coil.start), bool), []
    for channel in range(coil.current.shape[1]):
        used = (np.abs(coil.current[:, channel]) > 0) & ~taken
        taken |= used
        if used.any():
            tracks = tuple(_track(chain, np.asarray(centre)) for chain in _chains(coil.start[used], coil.end[used]))
            found.append(Winding(f"channel {channel + 1}", tracks, 1.0, width, width))
    return tuple(found)


def _chains(start, end):
    """Polylines (n,3) of pieces that follow one another; a closed one repeats its first point."""
    breaks = np.flatnonzero(np.linalg.norm(start[1:] - end[:-1], axis=1) > 1e-9) + 1
    for piece in np.split(np.arange(len(start)), breaks):
        points = np.concatenate([start[piece], end[piece[-1:]]])
        if np.linalg.norm(points[0] - points[-1]) < 1e-9:
            points[-1] = points[0]
        yield points


def _track(points, centre) -> Track:
    return Track(points, _outward(points, centre), ("turn",) * (len(points) - 1))


def _outward(points, centre):
    """Unit vectors across the conductor, away from the centre as far as its direction allows."""
    closed = np.array_equal(points[0], points[-1])
    ring = points[:-1] if closed else points
    along = np.roll(ring, -1, axis=0) - np.roll(ring, 1, axis=0)
    if not closed:
        along[0], along[-1] = ring[1] - ring[0], ring[-1] - ring[-2]
    along = along / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-12)
    away = ring - centre
    away = away - np.sum(away * along, axis=1, keepdims=True) * along
    weak = np.linalg.norm(away, axis=1) < 1e-6
    away[weak] = np.cross(along[weak], np.eye(3)[np.argmin(np.abs(along[weak]), axis=1)])
    normals = away / np.linalg.norm(away, axis=1, keepdims=True)
    return np.concatenate([normals, normals[:1]]) if closed else normals
