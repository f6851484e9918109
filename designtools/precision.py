"""64-bit arithmetic: switched on at the border, demanded by every solver.

JAX starts in float32, where the far field of a shielded magnet (a difference of large numbers) is wrong by 1e-3.
Importing designtools changes nothing.  The command line, `designtools.run`, the first use of a public name
(`dt.Loops`, `dt.force`, ...) and the tests call `enable`; nothing else touches the setting.  What cannot be helped:
arrays that JAX made before that are float32, and so are derivatives by them; a script whose first act is
`jax.grad` of a function that names designtools only inside calls `designtools.precision.enable()` first.
"""

from __future__ import annotations

import os
from pathlib import Path


class PrecisionError(RuntimeError):
    """64-bit arithmetic is off where a wrong digit would be believed."""


def enable() -> None:
    """Switch JAX to 64-bit and keep compiled code between runs.

    PrecisionError where JAX is already at work on 32-bit values, inside `jax.grad` or `jax.jit`.
    """
    import jax

    if not jax.config.jax_enable_x64 and _tracing():
        raise PrecisionError(
            "64-bit arithmetic must be on before JAX transforms a function, but jax.grad, jit or vmap is already at "
            "work in 32-bit; call designtools.precision.enable() at the top of the script"
        )
    jax.config.update("jax_enable_x64", True)
    if jax.config.jax_compilation_cache_dir is None:
        jax.config.update("jax_compilation_cache_dir", str(cache_dir()))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _tracing() -> bool:
    """Whether a JAX transformation is under way: its values then hide behind tracers."""
    import jax.numpy as jnp
    from jax._src import core

    return not core.trace_state_clean() or isinstance(jnp.zeros(()) + 0, core.Tracer)


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
