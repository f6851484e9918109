"""How hot the wire gets when a magnet quenches: adiabatic hot spot by the current integral (MIITs).

Where the wire is normal its heat stays: C dT = rho_cu (J/f)^2 f dt per volume of winding, f the share of copper, so
the integral of J^2 dt from the start names the temperature, whatever the current did:

    U(T) = f int C/rho_cu dT        with C of copper and superconductor (insulation left out: it lags, on the safe side)

The same U closes the self-dump: a part of the winding that is normal throughout takes up all energy, and each place
in it has gone through the same integral of the current, so its temperature follows from the energy and the hot spot
from the integral.  Nothing is stepped in time.  Validity: adiabatic, uniform in a block; 4 K to 300 K.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from designtools.materials.metals import COPPER_RANGE, copper_heat, copper_resistivity
from designtools.quantities.superconductor import Wire, per_block

_STEPS = 1500


@dataclass(frozen=True)
class Heating:
    """Tables over rising temperature (K): current_integral U (A2 s/m4 of the insulated section), enthalpy (J/m3)."""

    temperature: np.ndarray
    current_integral: np.ndarray
    enthalpy: np.ndarray

    def after(self, integral):
        """Temperature (K) after an integral of J^2 dt (A2 s/m4); infinite beyond 300 K, where the fits end."""
        found = jnp.interp(integral, self.current_integral, self.temperature)
        return jnp.where(jnp.asarray(integral) > self.current_integral[-1], jnp.inf, found)

    def allowed(self, temperature: float):
        """Integral of J^2 dt (A2 s/m4) that heats to `temperature` (K)."""
        return jnp.interp(temperature, self.temperature, self.current_integral)


def heating(wire: Wire, start: float = 4.2, field: float = 0.0) -> Heating:
    """The tables of a wire from `start` (K) in a constant field (T): the higher the field the hotter, so give the peak.

    A start below 4 K counts as 4 K, where the fits begin: what heat there is below it is left out, on the safe side.
    """
    low, high = COPPER_RANGE
    if not 0 < start < high:
        raise ValueError(f"heating: the start must lie in 0 to {high:g} K, where the heat capacities are known, got {start:g} K")
    t = np.geomspace(max(start, low), high, _STEPS)
    heat = np.asarray(wire.copper * copper_heat(t) + wire.superconductor * wire.surface.heat(t, field))
    resistivity = np.asarray(copper_resistivity(t, wire.rrr, field))
    return Heating(t, _integral(t, wire.copper * heat / resistivity), _integral(t, heat))


def copper_current_integral(temperature, rrr: float, field: float = 0.0, start: float = 4.2):
    """Integral of J^2 dt (A2 s/m4) of bare copper from `start` to temperature (K)."""
    t = np.geomspace(start, COPPER_RANGE[1], _STEPS)
    return np.interp(temperature, t, _integral(t, np.asarray(copper_heat(t) / copper_resistivity(t, rrr, field))))


def _integral(t, values):
    """Running integral by trapezia."""
    return np.concatenate([[0.0], np.cumsum(np.diff(t) * (values[1:] + values[:-1]) / 2)])


# --- what the current does ----------------------------------------------------------------------------


def dump_integral(density, delay, time_constant):
    """Integral of J^2 dt (A2 s/m4): full current for `delay` (s), then a decay with time_constant L/R (s)."""
    return density**2 * (delay + time_constant / 2)


def dump_time_constant(energy, current, voltage):
    """L/R (s) of a dump resistor that starts at `voltage` (V): 2 E/(V I)."""
    return 2 * energy / (voltage * current)


def self_dump_time(blocks, wires, energy: float, normal_share: float = 1.0, start: float = 4.2) -> float:
    """Effective decay time (s), the integral of (I/I0)^2 dt, of a magnet that takes up its own energy (J).

    normal_share of every block turns normal at once (heaters, or coils that quench each other).  Without
    magnetoresistance, which would shorten the decay.  Infinite where the winding would pass 300 K.
    """
    wires = per_block(wires, len(blocks.z_low))
    tables = {wire: heating(wire, start) for wire in dict.fromkeys(wires)}
    rows = [(tables[w], float(j) ** 2, float(v) * normal_share) for w, j, v in zip(wires, blocks.current_density, blocks.volume())]
    taken = lambda time: sum(v * float(np.interp(j2 * time, h.current_integral, h.enthalpy)) for h, j2, v in rows)
    longest = min(h.current_integral[-1] / j2 for h, j2, _ in rows)
    if taken(longest) < energy:
        return float("inf")
    low, high = 0.0, longest
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if taken(middle) < energy else (low, middle)
    return high


def hot_spots(blocks, wires, fields, delay: float, decay_time: float, start: float = 4.2):
    """Hot-spot temperature (N,) K of each block: full current for `delay` (s), then (I/I0)^2 integrating to decay_time (s).

    fields (N,) T: the peak field of each block, held throughout.  decay_time: half of L/R, or `self_dump_time`.
    """
    wires = per_block(wires, len(blocks.z_low))
    rows = zip(wires, np.asarray(fields, float), np.asarray(blocks.current_density))
    return np.array([float(heating(w, start, b).after(j**2 * (delay + decay_time))) for w, b, j in rows])
