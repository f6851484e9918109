"""A former with grooves that hold the wire: what a printer or a mill makes."""

from __future__ import annotations

import manifold3d
import numpy as np
import shapely
import trimesh

from designtools.windings.contour import half_width, mean_metric
from designtools.windings.spacing import SURFACE
from designtools.windings.sweep import swept
from designtools.windings.winding import Track


class GrooveError(ValueError):
    """The grooves cannot be cut as asked; the sentence says why."""


def grooved_former(former, tracks, width: float, depth: float, wall: float, *, chord_error: float | None = None) -> trimesh.Trimesh:
    """The former as a watertight body (m) with a groove `width` x `depth` m under every turn and jog.

    A conductor `depth` thick lies flush: the grooves reach from depth/2 below the former's surface, where the
    centre lines run, to the outside at depth/2 above it; `wall` m of material stay beneath them.  Lifted
    conductors (return, link, lead) are not cut.  Curves are simplified to `chord_error` m (default: a tenth of
    the width).  GrooveError where a size is not positive or the wall leaves no bore.
    """
    for name, value in (("width", width), ("depth", depth), ("wall", wall)):
        if not value > 0:
            raise GrooveError(f"{name} must be positive, got {value} m")
    error = width / 10 if chord_error is None else chord_error
    body = _solid(_wall(former, -depth / 2 - wall, depth / 2, error))
    above = depth / 2 + error  # the cutter stands proud, so that no skin is left between chords
    cutters = [_cutter(run, width, depth, above, error) for track in tracks for run in surface_runs(track)]
    if cutters:
        body = body - manifold3d.Manifold.batch_boolean(cutters, manifold3d.OpType.Add)
    return _mesh(body)


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


def _cutter(run, width, depth, above, error):
    run = _simplified(run, error / 4)
    centre = run.points + (above - depth / 2) / 2 * run.normals
    tool = swept(Track(centre, run.normals, run.roles), width, above + depth / 2)
    return _solid(tool)


def _simplified(run, error):
    """The track without points that its chords pass within `error` m (Douglas and Peucker)."""
    kept = shapely.get_coordinates(shapely.simplify(shapely.LineString(_flat(run)), error, preserve_topology=False), include_z=True)
    index = _positions(_flat(run), kept)
    if len(index) < 5:
        return run
    return Track(run.points[index], run.normals[index], ("turn",) * (len(index) - 1))


def _solid(mesh):
    solid = manifold3d.Manifold(
        manifold3d.Mesh64(np.ascontiguousarray(mesh.vertices), np.ascontiguousarray(mesh.faces, np.uint64))
    )
    if solid.status() != manifold3d.Error.NoError:
        raise GrooveError(f"the groove tool must be a closed solid, got {solid.status()}; try a narrower groove")
    return solid


def _mesh(solid) -> trimesh.Trimesh:
    raw = solid.to_mesh64()
    return trimesh.Trimesh(np.asarray(raw.vert_properties)[:, :3], np.asarray(raw.tri_verts, np.int64), process=False)
