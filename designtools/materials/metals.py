"""Copper and superconductor as metals: resistivity and heat capacity from 4 K to 300 K."""

from __future__ import annotations

import jax.numpy as jnp

COPPER_RANGE = (4.0, 300.0)  # K, of the fit of the heat capacity
COPPER_DENSITY, INSULATION_DENSITY = 8960.0, 1400.0  # kg/m3; enamel and epoxy resin
_COPPER_HEAT = (-1.91844, -0.15973, 8.61013, -18.996, 21.9661, -12.7328, 3.54322, -0.3797)
_KOHLER = (-2.662, 0.3168, 0.6229, -0.1839, 0.01827)
_NBTI_HEAT = (  # from this temperature (K) on: coefficients of 1, T, T^2, T^3, T^4
    (28.358, (41383.0, -7846.1, 553.71, 11.9838, -0.2177)),
    (50.99, (-1.53e6, 83022.0, -716.3, 2.976, -0.00482)),
    (165.8, (1.24e6, 13706.0, -51.66, 0.09296, -6.29e-5)),
    (496.54, (2.45e6, 955.5, -0.257, 0.0, 0.0)),
)


def copper_resistivity(temperature, rrr=100.0, field=0.0):
    """Resistivity (ohm·m) of copper at temperature (K) and field (T), for a residual resistance ratio rrr (273 K over 4 K).

    N. J. Simon, E. S. Drexler, R. P. Reed, NIST Monograph 177 (1992), eq. 8-1, with the exponent P4 = -1.14 that
    its figures require; magnetoresistance by the Kohler fit there (a quartic of the logarithm of B 1.553e-8/rho).
    """
    residual = 1.553e-8 / rrr
    ideal = 1.171e-17 * temperature**4.49
    ideal = ideal / (1 + 1.171e-17 * 3.841e10 * temperature**3.35 * jnp.exp(-((50.0 / temperature) ** 6.428)))
    plain = residual + ideal + 0.4531 * ideal * residual / (ideal + residual)
    return plain * (1 + _kohler(1.553e-8 * jnp.asarray(field) / plain))


def _kohler(x):
    """Relative rise of the resistivity, zero below x = 1, where the quartic turns up again and the rise is 0.2 %."""
    there = x > 1.0
    size = jnp.log10(jnp.where(there, x, 1.0))
    return jnp.where(there, 10 ** jnp.polyval(jnp.asarray(_KOHLER[::-1]), size), 0.0)


def copper_heat(temperature, field=0.0):
    """Heat capacity (J/m3/K) of copper, 4 K to 300 K, in any field: NIST's fit for OFHC copper (cryogenic material properties)."""
    return COPPER_DENSITY * 10 ** jnp.polyval(jnp.asarray(_COPPER_HEAT[::-1]), jnp.log10(temperature))


def nbti_heat(temperature, field=0.0):
    """Heat capacity (J/m3/K) of NbTi at field (T): the fit of CERN's CUDI (A. Verweij), 4 K to 500 K.

    Below the critical temperature 9.2 (1 - B/14.5)^0.59 K superconducting, above normal; above 28 K quartics in pieces.
    """
    critical = 9.2 * jnp.maximum(1 - field / 14.5, 1e-9) ** 0.59
    heat = jnp.where(temperature < critical, 64.0 * field * temperature + 49.1 * temperature**3, 928.0 * temperature + 16.24 * temperature**3)
    for start, coefficients in _NBTI_HEAT:
        heat = jnp.where(temperature < start, heat, jnp.polyval(jnp.asarray(coefficients[::-1]), temperature))
    return heat
