"""A solution kept on disk between an interrupted run and its resumption."""

from __future__ import annotations

import dataclasses
import json
import os
import zipfile
from pathlib import Path

import jax
import numpy as np

from designtools.solve.solution import Solution, Status


class StaleSolution(ValueError):
    """What was kept belongs to another spec."""


def store_solution(solution: Solution, path: Path, fingerprint: str) -> None:
    """Write x and the record of a solution, whole or not at all; the design is rebuilt from x on load."""
    path.parent.mkdir(parents=True, exist_ok=True)
    record = {f.name: getattr(solution, f.name) for f in dataclasses.fields(solution) if f.name not in ("design", "x", "extra")}
    record |= {"status": solution.status.name, "relaxations": [], "fingerprint": fingerprint}
    leaves = jax.tree_util.tree_leaves(solution.design)
    aside = path.with_suffix(f".{os.getpid()}.partial")  # two runs never write into one
    arrays = {f"leaf{i}": a for i, a in enumerate(leaves)} | {f"extra_{name}": a for name, a in solution.extra.items()}
    try:
        with aside.open("wb") as out:
            np.savez(out, x=solution.x, record=json.dumps(record, default=float), **arrays)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def load_solution(path: Path, fingerprint: str, start) -> Solution:
    """Read a solution back into the structure of the design `start`.

    Raises StaleSolution where the file belongs to another spec or is damaged.
    """
    try:
        opened = np.load(path, allow_pickle=False)
    except (EOFError, ValueError, zipfile.BadZipFile):
        raise StaleSolution(f"the kept solution '{path}' must be whole, but the file is damaged; run without --resume") from None
    with opened as kept:
        record = json.loads(str(kept["record"]))
        if record.pop("fingerprint") != fingerprint:
            raise StaleSolution(f"the kept solution '{path}' must belong to this spec, but the spec has changed; run without --resume")
        leaves = [kept[f"leaf{i}"] for i in range(sum(name.startswith("leaf") for name in kept.files))]
        extra = {name.removeprefix("extra_"): kept[name] for name in kept.files if name.startswith("extra_")}
        x = kept["x"]
    design = jax.tree_util.tree_unflatten(jax.tree_util.tree_structure(start), leaves)
    record |= {"status": Status[record["status"]], "relaxations": (), "history": tuple(record["history"])}
    return Solution(design=design, x=x, extra=extra, **record)
