"""RF: sensitivities for simulators, virtual observation points, S-parameters, capacitor tables."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np


# --- sensitivities ----------------------------------------------------------------------------------


def refuses_b1(result) -> str:
    """Why there is nothing to write, or ""."""
    return "" if "b1_minus" in result.arrays else "the design has no fields of RF channels"


def write_b1(result, path: Path) -> tuple[Path, ...]:
    """HDF5 of both rotating components, the same for JEMRIS, and 4-D NIfTI pairs (real, imaginary; channels last).

    The HDF5 file holds `x`, `y`, `z` (m) and complex `coil_sens` (B1-, receive) and `b1_plus` (transmit), T/A, with the
    axes (channel, z, y, x): read by a language that counts the first axis fastest (Julia, Fortran) they are (x, y, z,
    channel), the order of ArbitraryCoilSens in KomaMRI.
    """
    files = [_hdf5(result, path), *_jemris(result, path)]
    for name in ("b1_plus", "b1_minus"):
        for part in ("real", "imag"):
            files.append(path.with_name(f"{path.stem.removesuffix('-b1')}-{name.replace('_', '-')}-{part}.nii.gz"))
            _image(result, name, part, files[-1])
    return tuple(files)


def _hdf5(result, path: Path) -> Path:
    import h5py

    with h5py.File(path, "w") as file:
        for name in "xyz":
            file[name] = result.arrays[f"b1_{name}"]
            file[name].attrs["unit"] = "m"
        for name, source, words in (("coil_sens", "b1_minus", "receive: (Bx - j By)/2 for B0 along z"), ("b1_plus", "b1_plus", "transmit: (Bx + j By)/2 for B0 along z")):
            file[name] = np.transpose(result.arrays[source], (3, 2, 1, 0))
            file[name].attrs.update({"unit": "T/A", "axes": "channel, z, y, x", "meaning": f"{words}; phasors exp(+jwt), peak values per ampere at the port"})
    return path


def _jemris(result, path: Path) -> tuple[Path, Path]:
    """Cubes of magnitude and phase (`/maps`), and the coil array that names them; JEMRIS counts x fastest and from -extent/2, in mm."""
    import h5py

    values, axes = _cube(result)
    maps, array = path.with_name(f"{path.stem}-jemris.h5"), path.with_name(f"{path.stem}-jemris.xml")
    ordered = np.transpose(values, (3, 2, 1, 0)).astype(complex)
    with h5py.File(maps, "w") as file:
        file["maps/magnitude"], file["maps/phase"] = np.abs(ordered), np.angle(ordered)
    points = len(axes)
    extent = float((axes[1] - axes[0]) * points * 1e3)
    row = lambda n: f'  <EXTERNALCOIL Name="C{n + 1}" Dim="3" Extent="{extent!r}" Points="{points}" Channel="{n}" Filename={quoteattr(maps.name)}/>'
    lines = ['<?xml version="1.0" encoding="utf-8"?>', "<CoilArray>", *map(row, range(values.shape[3])), "</CoilArray>"]
    array.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return maps, array


def _cube(result):
    """Receive maps on a cube about the origin whose sample i lies at i h - n h/2, and those coordinates; nearest voxel."""
    axes = [np.asarray(result.arrays[f"b1_{name}"]) for name in "xyz"]
    step = axes[0][1] - axes[0][0]
    reach = max(np.abs(axis).max() for axis in axes)
    count = 2 * int(np.ceil(reach / step + 0.5))
    places = step * (np.arange(count) - count / 2)
    index = [np.rint((places - axis[0]) / step).astype(int) for axis in axes]
    full = result.arrays["b1_minus"][np.ix_(*(np.clip(i, 0, len(a) - 1) for i, a in zip(index, axes)))]
    inside = [(i >= 0) & (i < len(a)) for i, a in zip(index, axes)]
    return full * (inside[0][:, None, None] & inside[1][None, :, None] & inside[2][None, None, :])[..., None], places


def _image(result, name, part, path) -> None:
    import nibabel

    axes = [np.asarray(result.arrays[f"b1_{axis}"]) for axis in "xyz"]
    affine = np.diag([*((axis[1] - axis[0]) * 1e3 for axis in axes), 1.0])
    affine[:3, 3] = [axis[0] * 1e3 for axis in axes]
    image = nibabel.Nifti1Image(np.asarray(getattr(result.arrays[name], part), np.float32), affine)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = f"{name} {part} part, T/A, channels last".encode()
    nibabel.save(image, path)


# --- virtual observation points ---------------------------------------------------------------------


def refuses_vop(result) -> str:
    """Why there is nothing to write, or ""."""
    return "" if "vop" in result.arrays else "the design has no virtual observation points; give transmit.vop_overestimate"


def write_vop(result, path: Path) -> tuple[Path, Path]:
    """`vop` (N,C,C) W/kg per A^2, with SAR = I^H A I <= max over n for peak currents I; `whole` (C,C) the body's average."""
    beside = path.with_suffix(".json")
    np.savez(path, vop=result.arrays["vop"], whole=result.arrays["sar_whole"])
    record = {"format": "designtools virtual observation points", "version": 1, "name": result.name, "points": len(result.arrays["vop"])}
    record |= {"unit": "W/kg/A^2", "drive": "peak currents at the ports, exp(+jwt); SAR_10g <= max_n I^H vop[n] I", **_proof(result)}
    beside.write_text(json.dumps(record, indent=1), encoding="utf-8")
    return path, beside


def _proof(result) -> dict:
    return {key: float(value) for key, value in zip(("cubes", "overestimate_allowed", "underestimate_bound"), result.arrays["vop_proof"])}


# --- circuits ---------------------------------------------------------------------------------------


def refuses_touchstone(result) -> str:
    """Why there is nothing to write, or ""."""
    if "scattering" not in result.arrays:
        return "the design has no S-parameters"
    try:
        import skrf  # noqa: F401
    except ImportError:
        return "Touchstone files need scikit-rf; install designtools[rf]"
    return ""


def write_touchstone(result, path: Path) -> tuple[Path]:
    """All ports over frequency, real and imaginary parts, all digits; the ending becomes .sNp."""
    import skrf

    ports = result.arrays["scattering"].shape[1]
    path = path.with_name(f"{path.stem}.s{ports}p")
    network = skrf.Network(f=np.asarray(result.arrays["scattering_frequency"]), s=result.arrays["scattering"], z0=float(result.arrays["scattering_line"]), f_unit="Hz", name=path.stem)
    network.write_touchstone(filename=path.stem, dir=str(path.parent), form="ri", write_z0=False, format_spec_A="{}", format_spec_B="{}", format_spec_freq="{}")
    return (path,)


def refuses_capacitors(result) -> str:
    """Why there is nothing to write, or ""."""
    return "" if _parts(result) else "the design has no capacitors"


def write_capacitors(result, path: Path) -> tuple[Path]:
    """One row per part: nucleus, channel, where it is, what it is, value in F or H."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["nucleus", "channel", "place", "part", "value", "unit"])
        rows.writerows(_parts(result))
    return (path,)


def _parts(result) -> list:
    circuits = result.audit.get("circuits")
    return list(circuits.get("parts", ())) if isinstance(circuits, dict) else []
