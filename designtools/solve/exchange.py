"""Which measured part goes where: exchanges of two parts until their errors cancel."""

from __future__ import annotations

import numpy as np

DIRECTIONS = 30  # of the effect that are looked at, strongest first


def sorted_parts(effect, errors, *, sweeps: float = 2.0, seed: int = 0) -> np.ndarray:
    """Part (N,) for each place, such that |sum_i effect_i errors_part(i)| is small.

    effect (P,N,C): what one unit of each of C errors does at place i; errors (N,C) of each part.  Each step exchanges a
    random place with the one that gains most; `sweeps` times N steps.  Raises ValueError where the numbers differ.
    """
    effect, errors = np.asarray(effect, float), np.asarray(errors, float)
    points, places, kinds = effect.shape
    if errors.shape != (places, kinds):
        raise ValueError(f"sorted_parts: errors must have shape (N,C) = {(places, kinds)}, as effect (P,N,C) has, got {errors.shape}")
    basis = np.linalg.svd(effect.reshape(points, -1), full_matrices=False)[0][:, :DIRECTIONS]
    reduced = np.einsum("pq,pnc->nqc", basis, effect)
    rng, part = np.random.default_rng(seed), np.arange(places)
    left = np.einsum("nqc,nc->q", reduced, errors)
    for place in rng.integers(0, places, int(sweeps * places)):
        swap = np.einsum("nqc,nc->nq", reduced[place] - reduced, errors[part] - errors[part[place]])
        gain = 2 * swap @ left + np.sum(swap**2, axis=1)
        other = int(gain.argmin())
        if gain[other] < 0:
            left = left + swap[other]
            part[[place, other]] = part[[other, place]]
    return part
