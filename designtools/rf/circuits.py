"""Lumped circuits of RF coils: modes of ladders and birdcages, tuning, matching, noise of coupled channels, S-parameters."""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh


def modes(inductance, elastance) -> tuple[np.ndarray, np.ndarray]:
    """Resonant angular frequencies (N,) rad/s, rising, and mesh currents (N,N) as columns.

    inductance (N,N) H and elastance (N,N) 1/F of the meshes: det(S - w^2 L) = 0.
    """
    square, currents = eigh(np.asarray(elastance), np.asarray(inductance))
    return np.sqrt(np.maximum(square, 0)), currents


def cage_meshes(rungs: int, ring: float, rung: float, ring_elastance: float = 0.0, rung_elastance: float = 0.0):
    """Inductance and elastance (N,N) of the meshes of a birdcage without mutual inductance.

    ring, rung (H): one segment of one ring, one rung; elastances (1/F) of the capacitors in each of them.
    """
    neighbours = np.roll(np.eye(rungs), 1, axis=0) + np.roll(np.eye(rungs), -1, axis=0)
    both = lambda r, g: 2 * (r + g) * np.eye(rungs) - g * neighbours
    return both(ring, rung), both(ring_elastance, rung_elastance)


def cage_capacitance(inductance, frequency: float, passes: str, harmonic: int = 1, other: float = 0.0) -> float:
    """Capacitance (F) of every capacitor that puts the mode `harmonic` of a birdcage at `frequency` (Hz).

    inductance (N,N) H of the meshes, circulant, mutual inductances and all.  passes: "high" (capacitors in the rings), "low"
    (in the rungs), "band" (rungs, with `other` (F) in each ring segment).  ValueError where there is no such capacitor.
    """
    rungs = len(inductance)
    wave = np.exp(2j * np.pi * harmonic * np.arange(rungs) / rungs)
    own = float(np.real(np.asarray(inductance)[0] @ wave))
    needed = (2 * np.pi * frequency) ** 2 * own
    across = 4 * np.sin(np.pi * harmonic / rungs) ** 2
    if passes == "band":
        needed -= 2 / other
    if needed <= 0:
        raise ValueError(f"cage_capacitance: the ring capacitors alone put the mode above {frequency:g} Hz, got {other:g} F; use larger ones")
    return (2 if passes == "high" else across) / needed


def tuning_capacitance(inductance, frequency: float):
    """1/(w^2 L) (F), each channel alone."""
    return 1 / ((2 * np.pi * frequency) ** 2 * np.asarray(inductance))


def match(inductance: float, resistance: float, frequency: float, line: float = 50.0) -> tuple[float, float]:
    """Capacitances (F) in parallel with a coil and in series with both that make its impedance equal to the line's.

    ValueError where the coil is too lossy: the parallel circuit then stays below the line's resistance.
    """
    omega = 2 * np.pi * frequency
    admittance = 1 / (resistance + 1j * omega * inductance)
    # 1/Re(1/(G + jB)) = line: B^2 = G/line - G^2, on the inductive side, where a series capacitor can cancel the rest
    square = admittance.real / line - admittance.real**2
    if square < 0:
        raise ValueError(f"match: the coil's parallel resistance must exceed {line:g} ohm, got {1 / admittance.real:g} ohm; match it with a transformer")
    susceptance = -np.sqrt(square)
    parallel = (susceptance - admittance.imag) / omega
    reactance = (1 / (admittance.real + 1j * susceptance)).imag
    if parallel <= 0 or reactance <= 0:
        raise ValueError("match: no pair of capacitors matches this coil; its reactance is too small for the line")
    return float(parallel), float(1 / (omega * reactance))


def matched_impedance(inductance, resistance, parallel, series, frequency):
    """Impedance (ohm) of a coil with a capacitor in parallel and one in series with both, at any frequency."""
    omega = 2 * np.pi * np.asarray(frequency)
    return 1 / (1 / (resistance + 1j * omega * inductance) + 1j * omega * parallel) + 1 / (1j * omega * series)


def scattering(impedance, line: float = 50.0) -> np.ndarray:
    """S (..., N, N) of an impedance matrix (..., N, N) at ports of `line` ohm: (Z - Z0)(Z + Z0)^-1."""
    impedance = np.asarray(impedance, complex)
    own = line * np.eye(impedance.shape[-1])
    return np.swapaxes(np.linalg.solve(np.swapaxes(impedance + own, -1, -2), np.swapaxes(impedance - own, -1, -2)), -1, -2)


def impedance(scattering, line: float = 50.0) -> np.ndarray:
    """Z (..., N, N) ohm of S: Z0 (1 - S)^-1 (1 + S)."""
    scattering = np.asarray(scattering, complex)
    own = np.eye(scattering.shape[-1])
    return line * np.linalg.solve(own - scattering, own + scattering)


def coupling(inductance) -> np.ndarray:
    """k_ij = M_ij/sqrt(L_i L_j) (N,N), zero on the diagonal."""
    inductance = np.asarray(inductance)
    size = np.sqrt(np.diag(inductance))
    return inductance / np.outer(size, size) - np.eye(len(inductance))


def split_frequencies(frequency: float, coupling: float) -> tuple[float, float]:
    """Where two equal circuits of a coupling coefficient resonate (Hz): f/sqrt(1 + k), f/sqrt(1 - k)."""
    return frequency / np.sqrt(1 + abs(coupling)), frequency / np.sqrt(1 - abs(coupling))


def preamplifier_isolation(resistance: float, blocking: float) -> float:
    """How much weaker a coil's current is with a preamplifier that puts `blocking` (ohm) in series with it (R + blocking)/R.

    P. B. Roemer et al., Magn. Reson. Med. 16 (1990) 192.  Signal and noise of the coil are unchanged.
    """
    return (resistance + blocking) / resistance
