"""What stands around a gradient coil, as limits of its convex problem: a person, a cryostat, the wall it is bonded to.

Each becomes a matrix on the stream functions (docs/physics-gradient-limits.md), made once and kept with the setting.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from designtools.formers.cylinder import Cylinder
from designtools.formers.symmetry import orbits
from designtools.formers.triangulated import parts_of
from designtools.problem import Limit
from designtools.quantities import acoustics, cooling, eddy, electric_surface
from designtools.quantities.linear import as_one_row
from designtools.recipes.gradient_problem import sheet_model, sheet_resistance
from designtools.recipes.gradient_setting import Setting, background
from designtools.recipes.gradient_turns import turn_current
from designtools.recipes.surfaces import METRES
from designtools.solve.solution import Solution

ROUND = 3  # of an ellipsoid's mesh: 1280 faces
HELD = 0.98  # of what is allowed, which the optimiser uses: turns are not the sheet, other meshes not its own
RESIDUAL = 0.94  # the same of the eddy currents' field: joints lack the symmetry of the turns
COOL = 0.91  # the same of a temperature: single turns make the sheet's heat uneven
SPARSE = 8  # closest pitches, beyond which tracks are taken to be apart
SPOTS, APART = 6, 0.2  # spots of a sheet held at once, how far apart in radii of the primary
HOT = 1.01  # excess of a temperature over its limit that counts as none


@dataclass(frozen=True)
class Surroundings:
    """The surface of the person (vertices, faces), the eddy currents' modes, the wall as a former, its body and its modes."""

    skin: tuple[np.ndarray, np.ndarray] | None = None
    eddies: eddy.EddyModes | None = None
    wall: tuple[Cylinder, acoustics.ShellBody, list] | None = None


def surrounded(setting: Setting) -> Setting:
    """The setting with what stands around the coil, and the limits that this puts on the stream functions."""
    spec = setting.spec
    found = Surroundings(
        spec.patient and skin(spec.patient, ROUND),
        spec.cryostat and _eddies(setting),
        spec.wall and _wall(setting),
    )
    held = [*_patient_limits(setting, found), *_cryostat_limits(setting, found), *_wall_limits(setting, found)]
    return replace(setting, surroundings=found, held=tuple(held))


# --- a person -------------------------------------------------------------------------------------


def skin(patient, level: int) -> tuple[np.ndarray, np.ndarray]:
    """The closed surface of a spec's patient: vertices (V,3) m, faces (F,3).  level: of the ellipsoid's mesh."""
    if patient.surface is not None:
        mesh = parts_of(patient.surface, METRES[patient.unit])[0]
        return mesh.vertices, mesh.faces
    import trimesh

    ball = trimesh.creation.icosphere(subdivisions=level)
    return np.array(ball.vertices) * patient.semi_axes + np.asarray(patient.centre), np.array(ball.faces)


def _patient_limits(setting: Setting, found: Surroundings):
    patient = setting.spec.patient
    if patient is None or patient.limit is None:
        return
    rate = patient.slew_rate / setting.spec.target.strength
    quantity = electric_surface.surface_limit(*found.skin, [sheet_model(l) for l in setting.layers], rate)
    yield _cone(quantity, patient.limit, "patient.limit")


# --- a cryostat -----------------------------------------------------------------------------------


def _eddies(setting: Setting) -> eddy.EddyModes:
    shells = [
        eddy.shell(f"shell {k + 1}", mesh, tube.thickness, 1 / tube.resistivity, setting.symmetry)
        for k, (tube, mesh) in enumerate(zip(setting.spec.cryostat.shells, setting.shell_meshes))
    ]
    return eddy.eddy_modes(shells, [sheet_model(l) for l in setting.layers])


def _cryostat_limits(setting: Setting, found: Surroundings):
    cryostat = setting.spec.cryostat
    if cryostat is None:
        return
    if cryostat.residual_limit is not None:
        quantity = eddy.residual_field(found.eddies, setting.target, setting.b0, cryostat.wait, cryostat.ramp)
        most = RESIDUAL * cryostat.residual_limit * setting.spec.target.strength * setting.reach
        yield Limit(quantity, -most, most, scale=most, label="cryostat.residual_limit")
    if cryostat.power_limit is not None:
        quantity = as_one_row(eddy.power_residual(found.eddies, cryostat.frequency))
        yield _cone(quantity, cryostat.power_limit**0.5, "cryostat.power_limit")


def eddy_field(setting: Setting, linked, points) -> float:
    """Largest |B·b0| (T) at points (P,3) m of the eddy currents, cryostat.wait after the ramp, of what links the modes with `linked` (M,) Wb."""
    cryostat, modes = setting.spec.cryostat, setting.surroundings.eddies
    late = eddy.after_ramp(modes.time_constants, cryostat.wait, cryostat.ramp)
    return float(np.abs(eddy.mode_fields(modes, points, setting.b0) @ (late * linked)).max())


