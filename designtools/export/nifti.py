"""NIfTI-1: maps that live in an image, with the affine of the image (voxel to mm, RAS)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from designtools.export.names import file_stem, siblings


FIELD = "b0.nii.gz"


def refuses(result) -> str:
    """Why there is nothing to write, or ""."""
    return "" if _images(result) else "no field map of the result carries an affine"


def write(result, path: Path) -> tuple[Path, ...]:
    """One float32 image per map; the first takes `path`, the others `stem-name` beside it.

    In a result folder b0.nii.gz is a map of the main field: a first image of something else takes its own name.
    """
    import nibabel

    images = _images(result)
    if path.name == FIELD and not images[0].name.startswith("b0"):
        path = path.with_name(f"{file_stem(images[0].name)}.nii.gz")
    files = [path, *siblings(path, [path.name, *(image.name for image in images[1:])])[1:]]
    for file, image in zip(files, images):
        header = nibabel.Nifti1Header()
        header.set_xyzt_units("mm")
        header["descrip"] = f"{image.name} in {image.unit}".encode("ascii", "replace")[:79]
        values = np.asarray(image.values, np.float32)
        nibabel.save(nibabel.Nifti1Image(values, np.asarray(image.affine, float), header), file)
    return tuple(files)


def _images(result) -> list:
    return [field_map for field_map in result.maps if field_map.affine is not None]
