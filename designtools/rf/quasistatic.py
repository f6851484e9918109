"""Electric field in a conductive body in a slow magnetic field: -j w A - grad phi with Poisson's equation on the nodes.

No current crosses the body's surface.  Finite integration on the same edges as the full-wave method, with complex
conductivity sigma + j w eps, so that displacement current counts and only the body's own magnetic field is left out.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from designtools.materials.tissues import EPSILON_0
from designtools.rf.body import Body, edge_mean


def electric_field(body: Body, potential, frequency: float, tolerance: float = 1e-6):
    """E (3,N,N,N,C) V/m on the edges, zero off the body, from A (3,N,N,N,C) T·m on them; and the largest number of steps."""
    omega = 2 * np.pi * frequency
    admittance = _edge_admittance(body, omega)
    induced = -1j * omega * np.asarray(potential)
    used = np.flatnonzero(admittance)
    gradient, nodes = _gradient(admittance.shape[1:], used)
    weight = admittance.ravel()[used]
    system = (gradient.T @ sp.diags(weight) @ gradient).tocsr()
    field = np.zeros((admittance.size, induced.shape[-1]), complex)
    steps = []
    for channel in range(induced.shape[-1]):
        own = induced[..., channel].ravel()[used] * body.spacing
        phi, count = conjugate_gradients(system, gradient.T @ (weight * own), tolerance)
        field[used, channel] = (own - gradient @ phi) / body.spacing
        steps.append(count)
    return field.reshape(induced.shape), max(steps)


def _edge_admittance(body: Body, omega: float) -> np.ndarray:
    """j w eps on the edges (3,N,N,N) S/m, sigma being in the imaginary part of eps; air counts nothing."""
    values = 1j * omega * EPSILON_0 * np.where(np.arange(len(body.permittivity)) > 0, body.permittivity, 0)[body.label]
    return np.asarray(edge_mean(values))


def _gradient(shape, edges):
    """Differences (E,M) between the nodes at both ends of each edge, M the nodes in use; and which they are."""
    axis, *lower = np.unravel_index(edges, (3, *shape))
    upper = [l + (axis == a) for a, l in enumerate(lower)]
    start, stop = (np.ravel_multi_index(ends, shape) for ends in (lower, upper))
    nodes, index = np.unique(np.concatenate([start, stop]), return_inverse=True)
    rows = np.arange(len(edges))
    plus = sp.csr_matrix((np.ones(len(edges)), (rows, index[len(edges) :])), (len(edges), len(nodes)))
    minus = sp.csr_matrix((np.ones(len(edges)), (rows, index[: len(edges)])), (len(edges), len(nodes)))
    return plus - minus, nodes


def conjugate_gradients(matrix, right, tolerance: float, limit: int = 10000):
    """Solution of a complex symmetric system scaled by its diagonal, and the number of steps (H. A. van der Vorst, J. B. M.
    Melissen, IEEE Trans. Magn. 26 (1990) 706: products without conjugation).

    The system may be singular by a constant, which the right-hand side does not excite.  RuntimeError where it does not converge.
    """
    scale = 1 / matrix.diagonal()
    x, rest = np.zeros_like(right), right.copy()
    z = scale * rest
    way, inner = z.copy(), rest @ z
    goal = tolerance * np.linalg.norm(right)
    for step in range(limit):
        if np.linalg.norm(rest) <= goal:
            return x, step
        image = matrix @ way
        length = inner / (way @ image)
        x += length * way
        rest -= length * image
        z = scale * rest
        inner, before = rest @ z, inner
        way = z + inner / before * way
    raise RuntimeError(f"the electric potential did not converge in {limit} steps; the body may hold parts of extreme contrast")
