"""The parts of a system as plain data: opened from where they are, changed by `set`, references replaced, checked as specs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from designtools.spec.base import did_you_mean
from designtools.spec.references import WAIT, ReferenceProblem, at, names_in, replaced

FINISHED = ("figures", "map", "folder", "blocks")  # what can be asked of a finished part: "= magnet.figures.central_field"


def gathered(data: dict, folder: Path, top_keys) -> dict:
    """The data of a system with every part inline and every reference replaced that does not ask a finished part.

    Raises an `inconsistent` error with every (key path, sentence) found.
    """
    from designtools.spec.base import inconsistent

    if not isinstance(data.get("parts"), Mapping) or not data["parts"]:
        return data
    problems: list[tuple[str, str]] = []
    taken = [name for name in data["parts"] if name in top_keys or not str(name).isidentifier()]
    problems += [(f"parts.{n}", f"must be a word of letters, digits and _ that is no key of a system, got {n!r}") for n in taken]
    opened = {str(name): _opened(str(name), raw, folder, problems) for name, raw in data["parts"].items()}
    for part in opened.values():
        if "spec" in part and "frame" in data:
            part["spec"] = {"frame": data["frame"]} | part["spec"]
    book = Book({key: value for key, value in data.items() if key != "parts"}, opened, problems)
    parts = {name: {k: v for k, v in book.part(name).items() if k != "known"} for name in opened}
    written = book.top.pop("written", None) or book.top | {"parts": opened}
    rest = replaced(book.top, book.settled, (), problems)
    if problems:
        raise inconsistent(*dict.fromkeys(problems))
    return rest | {"parts": parts} | ({"written": written} if data.get("joint") else {})


def needed(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """The parts that must be finished before this one, in the order in which its spec names them."""
    asked = (name.split(".") for name in names_in(dict(spec)))
    return tuple(dict.fromkeys(steps[0] for steps in asked if len(steps) > 1 and steps[1] in FINISHED))


class Book:
    """Looks names up while a system is read: `part(name)` is the finished data of one part, each made once."""

    def __init__(self, top: dict, opened: dict[str, dict], problems: list):
        self.top, self.opened, self.problems = top, opened, problems
        self.done: dict[str, dict] = {}
        self.open: list[str] = []

    def part(self, name: str) -> dict:
        """The data of a part with its references replaced and its defaults stated, as far as they can be."""
        if name not in self.done:
            self.open.append(name)
            self.done[name] = self._checked(name, self.opened[name])
            self.open.remove(name)
        return self.done[name]

    def _checked(self, name: str, part: dict) -> dict:
        if not isinstance(part.get("spec"), dict):
            return part
        found: list[tuple[str, str]] = []
        spec = replaced(part["spec"], self.look_up, ("parts", name, "spec"), found)
        if not found:
            spec, found = complete(spec, Path(part["folder"]), f"parts.{name}.spec", waiting=bool(list(names_in(spec))))
        self.problems += found
        return part | {"spec": spec}

    def look_up(self, name: str):
        """The value of a name, or WAIT where a finished part is asked."""
        head, _, rest = name.partition(".")
        if head in self.opened:
            if rest.split(".")[0] in FINISHED:
                return WAIT
            return self._of_part(head, rest)
        if head not in self.top:
            known = [*self.top.get("shared", {}), *self.opened, *self.top]
            raise ReferenceProblem(f"must name a part or a key of this spec, got {name!r}{did_you_mean(head, known)}; parts: {', '.join(self.opened)}")
        return self._followed(self.top, name, name)

    def settled(self, name: str):
        """As `look_up`, outside of parts, where nothing may wait."""
        value = self.look_up(name)
        if value is WAIT:
            raise ReferenceProblem(f"must not ask a finished part outside of `parts`, got {name!r}; state the value, or a requirement on it")
        return value

    def _of_part(self, head: str, rest: str):
        if head in self.open:
            circle = " -> ".join([*self.open[self.open.index(head) :], head])
            raise ReferenceProblem(f"must not refer in a circle, got {circle}; put what they have in common under `shared`")
        part = self.part(head)
        return self._followed(part.get("spec") or part.get("known") or {}, rest, f"{head}.{rest}")

    def _followed(self, data, path: str, name: str):
        try:
            value = at(data, path)
        except KeyError as missing:
            step, known = missing.args
            raise ReferenceProblem(f"must name a value that is there, got {name!r} without {step!r}{did_you_mean(step, known)}") from None
        if not list(names_in(value)):
            return value
        if data is not self.top:
            return WAIT
        if name in self.open:
            raise ReferenceProblem(f"must not refer to itself, got {name!r}")
        self.open.append(name)
        try:
            return replaced(value, self.look_up)
        finally:
            self.open.remove(name)


# --- one part -------------------------------------------------------------------------------------------


def _opened(name: str, raw, folder: Path, problems: list) -> dict:
    """A part as {spec (plain data), folder, ...} or {result, known (its resolved spec), ...}."""
    part = _spelled_out(raw, folder)
    if part is None:
        problems.append((f"parts.{name}", f"must be a spec, the path of one, or the folder of a finished design, got {raw!r}"))
        return {}
    given = [key for key in ("spec", "result") if part.get(key) is not None]
    if len(given) != 1:
        problems.append((f"parts.{name}.spec", f"must be given, or `result`, and not both; got {' and '.join(given) or 'neither'}"))
        return {}
    if given == ["result"]:
        return part | _known(name, part, folder, problems)
    try:
        return _inline(name, part, folder)
    except ValueError as error:  # a SpecError of the file, or a `set` that leads nowhere
        problems += [(f"parts.{name}.spec", sentence) for sentence in str(error).splitlines()]
        return {}


def _spelled_out(raw, folder: Path) -> dict | None:
    if isinstance(raw, (str, Path)):
        return {"result" if (folder / Path(raw)).is_dir() else "spec": str(raw)}
    if not isinstance(raw, Mapping):
        return None
    return {"spec": dict(raw)} if "kind" in raw else dict(raw)


def _inline(name: str, part: dict, folder: Path) -> dict:
    from designtools.spec.load import read_data

    data = part["spec"]
    base = Path(part.get("folder") or folder)
    if not isinstance(data, Mapping):
        path = (folder / Path(str(data)).expanduser()).resolve()
        data, base = read_data(path), path.parent
    data = read_data(data, _dotted(part.get("set") or {}))
    return {k: v for k, v in part.items() if k != "set"} | {"spec": {"name": name} | data, "folder": str(base.resolve())}


def _dotted(changes: Mapping, path: str = "") -> dict[str, Any]:
    """Nested sections as dotted keys."""
    found: dict[str, Any] = {}
    for key, value in changes.items():
        here = f"{path}.{key}" if path else str(key)
        found |= _dotted(value, here) if isinstance(value, Mapping) and value else {here: value}
    return found


def _known(name: str, part: dict, folder: Path, problems: list) -> dict:
    """The resolved spec of a finished design, for references."""
    from designtools.spec.load import read_data

    path = (folder / Path(str(part["result"])).expanduser()).resolve()
    if part.get("set"):
        problems.append((f"parts.{name}.set", "must be left out for a finished design, which cannot be changed"))
    if not (path / "result.json").is_file():
        problems.append((f"parts.{name}.result", f"must be the folder of a finished design, got {str(part['result'])!r} without result.json; looked in {path}"))
        return {}
    return {"known": read_data(path / "spec.yaml"), "result": str(path)}


def complete(spec: dict, folder: Path, key: str, waiting: bool = False) -> tuple[dict, list[tuple[str, str]]]:
    """The spec of a part with every default, and what is wrong with it; one that waits for values is only checked for its keys."""
    from designtools.spec.load import SpecError, load, resolved

    if spec.get("kind") == "system":
        return spec, [(f"{key}.kind", "must be a kind of part, got 'system'; list its parts here instead")]
    try:
        return resolved(load(spec, folder=folder)), []
    except SpecError as error:
        wrong = [(f"{key}.{m.key}".rstrip("."), m.sentence) for m in error.problems]
    return spec, [w for w in wrong if w[1].startswith("must be a known key")] if waiting else wrong
