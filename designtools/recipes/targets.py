"""The field a gradient coil shall make: u(x) in metres, so that strength * u is B·b0."""

from __future__ import annotations

import numpy as np

from designtools.harmonics import Harmonics, fit, solid_harmonics


def shape_of(spec):
    """u: points (P,3) m -> (P,) m.

    Linear: the distance from the region's centre along the gradient axis.  A harmonic or a map: its shape, scaled so that
    its largest value on the region's surface is the region's largest half width.
    """
    target, centre = spec.target, np.asarray(spec.region.centre, float)
    if target.gradient_axis is not None:
        axis = np.asarray(target.gradient_axis, float)
        return lambda points: (np.asarray(points) - centre) @ axis
    table = _one_harmonic(target.harmonic) if target.harmonic else _fitted(target.field_map, centre, max(spec.region.half_widths))
    scale = max(spec.region.half_widths) / _largest(table, spec.region, centre)
    return lambda points: scale * _values(table, (np.asarray(points) - centre) / max(spec.region.half_widths))


def reach_of(spec, shape) -> float:
    """Largest |u| (m) in the region."""
    if spec.target.gradient_axis is not None:
        return spec.region.extent(spec.target.gradient_axis)
    return max(spec.region.half_widths)


def _one_harmonic(harmonic):
    cosine, sine = np.zeros((2, harmonic.degree + 1, harmonic.degree + 1))
    (cosine if harmonic.order >= 0 else sine)[harmonic.degree, abs(harmonic.order)] = 1.0
    return cosine, sine


def _fitted(field_map, centre, radius: float):
    """Coefficients of the solid harmonics that fit the map; the mean, which no coil needs to make, is left out."""
    points, values = read_map(field_map.path)
    found: Harmonics = fit(points, values, field_map.degree, radius, tuple(centre))
    cosine, sine = np.array(found.cosine), np.array(found.sine)
    cosine[0, 0] = 0.0
    return cosine, sine


def read_map(path) -> tuple[np.ndarray, np.ndarray]:
    """Points (P,3) m and values (P,) of a CSV with columns x, y, z, b; ValueError in words where it is not one."""
    try:
        table = np.atleast_1d(np.genfromtxt(path, delimiter=",", names=True, comments="#", dtype=float))
        rows = np.column_stack([table[name] for name in ("x", "y", "z", "b")])
    except (ValueError, IndexError, TypeError) as error:
        raise ValueError(f"{path} must be a CSV with the columns x, y, z (m) and b, got: {error}") from None
    if not np.isfinite(rows).all():
        raise ValueError(f"{path} must hold numbers only, got text or gaps in {int((~np.isfinite(rows)).any(1).sum())} of {len(rows)} rows")
    return rows[:, :3], rows[:, 3]


def _values(table, points) -> np.ndarray:
    cosine, sine = solid_harmonics(np.asarray(points, float), table[0].shape[0] - 1)
    return np.einsum("pnm,nm->p", cosine, table[0]) + np.einsum("pnm,nm->p", sine, table[1])


def _largest(table, region, centre) -> float:
    from designtools.regions import sphere_rule

    directions, _ = sphere_rule(60)
    surface = directions * np.asarray(region.half_widths) / max(region.half_widths)
    return float(np.abs(_values(table, surface)).max())
