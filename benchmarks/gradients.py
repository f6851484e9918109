"""Gradient coils on published geometries: processor seconds of each hop, figures of the sheet and of the wires.

    python benchmarks/gradients.py [case ...]

Geometries: a cylinder of radius 0.5 m and length 1.5 m in three finenesses; two cylinders that shield; a Halbach bore
of radius 154 mm.  Each is designed twice and the second time is printed: compilation is not counted.  The sheet is judged
by the audit of the tool at points that no optimiser saw; P is per (mT/m)^2 in 1 mm copper, J per mT/m, L per (mT/m/A)^2.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from designtools import precision

precision.enable()

from designtools.quantities import energy  # noqa: E402
from designtools.recipes import gradient, gradient_evidence  # noqa: E402
from designtools.recipes.gradient_problem import sheet_model  # noqa: E402
from designtools.recipes.gradient_turns import loose_turns, turn_current  # noqa: E402
from designtools.sources.sheet import face_areas  # noqa: E402
from designtools.spec import load  # noqa: E402
from designtools.windings.spacing import wire_spacing  # noqa: E402

COPPER = 1.7241e-8 / 1e-3  # ohm, of 1 mm
PITCH = {"current": 1e-3 / 0.0328e-3}  # A: the least efficiency asked
WIDE = {"width": "15 mm", "thickness": "2 mm"}


def cylinder(divisions: int, error: str, gap: float, rule: dict | None = None) -> dict:
    """The whole-body cylinder with as many triangles around as `divisions`; gap: between centrelines (m)."""
    return {
        "kind": "gradient", "name": f"cylinder {divisions}",
        "region": {"shape": "ball", "radius": 0.15},
        "target": {"gradient_axis": "y", "strength": 1e-3, "error": error},
        "primary": {"radius": 0.5, "length": 1.5},
        "conductor": WIDE | {"spacing": max(0.0, gap - 0.015)},
        "winding": (rule or {"turns": 10}) | {"joined": False},
        "mesh": {"resolution": 2 * np.pi * 0.5 / divisions},
    }  # fmt: skip


SHIELD = {
    "kind": "gradient", "name": "two cylinders",
    "region": {"shape": "ball", "radius": 0.15},
    "target": {"gradient_axis": "y", "strength": 1e-3, "error": "6.4 %"},
    "primary": {"radius": 0.4, "length": 1.5},
    "shield": {"radius": 0.6, "length": 1.5},
    "stray": {"radius": 0.75, "length": 1.5, "limit": 2.55e-6},
    "conductor": {"width": "8 mm", "thickness": "2 mm"},
    "winding": {"turns": 13, "joined": False},
    "mesh": {"resolution": 2 * np.pi * 0.5 / 40},
}  # fmt: skip
HALBACH = {
    "kind": "gradient", "name": "Halbach bore",
    "frame": {"b0_axis": "x", "bore_axis": "z"},
    "region": {"shape": "ball", "radius": 0.1},
    "target": {"gradient_axis": "z", "strength": 1e-3, "error": "1.5 %"},
    "primary": {"radius": 0.154, "length": 0.4913},
    "conductor": {"width": "2 mm", "thickness": "2 mm", "spacing": "5.9 mm"},
    "winding": {"current": 6.75, "joined": False},
    "mesh": {"resolution": 2 * np.pi * 0.154 / 32},
}  # fmt: skip
CASES = {
    "cylinder 24, error 5 %": cylinder(24, "5 %", 0.016),
    "cylinder 48, error 5 %": cylinder(48, "5 %", 0.016),
    "cylinder 72, error 5 %": cylinder(72, "5 %", 0.016),
    "cylinder 24, pitch 34 mm": cylinder(24, "4.3 %", 0.034, PITCH),
    "cylinder 48, pitch 34 mm": cylinder(48, "4.3 %", 0.034, PITCH),
    "shield": SHIELD,
    "Halbach": HALBACH | {"limits": {"peak_current_density": 845.0}},
}


def clocked(function, *arguments):
    """(processor seconds, clock seconds, value)."""
    cpu, wall = time.process_time(), time.perf_counter()
    value = function(*arguments)
    return time.process_time() - cpu, time.perf_counter() - wall, value


def sheet_figures(setting, solution) -> dict[str, float]:
    """Error, P, J, L of the current sheet."""
    spec, strength = setting.spec, setting.spec.target.strength * 1e3
    points = gradient_evidence.audit.unseen_points(spec.region.half_widths, spec.region.centre, 4000, 7)
    seen = gradient_evidence.stage_figures(setting, gradient_evidence.look(setting, gradient._sheets(setting, solution), points), points)
    parts = [solution.design.parts[l.name] for l in setting.layers]
    power = sum(COPPER * (np.sum(np.square(p.surface_current()), axis=1) @ np.asarray(face_areas(np.asarray(p.vertices)[p.faces]))) for p in parts)
    current = turn_current(setting, solution)
    residual = energy.stored_energy_residual([sheet_model(l) for l in setting.layers])[0].of(solution.design)
    stored = float(np.sum(np.square(residual)))
    return {
        "error %": 100 * seen["linearity_error_max"], "stray uT per mT/m": 1e6 * seen.get("stray_field_max", np.nan) / strength,
        "P": power / strength**2, "J": max(gradient.peak_density(p) for p in parts) / strength, "L": 2e6 * stored / strength**2, "I": current,
    }  # fmt: skip


def wire_figures(setting, solution) -> dict[str, float]:
    """Error, efficiency, smallest distance of centrelines, stray field of the closed turns."""
    spec = setting.spec
    windings = loose_turns(setting, solution, turn_current(setting, solution))
    points = gradient_evidence.audit.unseen_points(spec.region.half_widths, spec.region.centre, 4000, 7)
    source = gradient.Assembly([w.filaments() for w in windings])
    seen = gradient_evidence.stage_figures(setting, gradient_evidence.look(setting, source, points), points)
    gap = min(wire_spacing(w.tracks, spec.conductor.width).distance for w in windings)
    return {
        "error %": 100 * seen["linearity_error_max"], "mT/m/A": 1e3 * seen["gradient"] / windings[0].current, "gap mm": 1e3 * gap,
        "stray uT per mT/m": 1e6 * seen.get("stray_field_max", np.nan) / (1e3 * seen["gradient"]), "loops": sum(len(w.tracks) for w in windings),
    }  # fmt: skip


def report(name: str, spec: dict) -> None:
    """Design twice, print the second."""
    model = load(spec)
    for _ in range(2):
        prepared = clocked(gradient.prepare, model)
        setting = prepared[2]
        first = clocked(lambda: gradient._everywhere(setting, None, {}, None)[0])
        whole = clocked(gradient.solve, setting)
    print(f"{name}: {[(l.mesh.vertices.shape[0], l.basis.shape[1]) for l in setting.layers]} vertices and unknowns, optimal {first[2].status.name}")
    line = lambda label, times: print(f"  {label:34s} {times[0]:7.2f} CPU s {times[1]:7.2f} s")
    line("mesh, symmetry, points", prepared), line("mesh to stream function", (prepared[0] + first[0], prepared[1] + first[1])), line("with spacing and bettered turns", whole)
    if first[2].status.ok:
        print("  sheet ", {k: float(f"{v:.4g}") for k, v in sheet_figures(setting, first[2]).items()})
    if whole[2].status.ok:
        print("  wires ", {k: float(f"{v:.4g}") for k, v in wire_figures(setting, whole[2]).items()})
    else:
        print("  no coil: ", gradient.relax(setting, whole[2]))


if __name__ == "__main__":
    wanted = sys.argv[1:] or CASES
    for case in wanted:
        report(case, CASES[case])
