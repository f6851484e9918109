"""Peripheral nerve and cardiac stimulation: limit curves of IEC 60601-2-33, linear threshold, SAFE model, allowed slew rates.

Times in s, dB/dt in T/s, E in V/m.  Which law is meant matters: Weiss' hyperbola and the exponential of Lapicque and
Blair with the same rheobase and chronaxie differ by 24 % at 0.1 ms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

CHRONAXIE = 0.36e-3  # s, IEC 60601-2-33
RHEOBASE = {"dB/dt": 20.0, "E": 2.2}  # T/s, V/m: the standard's defaults for peripheral nerves
NORMAL_SHARE = 0.8  # L01 over L12: normal operating mode over first level controlled mode
_CARDIAC = {"dB/dt": 20.0, "E": 2.0}  # T/s, V/m
_CARDIAC_TIME = 3e-3  # s

# --- limit curves -----------------------------------------------------------------------------------


def nerve_limit(duration, of: str = "dB/dt", mode: str = "first level"):
    """Limit (T/s for of="dB/dt", V/m for of="E") on stimuli of effective `duration` (s): rb (1 + 0.36 ms/t_s).

    mode "first level" is L12, the mean threshold; "normal" is L01 = 0.8 L12 (IEC 60601-2-33:2010).
    """
    shares = {"first level": 1.0, "normal": NORMAL_SHARE}
    if mode not in shares or of not in RHEOBASE:
        raise ValueError(f"nerve_limit: mode must be 'normal' or 'first level' and of 'dB/dt' or 'E', got {mode!r} and {of!r}")
    return shares[mode] * weiss(duration, RHEOBASE[of], CHRONAXIE)


def cardiac_limit(duration, of: str = "dB/dt"):
    """Limit (T/s or V/m) against cardiac stimulation: 20 T/s or 2 V/m over 1 - exp(-t_s/3 ms) (IEC 60601-2-33)."""
    if of not in _CARDIAC:
        raise ValueError(f"cardiac_limit: of must be 'dB/dt' or 'E', got {of!r}")
    return _CARDIAC[of] / -np.expm1(-np.asarray(duration) / _CARDIAC_TIME)


def weiss(duration, rheobase, chronaxie):
    """Threshold in the unit of `rheobase`, rb (1 + c/t) (G. Weiss 1901; hyperbolic)."""
    return rheobase * (1 + chronaxie / np.asarray(duration))


def lapicque(duration, rheobase, chronaxie):
    """Threshold in the unit of `rheobase`, rb/(1 - exp(-t ln2/c)) (L. Lapicque 1907, H. A. Blair 1932; exponential)."""
    return rheobase / -np.expm1(-np.asarray(duration) * np.log(2) / chronaxie)


# --- the duration of a stimulus -----------------------------------------------------------------------


def effective_durations(times, values):
    """(durations (N,) s, largest slopes (N,)) of the N monotonic changes of a waveform of straight pieces.

    times (T,) s ascending, values (T,) of B, G or current at the corners; the effective duration is the change over its
    largest slope (IEC 60601-2-33).
    """
    times, values = np.asarray(times, float), np.asarray(values, float)
    if times.shape != values.shape or times.ndim != 1 or len(times) < 2 or np.any(np.diff(times) <= 0):
        raise ValueError(f"effective_durations: times must ascend, with one value each, got shapes {times.shape} and {values.shape}")
    step = np.diff(values)
    slope = step / np.diff(times)
    piece = np.concatenate([[0], np.cumsum(np.sign(step[1:]) != np.sign(step[:-1]))])
    total = np.abs(np.bincount(piece, step))
    largest = np.zeros(len(total))
    np.maximum.at(largest, piece, np.abs(slope))
    moving = largest > 0
    return total[moving] / largest[moving], largest[moving]


def ramp_duration(swing, slew):
    """Effective duration (s) of a linear change of the gradient by `swing` (T/m) at `slew` (T/m/s)."""
    return swing / slew


def sine_duration(frequency):
    """Effective duration (s) of half a period of a sinusoid at `frequency` (Hz): its swing over its slope, 2/omega."""
    return 1 / (np.pi * frequency)


# --- what a coil may do -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Threshold:
    """Linear threshold of a coil: a swing of the gradient stimulates from step + slew x duration on.

    step (T/m): the smallest swing that can stimulate; slew (T/m/s): the smallest slew rate that can
    (B. A. Chronik & B. K. Rutt, Magn. Reson. Med. 45 (2001) 916).
    """

    step: float
    slew: float

    @property
    def chronaxie(self) -> float:
        """Chronaxie (s)."""
        return self.step / self.slew

    def swing(self, duration):
        """Smallest swing (T/m) that stimulates when it takes `duration` (s)."""
        return self.step + self.slew * np.asarray(duration)

    def slew_rate(self, duration):
        """Smallest slew rate (T/m/s) that stimulates when it lasts `duration` (s)."""
        return self.swing(duration) / np.asarray(duration)

    def allowed_slew(self, swing):
        """Largest slew rate (T/m/s) without stimulation for a swing (T/m) of the gradient; infinite for swings up to `step`."""
        swing = np.asarray(swing, float)
        over = swing > self.step
        return np.where(over, self.slew * swing / np.where(over, swing - self.step, 1.0), np.inf)


def coil_threshold(per_slew: float, rheobase: float = NORMAL_SHARE * RHEOBASE["E"], chronaxie: float = CHRONAXIE) -> Threshold:
    """Threshold of a coil whose largest E (V/m) or dB/dt (T/s) is per_slew times the slew rate (T/m/s).

    `rheobase` in the unit of that quantity.  From per_slew S = rb (1 + c S/dG): dG_min = c rb/per_slew, S_min = rb/per_slew.
    """
    if not (per_slew > 0 and rheobase > 0 and chronaxie > 0):
        raise ValueError(f"coil_threshold: all must be positive, got per_slew {per_slew:g}, rheobase {rheobase:g}, chronaxie {chronaxie:g}")
    return Threshold(chronaxie * rheobase / per_slew, rheobase / per_slew)


# --- SAFE ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SafeAxis:
    """Parameters of the SAFE model for one axis: time_constants (3,) s, weights (3,) of sum 1, limit (T/m/s), scale.

    F. X. Hebrank & M. Gebhardt, Proc. ISMRM 8 (2000) 2007.  Branches 1 and 3 take the magnitude after the low pass,
    branch 2 before.  The parameters belong to a scanner and come from its maker.
    """

    time_constants: tuple[float, float, float]
    weights: tuple[float, float, float]
    limit: float
    scale: float = 1.0

    def __post_init__(self):
        if abs(sum(self.weights) - 1) > 1e-2 or min(self.time_constants) <= 0 or self.limit <= 0:
            raise ValueError(
                f"SafeAxis: weights must sum to 1, times and limit be positive, got weights {self.weights}, "
                f"time_constants {self.time_constants} and limit {self.limit}"
            )


def safe_stimulation(slew, step: float, axis: SafeAxis) -> np.ndarray:
    """Stimulation (T,) in % of the limit under slew rates (T,) T/m/s sampled every `step` (s); low passes of first order."""
    slew = np.asarray(slew, float)
    first, second, third = (_low_pass(x, step, tau) for x, tau in zip((slew, np.abs(slew), slew), axis.time_constants))
    a = axis.weights
    return 100 * axis.scale / axis.limit * (a[0] * np.abs(first) + a[1] * second + a[2] * np.abs(third))


def safe_ramp(slew: float, duration: float, axis: SafeAxis) -> float:
    """Stimulation in % of the limit at the end of one ramp (T/m/s, s): the limit of small steps of `safe_stimulation`."""
    rise = -np.expm1(-duration / np.asarray(axis.time_constants))
    return float(100 * axis.scale / axis.limit * abs(slew) * (np.asarray(axis.weights) @ rise))


def combined(stimulations) -> np.ndarray:
    """Stimulation (T,) of all axes together, from (axes, T): the root of the sum of squares, as SAFE has it."""
    return np.linalg.norm(np.asarray(stimulations, float), axis=0)


def _low_pass(x, step, tau):
    alpha = step / (tau + step)
    return lfilter([alpha], [1, alpha - 1], x)


# --- motion -------------------------------------------------------------------------------------------


def motion_in_fringe(speed: float, slope: float, radius: float) -> tuple[float, float]:
    """dB/dt (T/s) and largest E (V/m) in a ball of `radius` (m) that moves at `speed` (m/s) along a slope of B (T/m).

    dB/dt = v dB/dz and E = R/2 dB/dt.
    """
    rate = speed * slope
    return rate, radius / 2 * rate
