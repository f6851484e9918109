"""What a shim is asked: the frequency it leaves, in one shot or in thousands."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from designtools._pytree import pytree
from designtools.problem import Quantity

CUT = 1e-11  # relative singular value, below which two unlimited channels are the same to the voxels of a shot


@pytree
class Currents:
    """What each channel does in each shot: values (S,E,C) in the channels' units, offset (S,E) Hz of the centre frequency.

    E is 1, or 2 for the low and the high end of a breathing trace between which all is linear.
    """

    values: jax.Array
    offset: jax.Array


def residual_frequency(matrix, frequency, weights, name: str = "off-resonance") -> Quantity:
    """Weighted measured off-resonance (P,) Hz plus matrix (P,C) Hz per unit times the first shot of `currents`, and its offset.

    An optimiser cheats where the mask ends: what lies outside may get worse.
    """
    frequency, weights = jnp.asarray(frequency), jnp.asarray(weights)
    matrix = np.asarray(weights)[:, None] * np.asarray(matrix)
    of = lambda design: weights * (frequency + design.parts["currents"].offset[0, 0]) + jnp.asarray(matrix) @ design.parts["currents"].values[0, 0]

    def jacobian(design):
        return type(design)({"currents": Currents(matrix, np.asarray(weights)[:, None])}, design.fingerprint)

    return Quantity(name, "Hz", of, cheat="voxels outside the mask", jacobian=jacobian)


def channel_currents(chosen, name: str = "channel currents") -> Quantity:
    """The chosen currents (1,K) A of the first shot as one row: its l1 norm is the total current."""
    index = np.flatnonzero(chosen)
    return Quantity(name, "A", lambda design: design.parts["currents"].values[0, 0][index][None, :])


class Reduced(NamedTuple):
    """Least squares of one shot in its limited channels alone, the unlimited ones having been taken out.

    half the sum of squares is x.H x / 2 + g.x + constant; the unlimited follow as rest + pull @ x.
    """

    H: np.ndarray
    g: np.ndarray
    constant: float
    rest: np.ndarray
    pull: np.ndarray


def reduced(limited, unlimited, target) -> Reduced:
    """Of |limited x + unlimited y + target|^2 over y: limited (P,K), unlimited (P,F), target (P,).

    Unlimited channels that the voxels cannot tell apart get the smallest values.
    """
    if unlimited.shape[1] == 0:
        return Reduced(limited.T @ limited, limited.T @ target, float(target @ target) / 2, np.zeros(0), np.zeros((0, limited.shape[1])))
    scale = np.maximum(np.linalg.norm(unlimited, axis=0), 1e-300)
    Q, R = np.linalg.qr(unlimited / scale)
    u, s, vt = np.linalg.svd(R, full_matrices=False)
    keep = s > CUT * s[0]
    basis, back = Q @ u[:, keep], (vt[keep].T / s[keep]) / scale[:, None]
    along_target, along = basis.T @ target, basis.T @ limited
    target, limited = target - basis @ along_target, limited - basis @ along
    return Reduced(limited.T @ limited, limited.T @ target, float(target @ target) / 2, -back @ along_target, -back @ along)


def breathing_rows(matrix, frequency, breathing, trace):
    """Rows for currents linear in a breathing trace: matrix (2P,2C) and target (2P,) in the currents at both ends.

    The residual is linear in the trace too, and its mean square over an even spread of the trace is the square of its
    mean plus a third of the square of half its span.
    """
    low, high = trace
    half, span = matrix / 2, matrix / (2 * np.sqrt(3))
    rows = np.block([[half, half], [-span, span]])
    return rows, np.concatenate([frequency + breathing * (low + high) / 2, breathing * (high - low) / (2 * np.sqrt(3))])
