"""Variants of the head gradient coil, with fewer turns and a laxer stray field: other axes, objectives, regions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from designtools.pipeline import run

SPEC = Path(__file__).parents[1] / "specs" / "head_gradient_x.yaml"
COARSE = {"mesh.resolution": "24 mm", "audit.points": 400, "winding.turns": 16, "stray.limit": "200 uT"}


@pytest.mark.parametrize(
    "changes",
    [
        {"target.gradient_axis": "y"},
        {"target.gradient_axis": "z"},
        {"winding": {"current": "250 A"}},
        {"objective": {"power": 0, "stored_energy": 1}, "winding.joined": False},
        {"frame.b0_axis": "x", "target.gradient_axis": "z", "stray.limit": "500 uT"},
        {"frame.b0_axis": "x", "frame.bore_axis": "x", "target.gradient_axis": "y"},
        {"shield.enabled": False, "stray.limit": "10 mT"},
        {"region": {"shape": "ellipsoid", "semi_axes": ["90 mm", "90 mm", "70 mm"]}},
    ],
    ids=["y", "z", "current", "energy", "transverse-b0", "bore-x", "unshielded", "ellipsoid"],
)
def test_variants_are_designed_wound_and_audited(changes):
    result = run(SPEC, overrides=COARSE | changes | {"requirements": []})
    figures = result.figures
    assert result.status in ("done", "requirement missed"), result.message
    assert figures["gradient_strength"].value == pytest.approx(80e-3, rel=5e-3)
    assert figures["linearity_error_max"].value <= 0.085
    assert figures["wire_spacing_min"].value >= 3.5e-3
    assert figures["optimality_gap"].value <= 1e-6


def test_a_lower_peak_density_costs_power():
    free = run(SPEC, overrides=COARSE | {"winding.joined": False})
    spread = run(SPEC, overrides=COARSE | {"winding.joined": False, "objective": {"power": 0, "peak_current_density": 1}})
    power = [r.figures["dissipated_power"].value for r in (free, spread)]
    peak = [np.linalg.norm(np.asarray(r.sheets["primary"].surface_current()), axis=1).max() for r in (free, spread)]
    assert peak[1] < 0.98 * peak[0] and power[1] > power[0]
