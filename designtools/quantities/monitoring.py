"""Field cameras: how well a few probes tell the harmonics of a field, and what they say when one of them lies.

Basis: the solid harmonics of `designtools.harmonics` about the origin, each with mean square 1 on the sphere of the
reference radius, in the order of `basis_names`.  With design matrix F (N,K) and independent noise sigma, least squares
has covariance sigma^2 (F'F)^-1; D-optimal probes make det F'F largest (Atkinson, Donev, Optimum Experimental Designs).
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from designtools.harmonics.table import mean_squares, solid_harmonics

FALSE_ALARM = 3.29  # standard deviations: one good reading in a thousand is called bad
POWER = 0.84  # so that a fault of the size stated is found four times in five


class Readings(NamedTuple):
    """Coefficients (T,K) in the unit of the readings, residuals (T,N), and which readings (T,N) are called bad."""

    coefficients: np.ndarray
    residuals: np.ndarray
    bad: np.ndarray


def basis_names(order: int) -> list[tuple[str, int, int]]:
    """("cosine" or "sine", n, m) of every column."""
    n, m = np.tril_indices(order + 1)
    return [("cosine", int(a), int(b)) for a, b in zip(n, m)] + [("sine", int(a), int(b)) for a, b in zip(n, m) if b]


def basis(points, order: int, radius: float):
    """(P,K): the harmonics to `order` at points (P,3) m, each with mean square 1 on the sphere of `radius` m."""
    cosine, sine = solid_harmonics(points / radius, order)
    norm = np.sqrt(mean_squares(order))
    n, m = np.tril_indices(order + 1)
    library = np if isinstance(points, np.ndarray) else jnp
    return library.concatenate([(cosine / norm)[:, n, m], (sine / norm)[:, n[m > 0], m[m > 0]]], axis=1)


def condition(F) -> float:
    """Largest over smallest singular value: 1 is best."""
    s = np.linalg.svd(np.asarray(F), compute_uv=False)
    return float(s[0] / s[-1]) if s[-1] > 0 else np.inf


def d_efficiency(F) -> float:
    """det(F'F / N)^(1/K): 1 is the most that probes anywhere on the reference sphere could reach."""
    sign, value = np.linalg.slogdet(F.T @ F / len(F))
    return float(np.exp(value / F.shape[1])) if sign > 0 else 0.0


def spread_of_fit(F, at) -> np.ndarray:
    """Standard deviation (P,) of the fitted field where the basis is `at` (P,K), per unit of the noise of a reading."""
    root = np.linalg.cholesky(F.T @ F)
    return np.linalg.norm(np.linalg.solve(root, at.T), axis=0)


def leverage(F) -> np.ndarray:
    """(N,) share of each reading in its own fitted value: at 1 nothing checks the probe."""
    Q = np.linalg.qr(F)[0]
    return np.sum(Q**2, axis=1)


def smallest_fault(F) -> np.ndarray:
    """(N,) the fault, in standard deviations of a reading, that the other probes reveal four times in five.

    Baarda's minimal detectable bias (Publ. Geodesy 2/5, 1968), at one false alarm in a thousand; inf where nothing checks.
    """
    left = np.clip(1 - leverage(F), 0.0, 1.0)
    return np.where(left > 1e-9, (FALSE_ALARM + POWER) / np.sqrt(np.maximum(left, 1e-9)), np.inf)


def fitted(F, readings, noise: float) -> Readings:
    """Least squares of every frame of readings (T,N), leaving out one probe at a time where the rest contradicts it.

    noise: standard deviation of a reading.  A reading is bad when its residual, over its own standard deviation, is the
    largest and beyond FALSE_ALARM; then it is left out and the others are looked at again, as long as enough are left.
    """
    rows = [_fit_frame(F, frame, noise) for frame in np.atleast_2d(readings)]
    return Readings(*(np.stack(part) for part in zip(*rows)))


def _fit_frame(F, frame, noise):
    good = np.isfinite(frame)
    while True:
        coefficients = np.linalg.lstsq(F[good], frame[good], rcond=None)[0]
        residual = np.where(np.isfinite(frame), frame, 0.0) - F @ coefficients
        free = 1 - leverage(F[good])
        size = np.zeros(len(frame))
        size[good] = np.where(free > 1e-9, np.abs(residual[good]) / (noise * np.sqrt(np.maximum(free, 1e-9))), 0.0)
        worst = int(np.argmax(size))
        if size[worst] <= FALSE_ALARM or good.sum() <= F.shape[1] + 1:
            return coefficients, np.where(np.isfinite(frame), residual, np.nan), ~good
        good[worst] = False


# --- magnitudes at low field --------------------------------------------------------------------------


def magnitude_fit(points, magnitude, b0: float, order: int, radius: float, axis=(0.0, 0.0, 1.0), rounds: int = 20):
    """Harmonics (K,) T of B.axis from measured |B| (P,) T at points (P,3) m, concomitant field included exactly.

    b0: main field (T) along `axis`.  |B|^2 = (b0 + B.axis)^2 + |B across|^2 with the field across from the same scalar
    potential: harmonics r^(n+1) P_(n+1)^m belong to r^n P_n^m of the field along, so what the field along says fixes that
    across, up to sectoral potentials (m = n+1), which have none along and are taken as zero.  That is the split 1/2 of a
    z gradient coil with rotational symmetry (Bernstein et al., MRM 39 (1998) 300).  Gauss-Newton from the linear fit.
    """
    across_1, across_2, along = _field_basis(points, order, radius, axis)
    x = np.linalg.lstsq(along, magnitude - b0, rcond=None)[0]
    for _ in range(rounds):
        parts = b0 + along @ x, across_1 @ x, across_2 @ x
        norm = np.sqrt(sum(p**2 for p in parts))
        slope = (parts[0][:, None] * along + parts[1][:, None] * across_1 + parts[2][:, None] * across_2) / norm[:, None]
        step = np.linalg.lstsq(slope, magnitude - norm, rcond=None)[0]
        x = x + step
        if np.abs(step).max() <= 1e-15 * max(np.abs(x).max(), abs(b0)):
            break
    return x


def _field_basis(points, order: int, radius: float, axis):
    """Fields (P,K) across (two directions) and along the axis of the potentials whose field along is each harmonic of `basis`."""
    axis = np.asarray(axis, float) / np.linalg.norm(axis)
    first = np.eye(3)[np.argmin(np.abs(axis))]
    first = first - axis * (first @ axis)
    first /= np.linalg.norm(first)
    frame = np.stack([first, np.cross(axis, first), axis])
    own = np.asarray(points, float) @ frame.T / radius
    norm = np.sqrt(mean_squares(order))
    columns = [_gradient(own, kind, n, m) / norm[n, m] for kind, n, m in basis_names(order)]
    return tuple(np.stack([c[:, k] for c in columns], axis=1) for k in range(3))


def _gradient(points, kind: str, n: int, m: int) -> np.ndarray:
    """(P,3): gradient of r^(n+1) P_(n+1)^m / (n+1+m), whose z component is r^n P_n^m (cos or sin of m phi).

    With S_n^m = r^n P_n^m e^(im phi): d/dz S_n^m = (n+m) S_(n-1)^m and
    (d/dx + i d/dy) S_n^m = -S_(n-1)^(m+1), (d/dx - i d/dy) S_n^m = (n+m)(n+m-1) S_(n-1)^(m-1), for S without the
    Condon-Shortley sign (Hobson, Spherical and Ellipsoidal Harmonics, ch. IV).
    """
    cosine, sine = solid_harmonics(points, n + 1)
    S = lambda k: (cosine[:, n, k] + 1j * sine[:, n, k]) if 0 <= k <= n else np.zeros(len(points), complex)
    factor = n + 1 + m
    raised = -S(m + 1) / factor
    lowered = factor * (factor - 1) * S(m - 1) / factor if m else -np.conj(S(1)) / factor
    x, y = (raised + lowered) / 2, (raised - lowered) / 2j
    z = S(m)
    part = np.real if kind == "cosine" else np.imag
    return np.stack([part(x), part(y), part(z)], axis=1)
