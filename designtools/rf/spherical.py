"""Spherical Bessel functions without their powers, and vector spherical harmonics.

    j_n(x)  = x^n / (2n+1)!!        * smooth_j_n(x)      regular
    h2_n(x) = i (2n-1)!! / x^(n+1)  * smooth_h_n(x)      outgoing for exp(+j w t)

Both smooth functions tend to 1 for small x, so that neither under- nor overflows where n is large and |x| small (a
loop at 2 MHz), and products j_n h_n are formed from ratios of radii.
"""

from __future__ import annotations

import numpy as np
from scipy.special import jv, sph_harm_y

_TERMS = 60  # of the power series, where |x|^2 < 2 (2n+3): the last is below 1e-20 of the first


def smooth_j(x, degree: int) -> np.ndarray:
    """smooth_j_n(x) for n = 0..degree: (degree+1, *x.shape), complex x."""
    x = np.asarray(x, complex)
    return np.stack([_smooth_j(n, x) for n in range(degree + 1)])


def _smooth_j(n: int, x):
    """The power series where it does not cancel, else the Bessel function of half order."""
    small = np.abs(x) ** 2 < 2 * (2 * n + 3)
    series, term, square = np.ones_like(x), np.ones_like(x), np.where(small, x, 0) ** 2
    for m in range(1, _TERMS):
        term = -term * square / (2 * m * (2 * n + 2 * m + 1))
        series = series + term
        if np.abs(term).max(initial=0.0) < 1e-18:
            break
    if small.all():
        return series
    large = np.where(small, 10.0, x)
    return np.where(small, series, np.sqrt(np.pi / 2 / large) * jv(n + 0.5, large) * _odd_over_power(n, large))


def _odd_over_power(n: int, x):
    """(2n+1)!! / x^n, factor by factor."""
    total = np.ones_like(x)
    for k in range(1, n + 1):
        total = total * (2 * k + 1) / x
    return total


def smooth_h(x, degree: int) -> np.ndarray:
    """smooth_h_n(x) for n = 0..degree: (degree+1, *x.shape), complex x; upward recurrence, which is stable for it."""
    x = np.asarray(x, complex)
    values = [np.exp(-1j * x), (1 + 1j * x) * np.exp(-1j * x)]
    for n in range(1, degree):
        values.append(values[n] - x**2 / ((2 * n + 1) * (2 * n - 1)) * values[n - 1])
    return np.stack(values[: degree + 1])


def regular(x, degree: int):
    """smooth_j_n and the slope d(r j_n)/dr over the same power, n = 1..degree: two arrays (degree, *x.shape)."""
    x = np.asarray(x, complex)
    values = smooth_j(x, degree + 1)
    n = _degrees(degree, x.ndim)
    return values[1:-1], (n + 1) * values[1:-1] - x**2 / (2 * n + 3) * values[2:]


def outgoing(x, degree: int):
    """smooth_h_n and the slope d(r h_n)/dr over the same power, n = 1..degree: two arrays (degree, *x.shape)."""
    x = np.asarray(x, complex)
    values = smooth_h(x, degree)
    n = _degrees(degree, x.ndim)
    return values[1:], x**2 / (2 * n - 1) * values[:-1] - n * values[1:]


def _degrees(degree: int, dimensions: int) -> np.ndarray:
    return np.arange(1, degree + 1).reshape(-1, *[1] * dimensions)


def modes(degree: int, orders=None) -> np.ndarray:
    """(n, m) of every mode (K,2), n = 1..degree; `orders` keeps those m only."""
    every = [(n, m) for n in range(1, degree + 1) for m in range(-n, n + 1) if orders is None or m in orders]
    return np.array(every)


def harmonics(points, pairs):
    """Orthonormal angular functions at points (P,3) m of the modes `pairs` (K,2).

    Returns Y (K,P) and the two tangential vectors in Cartesian components (K,P,3): B = grad_s Y / sqrt(n(n+1)) and
    C = B x r, whose real inner products over the sphere are 1 (complex, with conjugation).
    """
    points = np.asarray(points, float)
    theta, phi = _angles(points)
    n, m = pairs.T
    y, slope = sph_harm_y(n[:, None], m[:, None], theta, phi, diff_n=1)
    d_theta, d_phi = slope[..., 0], 1j * m[:, None] * y / np.sin(theta)
    norm = np.sqrt(n * (n + 1))[:, None]
    _, east, south = frame(theta, phi)
    b = (d_theta / norm)[..., None] * south + (d_phi / norm)[..., None] * east
    c = (d_phi / norm)[..., None] * south - (d_theta / norm)[..., None] * east
    return y, b, c


def _angles(points):
    """Polar angle, kept off the poles by 1e-7 where the components would divide 0 by 0, and azimuth."""
    radius = np.linalg.norm(points, axis=1)
    theta = np.arccos(np.clip(points[:, 2] / np.maximum(radius, 1e-300), -1, 1))
    return np.clip(theta, 1e-7, np.pi - 1e-7), np.arctan2(points[:, 1], points[:, 0])


def frame(theta, phi):
    """Unit vectors outwards, along the azimuth and along the polar angle, each (P,3)."""
    s, c, sp, cp = np.sin(theta), np.cos(theta), np.sin(phi), np.cos(phi)
    return np.stack([s * cp, s * sp, c], -1), np.stack([-sp, cp, 0 * sp], -1), np.stack([c * cp, c * sp, -s], -1)
