"""Pictures and maps of an RF design: transmit field, SAR and SNR in three planes, channels as a table."""

from __future__ import annotations

import numpy as np

from designtools.materials.sar_limits import profiles
from designtools.recipes.rf_setting import Setting, middle
from designtools.result import Ball, FieldMap, PlaneMap, Table
from designtools.rf import receive, sar
from designtools.units import format

_PLANES = (("axial", 0, 1, 2), ("coronal", 0, 2, 1), ("sagittal", 1, 2, 0))  # name, axes across and up, axis held


def volume(setting: Setting, values, outside=np.nan) -> np.ndarray:
    """Values (V,) of the voxels with tissue on the grid (nx,ny,nz)."""
    full = np.full(setting.body.label.shape, outside, dtype=float)
    full[setting.body.inside] = values
    return full


def transmit_map(setting: Setting, found) -> np.ndarray:
    """|B1+| (nx,ny,nz) T of the drive."""
    return volume(setting, np.abs(found.transmit @ found.current))


def sar_map(setting: Setting, found) -> np.ndarray:
    """SAR over 10 g (nx,ny,nz) W/kg: the largest of the cubes of each voxel; NaN where a voxel only lies in others' cubes."""
    full = np.full(setting.body.label.shape, -np.inf)
    if found.cubes is not None:
        np.maximum.at(full, tuple(found.cubes.voxel.T), sar.of_drive(found.forms, found.current))
    return np.where(np.isfinite(full), full, np.nan)


def snr_map(setting: Setting, found) -> np.ndarray:
    """SNR (nx,ny,nz) of the best combination, in T/√W, to which the signal-to-noise ratio is proportional."""
    return volume(setting, receive.snr(found.receive, receive.noise_resistance(found.power)))


def plots(setting: Setting, found) -> dict:
    """Three planes through the middle of the region for each quantity, and the channels."""
    quantities = {
        "b1": ("Transmit field", transmit_map(setting, found), "T", "|B1+|"),
        "sar": ("SAR over 10 g, design estimate", sar_map(setting, found), "W/kg", "SAR"),
        "snr": ("Signal-to-noise ratio of the best combination", snr_map(setting, found), "T/√W", "per root of noise power"),
    }
    records = {"body": _outline(setting), "channels": channel_table(found)}
    for key, (title, values, unit, label) in quantities.items():
        if np.isfinite(values).any():
            records |= {f"{key}_{plane[0]}": _plane(setting, values, plane, title, unit, label) for plane in _PLANES}
    if setting.warnings:
        records["warnings"] = Table("Outside the model", ("warning",), tuple((w,) for w in setting.warnings))
    return records


def _outline(setting: Setting) -> Ball:
    places = setting.body.centres
    half = (np.ptp(places, axis=0) + setting.body.spacing) / 2
    return Ball("box of the body, as an ellipsoid", tuple(half), tuple((places.min(axis=0) + places.max(axis=0)) / 2))


def _plane(setting: Setting, values, plane, title, unit, label) -> PlaneMap:
    name, across, up, held = plane
    axes, centre = setting.body.axes, setting.body.centres[middle(setting)]
    index = int(round((centre[held] - axes[held][0]) / setting.body.spacing))
    return PlaneMap(
        f"{title}: {name}", axes[across], axes[up], np.take(values, index, axis=held), unit, "xyz"[across], "xyz"[up],
        label=label, origin=centre[held] * np.eye(3)[held], x_direction=np.eye(3)[across], y_direction=np.eye(3)[up],
    )  # fmt: skip


def limit_table(figures) -> Table:
    """SAR beside the limits of each profile, with the status of those limits; a figure that was not computed is not evaluated."""
    known = profiles()
    rows = tuple(
        (profile, name, figures[name] if name in figures else "NOT EVALUATED", format(limit, "W/kg"))
        for profile, limits in known.limits.items()
        for name, limit in limits.items()
    )
    return Table("SAR beside limits", ("profile", "figure", "value", "limit"), rows, f"Not a statement of conformity. Limits: {known.status}.")


def channel_table(found) -> Table:
    """Peak current and phase of each port at the stated level."""
    rows = tuple((i + 1, format(abs(c), "A", 4), f"{np.degrees(np.angle(c)):.1f} deg") for i, c in enumerate(found.current))
    return Table("Drive", ("channel", "peak current", "phase"), rows, "At the level at which SAR is stated.")


def maps(setting: Setting, found) -> tuple[FieldMap, ...]:
    """The same quantities on the grid, as images in scanner coordinates."""
    axes = tuple(setting.body.spacing * np.arange(n) for n in setting.body.label.shape)
    affine = np.diag([setting.body.spacing * 1e3] * 3 + [1.0])
    affine[:3, 3] = np.asarray(setting.body.corner) * 1e3
    phase = volume(setting, np.angle(found.transmit @ found.current), 0.0)
    images = {
        "b1 transmit": (transmit_map(setting, found), "T"), "b1 transmit phase": (phase, "rad"),
        "sar 10g": (sar_map(setting, found), "W/kg"), "snr": (snr_map(setting, found), "T/√W"),
        "labels": (setting.body.label.astype(float), "1"),
    }  # fmt: skip
    return tuple(FieldMap(name, axes, np.nan_to_num(values), unit, affine) for name, (values, unit) in images.items())
