"""Surfaces given as triangles in a file: any shape, no parameters (u, v)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from designtools.formers.mesh import SurfaceMesh


class MeshError(ValueError):
    """A file that is no surface current could flow on; the sentence says why and what to try."""


def parts_of(path: str | Path, scale: float = 1e-3) -> tuple[SurfaceMesh, ...]:
    """The connected surfaces in a file of triangles (.stl, .obj, .ply, ...), the largest first.

    scale: metres per unit of the file.  Faces of a part turn the same way round; rims are its open edges.  `uv` is
    empty.  MeshError where nothing is read, an edge belongs to more than two faces, or a part has no two sides.
    """
    import trimesh

    try:
        read = trimesh.load(str(path), force="mesh", process=False)
    except Exception as error:  # trimesh raises what its readers raise
        raise MeshError(f"{path} must be a file of triangles such as .stl or .obj, got: {error}") from None
    if not len(read.faces):
        raise MeshError(f"{path} must hold triangles, got none; export a surface")
    read.apply_scale(scale)
    read.merge_vertices(merge_tex=True, merge_norm=True)
    read.update_faces(read.nondegenerate_faces())
    read.remove_unreferenced_vertices()
    count = np.unique(np.sort(read.edges, axis=1), axis=0, return_counts=True)[1]
    if count.max() > 2:
        raise MeshError(f"{path} must be a surface, got an edge that {count.max()} triangles share; remove inner walls")
    bodies = sorted(read.split(only_watertight=False), key=lambda body: -body.area)
    return tuple(_surface(body, path) for body in bodies)


def _surface(body, path) -> SurfaceMesh:
    import trimesh

    trimesh.repair.fix_winding(body)
    if not body.is_winding_consistent:
        raise MeshError(f"{path} must have two sides, got a surface with one, or faces that overlap; mend the mesh")
    vertices, faces = np.array(body.vertices), np.array(body.faces)
    return SurfaceMesh(vertices, faces, np.zeros((len(vertices), 0)), rims(faces))


def rims(faces) -> tuple[np.ndarray, ...]:
    """Vertices along each open edge, in order: sides that belong to one face only, joined end to end."""
    sides = np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1).reshape(-1, 2)
    _, index, count = np.unique(np.sort(sides, axis=1), axis=0, return_inverse=True, return_counts=True)
    ahead = dict(sides[count[index.ravel()] == 1])
    found = []
    while ahead:
        walk = [next(iter(ahead))]
        while walk[-1] in ahead:
            walk.append(ahead.pop(walk[-1]))
        found.append(np.array(walk[:-1]))
    return tuple(found)
