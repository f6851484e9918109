"""What coils of different parts do to each other: mutual inductance, induced voltage, force and torque.

    M_ab = (1 / I_a I_b) integral over a of A_b . J_a,        V_a = M_ab dI_b/dt,        F_a = sum I dl x B_b

by points along the conductors of one part in the exact potential or field of the other, which do not touch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from designtools.sources import Filaments, Loops
from designtools.sources.assembly import leaves

NODES = 64  # points round each loop or block


@dataclass(frozen=True)
class Circuits:
    """The circuits of one part as elements: points (Q,3) m, flow (Q,3) m (dl per ampere of the leads), owner (Q,) circuit.

    sources: per circuit a source that makes its field; amperes (C,) A in its leads then, never 0.
    """

    points: np.ndarray
    flow: np.ndarray
    owner: np.ndarray
    sources: tuple[Any, ...]
    amperes: np.ndarray

    def __len__(self) -> int:
        return len(self.amperes)


def circuits(sources, amperes) -> Circuits:
    """Circuits of given sources, one each, and the current (A) in the leads of each."""
    sources, amperes = tuple(sources), np.asarray(amperes, float)
    if not np.all(amperes != 0):
        raise ValueError(f"circuits: amperes must not be zero, got {amperes.tolist()}; give each circuit its unit current")
    pieces = [elements(source) for source in sources]
    points = np.concatenate([p for p, _ in pieces])
    flow = np.concatenate([f / i for (_, f), i in zip(pieces, amperes)])
    owner = np.repeat(np.arange(len(sources)), [len(p) for p, _ in pieces])
    return Circuits(points, flow, owner, sources, amperes)


def elements(source) -> tuple[np.ndarray, np.ndarray]:
    """Points (Q,3) m and I dl (Q,3) A·m of whatever in a source carries current; two Gauss points on each straight segment."""
    found = [_elements(leaf) for leaf in leaves(source) if hasattr(leaf, "current_elements")]
    if not found:
        return np.zeros((0, 3)), np.zeros((0, 3))
    return tuple(np.concatenate([np.asarray(pair[k]) for pair in found]) for k in (0, 1))


def _elements(leaf):
    return leaf.current_elements(NODES, order=2) if isinstance(leaf, Filaments) else leaf.current_elements(NODES)


def single_loops(loops: Loops, turns: float = 1.0) -> list[Loops]:
    """Each loop by itself with one ampere in its leads."""
    rows = zip(*(np.asarray(leaf) for leaf in (loops.centre, loops.normal, loops.radius)))
    return [Loops(c[None], n[None], np.array([r]), np.array([turns])) for c, n, r in rows]


def mutual(a: Circuits, b: Circuits) -> np.ndarray:
    """Mutual inductance (A,B) H of the circuits of two parts."""
    if len(b) > len(a):
        return mutual(b, a).T
    columns = []
    for source, amperes in zip(b.sources, b.amperes):
        linked = np.sum(np.asarray(source.potential(a.points)) * a.flow, axis=1)
        columns.append(np.bincount(a.owner, linked, minlength=len(a)) / amperes)
    return np.stack(columns, axis=1)


def load(points, flow, field_of) -> tuple[np.ndarray, np.ndarray]:
    """Force (3,) N and torque (3,) N·m about the origin on elements I dl (Q,3) A·m at points (Q,3) m in the field of a source."""
    forces = np.cross(flow, np.asarray(field_of.field(points)))
    return forces.sum(axis=0), np.cross(points, forces).sum(axis=0)


def image_response(modes, linked) -> tuple[np.ndarray, float]:
    """Amperes (M,) of the modes of shells without resistance per ampere of a circuit that links them with `linked` (M,) Wb/A,
    and the inductance (H) that they take from it: what a shell does far above its own time constants."""
    tau = np.asarray(modes.time_constants)
    kept = tau > 1e-9 * tau.max()
    amperes = np.where(kept, -np.asarray(linked) / np.where(kept, tau, 1.0), 0.0)
    return amperes, float(-amperes @ linked)
