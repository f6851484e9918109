"""Circuits beside the coil: one circuit for two frequencies, arrays whose channels detune one another, preamplifiers, L-matching."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Trap(NamedTuple):
    """Capacitance (F) in series with the coil and across the trap, the trap's inductance (H)."""

    series: float
    trap: float
    inductance: float


def trap(inductance: float, low: float, high: float, trap_inductance: float) -> Trap:
    """A parallel circuit in series with a coil and a capacitor, so that the reactance vanishes at two frequencies (Hz).

    With q = Lt Ct: (1 - w1^2 q)(1 - w2^2 q) = -Lt/L, between both frequencies' resonances (M. D. Schnall et al., J. Magn.
    Reson. 65 (1985) 122).  ValueError where Lt is too large, or the series capacitor would have to be negative.
    """
    a, b = (2 * np.pi * low) ** 2, (2 * np.pi * high) ** 2
    square = (a + b) ** 2 - 4 * a * b * (1 + trap_inductance / inductance)
    if square < 0:
        limit = largest_trap(inductance, low, high)
        raise ValueError(f"trap: its inductance must be at most {limit:.4g} H for these frequencies, got {trap_inductance:.4g} H")
    q = (a + b + np.sqrt(square)) / (2 * a * b)
    elastance = a * inductance + a * trap_inductance / (1 - a * q)
    if elastance <= 0:
        raise ValueError(f"trap: an inductance of {trap_inductance:.4g} H leaves no series capacitor; use a smaller one")
    return Trap(float(1 / elastance), float(q / trap_inductance), trap_inductance)


def largest_trap(inductance: float, low: float, high: float) -> float:
    """Largest inductance (H) of a trap with which both frequencies can be tuned, the series capacitor left out."""
    a, b = (2 * np.pi * low) ** 2, (2 * np.pi * high) ** 2
    return inductance * (b - a) ** 2 / (4 * a * b)


def trap_impedance(found: Trap, frequency: float, quality: float) -> complex:
    """Impedance (ohm) of the trap, its losses in the inductor: wL/Q."""
    omega = 2 * np.pi * frequency
    coil = omega * found.inductance * (1j + 1 / quality)
    return coil / (1 + 1j * omega * found.trap * coil)


class TwoMode(NamedTuple):
    """Capacitances (F) of the coil's circuit and of the second one, and the currents (2,2) in both, a column per mode."""

    coil: float
    second: float
    currents: np.ndarray


def two_mode(coil: float, second: float, mutual: float, low: float, high: float) -> TwoMode:
    """Capacitors of two coupled circuits of inductances (H) that resonate at two frequencies (Hz).

    With S = 1/C: S1 S2 = (w1 w2)^2 D, S1 L2 + S2 L1 = (w1^2 + w2^2) D, D = L1 L2 - M^2.  Of both solutions the one whose coil
    takes part more evenly.  ValueError where the coupling is too strong for frequencies that near.
    """
    a, b = (2 * np.pi * low) ** 2, (2 * np.pi * high) ** 2
    d = coil * second - mutual**2
    square = ((a + b) * d) ** 2 - 4 * a * b * d * coil * second
    if square < 0:
        limit = (b - a) / (b + a)
        raise ValueError(f"two_mode: the coupling must be at most {limit:.4g} for these frequencies, got {abs(mutual) / np.sqrt(coil * second):.4g}")
    roots = ((a + b) * d + np.array([1, -1]) * np.sqrt(square)) / 2  # of S1 L2
    options = [_modes(r / second, a * b * d / (r / second), coil, second, mutual) for r in roots]
    return max(options, key=lambda found: np.abs(found.currents[0]).min())


def _modes(first, second, coil, tank, mutual):
    from scipy.linalg import eigh

    _, currents = eigh(np.diag([first, second]), np.array([[coil, mutual], [mutual, tank]]))
    return TwoMode(float(1 / first), float(1 / second), currents / np.abs(currents).max(axis=0))


# --- arrays -----------------------------------------------------------------------------------------


