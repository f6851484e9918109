"""Green's function of the Helmholtz equation on a cubic lattice, near its source exact for the seven-point Laplacian.

    g = g0 + (exp(-j k r) - 1)/(4 pi r)

g0 is the static function of the lattice, so that at low frequency the integral equation is the finite-difference
problem on an unbounded grid.  In units of the spacing: at the source 0.252731 (G. N. Watson, Q. J. Math. 10 (1939) 266).
"""

from __future__ import annotations

import numpy as np
from scipy.special import ive

_NEAR = 10  # cells within which the integral is taken; beyond, the expansion errs by less than 1e-6 of the value


def static(shape) -> np.ndarray:
    """g0 at offsets 0..n-1 along each axis, spacing 1."""
    offsets = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1)
    values = _far(offsets.astype(float))
    near = tuple(slice(0, min(n, _NEAR + 1)) for n in shape)
    values[near] = _near()[near]
    return values


def _near() -> np.ndarray:
    """(11,11,11) values of the integral of exp(-6t) I_l(2t) I_m(2t) I_n(2t) over t > 0."""
    t, weight = _double_exponential()
    bessel = np.stack([_scaled_bessel(l, 2 * t) for l in range(_NEAR + 1)])
    return np.einsum("lt,mt,nt,t->lmn", bessel, bessel, bessel, weight, optimize=True)


def _scaled_bessel(order: int, x):
    """exp(-x) I_l(x), beyond 1e7 by its asymptotic form, where the library's own ends."""
    large = x > 1e7
    tail = (1 - (4 * order**2 - 1) / (8 * x)) / np.sqrt(2 * np.pi * x)
    return np.where(large, tail, ive(order, np.where(large, 1.0, x)))


def _double_exponential(step: float = 0.02, reach: float = 4.2):
    """Nodes and weights on t > 0 by t = exp(pi/2 sinh s)."""
    s = np.arange(-reach, reach + step, step)
    t = np.exp(np.pi / 2 * np.sinh(s))
    return t, step * np.pi / 2 * np.cosh(s) * t


def _far(offsets) -> np.ndarray:
    """1/(4 pi r) + (5 sum x^4/r^7 - 3/r^3)/(32 pi): the first two terms for large distance."""
    square = np.sum(offsets**2, axis=-1)
    r = np.sqrt(np.where(square > 0, square, 1.0))
    return 1 / (4 * np.pi * r) + (5 * np.sum(offsets**4, axis=-1) / r**7 - 3 / r**3) / (32 * np.pi)


def helmholtz(shape, spacing: float, wavenumber: float) -> np.ndarray:
    """g (1/m) at offsets 0..n-1 cells along each axis, complex."""
    offsets = np.meshgrid(*(np.arange(n) * spacing for n in shape), indexing="ij")
    r = np.sqrt(sum(axis**2 for axis in offsets))
    some = np.where(r > 0, r, 1.0)
    delayed = np.where(r > 0, np.expm1(-1j * wavenumber * some) / some, -1j * wavenumber)
    return static(shape) / spacing + delayed / (4 * np.pi)


def spectrum(count, spacing: float, wavenumber: float) -> np.ndarray:
    """Discrete Fourier transform (count) of the kernel on a periodic grid at least twice the body's."""
    half = helmholtz(tuple(n // 2 + 1 for n in count), spacing, wavenumber)
    mirror = np.ix_(*(np.minimum(np.arange(n), n - np.arange(n)) for n in count))
    return np.fft.fftn(half[mirror])
