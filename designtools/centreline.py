"""The centreline of a conductor that is known only as the surface of a swept section.

Distance along the surface from one end cuts the tube into short pieces; the pieces are joined to the pieces
they touch, and their centroids in this order are the centreline (a discrete Reeb graph).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components, dijkstra


def centreline(path: Path) -> np.ndarray:
    """Points (n,3) in the unit of the STL file; a closed conductor repeats its first point.

    Raises ValueError, with a sentence, for anything but one slender tube without branches.
    """
    vertices, faces, width = _fine_tube(path)
    piece = _pieces(vertices, faces, width)
    joined = _touching(piece, faces)
    order, closed = _walk(joined)
    points = _centroids(vertices, faces, piece)[order]
    return np.concatenate([points, points[:1]]) if closed else points


def _fine_tube(path: Path) -> tuple[np.ndarray, np.ndarray, float]:
    """Vertices and faces with edges no longer than the tube is wide, and that width."""
    import trimesh

    mesh = trimesh.load(path, force="mesh")
    if len(mesh.faces) == 0:
        raise ValueError("must hold triangles, but there are none")
    bodies = mesh.split(only_watertight=False)
    if len(bodies) != 1:
        raise ValueError(
            f"must hold one conductor, joined from end to end, got {len(bodies)} bodies, whose currents are unknown; "
            "give each as a CSV of its centreline"
        )
    if not mesh.is_watertight:
        raise ValueError("must hold a closed surface, got one with holes; give the centreline as CSV")
    width = 4 * abs(mesh.volume) / mesh.area  # exact for a long square bar
    vertices, faces = trimesh.remesh.subdivide_to_size(mesh.vertices, mesh.faces, width, max_iter=30)
    fine = trimesh.Trimesh(vertices, faces)  # merges what the subdivision doubled
    return np.asarray(fine.vertices), np.asarray(fine.faces), width


def _graph(vertices, edges):
    lengths = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    n = len(vertices)
    return coo_matrix((lengths, edges.T), shape=(n, n)).tocsr()


def _edges(faces) -> np.ndarray:
    pairs = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    return np.unique(pairs, axis=0)


def _pieces(vertices, faces, width) -> np.ndarray:
    """Number of the piece each face belongs to: connected faces at about the same distance from an end."""
    graph = _graph(vertices, _edges(faces))
    far = int(np.argmax(dijkstra(graph, directed=False, indices=0)))
    distance = dijkstra(graph, directed=False, indices=far)
    level = np.floor(distance[faces].mean(axis=1) / (1.5 * width)).astype(int)
    a, b = _neighbours(faces)
    same = level[a] == level[b]
    links = coo_matrix((np.ones(same.sum()), (a[same], b[same])), shape=(len(faces),) * 2)
    return connected_components(links, directed=False)[1]


def _neighbours(faces) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of faces that share an edge."""
    pairs = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    owner = np.tile(np.arange(len(faces)), 3)
    order = np.lexsort(pairs.T)
    pairs, owner = pairs[order], owner[order]
    shared = np.flatnonzero((pairs[1:] == pairs[:-1]).all(axis=1))
    return owner[shared], owner[shared + 1]


def _touching(piece, faces) -> dict[int, set[int]]:
    a, b = _neighbours(faces)
    joined: dict[int, set[int]] = {int(p): set() for p in np.unique(piece)}
    for p, q in zip(piece[a].tolist(), piece[b].tolist()):
        if p != q:
            joined[p].add(q)
            joined[q].add(p)
    return joined


def _centroids(vertices, faces, piece) -> np.ndarray:
    corners = vertices[faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    total = np.bincount(piece, area)
    return np.stack([np.bincount(piece, area * c) / total for c in corners.mean(axis=1).T], axis=1)


def _walk(joined: dict[int, set[int]]) -> tuple[list[int], bool]:
    """Pieces in order along the tube, and whether it closes on itself."""
    core = _without_spurs(joined)
    if not core:  # a tree: the longest way through it
        end = _farthest(joined, next(iter(joined)))[-1]
        return _farthest(joined, end), False
    if any(len(around) != 2 for around in core.values()):
        raise ValueError("must hold one conductor without branches, got one that branches or touches itself")
    start = next(iter(core))
    order, previous, here = [start], start, next(iter(core[start]))
    while here != start:
        order.append(here)
        previous, here = here, next(q for q in core[here] if q != previous)
    return order, True


def _without_spurs(joined) -> dict[int, set[int]]:
    core = {p: set(around) for p, around in joined.items()}
    ends = [p for p, around in core.items() if len(around) <= 1]
    while ends:
        end = ends.pop()
        for q in core.pop(end, ()):
            core[q].discard(end)
            if len(core[q]) <= 1:
                ends.append(q)
    return core


def _farthest(joined, start: int) -> list[int]:
    """The way from `start` to the piece farthest from it."""
    came_from, queue = {start: None}, [start]
    for here in queue:
        for q in joined[here]:
            if q not in came_from:
                came_from[q] = here
                queue.append(q)
    way = [queue[-1]]
    while came_from[way[-1]] is not None:
        way.append(came_from[way[-1]])
    return way[::-1]
