"""The convex problem of a gradient coil in the stream functions of its surfaces.

Turner 1993; Poole & Bowtell 2007; Lemdiasov & Ludwig 2005: minimise dissipated power, stored energy and peak current
density of the sheets, while the encoded component B.b0 stays within the error allowed at every target point, |B|
within the stray limit on the surface outside, the current density within what the conductor's pitch allows, and
force and torque within theirs.
"""

from __future__ import annotations

import numpy as np

from designtools.problem import Design, Free, Limit, Problem, Term
from designtools.quantities import energy, field, force, sheet
from designtools.recipes.gradient_setting import Layer, Setting, background, folded, volume
from designtools.regions import Region
from designtools.sources import Sheet
from designtools.units import MU_0

JOINTS, TURNS = 0.03, 0.005  # of the error and of the stray field allowed, kept for what joints add, or for turns left loose
SLOPE_BAND = 1e-4  # relative
UNIQUE = 1e-3  # weight of the power beside a peak objective, so that the pattern away from the peak is unique


def problem(setting: Setting, densest: float | None = None) -> Problem:
    """The convex problem of the stream function at target.strength.

    densest: current density (A/m) at which tracks of the conductor's width and spacing still fit side by side.
    """
    spec, layers = setting.spec, setting.layers
    parts = {l.name: Sheet(l.mesh.vertices, l.mesh.faces, np.zeros(len(l.mesh.vertices))) for l in layers}
    bound = 1e3 * natural_stream(spec, setting.size)
    free = [Free(lambda d, n=l.name: d.parts[n].stream, -bound, bound, l.name, l.basis) for l in layers]
    return Problem(Design(parts), free, _objective(setting), limits(setting, densest))


def natural_stream(spec, size: float) -> float:
    """psi0 (A) of the sphere of radius `size` m with the gradient wanted: psi0 = G a^2 / (0.6 mu0)."""
    return spec.target.strength * size**2 / (0.6 * MU_0)


def natural_scales(spec, size: float) -> dict[str, float]:
    """Power (W), energy (J) and current density (A/m) that count as 1: those of the spherical x z / r^2 sheet of that radius.

    P/G^2 = (40 pi/9)(rho/t) a^4/mu0^2 and L/eta^2 = 8 pi a^5/(9 mu0) are its closed forms.
    """
    a, g = size, spec.target.strength
    return {
        "power": 40 * np.pi / 9 * sheet_resistance(spec) * a**4 * g**2 / MU_0**2,
        "stored_energy": 4 * np.pi * a**5 * g**2 / (9 * MU_0),
        "peak_current_density": natural_stream(spec, size) / a,
    }


def sheet_resistance(spec) -> float:
    """Resistivity over thickness of the metal (ohm) of the conductor laid without gaps."""
    return spec.conductor.effective_resistivity / spec.conductor.mean_thickness


def _objective(setting: Setting) -> list[Term]:
    spec, scales = setting.spec, natural_scales(setting.spec, setting.size)
    weights = spec.objective
    power_weight = weights.power or (0 if weights.stored_energy else UNIQUE * weights.peak_current_density)
    terms = []
    if power_weight:
        terms += [Term(_power(l, spec), scale=scales["power"] ** 0.5, weight=power_weight) for l in setting.layers]
    if weights.stored_energy:
        residual = energy.stored_energy_residual([sheet_model(l) for l in setting.layers])[0]
        terms.append(Term(residual, scale=scales["stored_energy"] ** 0.5, weight=weights.stored_energy))
    if weights.peak_current_density:
        peak = scales["peak_current_density"]
        terms.append(Term(_density_of_all(setting), "peak", peak, weights.peak_current_density))
    return terms


def sheet_model(layer: Layer) -> energy.SheetModel:
    """What the energy of a layer needs."""
    mesh = layer.mesh
    return energy.SheetModel(layer.name, mesh.vertices, mesh.faces, layer.faces, layer.counts, layer.basis)


def _power(layer: Layer, spec):
    mesh = layer.mesh
    return sheet.power_residual(layer.name, layer.faces, layer.counts, mesh.vertices, mesh.faces, sheet_resistance(spec))


def _density(layer: Layer):
    return sheet.surface_current_density(layer.name, layer.faces, layer.mesh.vertices, layer.mesh.faces)


def _density_of_all(setting: Setting):
    import jax.numpy as jnp

    from designtools.problem import Quantity

    each = [_density(l) for l in setting.layers]
    return Quantity("surface current density", "A/m", lambda d: jnp.concatenate([q.of(d) for q in each]))


def limits(setting: Setting, densest: float | None) -> list[Limit]:
    """What the spec asks the field, the current density, force and torque to keep; `densest` as in `problem`."""
    spec = setting.spec
    found = [_field_limit(setting, setting.target, "target field"), _slope_limit(setting)]
    found += [_field_limit(setting, points, f"target field {k}") for k, points in enumerate(setting.between)]
    if setting.stray is not None:
        q = field.flux_density(setting.stray)
        most = (1 - reserves(setting)[1]) * spec.stray.limit
        found.append(Limit(q, upper=most, norm="row", scale=most, label="stray.limit"))
    found += _density_limits(setting, densest)
    names = [l.name for l in setting.layers]
    if spec.limits.torque is not None:
        found.append(_cone(force.sheet_torque(names, background(spec)), spec.limits.torque, "limits.torque"))
    if spec.limits.net_force is not None:
        found.append(_cone(force.sheet_force(names, background(spec)), spec.limits.net_force, "limits.net_force"))
    return [*found, *setting.held]


def _field_limit(setting: Setting, points: Region, name: str) -> Limit:
    wanted, allowed = setting.spec.target.strength * setting.distance(points.points), allowed_error(setting)
    return Limit(field.component(points, setting.b0, name), wanted - allowed, wanted + allowed, scale=allowed, label="target.error")


def allowed_error(setting: Setting) -> float:
    """Largest |B·b0 - strength * u| (T) that the optimiser leaves."""
    target = setting.spec.target
    return (1 - reserves(setting)[0]) * target.error * target.strength * setting.reach


def reserve(spec) -> float:
    """Share of the error and of the stray field allowed that the optimiser leaves at first."""
    return JOINTS if spec.winding.joined else TURNS


def reserves(setting: Setting) -> tuple[float, float]:
    """Shares of the error and of the stray field allowed that the optimiser leaves, with what joints were seen to take."""
    return tuple(reserve(setting.spec) + taken for taken in setting.taken)


def _slope_limit(setting: Setting) -> Limit:
    """The best-fitting gradient over the region is the one asked for, so the error is a deviation, not a gain.

    Held to a hundredth of a percent: a band that an interior-point method can move in.
    """
    spec, region = setting.spec, folded(volume(setting.spec), setting.symmetry)
    distance = setting.distance(region.points)
    weights = region.weights * distance / (region.weights @ distance**2)
    q = field.mean_component(region, setting.b0, weights, "gradient")
    band = SLOPE_BAND * spec.target.strength
    return Limit(q, spec.target.strength - band, spec.target.strength + band, scale=band, label="target.strength")


def _density_limits(setting: Setting, densest: float | None) -> list[Limit]:
    spec = setting.spec
    caps = {"limits.peak_current_density": spec.limits.peak_current_density, "conductor.spacing": densest}
    label, cap = min(((k, v) for k, v in caps.items() if v is not None), key=lambda kv: kv[1], default=(None, None))
    return [] if cap is None else [_cone(_density(l), cap, label) for l in setting.layers]


def _cone(quantity, cap: float, label: str) -> Limit:
    return Limit(quantity, upper=cap, norm="row", scale=cap, label=label)
