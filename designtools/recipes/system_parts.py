"""The parts of a system, each designed by its own recipe into a folder of a store, or taken from there where nothing changed.

The store is a folder beside the result folder; a part lies in it under the hash of everything it depends on: its resolved
spec with the content of the files it reads (maps and folders of earlier parts among them) and the version of this
program.  A part whose hash is there is not designed again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import designtools
from designtools.recipes.product import Unfinished
from designtools.recipes.system_joint import found
from designtools.recipes.system_maps import write_map
from designtools.result import Result, load
from designtools.spec import SpecError, fingerprint
from designtools.spec import load as load_spec
from designtools.spec.references import WAIT, ReferenceProblem, replaced
from designtools.spec.system import order

DIGITS = 16  # of the hash, in the name of a folder


def finished(spec, store: Path, design: Callable, say: Callable):
    """(the spec with its shared values, name -> result folder, record of the joint search) once every part is designed.

    design(model, out, progress) makes the result folder `out` of one spec.
    """
    trial = lambda shared: designed(spec if shared is None else with_shared(spec, shared), store, design, say)
    return found(spec, trial, say) if spec.joint else (spec, trial(None), {})


def with_shared(spec, shared: Mapping[str, Any]):
    """The spec read anew from its text with other shared values."""
    return load_spec(spec.written | {"shared": spec.written["shared"] | dict(shared)})


def designed(spec, store: Path, design: Callable, say: Callable) -> dict[str, Path]:
    """Result folder of every part, in an order in which each finds what it waits for."""
    folders: dict[str, Path] = {}
    for name in order(spec):
        part = spec.parts[name]
        if part.result is not None:
            folders[name] = part.result
            say(f"{name}: taken from {part.result}")
            continue
        model = model_of(name, part, folders, spec, store)
        folders[name] = _one(name, model, store, design, say)
    return folders


def model_of(name: str, part, folders: Mapping[str, Path], spec, store: Path):
    """The spec model of a part, with what it asks of finished parts filled in; SpecError with the part's name."""
    problems: list[tuple[str, str]] = []
    data = replaced(part.spec, _Finished(folders, spec, store), (), problems)
    if problems:
        raise _refused(name, problems)
    try:
        return load_spec(data, folder=part.folder)
    except SpecError as error:
        raise _refused(name, [(m.key, m.sentence) for m in error.problems]) from None


def _refused(name: str, problems) -> SpecError:
    from designtools.spec import Mistake

    return SpecError([Mistake("", f"parts.{name}.spec.{key}".rstrip("."), sentence) for key, sentence in problems])


def _one(name: str, model, store: Path, design: Callable, say: Callable) -> Path:
    folder = store / f"{model.kind}-{content_hash(model)}"
    if (folder / "result.json").is_file():
        say(f"{name}: nothing changed, taken from {folder.name}")
        return folder
    result = design(model, out=folder, progress=lambda sentence: say(f"{name}: {sentence}"))
    if result.folder is None:
        raise Unfinished(result.status, f"{name}: {result.message}")
    return folder


def content_hash(model) -> str:
    """Hash of everything a design depends on."""
    return hashlib.sha256(f"{fingerprint(model)} {designtools.__version__}".encode()).hexdigest()[:DIGITS]


class _Finished:
    """What can be asked of finished parts: `= magnet.figures.central_field`, `.map`, `.folder`, `.blocks`."""

    def __init__(self, folders: Mapping[str, Path], spec, store: Path):
        self.folders, self.spec, self.store = folders, spec, store

    def __call__(self, name: str):
        head, _, rest = name.partition(".")
        if head not in self.folders:
            return WAIT
        what, _, figure = rest.partition(".")
        if what == "folder":
            return str(self.folders[head])
        result = load(self.folders[head])
        if what == "figures":
            return _figure(result, head, figure)
        return _blocks(result, head) if what == "blocks" else str(write_map(result, self.spec, self.store))


def _figure(result: Result, part: str, name: str) -> float:
    if name not in result.figures or np.isnan(result.figures[name].value):
        raise ReferenceProblem(f"must name a figure of {part!r}, got {name!r}; it has {', '.join(result.figures)}")
    return float(result.figures[name].value)


def _blocks(result: Result, part: str) -> list[dict]:
    """The windings of a magnet as the section `magnet.blocks` of a gradient takes them."""
    from designtools.sources import Blocks
    from designtools.sources.assembly import leaves

    found = [leaf for leaf in leaves(result.source) if isinstance(leaf, Blocks)]
    if not found:
        raise ReferenceProblem(f"must name a magnet of rectangular windings, got {part!r} of kind {result.kind}")
    names = ("inner_radius", "outer_radius", "z_low", "z_high", "current_density")
    return [dict(zip(names, map(float, row))) for b in found for row in zip(*(np.asarray(getattr(b, n)) for n in names))]
