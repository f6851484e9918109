"""What a field camera is worth: condition, how noise and errors of place come through, which faults show; and its readings."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from designtools import regions
from designtools.harmonics import fit_with_errors
from designtools.quantities import monitoring
from designtools.recipes.product import Evidence
from designtools.result import Ball, Figure, PlaneMap, Table
from designtools.spec import Mistake, SpecError
from designtools.units import GAMMA_BAR

SIDE = 61  # points along each side of a map
DRAWS = 2000  # of noise, in the audit


def evidence(setting, solution, product, progress) -> Evidence:
    """Figures of the probes as placed, an audit by other means, the readings fitted."""
    spec = setting.spec
    places = np.asarray(solution.design.parts["probes"].centre)
    F = monitoring.basis(places, spec.order, setting.radius)
    points = regions.scattered_ball(spec.region.radius, spec.region.centre, 3000, spec.seed).points
    spread = monitoring.spread_of_fit(F, monitoring.basis(points, spec.order, setting.radius))
    progress("drawing noise and fitting by other means")
    record = {
        "probes_m": places.tolist(),
        "other harmonics": _other_harmonics(places, setting),
        "drawn noise": _drawn_noise(setting, F, places, points),
        "magpylib": "not evaluated: probes carry no current",
    }
    plots = {
        "region": Ball("region", spec.region.radius, tuple(spec.region.centre)),
        "probes": _probe_table(spec, F, places),
        **{f"noise_{name}": _noise_map(setting, F, name) for name in ("across", "along")},
    }
    figures = _figures(setting, F, places, spread)
    if spec.readings is not None:
        found = read_and_fit(setting, places)
        figures |= found[0]
        record["readings"] = found[1]
        plots["readings"] = found[2]
    return Evidence(figures, record, plots)


def _figures(setting, F, places, spread) -> dict[str, Figure]:
    spec, noise = setting.spec, setting.spec.noise
    words = f"harmonics to order {spec.order}, each with mean square 1 on the sphere of {1e3 * setting.radius:g} mm"
    fault = monitoring.smallest_fault(F)
    away = np.linalg.norm(places[:, None] - places[None], axis=2) + np.diag(np.full(len(places), np.inf))
    shift = spec.gradient_strength * spec.position_error
    figures = {
        "condition_number": Figure(monitoring.condition(F), "1", f"of the matrix from coefficients to readings: {words}"),
        "d_efficiency": Figure(monitoring.d_efficiency(F), "1", "det(F'F/N)^(1/K): no probes anywhere on that sphere reach more than 1"),
        "field_noise_max": Figure(float(noise * spread.max()), "T", "largest standard deviation of the fitted field in the region, from the noise of the readings"),
        "field_noise_rms": Figure(float(noise * np.sqrt(np.mean(spread**2))), "T", "root mean square over the region, likewise"),
        "field_placement_error_max": Figure(float(shift * spread.max()), "T", "likewise, from errors of place in a gradient of gradient_strength"),
        "probe_spacing_min": Figure(float(away.min()), "m", "smallest distance between two probes"),
    }
    if np.isfinite(fault).all():
        figures["fault_detectable"] = Figure(float(noise * fault.max()), "T", "fault of the least checked probe that its residual reveals four times in five, at one false alarm in a thousand")
    return figures


# --- by other means -------------------------------------------------------------------------------


def _other_harmonics(places, setting) -> dict:
    """The condition number with SciPy's spherical harmonics in place of ours."""
    from scipy.special import sph_harm_y

    r, theta, phi = np.linalg.norm(places, axis=1), np.arccos(places[:, 2] / np.linalg.norm(places, axis=1)), np.arctan2(places[:, 1], places[:, 0])
    columns = []
    for n in range(setting.spec.order + 1):
        for m in range(n + 1):
            value = (r / setting.radius) ** n * sph_harm_y(n, m, theta, phi) * np.sqrt(4 * np.pi * (2 if m else 1))
            columns += [value.real] if m == 0 else [value.real, value.imag]
    other = np.stack(columns, axis=1)
    return {"condition number": monitoring.condition(other), "difference from ours": monitoring.condition(other) / monitoring.condition(monitoring.basis(places, setting.spec.order, setting.radius)) - 1}


def _drawn_noise(setting, F, places, points) -> dict:
    """Noise drawn at the probes, fitted, and looked at in the region; and one frame through the harmonics' own fit."""
    spec = setting.spec
    rng = np.random.default_rng(spec.seed)
    drawn = rng.normal(size=(DRAWS, len(places))) * spec.noise
    at = monitoring.basis(points[:300], spec.order, setting.radius)
    fields = np.linalg.lstsq(F, drawn.T, rcond=None)[0].T @ at.T
    frame = fit_with_errors(places, drawn[0], spec.order, setting.radius, noise=spec.noise).table if len(places) >= F.shape[1] else None
    own = np.asarray(frame.component(points[:300])) if frame is not None else fields[0]
    return {
        "draws": DRAWS,
        "largest spread in the region (T)": float(fields.std(axis=0).max()),
        "predicted there (T)": float(spec.noise * monitoring.spread_of_fit(F, at).max()),
        "one frame, difference from harmonics.fit (T)": float(np.abs(own - fields[0]).max()),
    }


