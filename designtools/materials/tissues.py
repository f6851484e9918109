"""Dielectric properties of tissue by name at any frequency: four Cole-Cole terms and ionic conduction.

eps*(w) = ef + sum_n del_n/(1 + (j w tau_n)^(1 - alf_n)) + sig/(j w eps0), time dependence exp(+j w t), so that the
imaginary part is negative.  Parameters and their sources lie in `tissue_cole_cole.json` (S. Gabriel, R. W. Lau,
C. Gabriel, Phys. Med. Biol. 41 (1996) 2271; C. Gabriel, AL/OE-TR-1996-0037).  Below 1 MHz the conductivities of the
table are known to be too low (electrode polarisation).
"""

from __future__ import annotations

import difflib
import json
from importlib import resources
from typing import NamedTuple

import jax.numpy as jnp

from designtools.units import MU_0

EPSILON_0 = 1 / (MU_0 * 299792458.0**2)  # F/m
_TAU = {"tau1_ps": 1e-12, "tau2_ns": 1e-9, "tau3_us": 1e-6, "tau4_ms": 1e-3}


class ColeCole(NamedTuple):
    """Parameters of one tissue: ef, sig (S/m) and, for four terms, increments, relaxation times (s) and widths."""

    high: float
    conductivity: float
    increment: tuple[float, ...]
    time: tuple[float, ...]
    width: tuple[float, ...]


def table() -> dict[str, ColeCole]:
    """All tissues by name, read from the file that ships with the package."""
    text = (resources.files(__package__) / "tissue_cole_cole.json").read_text(encoding="utf-8")
    return {name: _parameters(row) for name, row in json.loads(text)["tissues"].items()}


def _parameters(row: dict) -> ColeCole:
    pick = lambda stem: tuple(row[f"{stem}{n}"] for n in range(1, 5))
    times = tuple(row[key] * factor for key, factor in _TAU.items())
    return ColeCole(row["ef"], row["sig"], pick("del"), times, pick("alf"))


def tissue(name: str) -> ColeCole:
    """Parameters of a tissue; upper and lower case are one.  ValueError, naming the nearest, for an unknown name."""
    known = {key.lower(): (key, value) for key, value in table().items()}
    if name.lower() in known:
        return known[name.lower()][1]
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.4)
    hint = f"; did you mean {known[near[0]][0]!r}?" if near else ""
    raise ValueError(f"a tissue must be one of {', '.join(key for key, _ in known.values())}, got {name!r}{hint}")


def cole_cole(parameters: ColeCole, frequency):
    """Complex relative permittivity at `frequency` (Hz), any shape; differentiable by all arguments."""
    omega = 2 * jnp.pi * jnp.asarray(frequency)
    total = parameters.high + parameters.conductivity / (1j * omega * EPSILON_0)
    for increment, time, width in zip(parameters.increment, parameters.time, parameters.width):
        total = total + increment / (1 + _power(omega * time, 1 - width))
    return total


def _power(x, exponent):
    """(j x)^exponent for positive x, on the principal branch."""
    return x**exponent * jnp.exp(0.5j * jnp.pi * exponent)


def permittivity(name: str, frequency):
    """Complex relative permittivity of a tissue at `frequency` (Hz): eps' - j sigma/(w eps0)."""
    return cole_cole(tissue(name), frequency)


def conductivity(permittivity, frequency):
    """Effective conductivity (S/m) of a complex relative permittivity at `frequency` (Hz)."""
    return -2 * jnp.pi * frequency * EPSILON_0 * jnp.imag(permittivity)


def complex_permittivity(relative, conductivity, frequency):
    """Complex relative permittivity of a material with eps_r and sigma (S/m) at `frequency` (Hz)."""
    return relative - 1j * conductivity / (2 * jnp.pi * frequency * EPSILON_0)
