"""What an RF design is worth: transmit field, SAR, signal-to-noise ratio, circuits; figures, audit, maps."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from designtools.recipes import rf_circuits, rf_density, rf_files, rf_nuclei
from designtools.recipes.product import Evidence
from designtools.recipes.rf_plots import limit_table, maps, plots
from designtools.recipes.rf_setting import Setting, as_sphere, conductor_loss, focused_phases, in_region, middle, to_b1_rms, unpacked
from designtools.result import Figure
from designtools.rf import moments, receive, sar
from designtools.rf.layered_sphere import power_matrix, ultimate_sensitivity, wave_of_currents
from designtools.rf.layered_sphere import fields as fields_of_sphere
from designtools.rf.solution import Fields, electrical_size, voxel_conductivity

_DEGREE = 30  # of the modes of the ultimate


class Found(NamedTuple):
    """Per voxel with tissue: transmit and receive sensitivity (V,C) T/A, forms of SAR, losses (C,C) W, drive (C,) A."""

    transmit: np.ndarray
    receive: np.ndarray
    cubes: sar.Cubes | None
    forms: np.ndarray
    body_loss: np.ndarray
    coil_loss: np.ndarray
    current: np.ndarray
    impedance: np.ndarray = np.zeros((0, 0))  # of the ports, where the currents were found by moments

    @property
    def power(self) -> np.ndarray:
        """Body and conductors (C,C) W."""
        return self.body_loss + self.coil_loss


def found_of(setting: Setting, fields: Fields, current, scale: bool = True) -> Found:
    """Everything asked of the fields, the drive scaled to transmit.b1_rms where wanted."""
    transmit = np.einsum("vac,a->vc", fields.flux, setting.transmit)
    sensitivity = np.einsum("vac,a->vc", fields.flux, setting.transmit.conj())
    cubes, forms = sar_forms(setting, fields)
    losses = conductor_loss(setting, fields) + np.diag(rf_circuits.tuning_resistance(setting)) / 2
    drive = to_b1_rms(setting, transmit, current) if scale else current
    return Found(transmit, sensitivity, cubes, forms, fields.power, losses, drive, fields.impedance)


def sar_forms(setting: Setting, fields: Fields):
    """Cubes of 10 g and their forms (K,C,C); none where the body is lighter."""
    body = setting.body
    if body.mass.sum() < sar.TEN_GRAMS:
        return None, np.zeros((0, setting.channels, setting.channels))
    cubes = sar.averaging_cubes(body)
    return cubes, sar.averaged_forms(body, cubes, fields.electric, voxel_conductivity(body, setting.spec.frequency))


def evidence(setting: Setting, solved, product, progress) -> Evidence:
    """Figures of a coil driven so that its channels add at the middle of the region; of several nuclei the worst."""
    fields, current = unpacked(solved)
    found = found_of(setting, fields, current)
    progress("circuits and parallel imaging")
    figures, audit, drawn = _of_nucleus(setting, found, fields)
    others = {other.spec.nucleus: _of_nucleus(other, *_refound(other, solved)) for other in rf_nuclei.others(setting)}
    if others:
        parts = audit["circuits"].get("parts", []) + [row for o in others.values() for row in o[1]["circuits"].get("parts", ()) if row[0] != "both"]
        audit["circuits"] |= {"parts": parts}
        audit["nuclei"] = rf_nuclei.record({setting.spec.nucleus: (figures, audit)} | {n: o[:2] for n, o in others.items()})
        drawn |= rf_nuclei.plots({setting.spec.nucleus: figures} | {n: o[0] for n, o in others.items()}, {n: o[2] for n, o in others.items()})
        figures = rf_nuclei.worst({setting.spec.nucleus: figures} | {n: o[0] for n, o in others.items()})
    numbers, curves = rf_density.evidence(setting)
    return Evidence(figures, audit | numbers, drawn | curves, maps(setting, found), arrays=rf_files.arrays(setting, found))


def _of_nucleus(setting: Setting, found, fields):
    """Figures, audit and plots at one frequency."""
    figures = transmit_figures(setting, found) | receive_figures(setting, found) | rf_circuits.figures(setting, found)
    audit = record(setting, found, fields) | closed_form(setting, found, fields) | {"circuits": rf_circuits.record(setting, found)}
    return figures, audit, plots(setting, found) | {"limits": limit_table(setting, figures)} | rf_circuits.plots(setting, found)


def _refound(other: Setting, solved):
    fields = rf_nuclei.restored(other, solved)
    return found_of(other, fields, focused_phases(other, fields)), fields


# --- figures ----------------------------------------------------------------------------------------


def transmit_figures(setting: Setting, found: Found) -> dict[str, Figure]:
    """Efficiency, evenness and SAR of the drive."""
    magnitude = np.abs(found.transmit[in_region(setting)] @ found.current)
    power = form(found.power, found.current)
    level = f"at {magnitude.mean() * 1e6:.4g} uT mean transmit field over the region, root mean square over time; design estimate, no measurement"
    how = f"{setting.method.replace('_', '-')}, {setting.body.spacing * 1e3:g} mm voxels"
    how += "; OUTSIDE MODEL: see the warnings" if setting.warnings else ""
    figures = {
        "b1_efficiency": Figure(float(magnitude.mean() / np.sqrt(power)), "T/√W", f"mean |B1+| of the region over the root of the power in body and {_lost_in(setting)}; {how}"),
        "b1_uniformity": Figure(float(1 - magnitude.std() / magnitude.mean()), "1", "1 less the standard deviation of |B1+| over its mean, voxels of the region"),
    }
    return figures | _sar_figures(setting, found, f"{level}; {how}")


def _sar_figures(setting: Setting, found: Found, words: str) -> dict[str, Figure]:
    mass, part = float(setting.body.mass.sum()), setting.spec.phantom.part
    absorbed = form(found.body_loss, found.current)
    figures = {}
    if found.cubes is not None:
        worst = float(sar.of_drive(found.forms, found.current).max())
        figures["sar_10g_max"] = Figure(worst, "W/kg", f"largest over {len(found.forms)} cubes of 10 g after IEC/IEEE 62704-1; {words}")
    if part == "head":
        figures["sar_head"] = Figure(absorbed / mass, "W/kg", f"over the phantom's {mass:.3g} kg; {words}")
    if part != "other":
        over = setting.spec.transmit.patient_mass if part == "head" else mass
        figures["sar_whole_body"] = Figure(absorbed / over, "W/kg", f"absorbed power over {over:.3g} kg; {words}")
    return figures


def form(matrix, current) -> float:
    """I^H P I."""
    return float(np.real(np.conj(current) @ matrix @ current))


def receive_figures(setting: Setting, found: Found) -> dict[str, Figure]:
    """SNR at the middle of the region and the noise amplification of parallel imaging."""
    noise = receive.noise_resistance(found.power)
    at = middle(setting)
    reached = float(receive.snr(found.receive[at : at + 1], noise)[0])
    reference, words = _reference(setting, found, at)
    figures = {"snr_relative": Figure(reached / reference, "1", f"at the middle of the region, relative to {words}")}
    reduction = setting.spec.receive.reduction
    if max(reduction) > 1:
        g = g_map(setting, found)[in_region(setting)]
        figures["g_factor_max"] = Figure(float(g.max()), "1", f"SENSE, reduction {' x '.join(map(str, reduction))}, voxels of the region")
    return figures


def g_map(setting: Setting, found: Found) -> np.ndarray:
    """Noise amplification (V,)."""
    noise = receive.noise_resistance(found.power)
    return receive.g_factor(found.receive, noise, setting.body.label.shape, setting.body.inside, setting.spec.receive.reduction)


def _reference(setting: Setting, found: Found, at: int):
    """The ultimate of concentric spheres, else the same coil without losses of its own."""
    sphere = as_sphere(setting)
    if sphere is None:
        return float(receive.snr(found.receive[at : at + 1], receive.noise_resistance(found.body_loss))[0]), "the same coil with no losses but the body's"
    place = setting.body.centres[at : at + 1] - np.asarray(setting.spec.phantom.centre)
    best = ultimate_sensitivity(sphere, place, _DEGREE, setting.spec.frame.b0_axis)[0]
    return float(np.sqrt(best / 2)), f"the ultimate of any coil around these spheres (modes to degree {_DEGREE})"


# --- audit ------------------------------------------------------------------------------------------


def closed_form(setting: Setting, found: Found, fields: Fields) -> dict:
    """Power and transmit field of concentric spheres from their modes, which share nothing with the voxels; else nothing."""
    sphere = as_sphere(setting)
    centre = np.asarray(setting.spec.phantom.centre)
    points, flow = _current_elements(setting, fields)
    if sphere is None or (nearest := np.linalg.norm(points - centre, axis=1).min()) <= 1.05 * sphere.outer:
        return {}
    degree = int(np.clip(np.ceil(np.log(1e-2) / np.log(sphere.outer / nearest)), 8, 30))  # power errs by the square
    wave = wave_of_currents(sphere, points - centre, flow @ found.current, degree)
    inside = np.flatnonzero(in_region(setting))
    some = inside[:: max(1, len(inside) // 200)]
    exact = fields_of_sphere(sphere, wave, setting.body.centres[some] - centre)[1] @ setting.transmit
    ours = found.transmit[some] @ found.current
    power = form(found.body_loss, found.current)
    differences = {
        "absorbed power, relative difference": power / power_matrix(sphere, wave) - 1,
        "transmit field, relative difference": float(np.linalg.norm(ours - exact) / np.linalg.norm(exact)),
    }
    return {"closed form": differences | {"degree of the modes": degree, "voxels compared": len(some)}}


def _current_elements(setting: Setting, fields: Fields):
    """Places (Q,3) m and moments (Q,3,C) A·m per ampere at the ports."""
    if setting.strands is None:
        return setting.coil.elements(2)
    return moments.elements(setting.strands, fields.flow)[:2]


def _lost_in(setting: Setting) -> str:
    """Where power goes beside the body; what wires found by moments radiate is known, and counts."""
    return "conductors" if setting.strands is None else "conductors and radiation"


def record(setting: Setting, found: Found, fields: Fields) -> dict:
    """How the fields were found, what they conserve, and where the model ends."""
    sigma = voxel_conductivity(setting.body, setting.spec.frequency)
    body = setting.body
    return {
        "frequency_Hz": setting.spec.frequency,
        "fields": fields.notes | {"method chosen": setting.method, "|k| a": electrical_size(body, setting.spec.frequency)},
        "warnings": list(setting.warnings),
        "body": {"voxels": int(body.inside.sum()), "mass_kg": float(body.mass.sum()), "conductivity_max_S/m": float(sigma.max())},
        "losses_W": {"body": form(found.body_loss, found.current), _lost_in(setting): form(found.coil_loss, found.current)},
        "sar": "design estimate of a model; not a statement of safety or of conformity with any standard",
        "drive_A": {f"channel {i + 1}": [float(abs(c)), float(np.degrees(np.angle(c)))] for i, c in enumerate(found.current)},
    }
