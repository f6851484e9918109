"""What this installation can do, as plain data."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

# distribution: what it is for
OPTIONAL = {
    "xarray": "field_map, and reading fields/field.nc as a Dataset; pip install 'designtools[maps]'",
    "scikit-fem": "plates of steel in a room; pip install 'designtools[iron]'",
    "distributed": "sweep --cluster; pip install 'designtools[cluster]'",
    "scikit-rf": "Touchstone files; pip install 'designtools[rf]'",
}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "firefox", "microsoft-edge")


def findings() -> dict[str, dict[str, Any]]:
    """Sections of name -> value; a missing part says so in words."""
    return {
        "versions": _versions(),
        "devices": _devices(),
        "precision": _precision(),
        "threads": _threads(),
        "places": _places(),
        "optional": {name: _version(name) or f"missing: {use}" for name, use in OPTIONAL.items()} | _browser(),
    }


def problems(found: dict[str, dict[str, Any]]) -> list[str]:
    """One sentence for everything without which designs fail."""
    lacking = [name for name, version in found["versions"].items() if version.startswith("missing")]
    said = [f"{name} must be installed, but is missing: pip install {name}" for name in lacking]
    if found["precision"]["default"] != "float64":
        said.append(f"arithmetic must be float64, got {found['precision']['default']}; unset JAX_ENABLE_X64")
    return said + [f"{name} must be writable, got {place}" for name, place in found["places"].items() if "cannot be written" in str(place)]


def required() -> list[str]:
    """The distributions that this package declares, in its own order."""
    declared = importlib.metadata.requires("designtools") or []
    return [re.split(r"[\s<>=!~;\[(]", text)[0] for text in declared if "extra ==" not in text]


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _versions() -> dict[str, str]:
    from designtools import __version__

    own = {"designtools": __version__, "python": platform.python_version(), "platform": platform.platform()}
    return own | {name: _version(name) or "missing, but required" for name in [*required(), "jaxlib"]}


def _devices() -> dict[str, str]:
    import jax

    return {f"{device.platform} {device.id}": device.device_kind for device in jax.devices()}


def _precision() -> dict[str, str]:
    import jax

    from designtools import precision

    precision.enable()
    dtype = jax.numpy.zeros(()).dtype
    return {"default": str(dtype), "compiled code kept in": str(precision.cache_dir())}


def _threads() -> dict[str, Any]:
    from designtools.kernels.streaming import cores

    variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "XLA_FLAGS")
    used = {"cores": os.cpu_count(), "threads of a large field sum": cores()}
    return used | {name: os.environ.get(name, "not set") for name in variables} | _offered()


def _offered() -> dict[str, str]:
    """Settings of XLA that nothing here sets, but that pay on this machine (measured: loops 14 % faster)."""
    processor = Path("/proc/cpuinfo")
    flag = "--xla_cpu_prefer_vector_width=512"
    if flag in os.environ.get("XLA_FLAGS", "") or not processor.exists() or "avx512f" not in processor.read_text():
        return {}
    return {"offered": f"XLA_FLAGS={flag} in the environment makes field kernels up to a seventh faster"}


def _places() -> dict[str, str]:
    """Where is written, how much room is left there, and how much memory there is."""
    from designtools import precision

    asked = {"this folder": Path.cwd(), "temporary files": Path(tempfile.gettempdir()), "compiled code": Path(precision.cache_dir())}
    return {name: _room(place) for name, place in asked.items()} | _memory() | {"command": shutil.which("designtools") or sys.argv[0]}


def _room(place: Path) -> str:
    there = next(folder for folder in (place, *place.parents) if folder.exists())
    if not os.access(there, os.W_OK):
        return f"{place}: cannot be written"
    return f"{place}: {shutil.disk_usage(there).free / 1e9:.1f} GB free"


def _memory() -> dict[str, str]:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return {}
    return {"memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 1e9:.1f} GB"}


def _browser() -> dict[str, str]:
    found = next((place for name in BROWSERS if (place := shutil.which(name))), None)
    return {"browser": found or "missing: reports and the explorer open in any browser of another machine too"}
