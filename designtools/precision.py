"""64-bit arithmetic: switched on at the border, demanded by every solver.

JAX starts in float32, where the far field of a shielded magnet (a difference of large numbers) is wrong by 1e-3.
Importing designtools calls `arrange`, so JAX computes in 64-bit whether it was imported before or comes later, and
`jax.grad(f)(numpy_array)` is float64 from the first call on.  What cannot be helped: arrays that JAX made before
designtools was imported are float32, and so are derivatives by them.  The command line, `designtools.run`, the first
use of a public name and the tests call `enable`; nothing else touches the setting.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


class PrecisionError(RuntimeError):
    """64-bit arithmetic is off where a wrong digit would be believed."""


def arrange() -> None:
    """Have JAX in 64-bit without importing it: by its environment variable, or now if it is here already."""
    if "jax" in sys.modules:
        enable()
    else:
        os.environ["JAX_ENABLE_X64"] = "1"


def enable() -> None:
    """Switch JAX to 64-bit and keep compiled code between runs."""
    import jax

    jax.config.update("jax_enable_x64", True)
    if jax.config.jax_compilation_cache_dir is None:
        jax.config.update("jax_compilation_cache_dir", str(cache_dir()))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def cache_dir() -> Path:
    """Where compiled code persists: DESIGNTOOLS_CACHE, else the user's cache folder."""
    home = os.environ.get("DESIGNTOOLS_CACHE") or os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser() / "designtools" / "jax"


def require(who: str) -> None:
    """Refuse to go on in 32-bit: raises PrecisionError naming `who` and the remedy."""
    import jax

    if not jax.config.jax_enable_x64:
        raise PrecisionError(
            f"{who} needs 64-bit arithmetic, but JAX runs in 32-bit; "
            "call designtools.precision.enable() before creating any array"
        )