def tuned_impedance(inductance, resistance, frequency: float, at: float) -> np.ndarray:
    """Z (C,C) ohm at `at` (Hz) of channels tuned one by one at `frequency`; resistance (C,C), coupled through the body."""
    omega, centre = 2 * np.pi * at, 2 * np.pi * frequency
    own = np.diag(inductance)
    return np.asarray(resistance) + 1j * omega * np.asarray(inductance) - 1j * np.diag(centre**2 * own / omega)


def resonances(inductance, frequency: float) -> np.ndarray:
    """Frequencies (C,) Hz, rising, at which an array tuned channel by channel resonates where nothing decouples it."""
    from scipy.linalg import eigh

    square, _ = eigh(np.diag((2 * np.pi * frequency) ** 2 * np.diag(inductance)), np.asarray(inductance))
    return np.sqrt(square) / (2 * np.pi)


def detuning(inductance, frequency: float) -> np.ndarray:
    """How far (C,) each channel's own resonance moves, relative, with all others shorted and tuned away: -dL/2L of the
    inductance that their currents take from it, L_eff = 1/(L^-1)_ii."""
    inductance = np.asarray(inductance)
    left = 1 / np.diag(np.linalg.inv(inductance)) / np.diag(inductance)
    return 1 / np.sqrt(left) - 1


def currents(inductance, resistance, frequency: float, blocking: float = 0.0) -> np.ndarray:
    """Currents (C,C) A in all channels per volt induced in each, with preamplifiers that put `blocking` (ohm) in series."""
    return np.linalg.inv(tuned_impedance(inductance, resistance, frequency, frequency) + blocking * np.eye(len(inductance)))


def crosstalk(inductance, resistance, frequency: float, blocking: float = 0.0) -> float:
    """Largest current in another channel relative to the channel's own, in dB."""
    found = np.abs(currents(inductance, resistance, frequency, blocking))
    relative = found / np.diag(found)[None]
    np.fill_diagonal(relative, 0.0)
    return float(20 * np.log10(max(relative.max(), 1e-15)))


# --- matching of any impedance ----------------------------------------------------------------------


class LMatch(NamedTuple):
    """Series reactance (ohm) and shunt susceptance (S); `shunt_first`: the shunt lies at the coil, else at the line."""

    reactance: float
    susceptance: float
    shunt_first: bool


def l_match(impedance: complex, line: float = 50.0) -> LMatch:
    """Two elements that turn an impedance with positive resistance into the line's."""
    r, x = impedance.real, impedance.imag
    if r <= 0:
        raise ValueError(f"l_match: the resistance must be positive, got {r:g} ohm")
    if r <= line:
        wanted = np.sqrt(r * (line - r))
        return LMatch(float(wanted - x), float(wanted / (r * line)), False)
    g, b = (1 / impedance).real, (1 / impedance).imag
    wanted = np.sqrt(g / line - g**2)
    return LMatch(float(-wanted / (g**2 + wanted**2)), float(-wanted - b), True)


def matched(impedance, matches, line: float = 50.0) -> np.ndarray:
    """Z (C,C) ohm seen through one match per port, at the frequency of the matches."""
    z = np.asarray(impedance, complex)
    first = np.diag([m.susceptance if m.shunt_first else 0.0 for m in matches])
    last = np.diag([0.0 if m.shunt_first else m.susceptance for m in matches])
    z = np.linalg.inv(np.linalg.inv(z) + 1j * first) + 1j * np.diag([m.reactance for m in matches])
    return np.linalg.inv(np.linalg.inv(z) + 1j * last)


def element(reactance: float = 0.0, susceptance: float = 0.0, frequency: float = 1.0) -> tuple[str, float]:
    """Capacitor (F) or inductor (H) of a series reactance or a shunt susceptance."""
    omega = 2 * np.pi * frequency
    if reactance:
        return ("capacitor", -1 / (omega * reactance)) if reactance < 0 else ("inductor", reactance / omega)
    return ("capacitor", susceptance / omega) if susceptance >= 0 else ("inductor", -1 / (omega * susceptance))