# --- readings ---------------------------------------------------------------------------------------


def read_and_fit(setting, places):
    """Figures, record and table of measured frames."""
    spec = setting.spec
    values = _frames(spec, len(places))
    tesla = values / GAMMA_BAR if spec.readings.unit == "Hz" else values
    if spec.readings.magnitude:
        fit = lambda frame: monitoring.magnitude_fit(places, frame, spec.main_field, spec.order, setting.radius, setting.b0)
        coefficients = np.stack([fit(frame) for frame in tesla])
        bad, residual = np.zeros(tesla.shape, bool), None
        method = "readings of the magnitude, with the field across B0 (concomitant) of the same harmonics"
    else:
        found = monitoring.fitted(monitoring.basis(places, spec.order, setting.radius), tesla, spec.noise)
        coefficients, bad, residual = found.coefficients, found.bad, found.residuals
        method = "least squares of the field along B0; probes that the others contradict are left out, frame by frame"
    names = monitoring.basis_names(spec.order)
    words = [f"{'a' if kind == 'cosine' else 'b'}{n},{m}" for kind, n, m in names]
    figures = {"readings_bad": Figure(float(bad.sum()), "1", "readings that the other probes contradict, in all frames")}
    if residual is not None:
        good = np.where(bad, np.nan, residual)
        figures["fit_residual_rms"] = Figure(float(np.sqrt(np.nanmean(good**2))), "T", f"what the fit leaves of {int((~bad).sum())} readings")
    rows = tuple((w, *(Figure(float(c), "T", "") for c in coefficients[:8, k])) for k, w in enumerate(words))
    caption = f"Mean square 1 on the sphere of {1e3 * setting.radius:g} mm; {method}. All frames stand in result.json."
    table = Table("Harmonics of the first frames", ("term", *(f"frame {k + 1}" for k in range(min(8, len(coefficients))))), rows, caption)
    record = {"terms": words, "coefficients_T": coefficients.tolist(), "bad": [[int(k) for k in np.flatnonzero(row)] for row in bad], "method": method}
    return figures, record, table


def _frames(spec, count: int) -> np.ndarray:
    path = spec.readings.path
    lines = [line for line in Path(path).read_text(encoding="utf-8-sig").splitlines() if line.strip() and not line.startswith("#")]
    rows = [row for row in csv.reader(lines)]
    try:
        if rows and not _number(rows[0][0]):
            rows = rows[1:]
        values = np.array([[float(v) for v in row] for row in rows])
    except ValueError as error:
        raise SpecError([Mistake("", "readings.path", f"must hold numbers, got '{path}': {error}")]) from None
    if values.ndim != 2 or values.shape[1] != count:
        raise SpecError([Mistake("", "readings.path", f"must have a column for each of {count} probes, got shape {values.shape} in '{path}'")])
    return values


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# --- pictures -----------------------------------------------------------------------------------------


def _probe_table(spec, F, places) -> Table:
    fault, share = monitoring.smallest_fault(F) * spec.noise, monitoring.leverage(F)
    rows = tuple(
        (k + 1, *(f"{1e3 * v:+.2f}" for v in place), f"{h:.3f}", Figure(float(f), "T", "") if np.isfinite(f) else "not checked")
        for k, (place, h, f) in enumerate(zip(places, share, fault))
    )
    return Table("Probes", ("probe", "x (mm)", "y (mm)", "z (mm)", "leverage", "smallest fault found"), rows, "A probe of leverage 1 is checked by no other.")


def _noise_map(setting, F, name: str) -> PlaneMap:
    """Standard deviation of the fitted field in a plane through the centre of the region."""
    first, second, bore = setting.frame
    other = second if name == "across" else bore
    x = np.linspace(-1, 1, SIDE) * setting.spec.region.radius
    grid = np.asarray(setting.spec.region.centre) + x[:, None, None] * first + x[None, :, None] * other
    spread = monitoring.spread_of_fit(F, monitoring.basis(grid.reshape(-1, 3), setting.spec.order, setting.radius)).reshape(SIDE, SIDE)
    inside = x[:, None] ** 2 + x[None] ** 2 <= setting.spec.region.radius**2 * (1 + 1e-9)
    label = "across the bore" if name == "across" else "along the bore"
    return PlaneMap(
        f"Noise of the fitted field, plane {label}", x, x, np.where(inside, setting.spec.noise * spread, np.nan), "T", x_label="across the bore",
        y_label=label, label="standard deviation", caption="What the noise of the readings makes of the fitted field.",
    )  # fmt: skip
