"""Measured field maps, read into metres and hertz: NIfTI volumes with their mask, or tables of points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from designtools.recipes.point_map import read_map
from designtools.spec import Mistake, SpecError
from designtools.units import GAMMA_BAR

MILLIMETRE = 1e-3
OUTLIER = 20.0  # median deviations, beyond which a point of a table is left out
LEAST = 20  # voxels or points
SCANNER_UNITS = 2 * np.pi + 0.1  # phases beyond +-this are no radians but steps of a full turn over their range


@dataclass(frozen=True)
class Grid:
    """An image: what it holds in Hz (nx,ny,nz), which voxels count, affine (4,4) voxel -> mm in the scanner."""

    frequency: np.ndarray
    mask: np.ndarray
    affine: np.ndarray


@dataclass(frozen=True)
class Volume:
    """A measured map: points (P,3) m from `origin` (3,) m, values (P,) Hz there, weights (P,) with mean 1.

    grid is the image that it came from, whose masked voxels are the points, in the order of `frequency[mask]`; None
    for a table of points.  breathing (P,) Hz per unit of the trace, or None.  `told` says what was read, for the reader.
    """

    name: str
    points: np.ndarray
    values: np.ndarray
    weights: np.ndarray
    origin: np.ndarray
    grid: Grid | None = None
    breathing: np.ndarray | None = None
    told: str = ""

    @property
    def mask(self):
        return self.grid.mask

    @property
    def affine(self):
        return self.grid.affine

    @property
    def frequency(self):
        return self.grid.frequency


def read_volumes(spec, keys=None) -> tuple[Volume, ...]:
    """Every map of the spec; raises SpecError, naming its key (by default that of a shim), for one that cannot be used."""
    keys = keys or [f"subjects.{k}" for k in range(len(spec.subjects))] or ["field_map"]
    names = [f"map {k + 1}" for k in range(len(keys))] if len(keys) > 1 else [""]
    return tuple(_read_one(spec, asked, key, name) for asked, key, name in zip(spec.maps, keys, names))


def _read_one(spec, asked, key: str, name: str) -> Volume:
    return _table(spec, asked, key, name) if asked.points else _image(spec, asked, key, name)


def _refused(key: str, sentence: str) -> SpecError:
    return SpecError([Mistake("", key, sentence)])


# --- volumes ------------------------------------------------------------------------------------


def _image(spec, asked, key: str, name: str) -> Volume:
    magnitude = None if asked.magnitude is None else _read(asked.magnitude, f"{key}.magnitude")
    raw, affine = _phase_grown(asked, key) if asked.phase else _read(asked.b0, f"{key}.b0")
    beside = lambda path, own: _same_grid(*_read(path, f"{key}.{own}"), raw.shape, affine, f"{key}.{own}")
    strength = None if magnitude is None else _same_grid(*magnitude, raw.shape, affine, f"{key}.magnitude")
    soft = _default_mask(raw, strength) if asked.mask is None else beside(asked.mask, "mask")
    mask = np.isfinite(soft) & (soft > 0)
    _check_mask(raw, mask, f"{key}.mask")
    frequency = _hertz(raw, asked, mask, strength)
    breathing = None if asked.breathing is None else _scale(asked) * beside(asked.breathing, "breathing")[mask]
    voxels = voxel_centres(np.argwhere(mask), affine)
    centre = (voxels.min(axis=0) + voxels.max(axis=0)) / 2 if spec.origin == "mask_centre" else np.zeros(3)
    weights = _weights(spec, asked, soft, strength, mask, key)
    grid = Grid(np.where(np.isfinite(frequency), frequency, 0.0), mask, affine)
    told = f"{mask.sum()} voxels of {_sizes(affine)} mm{_turned(affine)}; {_unit_words(asked)}; coordinates: right, front, up of the scanner"
    return Volume(name, voxels - centre, frequency[mask], weights, centre, grid, breathing, told)


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
    if values.ndim == 4 and values.shape[3] == 1:
        values = values[..., 0]
    if values.ndim != 3:
        raise _refused(key, f"must be one volume of three dimensions, got shape {values.shape} in '{path}'; split the series")
    millimetres = {"meter": 1e3, "micron": 1e-3}.get(unit, 1.0)
    return values, np.diag([millimetres] * 3 + [1.0]) @ image.affine


def _same_grid(values, affine, shape, wanted, key: str) -> np.ndarray:
    if values.shape != shape or not np.allclose(affine, wanted, atol=1e-3):
        raise _refused(key, f"must lie on the grid of the map, of shape {shape}, got {values.shape} or another affine; resample it onto the map")
    return values


def _check_mask(raw, mask, key: str):
    if mask.sum() < LEAST:
        raise _refused(key, f"must select at least {LEAST} voxels, got {mask.sum()}; mend the mask")
    bad = int((~np.isfinite(raw[mask])).sum())
    if bad:
        raise _refused(key, f"must select voxels with finite field, got {bad} without of {mask.sum()}; shrink the mask or mend the map")
    if not raw[mask].any():
        raise _refused(key, "must select voxels with a field, got zero everywhere; does the mask lie off the map?")


def _default_mask(raw, magnitude) -> np.ndarray:
    """The largest connected part that is bright, or, without a magnitude, where the map is neither zero nor missing."""
    from scipy import ndimage

    bright = (magnitude > _otsu(magnitude)) if magnitude is not None else np.isfinite(raw) & (raw != 0)
    parts, count = ndimage.label(bright & np.isfinite(raw))
    if count == 0:
        return np.zeros(raw.shape)
    largest = 1 + np.argmax(np.bincount(parts.ravel())[1:])
    return (ndimage.binary_fill_holes(parts == largest) & np.isfinite(raw)).astype(float)


def _otsu(values) -> float:
    """The threshold that parts dark from bright: the largest variance between the two classes (Otsu, 1979)."""
    count, edges = np.histogram(values[np.isfinite(values)], 256)
    middle = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(count)
    above = below[-1] - below
    mean_below = np.cumsum(count * middle) / np.maximum(below, 1)
    mean_above = (np.sum(count * middle) - np.cumsum(count * middle)) / np.maximum(above, 1)
    return float(middle[np.argmax(below * above * (mean_below - mean_above) ** 2)])


def _hertz(raw, asked, mask, magnitude) -> np.ndarray:
    if asked.phase or asked.unit == "rad":
        from designtools.recipes.unwrap import unwrapped  # graphs of scipy: half a second that maps in hertz need not wait

        raw = unwrapped(raw, mask, magnitude)
    return _scale(asked) * raw


def _scale(asked) -> float:
    """Hz per unit of the map."""
    unit = "rad" if asked.phase else asked.unit or "Hz"
    return {
        "Hz": 1.0,
        "rad/s": 1 / (2 * np.pi),
        "T": GAMMA_BAR,
        "ppm": 1e-6 * GAMMA_BAR * (asked.field_strength or 0.0),
        "rad": 1 / (2 * np.pi * (asked.echo_time or np.inf)),
    }[unit]


def _phase_grown(asked, key: str):
    """What the phase grew between two echoes (rad), within one turn."""
    (first, affine), (second, other) = (_read(path, f"{key}.phase.{k}") for k, path in enumerate(asked.phase))
    second = _same_grid(second, other, first.shape, affine, f"{key}.phase.1")
    return np.angle(np.exp(1j * (_radians(second) - _radians(first)))), affine


def _radians(phase) -> np.ndarray:
    """Radians as they are; steps of a scanner (such as 0 to 4095) as one turn over the range of their kind."""
    low, high = np.nanmin(phase), np.nanmax(phase)
    if max(-low, high) <= SCANNER_UNITS:
        return phase
    turn = 2.0 ** np.ceil(np.log2(max(high + 1, 1) if low >= 0 else 2 * max(high, -low)))
    return phase * (2 * np.pi / turn)


def _weights(spec, asked, soft, magnitude, mask, key) -> np.ndarray:
    weight = np.ones(int(mask.sum())) if not asked.soft_mask else soft[mask]
    if spec.weight_by == "magnitude":
        weight = weight * np.clip(magnitude[mask], 0, None)
    if not weight.sum() > 0:
        raise _refused(f"{key}.magnitude", "must be positive somewhere in the mask, got nothing; check the image")
    return weight * (weight.size / weight.sum())


def _sizes(affine) -> str:
    return " x ".join(f"{s:.4g}" for s in np.linalg.norm(affine[:3, :3], axis=0))


def _turned(affine) -> str:
    """Words for an image that is not along the scanner's axes."""
    unit = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    off = np.degrees(np.arccos(np.clip(np.abs(unit).max(axis=0).min(), -1, 1)))
    return f", oblique by up to {off:.1f} deg" if off > 0.1 else ""


