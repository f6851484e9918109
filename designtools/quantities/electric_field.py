"""The electric field that a changing gradient induces in a body: exactly in a ball, by finite elements in any other body.

    ball       E = r x integral of s B'(s r) ds from 0 to 1, B' = dB/dt: each harmonic of degree l of the potential
               of B' gives r x grad(Phi_l')/(l + 1), tangential on every sphere about the centre
    any body   E = -A' - grad(phi), div(sigma E) = 0, no current through the surface; linear tetrahedra

Both are linear in the stream functions.  Quasi-static: conduction only, no field of the induced currents.
Derivations: docs/physics-gradient-limits.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from scipy import sparse

from designtools.kernels import triangle
from designtools.problem import Quantity
from designtools.quantities.energy import SheetModel
from designtools.quantities.linear import on_streams
from designtools.sources.sheet import current_operator
from designtools.sources.sheet_operator import field_operator
from designtools.units import MU_0

ORDER = 12  # Gauss points along each radius: exact for fields of degree 22
_TILE = 64  # points at once
_RESIDUAL, _STEPS = 1e-9, 20_000  # of the potential's conjugate gradients

# --- a homogeneous ball -----------------------------------------------------------------------------


def in_ball(source, points, centre=(0.0, 0.0, 0.0), order: int = ORDER):
    """E (P,3) V/m at points (P,3) m of a ball about `centre` (m), the field of `source` in T/s (or T: then V·s/m).

    Exact where the field is a polynomial of degree up to 2 order - 2; the conductivity may vary with the radius alone,
    and no conductor of the source may lie inside.
    """
    arm = jnp.asarray(points, float) - jnp.asarray(centre)
    nodes, weights = _radial_rule(order)
    mean = sum(w * s * source.field(s * arm + jnp.asarray(centre)) for s, w in zip(nodes, weights))
    return jnp.cross(arm, mean)


def ball_limit(sheets: dict, points, rate: float, centre=(0.0, 0.0, 0.0), order: int = ORDER, name: str = "electric field") -> Quantity:
    """E (P,3) V/m at points (P,3) m on or in a ball while the stream functions change at rate x psi per second.

    sheets: part -> (vertices (V,3), faces (F,3)); rate (1/s) = slew rate / gradient strength.  For a cone |E| <= cap.
    An optimiser cheats between the points: take them on the whole surface.
    """
    matrices = {part: rate * _ball_matrix(*mesh, points, centre, order) for part, mesh in sheets.items()}
    return on_streams(name, "V/m", matrices, 3, cheat="between the points; other bodies")


def infinite_cylinder(rate_across, points):
    """E_z (P,) V/m in a long cylinder along z at points (P,3) m, B' = rate_across (2,) T/s homogeneous across it.

    E_z = x B_y' - y B_x': twice what the same rate along the axis makes at the wall, E_phi = rho B_z'/2.
    """
    x, y = np.asarray(points, float)[:, :2].T
    return x * rate_across[1] - y * rate_across[0]


def _radial_rule(order: int):
    nodes, weights = np.polynomial.legendre.leggauss(order)
    return (nodes + 1) / 2, weights / 2


def _ball_matrix(vertices, faces, points, centre, order) -> np.ndarray:
    """Matrix (3P,V) V·s/m/A, rows (point, component)."""
    centre = np.asarray(centre, float)
    arm, mean = np.asarray(points, float) - centre, 0.0
    for s, w in zip(*_radial_rule(order)):
        mean = mean + w * s * field_operator(vertices, faces, s * arm + centre)
    return np.cross(arm[:, :, None], mean, axis=1).reshape(3 * len(arm), -1)


# --- any body -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Body:
    """Conducting body of tetrahedra: nodes (N,3) m, cells (C,4) node indices, conductivity (C,) S/m."""

    nodes: np.ndarray
    cells: np.ndarray
    conductivity: np.ndarray

    @property
    def centres(self) -> np.ndarray:
        """Centroids of the cells (C,3) m, where E is known best."""
        return self.nodes[self.cells].mean(axis=1)

    @property
    def volumes(self) -> np.ndarray:
        """Volumes of the cells (C,) m3."""
        edge = self.nodes[self.cells[:, 1:]] - self.nodes[self.cells[:, :1]]
        return np.abs(np.linalg.det(edge)) / 6


def ellipsoid_body(semi_axes, centre=(0.0, 0.0, 0.0), level: int = 3, conductivity: float = 0.2) -> Body:
    """An ellipsoid of semi-axes (3,) m: 20 x 8^level cells on nested icosahedra.

    The largest |E| of a field of low degree is 5 % low at level 3 and 2.5 % at level 4.
    """
    nodes, cells = _icosahedron()
    for _ in range(level):
        nodes, cells = _divided(nodes, cells)
    ball = nodes * (_gauge(nodes) / np.maximum(np.linalg.norm(nodes, axis=1), 1e-300))[:, None]
    return Body(np.asarray(centre, float) + ball * np.asarray(semi_axes, float), cells, np.full(len(cells), conductivity))


def voxel_body(conductivity, spacing, origin=(0.0, 0.0, 0.0)) -> Body:
    """Voxels conductivity (X,Y,Z) S/m, zero outside the body, of spacing (3,) m from the corner `origin` (3,) m.

    Six tetrahedra each.  The surface is a staircase, at whose edges E peaks whatever the spacing: judge by a percentile
    (`largest_field`), not by the maximum.
    """
    conductivity = np.asarray(conductivity, float)
    shape = np.array(conductivity.shape) + 1
    inside = np.argwhere(conductivity > 0)
    if conductivity.ndim != 3 or not len(inside):
        raise ValueError(f"voxel_body: conductivity must be (X,Y,Z) with values above zero, got shape {conductivity.shape}")
    corners = inside[:, None, None, :] + _KUHN  # (voxels, 6, 4, 3)
    number = np.ravel_multi_index(np.moveaxis(corners, -1, 0), shape).reshape(-1, 4)
    used, cells = np.unique(number, return_inverse=True)
    nodes = np.stack(np.unravel_index(used, shape), axis=1) * np.asarray(spacing, float) + np.asarray(origin, float)
    return Body(nodes, cells.reshape(-1, 4), np.repeat(conductivity[tuple(inside.T)], 6))


def in_body(body: Body, potential_rate, cells=None) -> np.ndarray:
    """E (C,3) V/m of each cell, from dA/dt (N,3) V/m at the nodes, or (N,3,K) for K fields at once: (C,3,K).

    cells: indices of those wanted; None: all.  Galerkin with linear elements: E is constant in a cell and errs in
    proportion to the cell size.
    """
    rate = np.asarray(potential_rate, float)
    columns = rate.reshape(*rate.shape[:2], -1)
    slopes, mean = _gradients(body), _means(body)
    weight = sparse.diags_array(body.volumes * body.conductivity)
    load = -sum(slope.T @ (weight @ (mean @ columns[:, axis])) for axis, slope in enumerate(slopes))
    potential = _solved(sum(slope.T @ weight @ slope for slope in slopes).tocsr(), load)
    here = slice(None) if cells is None else np.asarray(cells)
    found = [-(mean[here] @ columns[:, axis] + slope[here] @ potential) for axis, slope in enumerate(slopes)]
    return np.stack(found, axis=1).reshape(-1, 3, *rate.shape[2:])


def body_limit(body: Body, sheets: list[SheetModel], rate: float, cells=None, name: str = "electric field") -> Quantity:
    """E (P,3) V/m of the chosen `cells` (indices; None: those at the surface) while the sheets change at rate x psi per second.

    Within the bases of the sheets.  rate (1/s) = slew rate / gradient strength.  For a cone |E| <= cap.
    """
    cells = surface_cells(body) if cells is None else np.asarray(cells)
    counts = np.cumsum([s.basis.shape[1] for s in sheets])[:-1]
    field = in_body(body, np.concatenate([rate * potential_operator(s, body.nodes) for s in sheets], axis=2), cells)
    pieces = np.split(field.reshape(3 * len(cells), -1), counts, axis=1)
    matrices = {s.part: (s.basis @ piece.T).T for s, piece in zip(sheets, pieces)}
    return on_streams(name, "V/m", matrices, 3, cheat="other bodies and postures")


def potential_operator(sheet: SheetModel, points) -> np.ndarray:
    """Vector potential (P,3,K) T·m/A at points (P,3) m of each coefficient of a sheet; closed form of the triangles."""
    corners = jnp.asarray(sheet.vertices)[sheet.triangles]
    flow = sparse.csr_array(current_operator(sheet.vertices, sheet.triangles) @ sheet.basis)
    across = MU_0 / (4 * np.pi) * sparse.vstack([flow[axis::3].T for axis in range(3)]).tocsr()
    points = np.asarray(points, float)
    out = np.empty((len(points), 3, flow.shape[1]))
    for first in range(0, len(points), _TILE):
        tile = points[first : first + _TILE]
        padded = np.pad(tile, [(0, _TILE - len(tile)), (0, 0)], mode="edge")
        sums = across @ np.asarray(_inverse_distances(padded, corners))  # (axis and coefficient, point)
        out[first : first + _TILE] = sums.T[: len(tile)].reshape(len(tile), 3, -1)
    return out


@jax.jit
def _inverse_distances(points, corners):
    """Integral of 1/|r - r'| over each face (F,P) m."""
    columns = (tuple(corners[:, i, c, None] for c in range(3)) for i in range(3))
    return triangle.inverse_distance(tuple(points[None, :, c] for c in range(3)), *columns)[0]


