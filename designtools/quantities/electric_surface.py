"""The electric field induced in a homogeneous body given by its closed surface: boundary elements, no mesh of the inside.

E = -A' - grad(phi), and no current leaves: d phi/dn = -n.A' on the surface, where Green's identity holds,

    c phi + integral of phi n'.(r - r')/(4 pi |r - r'|^3) dA' = integral of (d phi/dn')/(4 pi |r - r'|) dA'

c: the solid angle of the inside at r over 4 pi.  phi is linear on each triangle and d phi/dn constant; both integrals are
closed (J. C. de Munck, IEEE Trans. Biomed. Eng. 39 (1992) 986).  E is largest on the surface, and that is where it is found.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from scipy import linalg, sparse

from designtools.kernels import segment, triangle
from designtools.kernels.streaming import contract
from designtools.problem import Quantity
from designtools.quantities.electric_field import potential_operator
from designtools.quantities.energy import SheetModel
from designtools.quantities.linear import on_streams
from designtools.sources.sheet import current_operator

_TILE = 64  # points at once


def on_surface(vertices, faces, potential_rate) -> np.ndarray:
    """E (F,3) V/m just inside the middle of each face of a closed surface, normals outward; tangential.

    potential_rate: dA/dt (F,3) V/m at the middles of the faces, or (F,3,K) for K fields at once: E is (F,3,K).
    Errs in proportion to the face size: 1 % rms at 1280 faces of a ball, whose largest |E| is then right to 0.2 %.
    """
    corners = _closed(vertices, faces)
    rate = np.asarray(potential_rate, float)
    columns = rate.reshape(*rate.shape[:2], -1)
    normal = _normals(corners)
    flux = -np.einsum("ic,ick->ik", normal, columns)  # d phi/dn
    potential = linalg.solve(_double_layer(vertices, faces), _single_layer(vertices, corners, flux))
    turned = (current_operator(vertices, faces) @ potential).reshape(columns.shape)  # grad(phi) x n
    field = -columns - np.cross(normal[:, :, None], turned, axis=1)
    field -= normal[:, :, None] * np.einsum("ic,ick->ik", normal, field)[:, None, :]
    return field.reshape(rate.shape)


def surface_limit(vertices, faces, sheets: list[SheetModel], rate: float, chosen=None, name: str = "electric field") -> Quantity:
    """E (P,3) V/m on the surface of a homogeneous body while the stream functions change at rate x psi per second.

    At the middles of the `chosen` faces (indices, such as one per symmetry orbit; None: all), within the bases of the
    sheets.  rate (1/s) = slew rate / gradient strength.  For a cone |E| <= cap.
    """
    middles = _closed(vertices, faces).mean(axis=1)
    field = on_surface(vertices, faces, np.concatenate([rate * potential_operator(s, middles) for s in sheets], axis=2))
    field = field if chosen is None else field[np.asarray(chosen)]
    counts = np.cumsum([s.basis.shape[1] for s in sheets])[:-1]
    pieces = np.split(field.reshape(3 * len(field), -1), counts, axis=1)
    matrices = {s.part: (s.basis @ piece.T).T for s, piece in zip(sheets, pieces)}
    return on_streams(name, "V/m", matrices, 3, cheat="other bodies and postures")


def _single_layer(vertices, corners, charge) -> np.ndarray:
    """Potential (V,K) at the vertices of charge density (F,K), constant on each face."""
    columns = tuple(jnp.asarray(corners).transpose(1, 0, 2))
    return np.asarray(contract(triangle.inverse_distance, jnp.asarray(vertices), columns, charge))[:, 0] / (4 * np.pi)


def _double_layer(vertices, faces) -> np.ndarray:
    """Matrix (V,V) of the left side; the constant that phi may have is fixed by a mean of zero."""
    vertices, faces = np.asarray(vertices, float), np.asarray(faces)
    count, corners = len(vertices), vertices[faces]
    onto = sparse.csr_array((np.ones(faces.size), (faces.ravel(), np.arange(faces.size))), shape=(count, faces.size))
    matrix = np.empty((count, count))
    for first in range(0, count, _TILE):
        tile = vertices[first : first + _TILE]
        padded = np.pad(tile, [(0, _TILE - len(tile)), (0, 0)], mode="edge")
        matrix[first : first + _TILE] = (onto @ np.asarray(_hat_integrals(padded, corners)).reshape(faces.size, -1)).T[: len(tile)]
    matrix[np.diag_indices(count)] -= matrix.sum(axis=1)  # c, from what a constant phi needs
    return matrix + 1 / count


@jax.jit
def _hat_integrals(points, corners):
    """Integrals (F,3,P) of hat function i of face f times n.(r - r')/(4 pi |r - r'|^3).

    With the hat extended to the foot of r: N_i(r) W - h grad(N_i).T, where W is the solid angle, h the height and
    T = integral of the part of (r - r')/|r - r'|^3 in the plane, which is sum (l x n) g over the edges.
    """
    columns = lambda array: tuple(array[:, c, None] for c in range(3))
    xyz = tuple(points[None, :, c] for c in range(3))
    ends = [columns(corners[:, i]) for i in range(3)]
    sides = jnp.roll(corners, -1, axis=1) - corners
    twice = jnp.cross(sides[:, 0], sides[:, 1])
    size = jnp.linalg.norm(twice, axis=1, keepdims=True)
    normal = twice / size
    angle = triangle.solid_angle(xyz, *ends)[0]
    logs = jnp.stack([segment.potential_factor(xyz, ends[i], ends[(i + 1) % 3])[0] for i in range(3)])
    outward = jnp.cross(sides, normal[:, None, :])  # (F, side, 3)
    slopes = -jnp.roll(outward, -1, axis=1) / size[:, :, None]  # of hat i: against the side from i+1 to i+2
    height = jnp.einsum("fpc,fc->fp", points[None] - corners[:, :1], normal)
    at_foot = jnp.einsum("fic,fipc->fip", slopes, points[None, None] - jnp.roll(corners, -1, axis=1)[:, :, None])
    inclined = jnp.einsum("fic,fsc,sfp->fip", slopes, outward, logs)
    return (at_foot * angle[:, None] - height[:, None] * inclined) / (4 * jnp.pi)


def _normals(corners):
    """Outward unit normals (F,3)."""
    twice = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return twice / np.linalg.norm(twice, axis=1, keepdims=True)


def _closed(vertices, faces) -> np.ndarray:
    """Corners (F,3,3) of a closed surface whose normals point outward; refuses any other."""
    vertices, faces = np.asarray(vertices, float), np.asarray(faces)
    sides = np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1).reshape(-1, 2)
    open_sides = set(map(tuple, sides.tolist())) ^ set(map(tuple, sides[:, ::-1].tolist()))
    corners = vertices[faces]
    volume = np.einsum("fc,fc->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6
    if open_sides or volume <= 0:
        raise ValueError(
            f"electric_surface: the surface must be closed with normals outward, got {len(faces)} faces that enclose "
            f"{volume:.4g} m3 with {len(open_sides)} open sides; repair the mesh or turn its faces"
        )
    return corners
