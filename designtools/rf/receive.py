"""Receive arrays: noise covariance, signal-to-noise ratio, noise amplification of parallel imaging.

By reciprocity the sensitivity of a channel is the receive component of the field of one ampere in it.  P. B. Roemer et
al., Magn. Reson. Med. 16 (1990) 192; K. P. Pruessmann et al., Magn. Reson. Med. 42 (1999) 952.
"""

from __future__ import annotations

import numpy as np


_FLOOR = 1e-12  # of the mean loss, added to each channel: dependent channels without losses of their own stay solvable


def snr(sensitivity, resistance) -> np.ndarray:
    """sqrt(b^H R^-1 b) (V,) T/sqrt(W): of the best combination; sensitivity (V,C) T/A, resistance (C,C) ohm, all losses.

    The absolute ratio follows with w0 M0 voxel/sqrt(4 k T bandwidth); ratios of this are ratios of SNR.
    """
    whitened = np.linalg.solve(np.linalg.cholesky(resistance), np.asarray(sensitivity).T)
    return np.sqrt(np.sum(np.abs(whitened) ** 2, axis=0))


_PLANCK, _BOLTZMANN, _WATER = 1.054571817e-34, 1.380649e-23, 6.64e28  # J s, J/K, protons per m3 at 37 degC


def absolute(snr, frequency: float, voxel: float = 1e-9, bandwidth: float = 1.0, temperature: float = 310.0):
    """Peak signal of a voxel (m3) of water over the rms noise in a bandwidth (Hz), from `snr` (T/sqrt(W)); protons, 90 degrees.

    2 w0 M0 V |b| is the voltage of the voxel (D. I. Hoult, R. E. Richards, J. Magn. Reson. 24 (1976) 71), M0 = n hbar^2 gamma w0/(4kT).
    """
    omega, gamma = 2 * np.pi * frequency, 2 * np.pi * 42.577478518e6
    magnetisation = _WATER * _PLANCK**2 * gamma * omega / (4 * _BOLTZMANN * temperature)
    return 2 * omega * magnetisation * voxel * np.asarray(snr) / np.sqrt(4 * _BOLTZMANN * temperature * bandwidth)


def noise_resistance(power) -> np.ndarray:
    """Resistance (C,C) ohm seen by the noise, from the power form (C,C) W of peak currents: the real part, twice.

    The imaginary part of a Hermitian power form stays: thermal noise of a lossy body is correlated as its losses are.
    """
    resistance = 2 * np.asarray(power).conj()
    return resistance + _FLOOR * np.trace(resistance).real / len(resistance) * np.eye(len(resistance))


def g_factor(sensitivity, resistance, shape, inside, factors) -> np.ndarray:
    """Noise amplification (V,) of SENSE with whole reduction factors (3,) along the grid's axes.

    sensitivity (V,C) of the voxels `inside` (nx,ny,nz); the field of view is the grid, lengthened to a multiple of each factor.
    """
    whitened = np.linalg.solve(np.linalg.cholesky(resistance), np.asarray(sensitivity).T).T
    index = np.argwhere(inside)
    period = np.array([-(-n // r) for n, r in zip(shape, factors)])
    folded = np.ravel_multi_index((index % period).T, period)
    order = np.argsort(folded, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(folded[order])) + 1)
    result = np.ones(len(index))
    for group in groups:
        result[group] = _amplification(whitened[group])
    return result


def _amplification(vectors):
    """sqrt((G^-1)_ii G_ii) of the Gram matrix of aliased vectors (n,C); infinite where they cannot be told apart."""
    gram = (vectors @ vectors.conj().T).real if len(vectors) == 1 else vectors.conj() @ vectors.T
    if len(vectors) == 1:
        return 1.0
    if np.linalg.cond(gram) > 1e14:
        return np.inf
    return np.sqrt(np.real(np.diag(np.linalg.inv(gram)) * np.diag(gram)))
