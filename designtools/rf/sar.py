"""Specific absorption rate over 10 g, and whole, as quadratic forms of the currents of the channels.

Cubes after IEC/IEEE 62704-1:2017: about each voxel of tissue a cube grows until it holds the mass, its outer layer taken in
part; it is valid with at most 10 % of background in it and tissue on every face.  A voxel that lies wholly in no valid
cube gets six cubes, each with the voxel in the middle of one face; of these count those whose volume is within 5 % of the
smallest.  The mean of a form over a cube is the form of the mean, so that averaging is done once for all drives.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from designtools.rf.body import Body

TEN_GRAMS = 0.010  # kg
_BACKGROUND, _NEAR_SMALLEST = 0.10, 1.05


class Cubes(NamedTuple):
    """Boxes low, high (K,3) in voxels from the grid's lower corner, their tissue's mass (K,) kg, and the voxel of each (K,3).

    The first `valid` of them are centred on their voxels and valid, the others have their voxel in a face.
    """

    low: np.ndarray
    high: np.ndarray
    mass: np.ndarray
    voxel: np.ndarray
    valid: int = 0


# --- sums over boxes --------------------------------------------------------------------------------


def cumulative(values) -> np.ndarray:
    """Integral of a voxel map (nx,ny,nz) from the lower corner of the grid to each node (nx+1,ny+1,nz+1)."""
    total = np.pad(np.asarray(values), [(1, 0)] * 3)
    for axis in range(3):
        total = np.cumsum(total, axis=axis)
    return total


def box_sum(total, low, high) -> np.ndarray:
    """Sum (K,) over boxes (K,3), voxels counted by the part that lies within, from `cumulative`; exact for any box."""
    ends = [[_cell(edge[:, a], total.shape[a]) for a in range(3)] for edge in (low, high)]
    result = 0.0
    for corner in np.ndindex(2, 2, 2):
        sign = (-1) ** (3 - sum(corner))
        result = result + sign * _interpolated(total, [ends[side][axis] for axis, side in enumerate(corner)])
    return result


def _cell(position, nodes: int):
    position = np.clip(position, 0, nodes - 1)
    lower = np.minimum(position.astype(int), nodes - 2)
    return lower, position - lower


def _interpolated(total, at):
    (i, u), (j, v), (k, w) = at
    value = 0.0
    for a, b, c in np.ndindex(2, 2, 2):
        weight = (u if a else 1 - u) * (v if b else 1 - v) * (w if c else 1 - w)
        value = value + weight * total[i + a, j + b, k + c]
    return value


# --- the cubes --------------------------------------------------------------------------------------


def averaging_cubes(body: Body, mass: float = TEN_GRAMS) -> Cubes:
    """All cubes over which SAR is to be averaged.  ValueError where the body is lighter than the mass."""
    if body.mass.sum() < mass:
        raise ValueError(f"averaging_cubes: the body must hold at least {mass:g} kg, got {body.mass.sum():g} kg; average over its whole mass instead")
    weight, tissue = cumulative(body.mass), cumulative(body.inside)
    voxels = np.argwhere(body.inside)
    low, high, reached = _grown(weight, voxels, _centred, mass)
    valid = reached & _fills(tissue, low, high) & _touches(tissue, low, high)
    found = [(low[valid], high[valid], voxels[valid])]
    left = voxels[~_covered(body.label.shape, low[valid], high[valid])[tuple(voxels.T)]]
    if len(left):
        found.append(_face_cubes(weight, left, mass))
    low, high, voxels = (np.concatenate(parts) for parts in zip(*found))
    return Cubes(low, high, box_sum(weight, low, high), voxels, int(valid.sum()))


def _centred(voxels, half):
    return voxels + 0.5 - half[:, None], voxels + 0.5 + half[:, None]


def _on_face(axis, side):
    """Boxes whose face (lower or upper along the axis) has the voxel's outer face in its middle."""

    def box(voxels, half):
        low, high = _centred(voxels, half)
        face = voxels[:, axis] + (0 if side > 0 else 1)
        low[:, axis], high[:, axis] = (face, face + 2 * half) if side > 0 else (face - 2 * half, face)
        return low, high

    return box


def _grown(weight, voxels, box, mass):
    """Boxes that hold the mass, by bisection of their half width; and which do within the grid."""
    short, long = np.zeros(len(voxels)), np.full(len(voxels), float(max(weight.shape)))
    reached = box_sum(weight, *box(voxels, long)) >= mass
    for _ in range(48):
        half = (short + long) / 2
        enough = box_sum(weight, *box(voxels, half)) >= mass
        short, long = np.where(enough, short, half), np.where(enough, half, long)
    return *box(voxels, long), reached


