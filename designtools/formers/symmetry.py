"""The symmetries of a set of meshes, found from the vertices themselves, and bases that respect them.

A symmetry is an orthogonal map of space that carries the vertices and faces of every mesh onto
themselves.  If it also carries the task onto itself up to a sign, a convex problem has an optimum with
that sign, and only one orbit of vertices, faces and target points needs to be computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
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


def vertex_basis(mesh: SurfaceMesh, symmetry: Symmetry) -> sparse.csc_matrix:
    """Orthonormal basis (V,K) of the stream functions that are symmetric and constant on every rim.

    Current cannot leave through a rim, so psi is constant there.  A psi that is constant everywhere carries
    no current: where the symmetry admits it, the first rim is held at zero.
    """
    n = len(mesh.vertices)
    label = _merge_rims(n, mesh.boundaries)
    weight = sparse.csr_matrix((n, n))
    for q, sign in zip(symmetry.maps, symmetry.signs):
        image = _permutation(mesh.vertices - symmetry.centre, q)
        weight = weight + sparse.csr_matrix((np.full(n, sign / len(symmetry)), (image, np.arange(n))), (n, n))
    merge = sparse.csr_matrix((np.ones(n), (np.arange(n), label)), (n, label.max() + 1))
    return _without_constant(_orthonormal_columns(weight @ merge), mesh.boundaries)


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
            for name, g in generators:
                b = g @ a
                if not any(np.allclose(b, m, atol=1e-9) for m in maps):
                    maps.append(b)
                    found.append(b)
        frontier = found
    signs = np.array([sign_of(m) for m in maps])
    return Symmetry(np.array(maps), signs, tuple(name for name, _ in generators), centre)


def _merge_rims(n: int, rims) -> np.ndarray:
    """Vertex -> unknown: every vertex its own, but each rim a single one."""
    label = np.arange(n)
    for rim in rims:
        label[rim] = rim.min()
    return np.unique(label, return_inverse=True)[1]


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


def _without_constant(basis: sparse.csc_matrix, rims) -> sparse.csc_matrix:
    """Drop the column of the first rim (or of vertex 0) where a constant psi lies in the span of the basis."""
    one = np.ones(basis.shape[0])
    if np.abs(basis @ (basis.T @ one) - one).max() > 1e-9:
        return basis
    pinned = rims[0][0] if rims else 0
    return basis[:, np.asarray(basis[pinned].todense()).ravel() == 0].tocsc()
