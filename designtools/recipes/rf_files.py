"""Arrays of an RF design for files: complex fields of every channel, virtual observation points, S-parameters."""

from __future__ import annotations

import numpy as np

from designtools.recipes import rf_circuits
from designtools.recipes.rf_setting import Setting
from designtools.rf import sar, vop


def arrays(setting: Setting, found) -> dict:
    """Name -> array; what was not asked for or does not exist is left out."""
    axes = {f"b1_{name}": axis for name, axis in zip("xyz", setting.body.axes)}
    fields = {"b1_plus": _grid(setting, found.transmit), "b1_minus": _grid(setting, found.receive)}
    return axes | fields | _points(setting, found) | rf_circuits.scattering_arrays(setting, found)


def _grid(setting: Setting, values) -> np.ndarray:
    """(nx,ny,nz,C) complex64 T/A, zero in air."""
    full = np.zeros((*setting.body.label.shape, values.shape[1]), np.complex64)
    full[setting.body.inside] = values
    return full


def _points(setting: Setting, found) -> dict:
    allowed = setting.spec.transmit.vop_overestimate
    if allowed is None or not len(found.forms):
        return {}
    points = vop.virtual_observation_points(found.forms, allowed)
    proof = [len(found.forms), allowed, vop.underestimate(points, found.forms)]
    return {"vop": points, "vop_proof": np.array(proof), "sar_whole": sar.whole_form(setting.body, found.body_loss)}