def _fills(tissue, low, high):
    return box_sum(tissue, low, high) >= (1 - _BACKGROUND) * np.prod(high - low, axis=1)


def _touches(tissue, low, high):
    """Whether the outermost layer of voxels at each of the six faces holds tissue within the cube."""
    good = np.ones(len(low), bool)
    for axis in range(3):
        inner_low, inner_high = low.copy(), high.copy()
        inner_high[:, axis] = np.floor(low[:, axis] + 1e-9) + 1
        inner_low[:, axis] = np.ceil(high[:, axis] - 1e-9) - 1
        good &= (box_sum(tissue, low, inner_high) > 1e-9) & (box_sum(tissue, inner_low, high) > 1e-9)
    return good


def _covered(shape, low, high):
    """Which voxels lie wholly in at least one box: differences at the corners of the boxes, summed up."""
    first, last = np.ceil(low - 1e-9).astype(int), np.floor(high + 1e-9).astype(int)
    count = np.zeros([n + 1 for n in shape], int)
    for corner in np.ndindex(2, 2, 2):
        at = np.where(np.array(corner), last, first)
        np.add.at(count, tuple(np.clip(at, 0, shape).T), (-1) ** sum(corner))
    for axis in range(3):
        count = np.cumsum(count, axis=axis)
    return count[tuple(slice(0, n) for n in shape)] > 0


def _face_cubes(weight, voxels, mass):
    boxes = [_grown(weight, voxels, _on_face(axis, side), mass) for axis in range(3) for side in (1, -1)]
    low, high = (np.stack([b[i] for b in boxes]) for i in (0, 1))
    width = np.where(np.stack([b[2] for b in boxes]), (high - low)[..., 0], np.inf)
    good = (width**3 <= _NEAR_SMALLEST * width.min(axis=0) ** 3) & np.isfinite(width)
    which, voxel = np.nonzero(good)
    return low[which, voxel], high[which, voxel], voxels[voxel]


def voxel_map(shape, cubes: Cubes, values) -> np.ndarray:
    """SAR (nx,ny,nz) of every voxel from that of every cube (K,); NaN in air.

    By the standard: a valid cube gives its value to its voxel; a voxel without one takes the largest of the valid cubes in which
    it lies wholly; one that lies in none takes the largest of its cubes with a face on it.
    """
    values, full = np.asarray(values), np.full(shape, np.nan)
    first, last = np.ceil(cubes.low - 1e-9).astype(int), np.floor(cubes.high + 1e-9).astype(int)
    for k in np.argsort(values[: cubes.valid]):  # rising, so that the largest stays
        full[tuple(slice(max(a, 0), b) for a, b in zip(first[k], last[k]))] = values[k]
    at = tuple(cubes.voxel[cubes.valid :].T)
    own = np.full(shape, -np.inf)
    np.maximum.at(own, at, values[cubes.valid :])
    full[at] = own[at]
    full[tuple(cubes.voxel[: cubes.valid].T)] = values[: cubes.valid]
    return full


# --- forms of the drive -----------------------------------------------------------------------------


def averaged_forms(body: Body, cubes: Cubes, electric, conductivity) -> np.ndarray:
    """Q (K,C,C) W/kg of every cube: SAR = I^H Q I for peak currents I.

    electric (V,12,C) V/m per ampere along the edges of the voxels with tissue, conductivity (V,) S/m.  The mean of
    the squares over the edges of a voxel is what the body absorbs there, so that SAR times mass adds up to the power.
    """
    channels = electric.shape[2]
    forms = np.zeros((len(cubes.mass), channels, channels), complex)
    field, density = np.zeros(body.label.shape, complex), np.asarray(conductivity)[:, None] / 8 * body.spacing**3
    for a in range(channels):
        for b in range(a, channels):
            field[body.inside] = np.sum(density * electric[:, :, a].conj() * electric[:, :, b], axis=1)
            forms[:, a, b] = box_sum(cumulative(field), cubes.low, cubes.high) / cubes.mass
            forms[:, b, a] = forms[:, a, b].conj()
    return forms


def whole_form(body: Body, power) -> np.ndarray:
    """Q (C,C) W/kg of the whole body, from the absorbed power (C,C) W."""
    return np.asarray(power) / body.mass.sum()


def of_drive(forms, current) -> np.ndarray:
    """SAR (K,) W/kg of peak currents (C,) A, continuous."""
    return np.einsum("a,kab,b->k", np.conj(current), forms, current).real
