"""Windings of RF coils as thin straight pieces with one ampere at the port: paths and ideal current patterns.

All about the axis z of the coil's own frame; `placed` turns and moves them.
"""

from __future__ import annotations

import numpy as np

from designtools.rf.wires import Wires, joined, path

_STEP = np.pi / 24  # of arcs


def loop(centre, normal, radius: float, segments: int = 48) -> Wires:
    """A circle as a polygon of equal area."""
    angle = 2 * np.pi * np.arange(segments) / segments
    scale = np.sqrt(2 * np.pi / segments / np.sin(2 * np.pi / segments))
    first, second = across(normal)
    return path(np.asarray(centre, float) + scale * radius * (np.cos(angle)[:, None] * first + np.sin(angle)[:, None] * second))


def across(normal):
    """Two unit vectors that span the plane across `normal`, right-handed with it."""
    normal = np.asarray(normal, float) / np.linalg.norm(normal)
    first = np.cross(np.eye(3)[np.argmin(np.abs(normal))], normal)
    first /= np.linalg.norm(first)
    return first, np.cross(normal, first)


def helmholtz_pair(radius: float) -> Wires:
    """Two circles about z, one radius apart, in series."""
    pair = [loop([0, 0, side * radius / 2], [0, 0, 1], radius) for side in (-1, 1)]
    return Wires(*(np.concatenate(parts) for parts in zip(*pair)))


def spiral(inner: float, outer: float, turns: int) -> Wires:
    """A flat spiral about z from the radius `inner` to `outer`, its return one wire's way behind it along the negative axis."""
    t = np.arange(48 * turns + 1) / (48 * turns)
    radius, angle = inner + (outer - inner) * t, 2 * np.pi * turns * t
    way = np.stack([radius * np.cos(angle), radius * np.sin(angle), 0 * t], axis=1)
    drop = np.array([0, 0, -(outer - inner) / turns])
    return path(np.concatenate([way, [way[-1] + drop, way[0] + drop]]))


def curved_loop(radius: float, azimuth: float, height: float, half_width: float, half_length: float, segments: int = 48) -> Wires:
    """An ellipse bent on a cylinder: half widths (m) along its arc and its axis; its field points outwards."""
    t = 2 * np.pi * np.arange(segments) / segments
    phi = azimuth + half_width / radius * np.cos(t)
    return path(np.stack([radius * np.cos(phi), radius * np.sin(phi), height + half_length * np.sin(t)], axis=1))


def cylinder_array(radius: float, rows: int, per_row: int, row_spacing: float, half_width: float, half_length: float) -> Wires:
    """Bent loops in rows about z, every second row turned by half a step."""
    found = []
    for row in range(rows):
        height = (row - (rows - 1) / 2) * row_spacing
        turned = 0.5 * (row % 2)
        found += [curved_loop(radius, 2 * np.pi * (i + turned) / per_row, height, half_width, half_length) for i in range(per_row)]
    return joined(found)


def helmet_array(radius: float, count: int, loop_radius: float, lowest: float = -0.35) -> Wires:
    """Loops that touch a sphere, spread evenly by the golden angle from z = `lowest` times the radius up to the crown."""
    place = (np.arange(count) + 0.5) / count
    height = lowest + (1 - lowest) * place
    azimuth = np.pi * (3 - np.sqrt(5)) * np.arange(count)
    rho = np.sqrt(1 - height**2)
    normals = np.stack([rho * np.cos(azimuth), rho * np.sin(azimuth), height], axis=1)
    return joined([loop(radius * n, n, loop_radius, 32) for n in normals])


def solenoid(radius: float, length: float, turns: int, lead: float | None = None) -> Wires:
    """A helix about z with its return along the outside, `lead` m from the axis (default: 1.15 radii), closed."""
    count = max(24, int(2 * np.pi / _STEP)) * turns
    t = np.arange(count + 1) / count
    angle = 2 * np.pi * turns * t
    helix = np.stack([radius * np.cos(angle), radius * np.sin(angle), length * (t - 0.5)], axis=1)
    lead = lead or 1.15 * radius
    back = np.array([[lead, 0, length / 2], [lead, 0, -length / 2]])
    return path(np.concatenate([helix, back]))


def saddle_pair(radius: float, length: float, angle: float) -> Wires:
    """Two saddles about z whose field points along x, each `angle` (rad) wide; in series."""
    return Wires(*(np.concatenate(parts) for parts in zip(_saddle(radius, length, angle, 0.0), _saddle(radius, length, angle, np.pi))))


