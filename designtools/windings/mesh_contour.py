"""Closed tracks on a surface of triangles without parameters: level lines of the stream function, face by face.

Inside each face psi is the cubic through its corners with the slopes there (a Bezier triangle; neighbours agree on
their common edge), so level lines are smoother than those of the flat pieces the optimiser used.
Sources: G. Farin, Comput. Aided Geom. Des. 3 (1986) 83 (cubic triangles through values and slopes).
"""

from __future__ import annotations

import numpy as np

from designtools.windings.winding import Track

FINER = 3  # pieces into which each side of a face is cut


def mesh_contours(mesh, stream, values, shortest: float = 0.0) -> tuple[Track, ...]:
    """Closed tracks along stream = value for each of values (K,) A on the faces of `mesh`, in their order.

    stream (V,) A at the vertices.  Current along a track runs with the larger psi on its left, seen from the outward
    side.  Level lines shorter than `shortest` m are left out.  ValueError where a level line runs off a rim.
    """
    points, normals, faces, psi = _finer(mesh, np.asarray(stream, float))
    tracks = []
    for value in np.atleast_1d(values):
        tracks += [_track(*line) for line in _lines(points, normals, faces, psi - value, float(value))]
    return tuple(track for track in tracks if track.length >= shortest)


def _finer(mesh, stream):
    """Points (N,3), normals (N,3), faces (M,3), psi (N,) of the surface with every face cut into FINER^2."""
    share, small = _pattern(FINER)
    corner, normal = mesh.vertices[mesh.faces], vertex_normals(mesh)
    psi = _cubic(mesh, stream, share)
    points = np.einsum("qi,fic->fqc", share, corner)
    normals = np.einsum("qi,fic->fqc", share, normal[mesh.faces])
    count = len(share)
    faces = (count * np.arange(len(corner))[:, None, None] + small).reshape(-1, 3)
    return _welded(mesh, share, points.reshape(-1, 3), _unit(normals.reshape(-1, 3)), faces, psi.ravel())


def _pattern(n: int):
    """Barycentric coordinates (Q,3) of the points of a face cut into n^2, and its small faces (n^2,3)."""
    place = {(i, j): k for k, (i, j) in enumerate((i, j) for i in range(n + 1) for j in range(n + 1 - i))}
    share = np.array([(n - i - j, i, j) for i, j in place]) / n
    up = [(place[i, j], place[i + 1, j], place[i, j + 1]) for i, j in place if i + j < n]
    down = [(place[i + 1, j], place[i + 1, j + 1], place[i, j + 1]) for i, j in place if i + j < n - 1]
    return share, np.array(up + down)


def _cubic(mesh, stream, share) -> np.ndarray:
    """psi (F,Q) at the points `share` (Q,3) of each face, from the values and slopes at its corners."""
    corner, value, slope = mesh.vertices[mesh.faces], stream[mesh.faces], slopes(mesh, stream)[mesh.faces]
    a, b, c = share.T
    third = lambda i, j: value[:, i] + np.einsum("fc,fc->f", slope[:, i], corner[:, j] - corner[:, i]) / 3
    edge = {(i, j): third(i, j) for i in range(3) for j in range(3) if i != j}
    middle = sum(edge.values()) / 4 - value.sum(axis=1) / 6
    terms = [(a**3, value[:, 0]), (b**3, value[:, 1]), (c**3, value[:, 2]), (6 * a * b * c, middle)]
    u = (a, b, c)
    terms += [(3 * u[i] ** 2 * u[j], edge[i, j]) for i, j in edge]
    return sum(np.outer(coefficient, weight) for weight, coefficient in terms)


