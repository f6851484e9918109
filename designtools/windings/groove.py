"""A former with grooves that hold the wire: what a printer or a mill makes."""

from __future__ import annotations

import manifold3d
import numpy as np
import trimesh

from designtools.windings.contour import chord_pieces
from designtools.windings.spacing import SURFACE
from designtools.windings.sweep import swept
from designtools.windings.winding import Track


FINEST = 5e-6  # m; detail below it is no machine's, and single precision in an STL may tear it


class GrooveError(ValueError):
    """The grooves cannot be cut as asked; the sentence says why."""


def grooved_former(
    former, tracks, width: float, depth: float, wall: float, *, chord_error: float | None = None
) -> trimesh.Trimesh:
    """The former as a watertight body (m) with a groove `width` x `depth` m under every turn and jog.

    A conductor `depth` thick lies flush: the grooves reach from depth/2 below the former's surface, where the
    centre lines run, to the outside at depth/2 above it; `wall` m of material stay beneath them.  Lifted
    conductors (return, link, lead) are not cut.  The tube's chords stay within `chord_error` m of
    the former (default: a tenth of the width).  GrooveError where a size is not positive or the wall leaves no bore.
    """
    for name, value in (("width", width), ("depth", depth), ("wall", wall)):
        if not value > 0:
            raise GrooveError(f"{name} must be positive, got {value} m")
    error = width / 10 if chord_error is None else chord_error
    body = _solid(_wall(former, -depth / 2 - wall, depth / 2, error))
    cutters = [_cutter(run, width, depth) for track in tracks for run in surface_runs(track)]
    if cutters:
        body = body - manifold3d.Manifold.batch_boolean(cutters, manifold3d.OpType.Add)
    return _without_needles(_mesh(body.simplify(FINEST)))


def surface_runs(track) -> list[Track]:
    """The stretches of a track that lie in the surface (roles turn and jog), each as a track of its own."""
    inside = np.isin(track.roles, SURFACE)
    if inside.all():
        return [track]
    edges = np.flatnonzero(np.diff(np.concatenate([[0], inside.astype(int), [0]])))
    return [
        Track(track.points[a : b + 1], track.normals[a : b + 1], track.roles[a:b])
        for a, b in zip(edges[::2], edges[1::2])
    ]


def _cutter(run, width, depth):
    """The tool of one run: from the groove's bottom to well outside, so that no skin is left above a chord."""
    centre = run.points + depth / 4 * run.normals
    return _solid(swept(Track(centre, run.normals, run.roles), width, 1.5 * depth))


def _wall(former, inside, outside, chord_error):
    """The former as a body between two offsets along its normal, m; a tube where u is periodic, else a plate."""
    (u0, u1), (v0, v1) = former.span
    middle = (v0 + v1) / 2
    quarter = chord_pieces(
        former, np.array([u0, middle]), np.array([0.75 * u0 + 0.25 * u1, middle]), chord_error
    )
    n_u = 4 * max(2, quarter)
    n_v = chord_pieces(former, np.array([u0, v0]), np.array([u0, v1]), chord_error)
    around = former.periodic[0]
    u = u0 + (u1 - u0) * np.arange(n_u if around else n_u + 1) / n_u
    uv = np.stack(np.meshgrid(u, np.linspace(v0, v1, n_v + 1), indexing="ij"), -1)
    shells = [former.at(uv.reshape(-1, 2), offset) for offset in (outside, inside)]
    _refuse_closed_bore(uv, shells)
    return _shell_body(shells, len(u), n_v + 1, around)


def _shell_body(shells, n_u, n_v, around):
    """Two equal grids of points, outer and inner, closed along their edges to one body."""
    grid = np.arange(n_u * n_v).reshape(n_u, n_v)
    outer = np.concatenate([grid, grid[:1]]) if around else grid
    inner = outer + n_u * n_v
    faces = [_patch(outer), _patch(inner[::-1])]
    faces += [
        _patch(np.stack([inner[:, 0], outer[:, 0]], 1)),
        _patch(np.stack([outer[:, -1], inner[:, -1]], 1)),
    ]
    if not around:
        faces += [_patch(np.stack([inner[0], outer[0]])), _patch(np.stack([outer[-1], inner[-1]]))]
    mesh = trimesh.Trimesh(np.concatenate(shells), np.concatenate(faces), process=False)
    if mesh.volume < 0:
        mesh.invert()
    return mesh


def _patch(grid):
    """Two triangles for each cell of a grid of vertex indices."""
    a, b, c, d = (g.ravel() for g in (grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]))
    return np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])


def _refuse_closed_bore(uv, shells):
    """GrooveError where the inner surface turns over or a rim is a single point."""
    outer, inner = (s.reshape(*uv.shape[:2], 3) for s in shells)
    step = [np.einsum("ijk,ijk->ij", np.diff(outer, axis=0), np.diff(s, axis=0)) for s in (outer, inner)]
    if step[0].min() <= 1e-18:
        raise GrooveError(
            "a grooved former must have open rims, got one that ends in a pole; cut it open first"
        )
    if step[1].min() <= 0:
        raise GrooveError(
            "wall and depth must leave a bore, but the inner surface turns over; try a thinner wall"
        )


def _solid(mesh):
    solid = manifold3d.Manifold(
        manifold3d.Mesh64(np.ascontiguousarray(mesh.vertices), np.ascontiguousarray(mesh.faces, np.uint64))
    )
    if solid.status() != manifold3d.Error.NoError:
        raise GrooveError(
            f"the groove tool must be a closed solid, got {solid.status()}; try a narrower groove"
        )
    return solid


def _mesh(solid) -> trimesh.Trimesh:
    raw = solid.to_mesh64()
    return trimesh.Trimesh(
        np.asarray(raw.vert_properties)[:, :3], np.asarray(raw.tri_verts, np.int64), process=False
    )


def _without_needles(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """The same body without triangles of no height, which readers of STL drop, tearing the surface open.

    The middle corner of each such triangle is lifted off its longest edge by FINEST.
    """
    vertices, faces = np.array(mesh.vertices), np.asarray(mesh.faces)
    for _ in range(5):
        needles = _needles(vertices, faces)
        if not len(needles):
            break
        for face in faces[needles]:
            _lift(vertices, faces, face)
    return trimesh.Trimesh(vertices, faces, process=False)


def _needles(vertices, faces) -> np.ndarray:
    """Faces lower than a tenth of FINEST over their longest edge."""
    corner = vertices[faces]
    longest = np.linalg.norm(corner - np.roll(corner, 1, axis=1), axis=2).max(axis=1)
    twice_area = np.linalg.norm(np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]), axis=1)
    return np.flatnonzero(twice_area < FINEST / 10 * longest)


def _lift(vertices, faces, face) -> None:
    """Move the corner opposite the longest edge by FINEST, across that edge, along the normals of the faces around it."""
    lengths = np.linalg.norm(vertices[np.roll(face, -1)] - vertices[face], axis=1)
    i, j, k = np.roll(face, -int(lengths.argmax()))
    around = vertices[faces[(faces == k).any(axis=1)]]
    normal = np.cross(around[:, 1] - around[:, 0], around[:, 2] - around[:, 0]).sum(axis=0)
    edge = (vertices[j] - vertices[i]) / np.linalg.norm(vertices[j] - vertices[i])
    across = normal - edge * (normal @ edge)
    if np.linalg.norm(across) < 1e-12:
        across = np.cross(edge, np.roll(edge, 1) + [0.0, 0.0, 1.0])
    vertices[k] += FINEST * across / np.linalg.norm(across)