def residual_over(setting: Setting, source) -> float:
    """Excess (relative) of the residual field of wires over what the optimiser is held to; 0 where there is room."""
    cryostat = setting.spec.cryostat
    if cryostat is None or cryostat.residual_limit is None:
        return 0.0
    most = RESIDUAL * cryostat.residual_limit * setting.spec.target.strength * setting.reach
    linked = eddy.linked_flux(setting.surroundings.eddies, source)
    return max(0.0, eddy_field(setting, linked, setting.target.points) / most - 1)


def tightened(setting: Setting, label: str, share: float) -> Setting:
    """The setting with a limit of its surroundings at a share of what it is."""
    hot = label == "cooling.limit"
    factor = share**0.5 if hot else share  # a temperature is held by its root
    scaled = lambda bound: None if bound is None else factor * np.asarray(bound)
    held = tuple(
        replace(l, lower=scaled(l.lower), upper=scaled(l.upper), scale=factor * l.scale) if l.name == label else l for l in setting.held
    )
    return replace(setting, held=held, warmth=setting.warmth * (share if hot else 1.0))


# --- the wall -------------------------------------------------------------------------------------


def _wall(setting: Setting):
    wall = setting.spec.wall
    former = Cylinder(wall.radius, wall.length, setting.frame)
    body = acoustics.ShellBody(wall.radius, wall.thickness, wall.length, wall.modulus, wall.density)
    return former, body, acoustics.wall_modes(wall.orders, wall.waves)


def _wall_limits(setting: Setting, found: Surroundings):
    wall = setting.spec.wall
    if wall is None or wall.velocity_limit is None:
        return
    sheets = {l.name: (l.mesh.vertices, l.mesh.faces) for l in setting.layers}
    former, body, modes = found.wall
    quantity = acoustics.vibration_residual(sheets, background(setting.spec), former, body, modes, wall.frequencies, wall.damping)
    yield _cone(as_one_row(quantity), wall.velocity_limit, "wall.velocity_limit")


def _cone(quantity, most: float, label: str) -> Limit:
    return Limit(quantity, upper=HELD * most, norm="row", scale=HELD * most, label=label)


# --- temperature ----------------------------------------------------------------------------------


def cooler(setting: Setting, solution: Solution) -> Setting:
    """The setting with the spots of each sheet that are too hot held as well; the same setting if there are none."""
    spec = setting.spec
    if spec.cooling is None or spec.cooling.limit is None:
        return setting
    most, held, found = COOL * setting.warmth * spec.cooling.limit, setting.held, []
    for layer in setting.layers:
        density = np.linalg.norm(np.asarray(solution.design.parts[layer.name].surface_current()), axis=1)
        heating = _heating(setting, density, turn_current(setting, solution))
        rise = cooling.temperature_rise(layer.mesh.vertices, layer.mesh.faces, density**2, *heating)
        for spot in _spots(layer.mesh.vertices, rise, HOT * most, setting):
            heat = cooling.spot_residual(sheet_model(layer), spot, *heating)
            again = f"{heat.name}, "  # a spot comes back where the tracks moved apart, and replaces what it was
            held = tuple(limit for limit in held if not limit.quantity.name.startswith(again))
            heat = replace(heat, name=again + hashlib.sha1(heating[0].tobytes()).hexdigest())
            found.append(Limit(heat, upper=most**0.5, norm="row", scale=most**0.5, label="cooling.limit"))
    return replace(setting, held=(*held, *found)) if found else setting


def _spots(vertices, rise, most: float, setting: Setting) -> list[int]:
    """The hottest vertices above `most`, one per symmetry orbit, a share of the coil's size apart."""
    own = orbits(vertices, setting.symmetry)[0]
    found: list[int] = []
    for spot in own[np.argsort(-rise[own])]:
        if rise[spot] <= most or len(found) == SPOTS:
            break
        if all(np.linalg.norm(vertices[spot] - vertices[other]) > APART * setting.size for other in found):
            found.append(int(spot))
    return found


def _heating(setting: Setting, density, current: float) -> tuple[np.ndarray, float, float]:
    """Resistance (F,) ohm of each face times the duty, heat transfer, spreading; density (F,): |K| A/m, current (A) of a turn.

    Tracks fill only a part of the sheet, width over current / |K|, and heat it the more for that.
    """
    spec = setting.spec
    closest = spec.conductor.width + spec.conductor.spacing
    pitch = np.clip(current / np.maximum(density, 1e-9 * density.max()), closest, SPARSE * closest)
    return sheet_resistance(spec) * pitch / spec.conductor.width * spec.cooling.duty, spec.cooling.heat_transfer, spec.cooling.spreading
