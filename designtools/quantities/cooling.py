"""Heat of a gradient coil: temperature of its sheets, the current density that a temperature allows, water in channels.

    h theta - div(kt grad theta) = R_s |K|^2        theta (K) above the coolant, on the sheet

h (W/m2/K): heat transfer to the coolant, both faces together; kt (W/K): conductivity x thickness of what spreads heat in
the plane.  theta is a sum of |K|^2 with weights that are not negative: convex, and a cap on it is a cone.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import splu

from designtools.problem import Quantity
from designtools.quantities.energy import SheetModel
from designtools.quantities.linear import on_streams
from designtools.sources import Sheet
from designtools.sources.sheet import current_operator, face_areas

_TURBULENT = 2300.0  # Reynolds number
_FELT = 1e-6  # of the largest eigenvalue of a spot's heating
_LAMINAR_NUSSELT = 3.66  # round pipe, even wall temperature

# --- coolant ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Coolant:
    """A liquid: density (kg/m3), specific heat (J/kg/K), viscosity (Pa·s), conductivity (W/m/K)."""

    density: float
    heat: float
    viscosity: float
    conductivity: float


WATER = Coolant(997.0, 4181.0, 0.89e-3, 0.607)  # at 25 C (NIST Webbook)


def coolant_rise(power: float, flow: float, coolant: Coolant = WATER) -> float:
    """Rise (K) of the coolant from inlet to outlet: P/(rho c Q), power (W), flow (m3/s)."""
    return power / (coolant.density * coolant.heat * flow)


@dataclass(frozen=True)
class ChannelFlow:
    """Flow in a channel: velocity (m/s), reynolds, friction factor (Darcy), pressure drop (Pa), heat transfer (W/m2/K)."""

    velocity: float
    reynolds: float
    friction: float
    pressure_drop: float
    heat_transfer: float


def channel(flow: float, area: float, perimeter: float, length: float, roughness: float = 1.5e-6, coolant: Coolant = WATER) -> ChannelFlow:
    """Flow (m3/s) through a channel of cross-section area (m2), wetted perimeter and length (m); bends are not counted.

    Friction: 64/Re below 2300, else S. E. Haaland, J. Fluids Eng. 105 (1983) 89; between 2300 and
    4000 nothing is certain.  Heat transfer: Nu = 3.66, else 0.023 Re^0.8 Pr^0.4 (Dittus & Boelter 1930).
    """
    diameter, velocity = 4 * area / perimeter, flow / area
    reynolds = coolant.density * velocity * diameter / coolant.viscosity
    friction = _friction(reynolds, roughness / diameter)
    prandtl = coolant.viscosity * coolant.heat / coolant.conductivity
    nusselt = max(_LAMINAR_NUSSELT, 0.023 * reynolds**0.8 * prandtl**0.4 if reynolds > _TURBULENT else 0.0)
    drop = friction * length / diameter * coolant.density * velocity**2 / 2
    return ChannelFlow(velocity, reynolds, friction, drop, nusselt * coolant.conductivity / diameter)


def flow_at_pressure(pressure: float, area: float, perimeter: float, length: float, roughness: float = 1.5e-6, coolant: Coolant = WATER) -> float:
    """Flow (m3/s) that a pressure drop (Pa) drives through a channel; where the friction law jumps, the smaller one."""
    from scipy.optimize import brentq

    excess = lambda log_flow: channel(np.exp(log_flow), area, perimeter, length, roughness, coolant).pressure_drop - pressure
    return float(np.exp(brentq(excess, np.log(1e-12), np.log(1e2), xtol=1e-13)))


def _friction(reynolds: float, relative_roughness: float) -> float:
    laminar = 64 / reynolds
    if reynolds < _TURBULENT:
        return laminar
    rough = (relative_roughness / 3.7) ** 1.11 + 6.9 / reynolds
    return max(laminar, float((-1.8 * np.log10(rough)) ** -2))


# --- temperature of a sheet -----------------------------------------------------------------------------


def density_cap(rise: float, sheet_resistance: float, heat_transfer: float) -> float:
    """|K| (A/m, rms) at which a sheet is `rise` (K) warmer than its coolant without conduction in the plane: sqrt(h theta/R_s)."""
    return float(np.sqrt(heat_transfer * rise / sheet_resistance))


def temperature_rise(vertices, faces, density_square, sheet_resistance: float, heat_transfer: float, spreading: float):
    """theta (V,) K above the coolant at the vertices; density_square (F,): mean over time of |K|^2 (A2/m2).

    sheet_resistance (ohm, of all or each face), heat_transfer (W/m2/K), spreading (W/K).  Linear elements, lumped heat transfer; no heat
    leaves through rims.
    """
    factor, heat = _balance(vertices, faces, heat_transfer, spreading)
    return factor.solve(heat @ (sheet_resistance * np.asarray(density_square, float)))


def wire_rise(mesh_vertices, faces, onto, watts, heat_transfer: float, spreading: float):
    """theta (V,) K at the vertices of a sheet heated by wires: watts (S,) of pieces that `onto` (S,V) shares out to the vertices."""
    factor, _ = _balance(mesh_vertices, faces, heat_transfer, spreading)
    return factor.solve(onto.T @ np.asarray(watts, float))


def hottest_rise(part: str, vertices, faces, sheet_resistance: float, heat_transfer: float, spreading: float) -> Quantity:
    """theta (V,) K of the sheet `part` at the current of its stream function (rms): quadratic, for audits and descent.

    An optimiser cheats with what the sheet does not know: joints, leads, blocked channels.
    """
    factor, heat = _balance(vertices, faces, heat_transfer, spreading)
    influence = jnp.asarray(sheet_resistance * factor.solve(heat.toarray()))
    of = lambda design: influence @ jnp.sum(design.parts[part].surface_current() ** 2, axis=1)
    return Quantity(f"temperature rise of {part}", "K", of, cheat="joints, leads, blocked channels")


def spot_residual(sheet: SheetModel, vertex: int, sheet_resistance: float, heat_transfer: float, spreading: float) -> Quantity:
    """Row (1,K) whose squared length is theta (K) at one vertex: a cone of radius sqrt(theta allowed) keeps that spot cool.

    Within the basis of the sheet; add the hottest vertex of each answer until none is too hot.
    """
    weight = _spot_weights(sheet.vertices, sheet.triangles, vertex, sheet_resistance, heat_transfer, spreading)
    flow = sparse.csr_array(current_operator(sheet.vertices, sheet.triangles) @ sheet.basis)
    heating = (flow.T @ sparse.diags_array(np.repeat(weight, 3)) @ flow).toarray()
    value, vector = linalg.eigh(heating)
    felt = value > _FELT * value[-1]  # what is far away does not heat the spot
    root = np.sqrt(value[felt])[:, None] * vector.T[felt]
    name = f"temperature of {sheet.part} at vertex {vertex}"
    return on_streams(name, "sqrt(K)", {sheet.part: (sheet.basis @ root.T).T}, len(root), "other vertices")


def spot_tangent(
    part: str, near: Sheet, vertex: int, sheet_resistance: float, heat_transfer: float, spreading: float, name: str = ""
) -> Quantity:
    """Bound (1,) K from below of theta at one vertex: its tangent at the sheet `near`; one row instead of a wide cone.

    theta >= 2 sum w K.K_near - sum w |K_near|^2, equal at `near`.  Cap it, solve, add the tangent at the answer, and
    again until the answer's own theta is within the cap (Kelley 1960); each needs a `name` of its own.
    """
    vertices, faces = np.asarray(near.vertices), np.asarray(near.faces)
    weight = _spot_weights(vertices, faces, vertex, sheet_resistance, heat_transfer, spreading)
    flow = current_operator(vertices, faces)
    heated = np.repeat(weight, 3) * (flow @ np.asarray(near.stream))
    row = 2 * (flow.T @ heated)
    there = float(row @ np.asarray(near.stream)) / 2
    of = lambda design: (jnp.asarray(row) @ design.parts[part].stream - there)[None]
    known = SimpleNamespace(parts={part: SimpleNamespace(stream=row[None])})
    name = name or f"tangent of the temperature of {part} at vertex {vertex}"
    return Quantity(name, "K", of, "other vertices", lambda design: known)


def _spot_weights(vertices, faces, vertex, sheet_resistance, heat_transfer, spreading):
    """Weights (F,) K m2/A2 of |K|^2 in theta at one vertex; the balance is symmetric, so one solve."""
    factor, heat = _balance(vertices, faces, heat_transfer, spreading)
    unit = np.zeros(len(vertices))
    unit[vertex] = 1.0
    return np.maximum(sheet_resistance * (heat.T @ factor.solve(unit)), 0.0)


def _balance(vertices, faces, heat_transfer: float, spreading: float):
    """Factor of h M + kt S (V,V), and H (V,F) m2 that spreads heat per area of faces over their corners."""
    vertices, faces = np.asarray(vertices, float), np.asarray(faces)
    if not heat_transfer > 0:
        raise ValueError(f"cooling: heat_transfer must be positive, got {heat_transfer:g} W/m2/K; without it nothing carries heat away")
    corners = vertices[faces]
    area = np.asarray(face_areas(corners))
    share = sparse.csr_array((np.repeat(area / 3, 3), (faces.ravel(), np.repeat(np.arange(len(faces)), 3))), shape=(len(vertices), len(faces)))
    flow = sparse.csr_array(current_operator(vertices, faces))  # |K| is the slope of the stream function
    stiffness = flow.T @ sparse.diags_array(np.repeat(area, 3)) @ flow
    matrix = heat_transfer * sparse.diags_array(np.maximum(share.sum(axis=1), 1e-300)) + spreading * stiffness
    return splu(sparse.csc_array(matrix)), share