def _unit_words(asked) -> str:
    if asked.phase:
        return f"two phase images, {1e3 * asked.echo_time:g} ms apart, unwrapped"
    return f"read as {asked.unit or 'Hz'}" + (f" at {1e3 * asked.echo_time:g} ms, unwrapped" if asked.unit == "rad" else "")


def voxel_centres(index, affine) -> np.ndarray:
    """Scanner coordinates (P,3) m of voxels (P,3); the affine may be oblique."""
    return (index @ affine[:3, :3].T + affine[:3, 3]) * MILLIMETRE


# --- points ---------------------------------------------------------------------------------------


def _table(spec, asked, key: str, name: str) -> Volume:
    """Points of a probe; fields in tesla count as deviations from their median."""
    points, field = read_map(asked.b0, spec.frame.b0_axis, key=f"{key}.b0")
    centre = (points.min(axis=0) + points.max(axis=0)) / 2 if spec.origin == "mask_centre" else np.zeros(3)
    if asked.within is not None:
        near = np.linalg.norm(points - centre, axis=1) <= asked.within
        points, field = points[near], field[near]
    off = np.abs(field - np.median(field)) if len(field) else field
    good = off <= OUTLIER * max(np.median(off), 1e-12) if len(field) else off
    if good.sum() < LEAST:
        raise _refused(f"{key}.b0", f"must have at least {LEAST} sound points, got {int(good.sum())}; check its units and `within`")
    values = GAMMA_BAR * (field[good] - field[good].mean())
    told = f"{int(good.sum())} points ({int((~good).sum())} off the others left out); mean field {1e3 * field[good].mean():.6g} mT along b0"
    return Volume(name, points[good] - centre, values, np.ones(int(good.sum())), centre, told=told)
