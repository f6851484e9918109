"""Root mean square over time of the transmit field of a train of equal pulses."""

from __future__ import annotations

import numpy as np


def envelope(shape: str, count: int = 2001):
    """Amplitude (count,) over the pulse relative to its peak, at the middles of equal steps."""
    t = (2 * np.arange(count) + 1) / count - 1
    shapes = {
        "rectangular": lambda: np.ones(count),
        "sinc": lambda: np.sinc(3 * t) * (1 + np.cos(np.pi * t)) / 2,
        "gaussian": lambda: np.exp(-2 * t**2),  # two standard deviations at the ends
    }
    return shapes[shape]()


def rms(flip_angle: float, duration: float, repetition: float, shape: str, gamma_bar: float) -> float:
    """sqrt(mean B1^2) (T) over the repetition time for the flip angle (rad): B1 = angle/(gamma duration mean(envelope))."""
    values = envelope(shape)
    peak = flip_angle / (2 * np.pi * gamma_bar * duration * values.mean())
    return float(peak * np.sqrt(np.mean(values**2) * duration / repetition))
