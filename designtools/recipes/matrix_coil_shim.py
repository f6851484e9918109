"""Shim duty of a matrix coil: the same amplifiers hold a measured map flat while they play any of the wanted fields."""

from __future__ import annotations

from types import SimpleNamespace
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from designtools.problem import Limit, Quantity, Term
from designtools.recipes.field_map import Volume, read_volumes
from designtools.result import Figure, Table
from designtools.units import GAMMA_BAR

PART = "shim"  # of the design: the currents that flow all the time


class Duty(NamedTuple):
    """The map, what an ampere-turn of each loop adds there (P,N) Hz, and the triangle (N+1,N+1) that stands for both about their means."""

    volume: Volume
    columns: np.ndarray
    triangle: np.ndarray


def duty(spec, loops) -> Duty | None:
    """What the spec's `shim` asks; None where it asks for none."""
    if spec.shim is None:
        return None
    asked = SimpleNamespace(maps=(spec.shim.field_map,), subjects=(), origin=spec.shim.origin, weight_by="nothing", frame=spec.frame)
    (volume,) = read_volumes(asked, ("shim.field_map",))
    columns = GAMMA_BAR * np.asarray(loops.per_ampere(volume.points, np.asarray(spec.frame.b0_axis, float)))
    root = np.sqrt(volume.weights)[:, None]
    both = np.column_stack([columns, volume.values])
    triangle = np.linalg.qr(root * (both - np.average(both, axis=0, weights=volume.weights)), mode="r")
    return Duty(volume, columns, triangle)


def terms(spec, found: Duty) -> list[Term]:
    """The mean square of what is left, relative to what was there; the centre frequency follows."""
    matrix, rest = jnp.asarray(found.triangle[:, :-1]), jnp.asarray(found.triangle[:, -1])
    left = Quantity("off-resonance", "Hz", lambda d: matrix @ d.parts[PART].current + rest, "voxels outside the mask")
    return [Term(left, scale=float(np.linalg.norm(found.triangle[:, -1])) or 1.0, weight=spec.shim.weight)]


def limits(spec, name: str, most: float, drive, resistance: float) -> list[Limit]:
    """Shim and field `name` together, in either sense, within the current and the voltage of each channel."""
    def together(field_of, shim_of):
        def of(design):
            field, shim = field_of(design.parts[name].current), shim_of(design.parts[PART].current)
            return jnp.concatenate([field + shim, field - shim])

        return of

    per_turn = resistance / spec.elements.turns
    current = Quantity(f"ampere-turns of {name} and shim", "A", together(lambda x: x, lambda x: x))
    voltage = Quantity(f"voltage of {name} and shim", "V", together(lambda x: drive @ x, lambda x: per_turn * x))
    return [
        Limit(current, -most, most, scale=most, label="channels.current"),
        Limit(voltage, -spec.channels.voltage, spec.channels.voltage, scale=spec.channels.voltage, label="channels.voltage"),
    ]


def figures(setting, currents) -> dict[str, Figure]:
    """The map before and after."""
    found = setting.duty
    before, after = left(found, currents)
    words = f"over {before.size} voxels of the mask, about their mean"
    return {
        "b0_std_unshimmed": Figure(float(before.std()), "Hz", f"standard deviation {words}"),
        "b0_std_shimmed": Figure(float(after.std()), "Hz", f"standard deviation {words}, with the shim currents"),
        "b0_p2p_shimmed": Figure(float(np.ptp(after)), "Hz", f"peak to peak {words}, with the shim currents"),
    }


def left(found: Duty, ampere_turns) -> tuple[np.ndarray, np.ndarray]:
    """The map (P,) Hz before and after, about their means."""
    after = found.volume.values + found.columns @ ampere_turns
    return found.volume.values - found.volume.values.mean(), after - after.mean()


def table(setting, currents) -> Table:
    """Channel by channel: what the shim takes of the limit."""
    most = setting.spec.channels.current
    rows = tuple((k + 1, f"{i:+.4g} A", f"{100 * abs(i) / most:.0f} %") for k, i in enumerate(currents))
    return Table("Shim currents", ("channel", "current", "of the limit"), rows, f"They flow all the time. {setting.duty.volume.told}.")
