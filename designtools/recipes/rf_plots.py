"""Pictures and maps of an RF design: transmit field, SAR and SNR in three planes, channels as a table."""

from __future__ import annotations

import numpy as np

from designtools.materials.sar_limits import profiles, status
from designtools.recipes.rf_setting import Setting, as_sphere, middle
from designtools.result import Ball, FieldMap, PlaneMap, Table
from designtools.rf import receive, sar
from designtools.rf.layered_sphere import ultimate_map
from designtools.units import format

_DEGREE = 40  # of the modes of the ultimate in maps: within 2 % at 0.9 of the radius
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
    """SAR over 10 g (nx,ny,nz) W/kg of every voxel with tissue, by the rule of IEC/IEEE 62704-1; NaN in air."""
    if found.cubes is None:
        return np.full(setting.body.label.shape, np.nan)
    values = sar.voxel_map(setting.body.label.shape, found.cubes, sar.of_drive(found.forms, found.current))
    return np.where(setting.body.inside, values, np.nan)


def snr_map(setting: Setting, found) -> np.ndarray:
    """SNR (nx,ny,nz) of the best combination, in T/√W, to which the signal-to-noise ratio is proportional."""
    return volume(setting, receive.snr(found.receive, receive.noise_resistance(found.power)))


def share_map(setting: Setting, found) -> np.ndarray:
    """SNR over the ultimate (nx,ny,nz) of concentric spheres; NaN where the phantom is none."""
    sphere = as_sphere(setting)
    if sphere is None:
        return np.full(setting.body.label.shape, np.nan)
    places = setting.body.centres - np.asarray(setting.spec.phantom.centre)
    places = places * np.minimum(1, 0.999 * sphere.outer / np.maximum(np.linalg.norm(places, axis=1, keepdims=True), 1e-9))
    best = np.sqrt(ultimate_map(sphere, places, _DEGREE, setting.spec.frame.b0_axis) / 2)
    return volume(setting, receive.snr(found.receive, receive.noise_resistance(found.power)) / best)


def plots(setting: Setting, found) -> dict:
    """Three planes through the middle of the region for each quantity, and the channels."""
    quantities = {
        "b1": ("Transmit field", transmit_map(setting, found), "T", "|B1+|"),
        "sar": ("SAR over 10 g, design estimate", sar_map(setting, found), "W/kg", "SAR"),
        "snr": ("Signal-to-noise ratio of the best combination", snr_map(setting, found), "T/√W", "per root of noise power"),
        "share": ("Signal-to-noise ratio over the ultimate", share_map(setting, found), "1", "of the ultimate"),
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


def limit_table(setting: Setting, figures) -> Table:
    """SAR beside the limits of each profile: margin, the level of transmission that just keeps the limit, status and source.

    A figure that was not computed is not evaluated.
    """
    rows = tuple(row for name, profile in profiles().items() for row in _profile_rows(setting, name, profile, figures))
    columns = ("profile", "figure", "value", "limit", "margin", "B1 rms that keeps it", "status of the limit")
    return Table("SAR beside limits", columns, rows, f"Averages over six minutes (IEC) or as the profile says. Not a statement of conformity: {status()}.")


def _profile_rows(setting: Setting, name, profile, figures):
    for limit in profile.limits:
        if limit.site == "extremities" and setting.spec.phantom.part == "head":
            continue
        value = figures[limit.figure].value if limit.figure in figures else None
        yield _limit_row(setting, name, limit.figure + (f" ({limit.site})" if limit.site else ""), value, limit.limit, limit.status)
    if profile.partial_body is not None and "sar_whole_body" in figures:
        exposed = min(1.0, float(setting.body.mass.sum()) / setting.spec.transmit.patient_mass)
        over = setting.spec.transmit.patient_mass if setting.spec.phantom.part == "head" else float(setting.body.mass.sum())
        value = figures["sar_whole_body"].value * over / float(setting.body.mass.sum())
        yield _limit_row(setting, name, f"partial body, {exposed:.0%} exposed", value, profile.partial_body.limit(exposed), profile.partial_body.status)


def _limit_row(setting: Setting, name, what, value, limit, words):
    if value is None:
        return name, what, "NOT EVALUATED", format(limit, "W/kg"), "NOT EVALUATED", "NOT EVALUATED", words
    level = setting.b1_rms * np.sqrt(limit / value)
    return name, what, format(value, "W/kg", 4), format(limit, "W/kg"), f"{100 * (1 - value / limit):.1f} %", format(level, "T", 4), words


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
    if setting.spec.nucleus == "1H":
        images["snr absolute"] = (receive.absolute(snr_map(setting, found), setting.spec.frequency), "1")
    return tuple(FieldMap(name, axes, np.nan_to_num(values), unit, affine) for name, (values, unit) in images.items())