def slopes(mesh, stream) -> np.ndarray:
    """Gradient (V,3) A/m of psi (V,) A at the vertices: the mean over the faces round each, weighted with their angle there.

    On a rim, where psi is constant, only the part across the rim is real; its mean is what the faces say.
    """
    a, b, c = np.moveaxis(mesh.corner, 1, 0)
    normal = np.cross(b - a, c - a)
    twice = np.linalg.norm(normal, axis=1)
    pa, pb, pc = stream[mesh.faces].T
    face = np.cross(normal / twice[:, None] ** 2, (c - b) * pa[:, None] + (a - c) * pb[:, None] + (b - a) * pc[:, None])
    return _gathered(mesh, face)


def vertex_normals(mesh) -> np.ndarray:
    """Unit normals (V,3) at the vertices: the mean over the faces round each, weighted with their angle there."""
    a, b, c = np.moveaxis(mesh.corner, 1, 0)
    return _unit(_gathered(mesh, _unit(np.cross(b - a, c - a))))


def _gathered(mesh, face) -> np.ndarray:
    """Mean (V,3) at the vertices of what faces (F,3) have, by the angle of each face at the vertex."""
    corner = mesh.corner
    to, back = (_unit(np.roll(corner, -k, axis=1) - corner) for k in (1, 2))
    angle = np.arccos(np.clip(np.einsum("fic,fic->fi", to, back), -1, 1))
    total, weight = np.zeros_like(mesh.vertices), np.zeros(len(mesh.vertices))
    for i in range(3):
        np.add.at(total, mesh.faces[:, i], angle[:, i, None] * face)
        np.add.at(weight, mesh.faces[:, i], angle[:, i])
    return total / np.maximum(weight, 1e-300)[:, None]


def _unit(vectors) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-300)


def _welded(mesh, share, points, normals, faces, psi):
    """The same with points on common edges and corners named once."""
    size = np.ptp(mesh.vertices, axis=0).max()
    _, first, same = np.unique(np.round(points / (1e-9 * size)).astype(np.int64), axis=0, return_index=True, return_inverse=True)
    return points[first], normals[first], same.ravel()[faces], psi[first]


def _lines(points, normals, faces, excess, value: float):
    """Closed lines excess = 0: points (n,3) and normals (n,3), the end repeating the start."""
    excess = np.where(excess == 0, 1e-12 * max(np.abs(excess).max(), 1e-300), excess)
    above = excess[faces] > 0
    cut = faces[(above.any(axis=1)) & ~above.all(axis=1)]
    if not len(cut):
        return
    ahead = dict(_pieces(cut, excess))
    while ahead:
        walk = [next(iter(ahead))]
        while walk[-1] in ahead:
            walk.append(ahead.pop(walk[-1]))
        if walk[0] != walk[-1]:
            raise ValueError(
                f"the level line at {value:.4g} A must close, but it runs off an open rim; "
                "hold the stream function constant along each rim, or choose levels that differ from the rim's values"
            )
        low, high = np.array(walk).T
        t = (excess[low] / (excess[low] - excess[high]))[:, None]
        yield points[low] + t * (points[high] - points[low]), _unit(normals[low] + t * (normals[high] - normals[low]))


def _pieces(cut, excess):
    """(edge where it enters, edge where it leaves) of the line through each face, the larger psi on its left."""
    for a, b, c in cut.tolist():
        for i, j, k in ((a, b, c), (b, c, a), (c, a, b)):
            lone = excess[i] > 0
            if lone != (excess[j] > 0) and lone != (excess[k] > 0):
                one, other = (min(i, j), max(i, j)), (min(i, k), max(i, k))
                # seen from outside i, j, k run counterclockwise: on the way from edge ij to edge ik, i is on the left
                yield (one, other) if lone else (other, one)
                break


def _track(points, normals) -> Track:
    """A closed track; of points closer than a millionth of its length one is kept."""
    step = np.linalg.norm(np.diff(points, axis=0), axis=1)
    keep = np.append(True, step > 1e-6 * step.sum())
    points, normals = points[keep], normals[keep]
    points[-1], normals[-1] = points[0], normals[0]
    return Track(points, normals, ("turn",) * (len(points) - 1))
