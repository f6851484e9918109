"""Labelled volumes (NIfTI) as voxel bodies of any voxel size: each voxel takes the label that fills most of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np


class LabelError(ValueError):
    """A volume that is no body; `key` is the key of the phantom to mend."""

    def __init__(self, key: str, words: str):
        super().__init__(words)
        self.key = key


def resampled(path: str | Path, known: dict[int, int], spacing: float, fine: int = 3) -> np.ndarray:
    """Index (nx,ny,nz) of each voxel's material on a cubic grid of `spacing` (m) along the scanner's axes, cut to the tissue.

    known: label of the file -> index; 0 is air.  Every voxel is asked at fine^3 points, the most frequent label wins, the
    smaller index where equal.  LabelError in words.
    """
    import nibabel

    image = nibabel.load(path)
    label, affine = np.asarray(image.dataobj), np.asarray(image.affine, float)
    _check(label, affine, known)
    table = np.zeros(int(label.max()) + 1, np.int32)
    for value, index in known.items():
        if value < len(table):
            table[value] = index
    mapped = table[np.asarray(label, int)]
    box = np.argwhere(mapped)
    return _cut(_sampled(mapped, affine, box.min(0), box.max(0), spacing, fine, max(known.values()) + 1))


def _sampled(mapped, affine, low, high, spacing, fine, kinds):
    """Votes of the points of each new voxel, plane by plane."""
    corners = np.stack(np.meshgrid(*zip(low - 0.5, high + 0.5), indexing="ij"), -1).reshape(-1, 3)
    world = (corners @ affine[:3, :3].T + affine[:3, 3]) * 1e-3
    count = np.maximum(1, np.ceil(np.ptp(world, axis=0) / spacing - 1e-6).astype(int))
    first = (world.min(axis=0) + world.max(axis=0)) / 2 - spacing * (count - 1) / 2
    inner = (np.arange(fine) - (fine - 1) / 2) / fine
    back = np.linalg.inv(affine[:3, :3])
    result = np.zeros(count, np.int32)
    for k in range(count[2]):
        x, y = (first[a] + spacing * (np.arange(count[a])[:, None] + inner).ravel() for a in (0, 1))
        z = first[2] + spacing * (k + inner)
        points = np.stack(np.meshgrid(x, y, z, indexing="ij"), -1)
        index = np.rint((points * 1e3 - affine[:3, 3]) @ back.T + 1e-9).astype(int)
        inside = np.all((index >= 0) & (index < mapped.shape), axis=-1)
        found = np.where(inside, mapped[tuple(np.moveaxis(np.where(inside[..., None], index, 0), -1, 0))], 0)
        votes = found.reshape(count[0], fine, count[1], fine, fine).transpose(0, 2, 1, 3, 4).reshape(count[0], count[1], -1)
        result[:, :, k] = np.argmax([np.sum(votes == kind, axis=-1) for kind in range(kinds)], axis=0)
    return result


def _cut(body):
    box = np.argwhere(body)
    if not len(box):
        raise LabelError("voxel", "must be small enough to hold tissue, got only air; use smaller voxels")
    return body[tuple(slice(a, b + 1) for a, b in zip(box.min(0), box.max(0)))]


def _check(label, affine, known) -> None:
    if label.ndim != 3:
        raise LabelError("file", f"must be one volume, got shape {label.shape}; take one volume out of it")
    if abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise LabelError("file", "must have an affine that spans space, got a singular one; write the image anew")
    if not np.all(np.isfinite(label)) or np.any(label < 0) or np.any(label != np.rint(label)):
        raise LabelError("file", "must hold whole labels from 0, got others; round the image")
    missing = sorted(set(np.unique(label).astype(int).tolist()) - {0, *known})
    if missing:
        raise LabelError("tissues", f"must name a tissue for every label of the file, got none for {', '.join(map(str, missing[:8]))}")
    if not np.isin(label, list(known)).any():
        raise LabelError("file", "must hold at least one labelled voxel, got none")
