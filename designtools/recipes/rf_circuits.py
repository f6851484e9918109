"""Circuits of an RF coil: inductances, losses, capacitors for tuning and matching, S-parameters of the loaded array."""

from __future__ import annotations

import numpy as np

from designtools.recipes.rf_setting import Setting, section_length
from designtools.result import Figure, Lines, Table
from designtools.rf import circuits, coils, networks, receive, shields, wires
from designtools.spec.rf_coil import GAMMA_BARS
from designtools.units import format

_REACH, _COUNT = 0.02, 121  # of the frequencies of the plot


def resistance(setting: Setting, found) -> np.ndarray:
    """Series resistance (C,) ohm of each channel, body and conductor together."""
    return np.real(np.diag(receive.noise_resistance(found.power)))


def inductance(setting: Setting) -> np.ndarray:
    """(C,C) H of the channels with what they induce in the shield; those of a birdcage per ampere of the largest rung current."""
    return wires.inductance(setting.coil, _radii(setting))


def _radii(setting: Setting) -> np.ndarray:
    """Radius (m) of the round wire that each piece stands for."""
    own = np.full(len(setting.coil.start), setting.spec.wire.radius)
    if setting.shield_pieces:
        s = setting.spec.shield
        own[-setting.shield_pieces :] = shields.spacing(s.radius, s.length, s.around, s.along) / (2 * np.pi)
    return own


def lumped(setting: Setting) -> bool:
    """Whether the channels are circuits of lumped inductance: those whose currents are found by moments are not."""
    return setting.strands is None and setting.spec.coil.type != "dipoles"


def figures(setting: Setting, found) -> dict[str, Figure]:
    """Inductance, resistance and coupling of the channels."""
    own = resistance(setting, found)
    result = {"resistance": Figure(float(own.max()), "ohm", "largest series resistance of a channel at its port, loaded by the body")}
    if setting.strands is not None and setting.channels > 1:
        matched = np.abs(port_scattering(setting, found))
        np.fill_diagonal(matched, 0)
        result["coupling_max"] = Figure(float(matched.max()), "1", "largest |S| between two ports, each matched alone, with the body")
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
    numbers = {"longest section (wavelengths)": section_length(setting.spec) * setting.spec.frequency / 299792458.0}
    if setting.strands is not None:
        return numbers | _ports(setting, found)
    if not lumped(setting):
        return numbers | {"note": "dipoles: prescribed sinusoidal current; matching is NOT EVALUATED"}
    unloaded = 2 * np.real(np.diag(found.coil_loss))
    reactance = omega * np.diag(inductance(setting))
    numbers |= {"quality factor unloaded": (reactance / unloaded).tolist(), "quality factor loaded": (reactance / own).tolist()}
    if setting.spec.coil.type == "birdcage":
        values = cage(setting)
        row = [setting.spec.nucleus, "all", values["capacitors in"], "capacitor", values["capacitor_F"], "F"]
        return numbers | values | {"parts": [row]}
    return numbers | _neighbours(setting, found) | _tuned_parts(setting, found)


def _tuned_parts(setting: Setting, found) -> dict:
    """Every capacitor, by channel; with a circuit for two nuclei its parts instead of the tuning capacitors."""
    rows = capacitors(setting, found)
    name = setting.spec.nucleus
    parts = [[name, channel, place, "capacitor", value, "F"] for channel, values in rows for place, value in values.items() if not isinstance(value, str)]
    other = {} if _tuning(setting) is None else {"two nuclei": two_nuclei(setting)}
    return {"capacitors_F": [row[1] for row in rows], "parts": parts + (other["two nuclei"]["parts"] if other else [])} | other


# --- ports of wires found by moments ----------------------------------------------------------------


def port_scattering(setting: Setting, found) -> np.ndarray:
    """S (C,C) at the working frequency, each port matched alone."""
    line = setting.spec.line.impedance
    matches = [networks.l_match(z, line) for z in np.diag(found.impedance)]
    return circuits.scattering(networks.matched(found.impedance, matches, line), line)


def _ports(setting: Setting, found) -> dict:
    """Impedance of each port with all others open, what matches it, and the capacitors of loops."""
    frequency, line, name = setting.spec.frequency, setting.spec.line.impedance, setting.spec.nucleus
    parts = []
    for channel, z in enumerate(np.diag(found.impedance), 1):
        match = networks.l_match(z, line)
        at = "coil" if match.shunt_first else "line"
        rows = [("matching, series", *networks.element(reactance=match.reactance, frequency=frequency)), (f"matching, across the {at}", *networks.element(susceptance=match.susceptance, frequency=frequency))]
        parts += [[name, f"channel {channel}", place, part, value, "F" if part == "capacitor" else "H"] for place, part, value in rows]
    loads = setting.strands.loads
    parts += [[name, f"channel {1 + n * setting.channels // len(loads)}", "in the conductor", "capacitor", float(-1 / (2 * np.pi * frequency * load.imag)), "F"] for n, load in enumerate(loads)]
    pairs = [[float(z.real), float(z.imag)] for z in np.diag(found.impedance)]
    return {"port impedance_ohm": pairs, "radiated and conductor loss_ohm": (2 * np.real(np.diag(found.coil_loss))).tolist(), "parts": parts}


