"""Other ways to write the same coefficients: normalisations of P_n^m and the shim terms of scanner makers.

The convention of `designtools.harmonics` is the only one used elsewhere; these functions convert at the border.

Normalisations multiply P_n^m (without the Condon-Shortley sign) by, with e_0 = 1 and e_m = 2 otherwise,

    ferrer    1                                         ours; "unnormalised", Romeo & Hoult, MRM 1 (1984) 44
    schmidt   sqrt(e_m (n-m)!/(n+m)!)                   geomagnetism; Winch et al., Geophys. J. Int. 160 (2005) 487
    full      sqrt(e_m (2n+1) (n-m)!/(n+m)!)            geodesy, 4 pi: mean square 1 over the sphere
    orthonormal  full / sqrt(4 pi)                      quantum mechanics, real: integral of the square is 1

Shim terms are the polynomials of SHIM_CONVENTIONS times their amplitude, in coordinates of the scanner's shim frame.
Orders, factors, units and frames of the makers are those of Shimming Toolbox (its module spher_harm_basis; its issue
505 reports that Siemens' first and second order were checked on a scanner, and that ZX and ZY at Philips and ZX, ZY
and XY at GE are half of Siemens'); GE's second order is driven in mA through a calibration that this does not know.
A scanner's own calibration outranks any table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from designtools.harmonics.table import Harmonics, unit_axis

PROTON = 42.577478518e6  # gamma/2 pi, Hz/T

# name: (n, "cosine" or "sine", m, factor) with polynomial = factor * r^n P_n^m {cos, sin} m phi
_Z2, _ZX, _ZY = (2, "cosine", 0, 1.0), (2, "cosine", 1, 1 / 3), (2, "sine", 1, 1 / 3)
_X2_Y2, _XY = (2, "cosine", 2, 1 / 3), (2, "sine", 2, 1 / 6)
_FIRST = {"X": (1, "cosine", 1, 1.0), "Y": (1, "sine", 1, 1.0), "Z": (1, "cosine", 0, 1.0)}


def _times(term, factor):
    return (*term[:3], term[3] * factor)


_THIRD = {
    "Z3": (3, "cosine", 0, 1.0), "Z2X": (3, "cosine", 1, 2 / 3), "Z2Y": (3, "sine", 1, 2 / 3),
    "Z(X2-Y2)": (3, "cosine", 2, 1 / 15), "XYZ": (3, "sine", 2, 1 / 30),
    "X3": (3, "cosine", 3, 1 / 15), "Y3": (3, "sine", 3, 1 / 15),
}  # fmt: skip


@dataclass(frozen=True)
class ShimConvention:
    """terms: name -> (n, table, m, factor); unit: T/m^n of an amplitude of 1; axes: letters of the shim frame.

    axes: where its +x, +y and +z point in a patient lying head first on the back: L or R, A or P, S or I.
    """

    terms: dict
    unit: float
    axes: str


SHIM_CONVENTIONS = {
    # X, Y, Z, z2-(x2+y2)/2, 2zx, 2zy, x2-y2, 2xy in uT/m^n
    "siemens": ShimConvention(
        _FIRST | {"Z2": _Z2, "ZX": _times(_ZX, 2), "ZY": _times(_ZY, 2), "X2-Y2": _X2_Y2, "XY": _times(_XY, 2)},
        1e-6, "LAI",
    ),
    # X, Y, Z, z2-(x2+y2)/2, zx, zy, x2-y2, 2xy in mT/m^n
    "philips": ShimConvention(
        _FIRST | {"Z2": _Z2, "ZX": _ZX, "ZY": _ZY, "X2-Y2": _X2_Y2, "2XY": _times(_XY, 2)}, 1e-3, "RPI"
    ),
    # x, y, z, xy, zy, zx, x2-y2, z2-(x2+y2)/2 in T/m^n
    "ge": ShimConvention(_FIRST | {"XY": _XY, "ZY": _ZY, "ZX": _ZX, "X2-Y2": _X2_Y2, "Z2": _Z2}, 1.0, "LPI"),
    # as their names say, in T/m^n; Z3 = z3-3z(x2+y2)/2, Z2X = x(4z2-x2-y2), Z2Y = y(4z2-x2-y2), X3 = x3-3xy2,
    # Y3 = 3x2y-y3
    "cartesian": ShimConvention(
        _FIRST | {"Z2": _Z2, "ZX": _ZX, "ZY": _ZY, "X2-Y2": _X2_Y2, "2XY": _times(_XY, 2)} | _THIRD, 1.0, "RAS"
    ),
}  # fmt: skip


def shim_terms(table: Harmonics, maker: str, axes: str | None = None, gyromagnetic_ratio: float | None = None) -> dict:
    """Amplitudes of the shim terms in `table`: name -> amplitude in the maker's unit per m^n, or Hz/m^n.

    maker: a name in SHIM_CONVENTIONS; axes: letters of the table's own x, y, z such as "RAS" (default: already the
    shim frame's); gyromagnetic_ratio (Hz/T, e.g. PROTON): asks for Hz/m^n.  What the convention has no term for
    (a_00, higher orders) is left out.
    """
    convention = _convention(maker)
    own = table if axes is None else table.rotated(flips(axes, convention.axes))
    scale = gyromagnetic_ratio or 1 / convention.unit
    return {
        name: float(getattr(own, kind)[n, m]) * scale / factor / own.radius**n
        for name, (n, kind, m, factor) in convention.terms.items()
        if n <= own.order
    }


def from_shim_terms(amplitudes: dict, maker: str, radius: float, axes: str | None = None,
                    gyromagnetic_ratio: float | None = None) -> Harmonics:  # fmt: skip
    """The table (T at `radius` m, B.z about the origin) of shim amplitudes; the inverse of `shim_terms`."""
    convention = _convention(maker)
    unknown = sorted(set(amplitudes) - set(convention.terms))
    if unknown:
        raise ValueError(
            f"from_shim_terms: terms of '{maker}' must be among {', '.join(convention.terms)}, got {', '.join(unknown)}"
        )
    order = max((convention.terms[name][0] for name in amplitudes), default=0)
    tables = {"cosine": np.zeros((order + 1, order + 1)), "sine": np.zeros((order + 1, order + 1))}
    scale = 1 / gyromagnetic_ratio if gyromagnetic_ratio else convention.unit
    for name, amplitude in amplitudes.items():
        n, kind, m, factor = convention.terms[name]
        tables[kind][n, m] = amplitude * scale * factor * radius**n
    own = Harmonics(**tables, radius=float(radius))
    return own if axes is None else own.rotated(flips(convention.axes, axes))


def normalised(table: Harmonics, kind: str, condon_shortley: bool = False):
    """(cosine, sine) T: the coefficients that multiply P_n^m normalised as `kind`; "schmidt", "full", ..."""
    factor = _norms(kind, table.order, condon_shortley)
    return table.cosine / factor, table.sine / factor


def unnormalised(cosine, sine, kind: str, radius: float, centre=(0.0, 0.0, 0.0), axis="z",
                 condon_shortley: bool = False) -> Harmonics:  # fmt: skip
    """The table of coefficients written for P_n^m normalised as `kind`; the inverse of `normalised`."""
    cosine, sine = jnp.asarray(cosine), jnp.asarray(sine)
    factor = _norms(kind, len(cosine) - 1, condon_shortley)
    return Harmonics(cosine * factor, sine * factor, float(radius), tuple(map(float, centre)), unit_axis(axis))


def _norms(kind, order, condon_shortley):
    if kind not in _NORMS:
        raise ValueError(f"harmonics: the normalisation must be one of {', '.join(_NORMS)}, got {kind!r}")
    norm = [[_NORMS[kind](n, m, _schmidt(n, m)) if m <= n else 1.0 for m in range(order + 1)] for n in range(order + 1)]
    return np.array(norm) * np.where(condon_shortley & (np.arange(order + 1) % 2 == 1), -1.0, 1.0)


def _schmidt(n, m):
    return math.sqrt((2 if m else 1) * math.factorial(n - m) / math.factorial(n + m))


_NORMS = {
    "ferrer": lambda n, m, schmidt: 1.0,
    "schmidt": lambda n, m, schmidt: schmidt,
    "full": lambda n, m, schmidt: schmidt * math.sqrt(2 * n + 1),
    "orthonormal": lambda n, m, schmidt: schmidt * math.sqrt((2 * n + 1) / (4 * math.pi)),
}


def _convention(maker) -> ShimConvention:
    if maker not in SHIM_CONVENTIONS:
        raise ValueError(f"shim_terms: maker must be one of {', '.join(SHIM_CONVENTIONS)}, got {maker!r}")
    return SHIM_CONVENTIONS[maker]


def flips(before: str, after: str):
    """The diagonal matrix from coordinates along the letters `before` to coordinates along `after`."""
    pairs = ({"L", "R"}, {"A", "P"}, {"S", "I"})
    if len(before) != 3 or any(letter not in pair for letter, pair in zip(before, pairs)):
        raise ValueError(f"shim_terms: axes must be three letters, L or R, A or P, S or I, got {before!r}")
    return np.diag([1.0 if a == b else -1.0 for a, b in zip(before, after)])
