"""Circuits of an RF coil: inductances, losses, capacitors for tuning and matching, S-parameters of the loaded array."""

from __future__ import annotations

import numpy as np

from designtools.recipes.rf_setting import Setting, section_length
from designtools.result import Figure, Lines, Table
from designtools.rf import circuits, coils, receive, wires
from designtools.units import format

_REACH, _COUNT = 0.02, 121  # of the frequencies of the plot


def resistance(setting: Setting, found) -> np.ndarray:
    """Series resistance (C,) ohm of each channel, body and conductor together."""
    return np.real(np.diag(receive.noise_resistance(found.power)))


def inductance(setting: Setting) -> np.ndarray:
    """(C,C) H of the channels; those of a birdcage per ampere of the largest rung current."""
    return wires.inductance(setting.coil, setting.spec.wire.radius)


def lumped(setting: Setting) -> bool:
    """Whether the channels are circuits of lumped inductance: dipoles are not."""
    return setting.spec.coil.type != "dipoles"


def figures(setting: Setting, found) -> dict[str, Figure]:
    """Inductance, resistance and coupling of the channels."""
    own = resistance(setting, found)
    result = {"resistance": Figure(float(own.max()), "ohm", "largest series resistance of a channel at its port, loaded by the body")}
    if not lumped(setting):
        return result
    matrix = inductance(setting)
    result["inductance"] = Figure(float(np.diag(matrix).max()), "H", "largest of a channel: partial inductances of thin round wire, current on its surface")
    if setting.channels > 1:
        result["coupling_max"] = Figure(float(np.abs(circuits.coupling(matrix)).max()), "1", "largest |M|/sqrt(L L) of two channels, without the body")
    return result


def record(setting: Setting, found) -> dict:
    """Capacitors, quality factors, matching."""
    omega, own = 2 * np.pi * setting.spec.frequency, resistance(setting, found)
    unloaded = 2 * np.real(np.diag(found.coil_loss))
    numbers = {"longest section (wavelengths)": section_length(setting.spec) * setting.spec.frequency / 299792458.0}
    if not lumped(setting):
        return numbers | {"note": "dipoles: prescribed sinusoidal current; matching is NOT EVALUATED"}
    reactance = omega * np.diag(inductance(setting))
    numbers |= {"quality factor unloaded": (reactance / unloaded).tolist(), "quality factor loaded": (reactance / own).tolist()}
    if setting.spec.coil.type == "birdcage":
        return numbers | cage(setting)
    return numbers | _neighbours(setting) | {"capacitors_F": [row[1] for row in capacitors(setting, found)]}


def _neighbours(setting: Setting) -> dict:
    """What the strongest coupling of two channels does to their resonance where nothing decouples them."""
    if setting.channels < 2:
        return {}
    worst = float(np.abs(circuits.coupling(inductance(setting))).max())
    return {"strongest coupling": worst, "split resonances_Hz": list(circuits.split_frequencies(setting.spec.frequency, worst))}


def cage(setting: Setting) -> dict:
    """The capacitor of a birdcage and the modes that it then has."""
    c = setting.spec.coil
    matrix = wires.inductance(coils.cage_meshes(c.radius, c.length, c.rungs), setting.spec.wire.radius)
    passes = c.passes or "high"
    value = circuits.cage_capacitance(matrix, setting.spec.frequency, passes, other=c.ring_capacitance or 0.0)
    ring = {"high": 1 / value, "low": 0.0, "band": 1 / (c.ring_capacitance or 1.0)}[passes]
    rung = 0.0 if passes == "high" else 1 / value
    _, elastance = circuits.cage_meshes(c.rungs, 0.0, 0.0, ring, rung)
    found, _ = circuits.modes(matrix, elastance)
    where = {"high": "each ring segment", "low": "each rung", "band": "each rung"}[passes]
    return {"capacitor_F": value, "capacitors in": where, "modes_Hz": np.sort(found / (2 * np.pi)).tolist()}


def capacitors(setting: Setting, found) -> list[tuple[str, dict[str, float]]]:
    """(channel, capacitors) with those that divide the loop, and the pair that matches it to the line."""
    count, frequency = setting.spec.coil.capacitors, setting.spec.frequency
    rows = []
    for channel, (own, loss) in enumerate(zip(np.diag(inductance(setting)), resistance(setting, found))):
        whole = float(circuits.tuning_capacitance(own, frequency))
        values = {"each of the divided ones": whole * count, "tuning": whole}
        try:
            parallel, series = circuits.match(own, loss, frequency, setting.spec.line.impedance)
            values |= {"matching, parallel": parallel, "matching, series": series}
        except ValueError as error:
            values |= {"matching": str(error)}
        rows.append((f"channel {channel + 1}", values))
    return rows


def plots(setting: Setting, found) -> dict:
    """Capacitor table, and S-parameters over frequency where every channel can be matched."""
    if not lumped(setting):
        return {}
    if setting.spec.coil.type == "birdcage":
        values = cage(setting)
        rows = tuple((i + 1, format(f, "Hz", 6)) for i, f in enumerate(values["modes_Hz"]))
        words = f"{values['capacitor_F'] * 1e12:.2f} pF in {values['capacitors in']}; the body and the shield are left out."
        return {"modes": Table("Modes of the birdcage", ("mode", "frequency"), rows, words)}
    rows = capacitors(setting, found)
    show = lambda v: v if isinstance(v, str) else f"{v * 1e12:.3f} pF"
    table = Table("Capacitors", ("channel", *rows[0][1]), tuple((name, *map(show, values.values())) for name, values in rows if len(values) == len(rows[0][1])))
    drawn = {"capacitors": table}
    return drawn | ({"scattering": _scattering(setting, found, rows)} if all("matching" not in v for _, v in rows) else {})


def scattering(setting: Setting, found, frequencies) -> np.ndarray:
    """S (F,C,C) of the channels, each matched alone; losses as at the working frequency."""
    values = [v for _, v in capacitors(setting, found)]
    parallel, series = (np.array([v[f"matching, {name}"] for v in values]) for name in ("parallel", "series"))
    omega = 2 * np.pi * np.asarray(frequencies)[:, None, None]
    own = 1j * omega * inductance(setting) + receive.noise_resistance(found.power).real
    across = np.linalg.inv(np.linalg.inv(own) + 1j * omega * np.diag(parallel))
    return circuits.scattering(across + np.diag(1 / series) / (1j * omega), setting.spec.line.impedance)


def _scattering(setting: Setting, found, rows) -> Lines:
    f = setting.spec.frequency * np.linspace(1 - _REACH, 1 + _REACH, _COUNT)
    s = 20 * np.log10(np.maximum(np.abs(scattering(setting, found, f)), 1e-6))
    curves = {"S11": s[:, 0, 0]} | {f"S{j + 1}1": s[:, j, 0] for j in range(1, min(setting.channels, 5))}
    return Lines("S-parameters, every channel matched alone", f, curves, "dB", "Hz", "frequency", "|S|")
