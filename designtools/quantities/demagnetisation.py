"""Magnets that are not ideally hard: polarization lowered by the field of the neighbours and by their own.

On its recoil line a magnet carries J = Jr + (mu_r - 1) mu0 H, with H the field of all magnets, itself included.  H is taken
at the centre of each cuboid, where it is exact for a uniform J; for a cube the own field there is -J/3 as its mean is.
The fixed point converges by a factor of about mu_r - 1 per step, so nothing is stored but J: one field evaluation a step.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from designtools.sources.magnets import Magnets
from designtools.sources.pose import rotation_matrix
from designtools.units import MU_0


class Magnetised(NamedTuple):
    """The magnets as they are; `field_h` (N,) A/m along each easy axis (negative demagnetises), steps and last change."""

    magnets: Magnets
    field_h: np.ndarray
    steps: int
    change: float


def self_consistent(magnets: Magnets, recoil_permeability: float, *, tolerance: float = 1e-9, most: int = 60) -> Magnetised:
    """The magnets in their own field; `polarization` of `magnets` is the remanence, `recoil_permeability` mu_r >= 1.

    Raises ValueError where mu_r is so far above 1 that the fixed point does not converge.
    """
    if not recoil_permeability >= 1:
        raise ValueError(f"self_consistent: recoil_permeability must be at least 1, got {recoil_permeability}")
    turn = np.asarray(rotation_matrix(magnets.rotation))
    remanence = np.asarray(magnets.polarization, float)
    size = np.linalg.norm(remanence, axis=1).max()
    now, change = magnets, np.inf
    for step in range(1, most + 1):
        total = np.einsum("nij,ni->nj", turn, np.asarray(now.field(np.asarray(magnets.centre))))
        inside = total - np.asarray(now.polarization)  # mu0 H in the magnet's own frame
        polarization = remanence + (recoil_permeability - 1) * inside
        change = float(np.abs(polarization - np.asarray(now.polarization)).max() / size)
        now = replace(now, polarization=polarization)
        if change <= tolerance:
            easy = remanence / np.maximum(np.linalg.norm(remanence, axis=1, keepdims=True), 1e-300)
            return Magnetised(now, np.sum(inside * easy, axis=1) / MU_0, step, change)
    raise ValueError(
        f"self_consistent: recoil_permeability must be near 1, as that of hard magnets is, got {recoil_permeability}; "
        f"after {most} steps the polarization still changes by {change:.1g}"
    )
