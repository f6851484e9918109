"""What a source is made of, as rules of chosen fineness: its currents, charges and dipoles."""

from __future__ import annotations

import inspect

import jax.numpy as jnp
import numpy as np

from designtools.sources import Arcs, Dipoles, Loops, Polyhedra, Posed, Sheet, Spheres
from designtools.sources.assembly import leaves
from designtools.sources.sheet import face_areas
from designtools.units import MU_0


def element_rules(source, nodes: int):
    """Triples (kind, points (Q,3) m, weights) of a source: "current" with I dl (Q,3) A·m, "charge" with (Q,1) A·m,
    "dipole" with moments (Q,3) A·m2.

    nodes: points round a loop; Gauss points along an edge are a fifth of that, at least 6.
    """
    for part in leaves(source):
        special = _SPECIAL.get(type(part))
        yield from special(part, nodes) if special else _own_rules(part, nodes)


def has_rules(source) -> bool:
    """Whether every part of a source has rules of any fineness."""
    return all(_has_rules(part) for part in leaves(source))


def _has_rules(part) -> bool:
    if isinstance(part, Posed):
        return has_rules(part.source)
    methods = [getattr(part, name) for name in ("current_elements", "charge_elements") if hasattr(part, name)]
    return type(part) in (*_SPECIAL, Arcs, Loops) or bool(methods) and all(_edge_order(m, 64) for m in methods)


def _own_rules(part, nodes):
    if hasattr(part, "current_elements"):
        yield "current", *part.current_elements(nodes, **_edge_order(part.current_elements, nodes))
    if hasattr(part, "charge_elements"):
        points, charge = part.charge_elements(nodes, **_edge_order(part.charge_elements, nodes))
        yield "charge", points, charge[:, None]


def _edge_order(method, nodes: int) -> dict:
    """The number of Gauss points along an edge, where the rule has one."""
    return {"order": max(6, nodes // 5)} if "order" in inspect.signature(method).parameters else {}


def _posed(part: Posed, nodes):
    for kind, points, weights in element_rules(part.source, nodes):
        yield kind, part._turned(points) + part.position, weights if kind == "charge" else part._turned(weights)


def _dipoles(part: Dipoles, nodes):
    yield "dipole", *part.dipole_elements()


def _spheres(part: Spheres, nodes):
    """From outside, a uniformly polarised sphere is a dipole."""
    yield "dipole", jnp.asarray(part.centre), part.volume()[:, None] * jnp.asarray(part.polarization) / MU_0


def _sheet(part: Sheet, nodes):
    corners = jnp.asarray(part.vertices)[part.faces]
    barycentric, weight = _triangle_rule(max(6, nodes // 5))
    flow = face_areas(corners)[:, None] * part.surface_current()
    yield "current", *_on_faces(barycentric, weight, corners, flow)


def _polyhedra(part: Polyhedra, nodes):
    corners = jnp.asarray(part.vertices)[part.faces]
    normal = jnp.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]) / 2
    flux = jnp.einsum("fc,fc->f", normal, jnp.asarray(part.polarization)[part.body]) / MU_0
    yield "charge", *_on_faces(*_triangle_rule(max(6, nodes // 5)), corners, flux[:, None])


def _on_faces(barycentric, weight, corners, density):
    points = jnp.einsum("qi,fic->qfc", barycentric, corners)
    return points.reshape(-1, 3), (weight[:, None, None] * density).reshape(-1, density.shape[1])


def _triangle_rule(order: int):
    """Gauss points on a square folded onto the triangle: barycentric (order^2, 3), weights that sum to 1."""
    t, w = np.polynomial.legendre.leggauss(order)
    s, t = (axis.ravel() for axis in np.meshgrid((t + 1) / 2, (t + 1) / 2, indexing="ij"))
    return np.stack([1 - s, s * (1 - t), s * t], axis=1), np.outer(w, w).ravel() / 2 * s


_SPECIAL = {Dipoles: _dipoles, Polyhedra: _polyhedra, Posed: _posed, Sheet: _sheet, Spheres: _spheres}
