"""Coils whose currents are found by the method of moments: dipoles, strips over a ground, loops with their capacitors."""

from __future__ import annotations

import numpy as np

from designtools.rf import moments, wires
from designtools.rf.coils import across, frame_of

LIGHT = 299792458.0  # m/s
_SHORT = 1 / 24  # of a wavelength: longest piece


def dipoles(radius: float, count: int, length: float, wire: float, frequency: float) -> moments.Strands:
    """Straight dipoles along z on a cylinder, each driven in its middle."""
    pieces = _pieces(length, wire, frequency)
    z = np.linspace(-length / 2, length / 2, pieces + 1)
    return moments.together([moments.strand(_line(radius, phi, z), wire, pieces // 2) for phi in _around(count)])


def strips(radius: float, count: int, length: float, ground: float, wire: float, frequency: float) -> moments.Strands:
    """Lines along z at `radius` and their ground conductor `ground` further out, joined at both ends.

    Driven in the middle of one end; in the middle of the other stands twice the capacitance that tunes the whole, the
    other half of the reactance is left to the port.
    """
    pieces = _pieces(length, wire, frequency)
    z = np.linspace(-length / 2, length / 2, pieces + 1)
    found = []
    for phi in _around(count):
        inner, outer = _line(radius, phi, z), _line(radius + ground, phi, z)
        way = np.concatenate([inner, (inner[-1:] + outer[-1:]) / 2, outer[::-1], (inner[:1] + outer[:1]) / 2])
        found.append(_tuned(way, wire, frequency, port=len(way) - 1, gaps=[pieces + 1], share=0.5))
    return moments.together(found)


def loops(channels: wires.Wires, capacitors: int, wire: float, frequency: float) -> moments.Strands:
    """Closed loops given as one channel each, with capacitors that tune them spread evenly; the port is beside the first."""
    found = []
    for channel in range(channels.current.shape[1]):
        points = channels.start[np.abs(channels.current[:, channel]) > 0]
        gaps = np.round(np.arange(capacitors) * len(points) / capacitors).astype(int)
        gaps[0] = 1 if capacitors < len(points) else 0
        found.append(_tuned(points, wire, frequency, port=0, gaps=list(gaps), share=1.0))
    return moments.together(found)


def _tuned(points, wire, frequency, port, gaps, share):
    """A closed wire with equal capacitors at the nodes `gaps` that carry `share` of the reactance it needs alone."""
    own = wires.inductance(wires.path(points), wire)[0, 0]
    load = -1j * share * 2 * np.pi * frequency * own / len(gaps)
    return moments.strand(points, wire, port, closed=True, load_nodes=gaps, loads=[load] * len(gaps))


def _around(count):
    return 2 * np.pi * np.arange(count) / count


def _line(radius, phi, z):
    return np.stack([np.full_like(z, radius * np.cos(phi)), np.full_like(z, radius * np.sin(phi)), z], axis=1)


def _pieces(length: float, wire: float, frequency: float) -> int:
    """An even number of pieces: at least twelve, none above 1/24 of a wavelength, and none much shorter than the wire is thick."""
    wanted = max(12, int(np.ceil(length * frequency / LIGHT / _SHORT)))
    most = max(4, int(length / (3 * wire)))
    return 2 * (min(wanted, most) // 2)


def placed(strands: moments.Strands, axis, centre) -> moments.Strands:
    """Turned so that z becomes `axis`, then moved to `centre` (3,) m."""
    return strands._replace(points=strands.points @ frame_of(axis).T + centre)


def outlines(strands: moments.Strands) -> wires.Wires:
    """One ampere along every wire: where the conductors are, one channel per port."""
    owner = _owners(strands)
    current = (owner[strands.pieces[:, 0]][:, None] == owner[strands.ports][None]).astype(complex)
    return wires.Wires(strands.start, strands.start + strands.way, current)


def _owners(strands):
    """Number of the connected wire that each node belongs to."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    count = len(strands.points)
    links = coo_matrix((np.ones(len(strands.pieces)), strands.pieces.T), (count, count))
    return connected_components(links, directed=False)[1]


def carried(strands: moments.Strands, flow) -> wires.Wires:
    """The wires with the mean current of each piece per ampere at the ports, from that (N,C) of the rooftops."""
    weights, _ = moments.basis(strands)
    return wires.Wires(strands.start, strands.start + strands.way, np.einsum("sin,nc->sc", weights, flow) / 2)


def loss(strands: moments.Strands, flow, resistance_per_metre: float) -> np.ndarray:
    """Power (C,C) W in the wires, as a form of peak port currents."""
    weights, _ = moments.basis(strands)
    ends = np.einsum("sin,nc->sic", weights, flow)
    mean = np.array([[2, 1], [1, 2]]) / 6
    return np.einsum("sic,ij,s,sjd->cd", ends.conj(), mean, resistance_per_metre * strands.length, ends) / 2


# --- loops on a mesh --------------------------------------------------------------------------------


def surface_array(vertices, faces, count: int, radius: float, lowest: float, axis, segments: int = 32) -> wires.Wires:
    """Loops of `radius` (m, along the surface) on a triangle mesh, centres as far from one another as can be.

    Only what lies above `lowest` along `axis` (-1 lower end, 1 upper end of the mesh) carries loops.
    """
    import trimesh

    mesh = trimesh.Trimesh(vertices, faces, process=False)
    points, owner = trimesh.sample.sample_surface_even(mesh, 60 * count, seed=1)
    height = np.asarray(vertices) @ np.asarray(axis)
    at = 2 * (points @ np.asarray(axis) - height.min()) / np.ptp(height) - 1
    places, normals = points[at >= lowest], mesh.face_normals[owner[at >= lowest]]
    if len(places) < count:
        raise ValueError(f"surface_array: the mesh must reach above lowest = {lowest:g} of its height, got {len(places)} places for {count} loops")
    chosen = _spread(places, count)
    return wires.joined([wires.path(_circle(mesh, places[i], normals[i], radius, segments)) for i in chosen])


def _spread(places, count):
    """Numbers of places, each the farthest from those before it; the first is the one farthest from the mean."""
    chosen = [int(np.argmax(np.linalg.norm(places - places.mean(axis=0), axis=1)))]
    distance = np.full(len(places), np.inf)
    while len(chosen) < count:
        distance = np.minimum(distance, np.linalg.norm(places - places[chosen[-1]], axis=1))
        chosen.append(int(np.argmax(distance)))
    return chosen


def _circle(mesh, centre, normal, radius, segments):
    """A circle about a place, laid onto the mesh."""
    first, second = across(normal)
    angle = 2 * np.pi * np.arange(segments) / segments
    flat = centre + radius * (np.cos(angle)[:, None] * first + np.sin(angle)[:, None] * second)
    return np.asarray(mesh.nearest.on_surface(flat)[0])
