"""Force and torque of current sheets in a background field: linear in the stream function."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from designtools.problem import Quantity


def sheet_force(parts: list[str], background, name: str = "net force") -> Quantity:
    """Force (1,3) N on the sheets `parts` in the field of `background` (a source).

    F = integral of K x B, with B taken at the edge midpoints of each face (exact for a quadratic field).
    """
    return Quantity(name, "N", lambda design: _sum(design, parts, background, torque=False))


def sheet_torque(parts: list[str], background, name: str = "torque") -> Quantity:
    """Torque (1,3) N·m about the origin on the sheets `parts` in the field of `background` (a source).

    T = integral of r x (K x B), edge-midpoint rule.  Leads and joints are not in the sheet: audit the wires.
    """
    return Quantity(name, "N·m", lambda design: _sum(design, parts, background, torque=True), cheat="leads are free")


def _sum(design, parts, background, torque: bool):
    return sum(_face_sum(design.parts[p], background, torque) for p in parts)[None, :]


def _face_sum(sheet, background, torque: bool):
    corners = jnp.asarray(sheet.vertices)[np.asarray(sheet.faces)]
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    area = jnp.linalg.norm(jnp.cross(b - a, c - a), axis=1) / 2
    midpoints = (corners + jnp.roll(corners, 1, axis=1)) / 2  # (F,3,3)
    field = background.field(midpoints.reshape(-1, 3)).reshape(midpoints.shape)
    density = jnp.cross(sheet.surface_current()[:, None, :], field) * area[:, None, None] / 3
    return jnp.sum(jnp.cross(midpoints, density) if torque else density, axis=(0, 1))