def _saddle(radius, length, angle, azimuth):
    """One saddle; the sense turns with the azimuth so that both fields point along +x."""
    arc = np.linspace(-angle / 2, angle / 2, max(8, int(np.ceil(angle / _STEP))) + 1) + azimuth
    ring = np.stack([radius * np.cos(arc), radius * np.sin(arc)], axis=1)
    up, down = np.full((len(arc), 1), length / 2), np.full((len(arc), 1), -length / 2)
    points = np.concatenate([np.hstack([ring, down]), np.hstack([ring[::-1], up])])
    wires = _fine(path(points), min(length / 16, radius / 6))
    return wires if abs(azimuth) < 1e-9 else wires._replace(current=-wires.current)


def birdcage(radius: float, length: float, rungs: int, harmonic: int = 1) -> Wires:
    """Two channels, cosine and sine: currents of the rungs and of both end rings in the mode `harmonic`; one ampere is the
    largest rung's."""
    phi = 2 * np.pi * np.arange(rungs) / rungs
    up = np.stack([np.cos(harmonic * phi), np.sin(harmonic * phi)], axis=1)
    ring = np.cumsum(up, axis=0)
    return cage(radius, length, up, ring - ring.mean(axis=0))


def cage_meshes(radius: float, length: float, rungs: int) -> Wires:
    """The same conductors with one channel for each window between neighbouring rungs."""
    window = np.eye(rungs)
    return cage(radius, length, window - np.roll(window, 1, axis=0), window)


def cage(radius: float, length: float, rung, ring) -> Wires:
    """Rungs (N,C) A upwards, and the ring segments (N,C) A after them, forwards in the upper ring and back in the lower."""
    rung, ring = np.asarray(rung, complex), np.asarray(ring, complex)
    phi = 2 * np.pi * np.arange(len(rung)) / len(rung)
    at = lambda angle, z: np.stack([radius * np.cos(angle), radius * np.sin(angle), np.full_like(angle, z)], axis=1)
    rods = _fine(Wires(at(phi, -length / 2), at(phi, length / 2), rung), min(length / 12, radius / 6))
    step = 2 * np.pi / len(phi)
    pieces = max(2, int(np.ceil(step / _STEP)))
    angle = np.concatenate([p + step * np.arange(pieces) / pieces for p in phi])
    flow = np.repeat(ring, pieces, axis=0)
    rings = [Wires(at(angle, z), at(angle + step / pieces, z), sign * flow) for z, sign in ((length / 2, 1), (-length / 2, -1))]
    return Wires(*(np.concatenate(parts) for parts in zip(rods, *rings)))


def dipole_array(radius: float, count: int, length: float, wavenumber: float, pieces: int = 20) -> Wires:
    """Straight dipoles along z: sinusoidal current that ends at the tips, one ampere at the middle."""
    z = np.linspace(-length / 2, length / 2, pieces + 1)
    middle = (z[1:] + z[:-1]) / 2
    current = np.sin(wavenumber * (length / 2 - np.abs(middle))) / np.sin(wavenumber * length / 2)
    found = []
    for phi in 2 * np.pi * np.arange(count) / count:
        points = np.stack([np.full_like(z, radius * np.cos(phi)), np.full_like(z, radius * np.sin(phi)), z], axis=1)
        found.append(path(points, closed=False, current=current))
    return joined(found)


def _fine(wires: Wires, longest: float) -> Wires:
    """The same, cut into pieces of at most `longest` (m)."""
    count = np.maximum(1, np.ceil(wires.length / longest - 1e-9)).astype(int)
    part = np.concatenate([np.arange(c) / c for c in count])[:, None]
    each = np.repeat(np.arange(len(count)), count)
    way = (wires.end - wires.start)[each]
    start = wires.start[each] + part * way
    return Wires(start, start + way / count[each][:, None], wires.current[each])


def placed(wires: Wires, axis, centre) -> Wires:
    """Turned so that z becomes `axis` (x and y kept where it is z), then moved to `centre` (3,) m."""
    turn = frame_of(axis)
    return wires._replace(start=wires.start @ turn.T + centre, end=wires.end @ turn.T + centre)


def frame_of(axis) -> np.ndarray:
    """Rotation (3,3) that takes z to `axis`; the identity for z."""
    axis = np.asarray(axis, float) / np.linalg.norm(axis)
    if np.allclose(axis, [0, 0, 1]):
        return np.eye(3)
    first, second = across(axis)
    return np.stack([first, second, axis], axis=1)