def scattering_arrays(setting: Setting, found) -> dict:
    """S-parameters for a file, where the channels can be matched."""
    f = setting.spec.frequency
    if setting.strands is not None:
        s, f = port_scattering(setting, found)[None], np.array([f])
    elif not lumped(setting) or setting.spec.coil.type == "birdcage" or any("matching" in v for _, v in capacitors(setting, found)):
        return {}
    else:
        f = f * np.linspace(1 - _REACH, 1 + _REACH, _COUNT)
        s = scattering(setting, found, f)
    return {"scattering": s, "scattering_frequency": f, "scattering_line": np.array(setting.spec.line.impedance)}


# --- two nuclei -------------------------------------------------------------------------------------


def _tuning(setting: Setting):
    return getattr(setting.spec, "tuning", None)


def _two_frequencies(setting: Setting) -> tuple[float, float]:
    both = sorted(GAMMA_BARS[n] * setting.spec.field for n in (setting.spec.nucleus, setting.spec.also[0].nucleus))
    return both[0], both[1]


def tuning_resistance(setting: Setting) -> np.ndarray:
    """Resistance (C,) ohm that the circuit for two nuclei puts in series with each channel at the frequency of the setting."""
    asked = _tuning(setting)
    if asked is None:
        return np.zeros(setting.channels)
    own, f = np.diag(inductance(setting)), setting.spec.frequency
    if asked.circuit == "trap":
        return np.array([networks.trap_impedance(t, f, asked.quality).real for t in _traps(setting, own)])
    mode = int(f > 1.001 * _two_frequencies(setting)[0])
    ratios = [abs(m.currents[1, mode] / m.currents[0, mode]) ** 2 for m in _second_circuits(setting, own)]
    return np.array(ratios) * 2 * np.pi * f * own / asked.quality


def _traps(setting: Setting, own):
    low, high = _two_frequencies(setting)
    given = setting.spec.tuning.trap_inductance
    return [networks.trap(l, low, high, given or 0.5 * networks.largest_trap(l, low, high)) for l in own]


def _second_circuits(setting: Setting, own):
    low, high = _two_frequencies(setting)
    return [networks.two_mode(l, l, setting.spec.tuning.coupling * l, low, high) for l in own]


def two_nuclei(setting: Setting) -> dict:
    """Parts of the circuit of each channel, and what it costs at the frequency of the setting."""
    own, asked = np.diag(inductance(setting)), setting.spec.tuning
    rows = []
    if asked.circuit == "trap":
        for n, t in enumerate(_traps(setting, own), 1):
            rows += [["both", f"channel {n}", place, part, value, unit] for place, part, value, unit in (("in series", "capacitor", t.series, "F"), ("trap", "capacitor", t.trap, "F"), ("trap", "inductor", t.inductance, "H"))]
    else:
        for n, (m, l) in enumerate(zip(_second_circuits(setting, own), own), 1):
            rows += [["both", f"channel {n}", place, part, value, unit] for place, part, value, unit in (("coil", "capacitor", m.coil, "F"), ("second circuit", "capacitor", m.second, "F"), ("second circuit", "inductor", l, "H"))]
    return {"circuit": asked.circuit, "resistance_ohm": tuning_resistance(setting).tolist(), "parts": rows}


# --- tuning and matching ----------------------------------------------------------------------------


def _neighbours(setting: Setting, found) -> dict:
    """What the channels do to one another's resonances where nothing decouples them, and what preamplifiers leave of it."""
    if setting.channels < 2:
        return {}
    matrix, f = inductance(setting), setting.spec.frequency
    worst = float(np.abs(circuits.coupling(matrix)).max())
    values = {"strongest coupling": worst, "split resonances_Hz": list(circuits.split_frequencies(f, worst))}
    values |= {"resonances of the array_Hz": networks.resonances(matrix, f).tolist(), "shift by neighbours_relative": networks.detuning(matrix, f).tolist()}
    loaded = receive.noise_resistance(found.power).real
    blocking = setting.spec.receive.preamplifier if hasattr(setting.spec, "receive") else None
    values["current in neighbours_dB"] = networks.crosstalk(matrix, loaded, f)
    if blocking is not None:
        values["current in neighbours with preamplifiers_dB"] = networks.crosstalk(matrix, loaded, f, blocking)
    return values


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
    if setting.strands is not None:
        return {"ports": _port_table(setting, found)}
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


def _port_table(setting: Setting, found) -> Table:
    """Port impedances and reflections, each port matched alone."""
    s = 20 * np.log10(np.maximum(np.abs(port_scattering(setting, found)), 1e-6))
    np.fill_diagonal(s, -np.inf)
    rows = tuple((n + 1, f"{z.real:.2f} {'+' if z.imag >= 0 else '-'} j{abs(z.imag):.2f}", f"{s[n].max():.1f} dB" if setting.channels > 1 else "-") for n, z in enumerate(np.diag(found.impedance)))
    return Table("Ports", ("channel", "impedance (ohm)", "strongest |S| to another"), rows, "With the body, all other ports open; S with each port matched alone.")


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
