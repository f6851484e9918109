"""Numbers of receive loops on a helmet around a sphere: signal-to-noise ratio against the ultimate, in closed form."""

from __future__ import annotations

import numpy as np

from designtools.recipes.rf_setting import Setting, as_sphere, wire_resistance
from designtools.result import Lines
from designtools.rf import coils, receive, wires
from designtools.rf.layered_sphere import fields, power_matrix, rotating, ultimate_sensitivity, wave_of_currents

_DEGREE = 24  # of the modes: a point at 0.7 of the radius has the ultimate within 0.1 %
_DEPTHS = (0.0, 0.35, 0.7)  # of the radius


def evidence(setting: Setting) -> tuple[dict, dict]:
    """SNR relative to the ultimate, mean over directions, by number of loops and depth: for the audit, and as curves."""
    counts = _counts(setting)
    if not counts:
        return {}, {}
    values, names = study(setting, counts), [f"at {d:g} of the radius" for d in _DEPTHS]
    rows = [[n, *map(float, row)] for n, row in zip(counts, values)]
    title = "Signal-to-noise ratio by number of loops, relative to the ultimate"
    curves = Lines(title, np.array(counts, float), {name: values[:, i] for i, name in enumerate(names)}, "1", "1", "loops", "SNR over the ultimate")
    return {"density": {"columns": ["loops", *names], "rows": rows}}, {"density": curves}


def _counts(setting: Setting) -> tuple[int, ...]:
    return tuple(sorted(setting.spec.receive.counts)) if hasattr(setting.spec, "receive") else ()


def study(setting: Setting, counts) -> np.ndarray:
    """SNR relative to the ultimate (N, depths): the loops shrink with the root of their number, losses of their wire included."""
    sphere, spec = as_sphere(setting), setting.spec
    points = _points(sphere.outer)
    best = np.sqrt(ultimate_sensitivity(sphere, points, _DEGREE, spec.frame.b0_axis) / 2)
    rows = []
    for count in counts:
        coil = coils.placed(_helmet(spec, count), np.asarray(spec.coil.axis or spec.frame.bore_axis, float), np.zeros(3))
        found = _snr(sphere, coil, points, spec) / best
        rows.append([found[:1].mean(), *(part.mean() for part in np.split(found[1:], len(_DEPTHS) - 1))])
    return np.array(rows)


def _helmet(spec, count: int):
    c = spec.coil
    return coils.helmet_array(c.radius, count, c.loop_radius * np.sqrt(c.count / count), -0.35 if c.lowest is None else c.lowest)


def _points(radius: float) -> np.ndarray:
    """The centre, then six directions of each depth."""
    way = np.concatenate([np.eye(3), -np.eye(3)])
    return np.concatenate([np.zeros((1, 3)), *(d * radius * way for d in _DEPTHS[1:])])


def _snr(sphere, coil, points, spec) -> np.ndarray:
    parts = [_channel(sphere, coil, n) for n in range(coil.current.shape[1])]
    wave = parts[0]._replace(te=np.stack([p.te for p in parts], 1), tm=np.stack([p.tm for p in parts], 1))
    sensitivity = np.einsum("pac,a->pc", fields(sphere, wave, points)[1], rotating(spec.frame.b0_axis).conj())
    losses = power_matrix(sphere, wave) + wires.loss(coil, wire_resistance(spec)) + spec.wire.lumped_resistance / 2 * np.eye(len(parts))
    return receive.snr(sensitivity, receive.noise_resistance(losses))


def _channel(sphere, coil, n: int):
    used = np.abs(coil.current[:, n]) > 0
    places, flow = wires.Wires(coil.start[used], coil.end[used], coil.current[used, n : n + 1]).elements(2)
    return wave_of_currents(sphere, places, flow[..., 0], _DEGREE)
