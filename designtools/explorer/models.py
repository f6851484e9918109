"""Which kinds of design follow sliders: a table of functions, spec -> live model."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from designtools.spec import load, resolved

MODULES: Mapping[str, str] = {"Gradient": "gradient", "Shim": "shim", "RFShim": "rf_shim"}  # spec model -> module with `prepared` and `spec_changes`


class NoSliders(ValueError):
    """A design that does not follow sliders; the text says why."""


def prepared(spec: Mapping, progress=None):
    """The live model of a resolved spec and the spec model; NoSliders where this kind has none."""
    model = load(dict(spec))
    name = type(model).__name__
    if name not in MODULES:
        raise NoSliders(f"a design of kind {model.kind} is computed anew at every change; use `designtools sweep`")
    return import_module(f"designtools.explorer.{MODULES[name]}").prepared(model, progress), model


def changed_spec(live, model, state: Mapping[str, float]) -> dict:
    """The resolved spec (plain data) of the state of the sliders; raises SpecError where the two contradict each other."""
    changes = import_module(f"designtools.explorer.{MODULES[type(model).__name__]}").spec_changes(live, state)
    data = resolved(model)
    for key, value in changes.items():
        branch = data
        *path, last = key.split(".")
        for name in path:
            branch = branch[name]
        branch[last] = value
    return resolved(load(data | {"name": f"{model.name}, explored"}))
