"""Current density and dissipated power of stream-function sheets."""

from __future__ import annotations

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
from scipy import sparse

from designtools.problem import Quantity
from designtools.sources.sheet import current_operator


def surface_current_density(part: str, faces, vertices, triangles, name: str = "") -> Quantity:
    """K (F,2) A/m on the chosen `faces` of the sheet `part`, in two tangents of each face.

    Its row norm is the density of tracks: current / K is the pitch.  An optimiser cheats by nothing here
    (K is constant on a face), but contours of a smoothed stream function may crowd a little more.
    """
    first, second, _ = tangents(vertices, triangles[faces])
    basis = jnp.stack([jnp.asarray(first), jnp.asarray(second)], axis=1)
    index = jnp.asarray(faces)
    of = lambda design: jnp.einsum("fkc,fc->fk", basis, design.parts[part].surface_current()[index])
    jacobian = lambda design: _on_stream(part, _tangential_operator(vertices, triangles, faces))
    return Quantity(name or f"surface current density of {part}", "A/m", of, "peaks inside a face", jacobian)


def power_residual(part: str, faces, counts, vertices, triangles, sheet_resistance: float) -> Quantity:
    """Residual (F,2) whose sum of squares is the dissipated power (W) of sheet `part`.

    P = integral of R_s |K|^2 with the sheet resistance R_s = resistivity / thickness (ohm); `faces` holds one
    face per symmetry orbit and `counts` the size of each orbit.  The wound coil dissipates more than the
    sheet: gaps between tracks and the wider return paths are not in R_s.
    """
    density = surface_current_density(part, faces, vertices, triangles)
    area = tangents(vertices, triangles[faces])[2]
    weight = np.sqrt(sheet_resistance * area * counts)[:, None]
    of = lambda design: jnp.asarray(weight) * density.of(design)
    scale = sparse.diags_array(np.repeat(weight.ravel(), 2))
    jacobian = lambda design: _on_stream(part, scale @ _tangential_operator(vertices, triangles, faces))
    return Quantity(f"power of {part}", "sqrt(W)", of, "gaps between tracks cost nothing here", jacobian)


def _tangential_operator(vertices, triangles, faces):
    """Sparse (2F,V): psi -> the two tangential components of K on the chosen faces, row-major."""
    first, second, _ = tangents(vertices, triangles[faces])
    operator = current_operator(vertices, triangles)
    axes = [operator[axis::3][faces] for axis in range(3)]
    along = [sum(sparse.diags_array(t[:, c]) @ axes[c] for c in range(3)) for t in (first, second)]
    interleave = np.arange(2 * len(faces)).reshape(2, -1).T.ravel()
    return sparse.csr_array(sparse.vstack(along))[interleave]


def _on_stream(part: str, matrix):
    return SimpleNamespace(parts={part: SimpleNamespace(stream=matrix)})


def tangents(vertices, triangles):
    """Two orthonormal tangents (F,3) of each triangle, and its area (F,)."""
    a, b, c = np.moveaxis(np.asarray(vertices)[np.asarray(triangles)], 1, 0)
    normal = np.cross(b - a, c - a)
    twice_area = np.linalg.norm(normal, axis=1)
    first = (b - a) / np.linalg.norm(b - a, axis=1, keepdims=True)
    return first, np.cross(normal / twice_area[:, None], first), twice_area / 2
