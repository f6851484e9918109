"""A measured field map and its mask, read from NIfTI into metres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from designtools.spec import Mistake, SpecError

MILLIMETRE = 1e-3


@dataclass(frozen=True)
class Volume:
    """A measured map: frequency (nx,ny,nz) Hz, mask (nx,ny,nz), affine (4,4) voxel -> mm in the scanner, origin (3,) m.

    `points` (P,3) m are the centres of the voxels in the mask, from the origin, in the order of `frequency[mask]`.
    """

    frequency: np.ndarray
    mask: np.ndarray
    affine: np.ndarray
    origin: np.ndarray

    @property
    def points(self) -> np.ndarray:
        return voxel_centres(np.argwhere(self.mask), self.affine) - self.origin

    @property
    def values(self) -> np.ndarray:
        """Frequency (P,) Hz in the mask."""
        return self.frequency[self.mask]


def read_volume(spec) -> Volume:
    """The map and its mask; raises SpecError where the two do not lie on the same grid or the mask is empty."""
    frequency, affine = _read(spec.field_map.b0, "field_map.b0")
    chosen, other = _read(spec.field_map.mask, "field_map.mask")
    if frequency.shape != chosen.shape or not np.allclose(affine, other, atol=1e-3):
        raise _refused(
            "field_map.mask",
            f"must lie on the grid of field_map.b0, of shape {frequency.shape}, "
            f"got {chosen.shape} or another affine; resample the mask onto the map",
        )
    mask = chosen != 0
    if not mask.any() or not np.isfinite(frequency[mask]).all():
        raise _refused("field_map.mask", "must select voxels with finite field, got none or some without; mend the mask")
    voxels = voxel_centres(np.argwhere(mask), affine)
    centre = (voxels.min(axis=0) + voxels.max(axis=0)) / 2
    return Volume(frequency, mask, affine, centre if spec.origin == "mask_centre" else np.zeros(3))


def _refused(key: str, sentence: str) -> SpecError:
    return SpecError([Mistake("", key, sentence)])


def _read(path, key: str) -> tuple[np.ndarray, np.ndarray]:
    """Values (nx,ny,nz) and the affine to mm of the NIfTI volume that `key` of the spec names."""
    import nibabel

    try:
        image = nibabel.load(path)
        values = np.asarray(image.dataobj, float)
        unit = image.header.get_xyzt_units()[0]
    except Exception as error:  # readers of foreign files raise whatever they stumble over
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise _refused(key, f"must be a sound NIfTI volume, got '{path}': {reason}") from None
    if values.ndim != 3:
        raise _refused(key, f"must be one volume of three dimensions, got shape {values.shape} in '{path}'; split the series")
    millimetres = {"meter": 1e3, "micron": 1e-3}.get(unit, 1.0)
    return values, np.diag([millimetres] * 3 + [1.0]) @ image.affine


def voxel_centres(index, affine) -> np.ndarray:
    """Scanner coordinates (P,3) m of voxels (P,3); the affine may be oblique."""
    return (index @ affine[:3, :3].T + affine[:3, 3]) * MILLIMETRE
