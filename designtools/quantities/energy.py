"""Magnetic energy of stream-function sheets."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
from scipy import linalg, sparse

from designtools.kernels.face_inductance import coupling
from designtools.problem import Quantity
from designtools.sources.sheet import current_operator
from designtools.units import MU_0


@dataclass(frozen=True)
class SheetModel:
    """What the energy of one sheet needs: its mesh, one face per symmetry orbit, orbit sizes, and the basis of psi."""

    part: str
    vertices: np.ndarray
    triangles: np.ndarray
    faces: np.ndarray
    counts: np.ndarray
    basis: sparse.spmatrix


def stored_energy_residual(sheets: list[SheetModel]) -> tuple[Quantity, np.ndarray]:
    """Residual whose sum of squares is the energy (J) of all sheets together, and the matrix L (K,K) in H.

    W = 1/2 x'Lx with L_ij = mu0/4pi sum over face pairs of K_f.K_g times the double integral of 1/r, in the
    coefficients x = basis' psi; the residual is C x / sqrt(2) with C'C = L.  Valid inside the span of the bases.
    """
    matrix = inductance_matrix(sheets)
    root = linalg.cholesky(matrix) / np.sqrt(2)
    projections = [_project(s) for s in sheets]
    splits = np.cumsum([s.basis.shape[1] for s in sheets])[:-1]

    def of(design):
        x = jnp.concatenate([project(design.parts[s.part].stream) for s, project in zip(sheets, projections)])
        return jnp.asarray(root) @ x

    def jacobian(design):
        blocks = zip(sheets, np.split(root, splits, axis=1))
        return SimpleNamespace(parts={s.part: SimpleNamespace(stream=_through(s.basis, b)) for s, b in blocks})

    return Quantity("stored energy", "sqrt(J)", of, jacobian=jacobian), matrix


def _through(basis, block):
    """block @ basis' for a sparse basis: dense (rows, V)."""
    return (basis @ block.T).T


def inductance_matrix(sheets: list[SheetModel]) -> np.ndarray:
    """L (K,K) H of the joint coefficients; symmetric.

    Only faces of one orbit each act as observers: their rows, times the orbit size, make the whole sum.
    """
    blocks = [[_block(a, b) for b in sheets] for a in sheets]
    matrix = np.block(blocks)
    return (matrix + matrix.T) / 2


def _block(a: SheetModel, b: SheetModel) -> np.ndarray:
    weight = np.repeat(MU_0 / (4 * np.pi) * a.counts, 3)
    seen = _flow(a)[(3 * a.faces[:, None] + np.arange(3)).ravel()]
    observers, sources = a.vertices[a.triangles[a.faces]], b.vertices[b.triangles]
    return coupling(observers, sources, sparse.diags_array(weight) @ seen, _flow(b))


def _flow(sheet: SheetModel):
    """Operator coefficients -> K of each face, sparse (3F,K), rows (face, component)."""
    return sparse.csr_array(current_operator(sheet.vertices, sheet.triangles) @ sheet.basis)


def _project(sheet: SheetModel):
    basis = sheet.basis.tocoo()
    row, col, data = map(jnp.asarray, (basis.row, basis.col, basis.data))
    return lambda stream: jnp.zeros(basis.shape[1]).at[col].add(data * stream[row])