def surface_cells(body: Body) -> np.ndarray:
    """Indices of the cells with a face on the surface: there E is largest in a homogeneous convex body."""
    sides = np.sort(body.cells[:, [[0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]]], axis=2).reshape(-1, 3)
    _, first, count = np.unique(sides, axis=0, return_index=True, return_counts=True)
    return np.unique(first[count == 1] // 4)


def largest_field(body: Body, field, percentile: float = 99.0) -> float:
    """The |E| (V/m) that this percentage of the body's volume stays below; field (C,3) V/m.

    The 99th percentile is customary for staircase bodies (ICNIRP, Health Phys. 99 (2010) 818); 100 is the maximum.
    """
    size = np.linalg.norm(np.asarray(field), axis=1)
    order = np.argsort(size)
    share = np.cumsum(body.volumes[order])
    return float(size[order][np.searchsorted(share, percentile / 100 * share[-1] * (1 - 1e-12))])


def _means(body: Body):
    """Sparse (C,N): mean over the corners of each cell."""
    row = np.repeat(np.arange(len(body.cells)), 4)
    return sparse.csr_array((np.full(row.size, 0.25), (row, body.cells.ravel())), shape=(len(body.cells), len(body.nodes)))


def _gradients(body: Body):
    """Three sparse matrices (C,N): slope of a function linear on each cell, along x, y, z."""
    corner = body.nodes[body.cells]
    inverse = np.linalg.inv(corner[:, 1:] - corner[:, :1])  # columns: slopes of the last three shape functions
    slopes = np.concatenate([-inverse.sum(axis=2, keepdims=True), inverse], axis=2)
    row = np.repeat(np.arange(len(body.cells)), 4)
    shape = (len(body.cells), len(body.nodes))
    return [sparse.csr_array((slopes[:, axis].ravel(), (row, body.cells.ravel())), shape=shape) for axis in range(3)]


def _solved(matrix, load):
    """Potential (N,K) of a singular but consistent system, all columns at once: conjugate gradients, scaled diagonal.

    Loads sum to zero over each connected piece, so the constant that is left open never enters.
    """
    inverse = 1 / matrix.diagonal()[:, None]
    found, rest = np.zeros_like(load), load.copy()
    step = inverse * rest
    energy = (rest * step).sum(axis=0)
    enough = _RESIDUAL**2 * energy
    for _ in range(_STEPS):
        if np.all(energy <= enough):
            return found
        image = matrix @ step
        length = energy / np.maximum((step * image).sum(axis=0), 1e-300)
        found += length * step
        rest -= length * image
        scaled = inverse * rest
        before, energy = energy, (rest * scaled).sum(axis=0)
        step = scaled + energy / np.maximum(before, 1e-300) * step
    raise ArithmeticError(
        f"in_body: the potential must settle within {_STEPS} steps, but it did not; take a body with fewer slivers or a "
        "smaller contrast of conductivity"
    )


# --- meshes of tetrahedra -----------------------------------------------------------------------------

# corners of the six tetrahedra along the diagonal of a unit cube: one per order of the axes (Kuhn 1960)
_ORDERS = np.array([[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]])
_KUHN = np.concatenate([np.zeros((6, 1, 3), int), np.cumsum(np.eye(3, dtype=int)[_ORDERS], axis=1)], axis=1)


def _icosahedron():
    """Centre and corners (13,3) and twenty tetrahedra (20,4) of a regular icosahedron with corners at distance 1."""
    from trimesh.creation import icosahedron

    solid = icosahedron()
    nodes = np.concatenate([np.zeros((1, 3)), np.array(solid.vertices) / np.linalg.norm(solid.vertices[0])])
    return nodes, np.column_stack([np.zeros(20, int), np.array(solid.faces) + 1])


def _gauge(nodes):
    """1 on the surface of that icosahedron, 0 at its centre, linear along each ray."""
    corners, cells = _icosahedron()
    outward = corners[cells[:, 1:]].mean(axis=1)
    return (nodes @ (outward / np.sum(outward**2, axis=1, keepdims=True)).T).max(axis=1)


# a tetrahedron of corners 0-3 and edge middles 4-9 (01, 02, 03, 12, 13, 23) in eight (Bey, Computing 55 (1995) 355)
_EDGES = np.array([[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]])
_EIGHT = np.array(
    [[0, 4, 5, 6], [4, 1, 7, 8], [5, 7, 2, 9], [6, 8, 9, 3], [4, 5, 6, 8], [4, 5, 7, 8], [5, 6, 8, 9], [5, 7, 8, 9]]
)


def _divided(nodes, cells):
    edges, place = np.unique(np.sort(cells[:, _EDGES], axis=2).reshape(-1, 2), axis=0, return_inverse=True)
    ten = np.concatenate([cells, len(nodes) + place.reshape(-1, 6)], axis=1)
    return np.concatenate([nodes, nodes[edges].mean(axis=1)]), ten[:, _EIGHT].reshape(-1, 4)
