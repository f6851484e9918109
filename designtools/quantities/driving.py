"""What an amplifier makes of a coil: rise times, slew rates, frequencies, heat and duty cycle.  SI: H, ohm, V, A, s."""

from __future__ import annotations

import numpy as np


def exponential_rise(inductance: float, resistance: float, voltage: float, current: float) -> float:
    """Time (s) from zero to `current` at full voltage throughout: -(L/R) ln(1 - R I/V); infinite where R I reaches V."""
    share = resistance * current / voltage
    if share >= 1:
        return np.inf
    return float(-inductance / resistance * np.log1p(-share)) if resistance > 0 else inductance * current / voltage


def linear_rise(inductance: float, resistance: float, voltage: float, current: float) -> float:
    """Time (s) of the shortest linear ramp from zero to `current`, whose end needs L I/t + R I = V; infinite beyond V."""
    left = voltage - resistance * current
    return inductance * current / left if left > 0 else np.inf


def slew_rate(inductance: float, resistance: float, voltage: float, current: float, efficiency: float) -> float:
    """Slew rate (T/m/s) that holds up to `current` on a linear ramp: efficiency (T/m/A) times (V - R I)/L, not below zero."""
    return efficiency * max(voltage - resistance * current, 0.0) / inductance


def sine_frequency(inductance: float, resistance: float, voltage: float, current: float) -> float:
    """Highest frequency (Hz) of a sinusoid of amplitude `current`: V = I |R + i w L|; zero where R I exceeds V."""
    left = (voltage / current) ** 2 - resistance**2
    return float(np.sqrt(max(left, 0.0)) / (2 * np.pi * inductance))


def sine_voltage(inductance: float, resistance: float, frequency, current):
    """Amplitude (V) across the coil at a sinusoidal current (A) of `frequency` (Hz)."""
    return current * np.hypot(resistance, 2 * np.pi * np.asarray(frequency) * inductance)


def gradient_slew_curve(inductance: float, resistance: float, voltage: float, current: float, efficiency: float, gradients):
    """Slew rate (N,) T/m/s that can be held up to each of `gradients` (N,) T/m; zero beyond what `current` makes."""
    amperes = np.abs(np.asarray(gradients, float)) / efficiency
    possible = efficiency * np.maximum(voltage - resistance * amperes, 0.0) / inductance
    return np.where(amperes <= current * (1 + 1e-12), possible, 0.0)


def stored_energy(inductance: float, current: float) -> float:
    """L I^2/2 (J)."""
    return inductance * current**2 / 2


def dissipation(resistance: float, current: float) -> float:
    """R I^2 (W) at a steady or rms current."""
    return resistance * current**2


def trapezoid_rms(ramp: float, flat: float, period: float) -> float:
    """Rms of trapezoids of amplitude 1 with two ramps and a flat top (s), one in each period (s)."""
    if 2 * ramp + flat > period * (1 + 1e-12):
        raise ValueError(f"trapezoid_rms: period must hold two ramps and the flat top, {2 * ramp + flat:g} s, got {period:g} s")
    return float(np.sqrt((flat + 2 * ramp / 3) / period))


def duty_cycle(resistance: float, current: float, allowed_power: float) -> float:
    """Largest share of time at `current` (A) within a mean power (W), at most 1."""
    return min(1.0, allowed_power / dissipation(resistance, current))


def simulate(inductance: float, resistance: float, voltages, step: float) -> np.ndarray:
    """Current (N,) A after each `step` (s) of constant voltage (N,) V from zero current: exact for such voltages."""
    from scipy.signal import lfilter

    rate = resistance / inductance * step
    gain = step / inductance if rate < 1e-12 else -np.expm1(-rate) / resistance
    return lfilter([gain], [1, -np.exp(-rate)], np.asarray(voltages, float))


def ramp_voltage(inductance: float, resistance: float, times, currents):
    """Voltage (N,2) V at both ends of each of N straight pieces of a current (N+1,) A at times (N+1,) s: L dI/dt + R I."""
    times, currents = np.asarray(times, float), np.asarray(currents, float)
    drive = inductance * np.diff(currents) / np.diff(times)
    return drive[:, None] + resistance * np.stack([currents[:-1], currents[1:]], axis=1)
