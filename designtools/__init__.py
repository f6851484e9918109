"""Design the hardware of an MRI scanner: from one spec file to a buildable, audited design.

The names below are the public interface.  Importing this package loads none of them; each is fetched on
first use, and the first physical one switches JAX to 64-bit (see `designtools.precision`).
"""

import importlib
import sys
from types import ModuleType

from designtools import precision

__version__ = "0.1.0"

_LIGHT = {  # plain data and text: used without JAX
    "GAMMA_BAR": "designtools.units",
    "MU_0": "designtools.units",
    "SpecError": "designtools.spec",
    "load_spec": "designtools.spec",
}
_PHYSICAL = {  # 64-bit arithmetic from the first use on
    "Arcs": "designtools.sources",
    "Assembly": "designtools.sources",
    "Blocks": "designtools.sources",
    "Cylinders": "designtools.sources",
    "Dipoles": "designtools.sources",
    "EquivalentMagnet": "designtools.siting.equivalent",
    "Filaments": "designtools.sources",
    "Loops": "designtools.sources",
    "Magnets": "designtools.sources",
    "Polyhedra": "designtools.sources",
    "Posed": "designtools.sources",
    "Sheet": "designtools.sources",
    "Solenoids": "designtools.sources",
    "Spheres": "designtools.sources",
    "Strips": "designtools.sources",
    "Uniform": "designtools.sources",
    "Region": "designtools.regions",
    "Result": "designtools.result",
    "cast": "designtools.sources.cast",
    "fast_field": "designtools.fast_sum",
    "field_gradient": "designtools.fields",
    "field_map": "designtools.field_map",
    "flux_linkage": "designtools.inductance",
    "force": "designtools.fields",
    "fringe_extent": "designtools.fringe",
    "from_magpylib": "designtools.interop",
    "harmonics": "designtools.harmonics",
    "inductance": "designtools.inductance",
    "load": "designtools.result",
    "run": "designtools.pipeline",
    "scalar_potential": "designtools.fields",
    "stored_energy": "designtools.inductance",
    "to_magpylib": "designtools.interop",
    "torque": "designtools.fields",
}
_NAMED_DIFFERENTLY = {"load_spec": "load"}

__all__ = sorted((*_LIGHT, *_PHYSICAL))


def __getattr__(name):
    module = _LIGHT.get(name) or _PHYSICAL.get(name)
    if module is None:
        raise AttributeError(f"module 'designtools' has no attribute {name!r}")
    if name in _PHYSICAL:
        precision.enable()
    value = getattr(importlib.import_module(module), _NAMED_DIFFERENTLY.get(name, name))
    globals()[name] = value
    return value


def __dir__():
    return sorted((*globals(), *__all__))


class _Package(ModuleType):
    """A package whose public names outrank its submodules.

    Importing designtools.harmonics would otherwise put the module in the place of the function of that name.
    """

    def __setattr__(self, name, value):
        if not (name in __all__ and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
