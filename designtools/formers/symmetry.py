"""The symmetries of a set of meshes, found from the vertices themselves, and bases that respect them.

A symmetry is an orthogonal map of space that carries the vertices and faces of every mesh onto
themselves.  If it also carries the task onto itself up to a sign, a convex problem has an optimum with
that sign, and only one orbit of vertices, faces and target points needs to be computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from designtools.formers.mesh import SurfaceMesh


@dataclass(frozen=True)
class Symmetry:
    """A finite group: orthogonal maps (G,3,3) about `centre`, and the sign (G,) psi takes under each.

    `maps[0]` is the identity.  A stream function with psi(Qx) = s psi(x) on a surface whose outward normal
    turns with Q makes a field B(Qx) = s Q B(x): the determinants of the current (a vector) and of the field
    (a pseudo-vector) cancel.  `generators` names the maps that were found.
    """

    maps: np.ndarray
    signs: np.ndarray
    generators: tuple[str, ...]
    centre: np.ndarray

    def __len__(self) -> int:
        return len(self.maps)


def find(meshes: list[SurfaceMesh], frame: np.ndarray, centre: np.ndarray, sign_of, fold: int) -> Symmetry:
    """The symmetries common to all `meshes` about `centre` (3,) under which the task has a sign.

    frame (3,3): candidate mirror normals and, third, the rotation axis; fold: rotations by 2 pi / k are
    tried for every divisor k of `fold`; sign_of(map) -> the sign psi must take, or 0 where the map does not
    carry the task onto itself.
    """
    candidates = [(f"mirror {axis}", _mirror(frame[i])) for i, axis in enumerate("xyz")]
    candidates += [(f"rotation 2pi/{k}", _rotation(frame[2], 2 * np.pi / k)) for k in _divisors(fold)]
    generators = []
    for name, candidate in candidates:
        if any(n.startswith("rotation") for n, _ in generators):
            break  # the finest rotation generates the coarser ones
        if sign_of(candidate) and all(_permutation(m.vertices - centre, candidate) is not None for m in meshes):
            generators.append((name, candidate))
    return _close(generators, sign_of, centre)


def vertex_basis(mesh: SurfaceMesh, symmetry: Symmetry, still=None) -> sparse.csc_matrix:
    """Orthonormal basis (V,K) of the stream functions that are symmetric and constant on every group of `still`.

    still: arrays of vertices that carry no current between them, by default the rims, through which current cannot
    leave; groups that share a vertex are one.  A psi that is constant on a connected part carries no current there:
    where the symmetry admits it, one group (or vertex) of the part is held at zero.
    """
    n = len(mesh.vertices)
    still = mesh.boundaries if still is None else still
    label = _merged(n, still)
    weight = sparse.csr_matrix((n, n))
    for q, sign in zip(symmetry.maps, symmetry.signs):
        image = _permutation(mesh.vertices - symmetry.centre, q)
        weight = weight + sparse.csr_matrix((np.full(n, sign / len(symmetry)), (image, np.arange(n))), (n, n))
    merge = sparse.csr_matrix((np.ones(n), (np.arange(n), label)), (n, label.max() + 1))
    return _without_constants(_orthonormal_columns(weight @ merge), mesh, still)


def components(mesh: SurfaceMesh) -> np.ndarray:
    """Number (V,) of the connected part of the mesh that each vertex belongs to."""
    return _joined_by(len(mesh.vertices), mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]])


def orbits(points: np.ndarray, symmetry: Symmetry) -> tuple[np.ndarray, np.ndarray]:
    """One index per orbit of `points` (P,3), and the number of points in each orbit.

    Points need not map onto points: a point without partners is its own orbit.
    """
    tree = cKDTree(points)
    scale = max(np.ptp(points, axis=0).max(), 1e-12)
    owner = np.arange(len(points))
    for q in symmetry.maps[1:]:
        distance, image = tree.query((points - symmetry.centre) @ q.T + symmetry.centre)
        hit = distance < 1e-7 * scale
        owner[hit] = np.minimum(owner[hit], image[hit])
    owner = owner[owner]
    representatives, count = np.unique(owner, return_counts=True)
    return representatives, count


def _mirror(normal: np.ndarray) -> np.ndarray:
    return np.eye(3) - 2 * np.outer(normal, normal)


def _rotation(axis: np.ndarray, angle: float) -> np.ndarray:
    k = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k


def _divisors(n: int) -> list[int]:
    return [k for k in range(n, 1, -1) if n % k == 0]


def _permutation(vertices: np.ndarray, q: np.ndarray) -> np.ndarray | None:
    """Index of the image of each vertex under q, or None where the mesh is not carried onto itself."""
    distance, image = cKDTree(vertices).query(vertices @ q.T)
    size = np.ptp(vertices, axis=0).max()
    if distance.max() > 1e-9 * size or len(np.unique(image)) != len(vertices):
        return None
    return image


def _close(generators, sign_of, centre) -> Symmetry:
    """The group that the generators make."""
    maps = [np.eye(3)]
    frontier = list(maps)
    while frontier:
        found = []
        for a in frontier:
            for _name, g in generators:
                b = g @ a
                if not any(np.allclose(b, m, atol=1e-9) for m in maps):
                    maps.append(b)
                    found.append(b)
        frontier = found
    signs = np.array([sign_of(m) for m in maps])
    return Symmetry(np.array(maps), signs, tuple(name for name, _ in generators), centre)


def _merged(n: int, groups) -> np.ndarray:
    """Vertex -> unknown: every vertex its own, but each group a single one."""
    return _joined_by(n, *(np.column_stack([g[:-1], g[1:]]) for g in groups))


def _joined_by(n: int, *pairs) -> np.ndarray:
    """Number (n,) of the connected part of each of n nodes joined by pairs (k,2)."""
    ends = np.concatenate([np.zeros((0, 2), int), *pairs])
    graph = sparse.csr_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), (n, n))
    return connected_components(graph, directed=False)[1]


def _orthonormal_columns(columns: sparse.spmatrix) -> sparse.csc_matrix:
    """One unit column per distinct orbit; orbits never overlap, so scaling suffices."""
    columns = columns.tocsc()
    columns.data[np.abs(columns.data) < 1e-14] = 0
    columns.eliminate_zeros()
    norms = np.sqrt(np.asarray(columns.multiply(columns).sum(axis=0)).ravel())
    keep = norms > 1e-9
    columns, norms = columns[:, keep], norms[keep]
    first = np.array([columns.indices[columns.indptr[j] : columns.indptr[j + 1]].min() for j in range(columns.shape[1])])
    _, unique = np.unique(first, return_index=True)
    return (columns[:, unique] @ sparse.diags(1 / norms[unique])).tocsc()


def _without_constants(basis: sparse.csc_matrix, mesh: SurfaceMesh, still) -> sparse.csc_matrix:
    """Drop one column for each psi in the span of the basis that is constant on every connected part."""
    part = components(mesh)
    for number in range(part.max() + 1):
        one = (part == number).astype(float)
        constant = basis @ (basis.T @ one)
        means = np.bincount(part, constant) / np.bincount(part)
        if np.abs(means).max() < 1e-9 or np.abs(constant - means[part]).max() > 1e-9:
            continue
        pinned = next((group[0] for group in still if part[group[0]] == number), np.argmax(one))
        basis = basis[:, np.asarray(basis[[pinned]].todense()).ravel() == 0].tocsc()
    return basis
