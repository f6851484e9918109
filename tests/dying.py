"""Designs that kill the process they run in; a module of its own, since every new process imports it."""

import os
import signal
from pathlib import Path


def dies_once(spec, folder, overrides):
    """Kills its process the first time."""
    mark = Path(f"{folder}.seen")
    if overrides.get("kill") and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"status": "done", "message": "", "figures": {}}


def dies_always(spec, folder, overrides):
    """Kills its process whenever it is asked."""
    if overrides.get("kill"):
        os.kill(os.getpid(), signal.SIGKILL)
    return {"status": "done", "message": "", "figures": {}}
