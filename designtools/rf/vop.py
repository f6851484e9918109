"""Few matrices that bound the SAR of every cube for every drive: virtual observation points.

G. Eichfelder, M. Gebhardt, Magn. Reson. Med. 66 (2011) 1468: a cluster grows about the worst matrix B left; Z is the
smallest sum of positive parts with B + Z - Q >= 0 for all its members, and stays below the overestimate allowed.
"""

from __future__ import annotations

import numpy as np


_USED = 0.9  # of the overestimate allowed: on a head with eight channels the median falls from 1.13 to 1.11, at 1.2 times the points


def virtual_observation_points(forms, overestimate: float = 0.1) -> np.ndarray:
    """Matrices (N,C,C), N much less than K, with max_n I^H A_n I >= max_k I^H Q_k I for every I.

    forms (K,C,C) Hermitian, positive semi-definite; overestimate: largest |Z| relative to the largest eigenvalue of all.
    """
    left = np.asarray(forms)
    worst = np.linalg.eigvalsh(left)[:, -1]
    room = _USED * overestimate * worst.max()
    left = left[np.argsort(-worst)]
    points = []
    while len(left):
        head, taken = _cluster(left, room)
        points.append(head)
        left = left[~taken]
    return np.array(points)


def _cluster(left, room: float):
    """B + Z of the first matrix and which of the others it dominates."""
    head = left[0]
    identity = np.eye(len(head))
    lowest = np.linalg.eigvalsh(head - left)[:, 0]
    taken = lowest >= -1e-12 * np.abs(head).max()
    taken[0] = True
    grown = np.zeros_like(head)
    for index in np.flatnonzero(~taken & (lowest >= -room)):
        wider = grown + _negative_part(head + grown - left[index])
        if np.linalg.eigvalsh(wider)[-1] <= room:
            grown, taken[index] = wider, True
    return head + grown + 2e-12 * np.abs(head).max() * identity, taken


def _negative_part(matrix):
    """The smallest addition that makes a Hermitian matrix positive semi-definite."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.maximum(-values, 0)) @ vectors.conj().T


def underestimate(points, forms) -> float:
    """An upper bound on how far any drive's SAR exceeds what the points say, relative to their largest eigenvalue.

    Zero is proof: every matrix is dominated by one point.  Each is tried against all points, so this takes K N products.
    """
    best = np.full(len(forms), -np.inf)
    for point in points:
        open_ = best < 0
        if not open_.any():
            break
        best[open_] = np.maximum(best[open_], np.linalg.eigvalsh(point - np.asarray(forms)[open_])[:, 0])
    return float(max(0.0, -best.min()) / np.linalg.eigvalsh(points)[:, -1].max())
