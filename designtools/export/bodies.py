"""The design as named solids, in metres: what the mesh and CAD formats share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from designtools.export.csv import leaves, with_twins
from designtools.export.names import distinct_stems

NOMINAL_WIRE = 1e-3  # m, radius with which an infinitely thin loop is drawn
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f5539", "#444444")


@dataclass(frozen=True)
class Body:
    """A closed triangle mesh (metres) with the `layer` it belongs to and that layer's colour."""

    name: str
    layer: str
    colour: str
    mesh: Any


def colour_of(index: int) -> str:
    """Colour of the index-th layer (Okabe and Ito's colour-blind-safe set)."""
    return PALETTE[index % len(PALETTE)]


def bare_sources(result) -> list[Any]:
    """The source leaves that are not the centreline of a winding."""
    return [leaf for leaf, twin in with_twins(result) if twin is None]


def solids(result) -> list[Body]:
    """Every conductor and magnet with a volume: swept tracks, rings of blocks, magnets of any shape, thin loops.

    Loops have no cross-section of their own and are drawn as wire of `NOMINAL_WIRE` radius.  Filaments that
    belong to no winding, sheets and homogeneous fields have no volume and are left out.
    """
    bodies = []
    layers = [(winding.name, winding) for winding in result.windings]
    others = [leaf for leaf in bare_sources(result) if type(leaf).__name__ in _SOLID]
    names = distinct_stems(type(leaf).__name__ for leaf in others)
    for index, (layer, part) in enumerate(layers + list(zip(names, others))):
        meshes = _tracks(part) if hasattr(part, "tracks") else _SOLID[type(part).__name__](part)
        bodies += [Body(f"{layer} {i + 1}", layer, colour_of(index), mesh) for i, mesh in enumerate(meshes)]
    return bodies


def chains(filaments) -> list[np.ndarray]:
    """Polylines (n,3) m: consecutive segments that join end to start."""
    start, end = np.asarray(filaments.start, float), np.asarray(filaments.end, float)
    breaks = np.flatnonzero(np.any(start[1:] != end[:-1], axis=1)) + 1
    pieces = np.split(np.arange(len(start)), breaks)
    return [np.concatenate([start[piece], end[piece[-1:]]]) for piece in pieces]


def has_solids(result) -> bool:
    """Whether anything in the design has a volume."""
    return bool(result.windings) or any(type(leaf).__name__ in _SOLID for leaf in leaves(result.source))


def _tracks(winding) -> list[Any]:
    from designtools.windings.sweep import swept

    return [swept(track, winding.width, winding.thickness) for track in winding.tracks]


def _loops(loops) -> list[Any]:
    import trimesh

    meshes = []
    for centre, normal, radius in zip(*map(np.asarray, (loops.centre, loops.normal, loops.radius))):
        mesh = trimesh.creation.torus(
            radius, min(NOMINAL_WIRE, radius / 4), major_sections=96, minor_sections=8
        )
        mesh.apply_transform(_pose(centre, normal))
        meshes.append(mesh)
    return meshes


def _pose(centre, normal) -> np.ndarray:
    import trimesh

    pose = trimesh.geometry.align_vectors([0, 0, 1], normal)
    pose[:3, 3] = centre
    return pose


def block_rings(blocks) -> np.ndarray:
    """(N,4) inner radius, outer radius, low z, high z in m."""
    names = ("inner_radius", "outer_radius", "z_low", "z_high")
    return np.stack([np.atleast_1d(np.asarray(getattr(blocks, name), float)) for name in names], axis=1)


def _blocks(blocks) -> list[Any]:
    import trimesh

    meshes = []
    for inner, outer, low, high in block_rings(blocks):
        section = [[inner, low], [outer, low], [outer, high], [inner, high], [inner, low]]
        meshes.append(trimesh.creation.revolve(section, sections=128))
    return meshes


def magnet_corners(magnets) -> np.ndarray:
    """Corners (N,8,3) m of each magnet; corner k has the signs of the bits of k (x the lowest)."""
    from scipy.spatial.transform import Rotation

    signs = np.array([[1 if k >> axis & 1 else -1 for axis in range(3)] for k in range(8)], float)
    size, centre, rotation = (np.asarray(getattr(magnets, n), float) for n in ("size", "centre", "rotation"))
    local = signs * size[:, None] / 2
    return np.stack([Rotation.from_rotvec(r).apply(c) for r, c in zip(rotation, local)]) + centre[:, None]


BOX_QUADS = ((0, 4, 6, 2), (1, 3, 7, 5), (0, 1, 5, 4), (2, 6, 7, 3), (0, 2, 3, 1), (4, 5, 7, 6))  # outward


def _magnets(magnets) -> list[Any]:
    import trimesh

    faces = [triangle for a, b, c, d in BOX_QUADS for triangle in ((a, b, c), (a, c, d))]
    return [trimesh.Trimesh(corners, faces, process=False) for corners in magnet_corners(magnets)]


def _cylinders(magnets) -> list[Any]:
    import trimesh
    from scipy.spatial.transform import Rotation

    names = ("centre", "rotation", "inner_radius", "outer_radius", "length")
    meshes = []
    for centre, rotation, inner, outer, length in zip(*(np.asarray(getattr(magnets, name), float) for name in names)):
        section = [[inner, -length / 2], [outer, -length / 2], [outer, length / 2], [inner, length / 2]]
        mesh = trimesh.creation.revolve(section + section[:1] if inner > 0 else section, sections=128)
        mesh.apply_transform(np.block([[Rotation.from_rotvec(rotation).as_matrix(), centre[:, None]], [0, 0, 0, 1]]))
        meshes.append(mesh)
    return meshes


def sphere_mesh(subdivisions: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V,3) and faces (F,3) of a unit sphere."""
    import trimesh

    ball = trimesh.creation.icosphere(subdivisions=subdivisions)
    return np.asarray(ball.vertices), np.asarray(ball.faces)


def _spheres(magnets) -> list[Any]:
    import trimesh

    rows = zip(np.asarray(magnets.centre, float), np.asarray(magnets.radius, float))
    return [trimesh.creation.icosphere(subdivisions=4, radius=a).apply_translation(c) for c, a in rows]


def _polyhedra(magnets) -> list[Any]:
    import trimesh

    vertices, faces, body = (np.asarray(a) for a in (magnets.vertices, magnets.faces, magnets.body))
    return [trimesh.Trimesh(vertices, faces[body == number], process=False) for number in range(len(magnets.polarization))]


_SOLID = {
    "Loops": _loops,
    "Blocks": _blocks,
    "Magnets": _magnets,
    "Cylinders": _cylinders,
    "Spheres": _spheres,
    "Polyhedra": _polyhedra,
}
