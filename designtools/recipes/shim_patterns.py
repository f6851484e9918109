"""Windings of a surface that do most for the maps per watt: each channel the contours of one stream function.

The field of stream functions at the voxels, in units in which their dissipation is their square, has singular
vectors that are independent in field and in power: the first ones do most.  What the even field and unlimited channels of
the sets before them do is taken out of the field first.  Each is wound by equidistant contours, and the
channel is those wires, not the sheet.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import linalg

from designtools.formers.symmetry import Symmetry, vertex_basis
from designtools.quantities.sheet import tangents
from designtools.recipes.shim_sets import COPPER, Channels, across, profile
from designtools.recipes.surfaces import joined_mesh, patches
from designtools.sources.sheet import current_operator
from designtools.sources.sheet_operator import field_operator
from designtools.spec import Mistake, SpecError
from designtools.units import GAMMA_BAR
from designtools.windings.winding import Winding

VOXELS = 3000  # of all maps together, that choose the patterns
AROUND = 40  # triangles around the surface
SHORTEST = 2.0  # widths of the conductor: shorter contours are left out


def patterns(spec, s, key: str, before, volumes, most: float) -> Channels:
    """The channels of a set of arrangement `patterns`, after the sets `before` it."""
    axis = np.asarray(spec.frame.bore_axis, float)
    first = across(axis)
    parts = patches(s.name, s.surface, np.stack([first, np.cross(axis, first), axis]), None, _resolution(s.surface))
    mesh = joined_mesh(parts)
    streams = stream_functions(spec, mesh, before, volumes, s.count)
    windings = tuple(_wound(spec, s, parts, stream, f"{s.name}_{k + 1}") for k, stream in enumerate(streams.T))
    if any(not w.tracks for w in windings):
        raise SpecError([Mistake("", f"{key}.contours", f"must be enough to wind every pattern, got {s.contours}; raise it, or lower count")])
    length = np.array([w.length for w in windings])
    resistance = COPPER * length / (spec.section.width * spec.section.height)
    names = tuple(f"{s.name} {k + 1}" for k in range(s.count))
    return Channels(s, names, ("A",) * s.count, np.full(s.count, most), resistance, sources=tuple((w.filaments(), 1.0) for w in windings), windings=windings)


def _resolution(surface) -> float | None:
    """Length of an edge; a mesh from a file keeps its own."""
    size = surface.radius or (surface.half_axes and min(surface.half_axes)) or (surface.tube and surface.inner_radius) or None
    return 2 * np.pi * size / AROUND if size else None


def stream_functions(spec, mesh, before, volumes, count: int) -> np.ndarray:
    """(V,count): independent in the fields they make in the masks and in dissipation, the strongest first, per root watt."""
    whole = Symmetry(np.eye(3)[None], np.ones(1), (), np.zeros(3))
    basis = vertex_basis(mesh, whole).toarray()
    area = tangents(mesh.vertices, mesh.faces)[2]
    flow = current_operator(mesh.vertices, mesh.faces) @ basis
    sheet = COPPER / spec.section.height
    root = linalg.cholesky(sheet * flow.T @ (np.repeat(area, 3)[:, None] * flow), lower=True)
    points, weight, known = voxels(spec, before, volumes)
    columns = field_operator(mesh.vertices, mesh.faces, points).transpose(0, 2, 1) @ np.asarray(spec.frame.b0_axis, float)
    white = linalg.solve_triangular(root, (GAMMA_BAR * weight[:, None] * columns @ basis).T, lower=True).T
    vectors = np.linalg.svd(white - known @ (known.T @ white), full_matrices=False)[2][:count].T
    return basis @ linalg.solve_triangular(root.T, vectors, lower=False)


def voxels(spec, before, volumes):
    """Voxels (P,3) of all maps, evenly thinned; the roots of their weights; orthonormal columns of what others do there
    without limit, map by map: the offset, and channels of the sets before."""
    step = max(1, sum(len(v.points) for v in volumes) // VOXELS)
    thin = [replace(v, points=v.points[::step], values=v.values[::step], weights=v.weights[::step]) for v in volumes]
    root = [np.sqrt(v.weights) for v in thin]
    loose = [c for c in before if not np.isfinite(c.most).any()]
    done = [r[:, None] * np.concatenate([np.ones((len(r), 1)), *(profile(spec, c, v) for c in loose)], axis=1) for r, v in zip(root, thin)]
    known = linalg.block_diag(*(np.linalg.qr(d / np.linalg.norm(d, axis=0))[0] for d in done))
    return np.concatenate([v.points for v in thin]), np.concatenate(root), known


def _wound(spec, s, parts, stream, name: str) -> Winding:
    """Contours of one stream function, as many as the spec says from its lowest to its highest value."""
    section = spec.section
    step = float(np.ptp(stream)) / s.contours
    tracks = [track for part in parts for track in part.tracks(stream, step, SHORTEST * section.width)]
    return Winding(name, tuple(tracks), 1.0, section.width, section.height)
