"""From a file (or plain data) to a spec model, and back to text; every mistake is reported with its place."""

from __future__ import annotations

import copy
import hashlib
import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from io import StringIO
from operator import or_
from pathlib import Path
from typing import Any, get_origin

from pydantic import TypeAdapter, ValidationError

from designtools.spec.base import Model, Spec, did_you_mean
from designtools.spec.block_magnet import BlockMagnet
from designtools.spec.camera import Camera
from designtools.spec.gradient import Gradient
from designtools.spec.halbach import Halbach
from designtools.spec.magnet import Magnet
from designtools.spec.matrix_coil import MatrixCoil
from designtools.spec.rf_coil import RFCoil
from designtools.spec.rf_shim import RFShim
from designtools.spec.shim import Shim
from designtools.spec.system import System

KINDS: dict[str, type[Spec]] = {"gradient": Gradient, "magnet": Magnet, "halbach": Halbach, "shim": Shim, "camera": Camera, "rf_coil": RFCoil, "rf_shim": RFShim, "system": System}
VARIANTS: dict[str, dict[str, type[Spec]]] = {"magnet": {"envelope": BlockMagnet}, "gradient": {"elements": MatrixCoil}}  # kind -> key whose presence tells
LATER: tuple[str, ...] = ()  # kinds of the format that have no model yet

KeyPath = tuple[str | int, ...]  # names and list indices
DEEPEST, MOST_VALUES = 30, 20_000  # of a file: what is deeper or larger is no spec


@dataclass(frozen=True)
class Mistake:
    """One mistake in a spec: where ("file:line"), at which key, and what it must be."""

    place: str
    key: str
    sentence: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.place, self.key, self.sentence) if part)


class SpecError(ValueError):
    """A spec that cannot be used; `.problems` lists every mistake, its text has one per line."""

    def __init__(self, problems):
        self.problems: tuple[Mistake, ...] = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


@dataclass(frozen=True)
class Document:
    """Plain data as read, what to call its source, and the line of each key path."""

    data: Any
    origin: str = ""
    folder: Path = Path(".")
    lines: Mapping[KeyPath, int] | None = None
    overridden: frozenset[KeyPath] = frozenset()

    def place(self, path: KeyPath) -> str:
        """ "file:line" of a key, or of the nearest key around it that stands in the file, else of its first line."""
        if any(path[: len(known)] == known for known in self.overridden):
            return "--set"
        lines = self.lines or {}
        while path and path not in lines:
            path = path[:-1]
        return f"{self.origin}:{lines.get(path, 1)}" if self.origin else ""


def load(source: str | Path | Mapping, overrides: Mapping[str, Any] | None = None, folder: Path | None = None) -> Spec:
    """The spec model of a YAML or TOML file, or of plain data.

    `overrides` maps dotted key paths to values that replace those of the source ("shield.enabled": False,
    "coils.0.radius": "200 mm"); a text value is read as in YAML.  `folder`: where relative paths of plain data start.
    Raises SpecError with every mistake found.
    """
    document = _override(_read(source, folder), overrides or {})
    model = _model_of(document)
    try:
        return model.model_validate(document.data, context={"folder": document.folder})
    except ValidationError as error:
        raise SpecError(_mistakes(error, model, document)) from None


def read_data(source: str | Path | Mapping, overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The plain data of a spec with the overrides put in, not yet checked; raises SpecError where it cannot be read."""
    document = _override(_read(source), overrides or {})
    _model_of(document)
    return document.data


# --- reading ---------------------------------------------------------------------------------------------


def _read(source, folder: Path | None = None) -> Document:
    if isinstance(source, Mapping):
        return Document(copy.deepcopy(dict(source)), folder=folder or Path("."))
    path = Path(source)
    origin = str(path)
    text = _text_of(path)
    read = _read_toml if path.suffix.lower() == ".toml" else _read_yaml
    try:
        data, lines = read(text, origin)
    except RecursionError:
        raise _refused(origin, f"must not be nested deeper than {DEEPEST} levels or refer to itself") from None
    except ValueError as error:  # such as a whole number of thousands of digits; SpecError passes
        raise error if isinstance(error, SpecError) else _refused(origin, f"must be readable, got: {_reason(error)}") from None
    return Document(data, origin, path.parent, lines)


def _text_of(path: Path) -> str:
    """The text of a file, without the mark that some editors put in front."""
    origin = str(path)
    if path.is_dir():
        raise _refused(origin, "must be a spec file, got a folder; name the file in it")
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise _refused(origin, "must be an existing spec file, found none; try `designtools new`") from None
    except UnicodeDecodeError as error:
        words = f"must be text in UTF-8, got the byte 0x{error.object[error.start]:02x} in place {error.start}"
        raise _refused(origin, f"{words}; save the file as UTF-8") from None
    except (OSError, ValueError) as error:
        raise _refused(origin, f"must be a readable text file, got: {_reason(error)}") from None


def _refused(place: str, sentence: str) -> SpecError:
    return SpecError([Mistake(place, "", sentence)])


def _reason(error: Exception) -> str:
    """The first line of what an exception says."""
    return " ".join((str(error).splitlines() or [type(error).__name__])[0].split())


def _read_yaml(text: str, origin: str):
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        tree = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = " ".join(" ".join(filter(None, (error.context, error.problem))).split())
        raise _refused(f"{origin}:{mark.line + 1 if mark else 1}", f"must be valid YAML, got: {reason}") from None
    except YAMLError as error:
        raise _refused(f"{origin}:1", f"must be valid YAML, got: {_reason(error)}") from None
    lines: dict[KeyPath, int] = {}
    data = _plain(tree, (), lines, origin)
    return data, lines


def _plain(node, path: KeyPath = (), lines: dict[KeyPath, int] | None = None, origin: str = ""):
    """The same data in plain Python types; the line of every key path is put into `lines`."""
    if len(path) > DEEPEST:
        raise RecursionError
    if lines is not None and len(lines) > MOST_VALUES:
        raise _refused(f"{origin}:1", f"must hold at most {MOST_VALUES} values, got more, counting aliases")
    if isinstance(node, (Mapping, list)):
        return _plain_branch(node, path, lines, origin)
    if getattr(getattr(node, "tag", None), "value", None):  # a value with a YAML tag
        raise _refused(f"{origin}:{(lines or {}).get(path, 1)}", f"must be a plain value, got the tag {node.tag.value}; leave it out")
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return None if node is None else str(node)


def _plain_branch(node, path: KeyPath, lines, origin):
    keys = list(node) if isinstance(node, Mapping) else range(len(node))
    values = []
    for key in keys:
        here = (*path, key if isinstance(key, int) and isinstance(node, list) else str(key))
        if lines is not None:
            lines[here] = _line_of(node, key)
        values.append(_plain(node[key], here, lines, origin))
    return dict(zip(map(str, keys), values)) if isinstance(node, Mapping) else values


def _line_of(node, key) -> int:
    """Line of a key or item; that of its section for a key that came by a YAML merge."""
    place = (node.lc.data or {}).get(key)
    return (node.lc.line if place is None else place[0]) + 1


def _read_toml(text: str, origin: str):
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        raise _refused(f"{origin}:{line[1] if line else 1}", f"must be valid TOML, got: {error}") from None
    return _plain(data), _toml_lines(text)


def _toml_lines(text: str) -> dict[KeyPath, int]:
    """Lines of the keys of a TOML text (tomllib keeps none): tables, arrays of tables and their keys."""
    lines: dict[KeyPath, int] = {}
    table: KeyPath = ()
    count: dict[KeyPath, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*(\[\[?)\s*([\w.\-\s\"']+?)\s*\]", line):
            table = _toml_path(header[2])
            if header[1] == "[[":
                count[table] = count.get(table, -1) + 1
                table = (*table, count[table])
            lines.setdefault(table, number)
        elif key := re.match(r"\s*([\w.\-\"']+)\s*=", line):
            path = (*table, *_toml_path(key[1]))
            for depth in range(len(table) + 1, len(path) + 1):
                lines.setdefault(path[:depth], number)
    return lines


def _toml_path(text: str) -> KeyPath:
    return tuple(part.strip().strip("\"'") for part in text.split("."))


# --- overrides -------------------------------------------------------------------------------------------


def read_scalar(text: str) -> Any:
    """What a text means in YAML: "false" is a boolean, "16" a number, "80 mT/m" stays a text."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if not text.strip():
        return text
    try:
        value = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError, RecursionError):
        return text
    return value if isinstance(value, (bool, int, float, list, dict)) or value is None else text


def _override(document: Document, overrides: Mapping[str, Any]) -> Document:
    if not overrides:
        return document
    data, paths, found = copy.deepcopy(document.data), [], []
    for key, value in overrides.items():
        path = tuple(int(part) if re.fullmatch(r"\d+", part) else part for part in key.split("."))
        sentence = _put(data, path, read_scalar(value) if isinstance(value, str) else value)
        found += [Mistake("--set", key, sentence)] if sentence else []
        paths.append(path)
    if found:
        raise SpecError(found)
    return Document(data, document.origin, document.folder, document.lines, frozenset(paths))


def _put(data, path: KeyPath, value) -> str | None:
    """Write `value` at `path`, making sections that are missing; a sentence when that is impossible."""
    *way, last = path
    for step in way:
        if isinstance(data, list):
            if not isinstance(step, int) or step >= len(data):
                return f"must name an item 0 to {len(data) - 1} of a list, got {step!r}"
            data = data[step]
        elif isinstance(data, dict):
            if data.get(step) is None:
                data[step] = {}
            data = data[step]
        else:
            return f"must lead through sections, but {step!r} follows a single value"
    if isinstance(data, dict):
        data[last] = value
    elif isinstance(data, list) and isinstance(last, int) and last < len(data):
        data[last] = value
    else:
        return f"must end at a key of a section or an item of a list, got {last!r}"
    return None


# --- mistakes in words -----------------------------------------------------------------------------------


def _model_of(document: Document) -> type[Spec]:
    data, available = document.data, ", ".join(KINDS)
    if not isinstance(data, dict):
        raise SpecError([Mistake(document.origin, "", f"must be a table of keys such as `kind: gradient`, got {_short(data)}")])
    kind = data.get("kind")
    if isinstance(kind, str) and kind in KINDS:
        return next((model for key, model in VARIANTS.get(kind, {}).items() if key in data), KINDS[kind])
    place = document.place(("kind",))
    if kind is None:
        sentence = f"must be given, got nothing; available: {available}"
    elif kind in LATER:
        sentence = f"{kind!r} is not yet available in this version; available: {available}"
    else:
        hint = did_you_mean(kind, KINDS) if isinstance(kind, str) else ""
        sentence = f"must be a kind of design, got {kind!r}{hint}; available: {available}"
    raise SpecError([Mistake(place, "kind", sentence)])


def _mistakes(error: ValidationError, model: type[Spec], document: Document) -> list[Mistake]:
    found = []
    for item in error.errors(include_url=False):
        path = tuple(item["loc"])
        for suffix, sentence in _sentences(item, model, path):
            full = _as_written((*path, *suffix), document.data)
            found.append(Mistake(document.place(full), ".".join(map(str, full)), sentence))
    return list(dict.fromkeys(found))


def _as_written(path: KeyPath, data) -> KeyPath:
    """The path without the index of a lone section that stands where a list of sections may."""
    way = []
    for step in path:
        if isinstance(data, Mapping) and isinstance(step, int):
            continue
        way.append(step)
        known = isinstance(data, Mapping) and step in data or isinstance(data, list) and isinstance(step, int) and step < len(data)
        data = data[step] if known else None
    return tuple(way)


def _sentences(item: Any, model: type[Spec], path: KeyPath) -> list[tuple[KeyPath, str]]:
    """(further key path, sentence) of one pydantic error."""
    context = item.get("ctx", {})
    if item["type"] == "inconsistent":
        return [(_split_key(key), sentence) for key, sentence in context["found"]]
    write: Callable | None = _WORDS.get(item["type"])
    if item["type"] == "extra_forbidden":
        return [((), _unknown_key(path, model))]
    if item["type"] == "missing":
        return [((), f"must be given, got nothing{_example(path, model)}")]
    if write is not None:
        return [((), f"must be {write(context)}, got {_short(item['input'])}")]
    if item["type"] == "sentence":
        return [((), item["msg"])]
    return [((), f"{item['msg']}, got {_short(item['input'])}")]


_WORDS: dict[str, Callable[[dict], str]] = {
    "literal_error": lambda c: c["expected"].replace("'", ""),
    "model_type": lambda c: "a section of keys",
    "model_attributes_type": lambda c: "a section of keys",
    "dict_type": lambda c: "a section of keys",
    "tuple_type": lambda c: "a list",
    "string_type": lambda c: "a text",
    "string_too_short": lambda c: "a text that is not empty",
    "bool_type": lambda c: "true or false",
    "bool_parsing": lambda c: "true or false",
    "int_type": lambda c: "a whole number",
    "int_parsing": lambda c: "a whole number",
    "int_from_float": lambda c: "a whole number",
    "float_type": lambda c: "a number",
    "float_parsing": lambda c: "a number",
    "finite_number": lambda c: "a finite number",
    "greater_than": lambda c: f"greater than {c['gt']}",
    "greater_than_equal": lambda c: f"at least {c['ge']}",
    "less_than": lambda c: f"less than {c['lt']}",
    "less_than_equal": lambda c: f"at most {c['le']}",
    "too_long": lambda c: f"a list of {c['max_length']}",
    "too_short": lambda c: f"a list of {c['min_length']}",
}


def _split_key(key: str) -> KeyPath:
    return tuple(int(part) if part.isdigit() else part for part in key.split("."))


def _short(value) -> str:
    try:
        text = "nothing" if value is None else repr(value)
    except ValueError:  # a whole number of thousands of digits
        return "a number beyond all bounds"
    return text if len(text) <= 60 else text[:57] + "..."


def _unknown_key(path: KeyPath, model: type[Spec]) -> str:
    section = _section(model, path[:-1])
    known = list(section.model_fields) if section else []
    where = f"in {'.'.join(map(str, path[:-1]))}" if path[:-1] else "at the top"
    hint = did_you_mean(str(path[-1]), known)
    return f"must be a known key {where}, got {str(path[-1])!r}{hint}; known: {', '.join(known)}"


def _example(path: KeyPath, model: type[Spec]) -> str:
    section = _section(model, path[:-1])
    known = section.model_json_schema()["properties"].get(path[-1], {}) if section else {}
    examples = known.get("examples")
    return f"; try `{path[-1]}: {examples[0]}`" if examples else ""


def _section(model: type[Model], path: KeyPath) -> type[Model] | None:
    """The model of the section at `path`."""
    named = False
    for step in path:
        if isinstance(step, str) and not named:
            if step not in model.model_fields:
                return None
            named = get_origin(model.model_fields[step].annotation) is dict  # the next step is a name, not a key
            inner = next(iter(_models_in(model.model_fields[step].annotation)), None)
            if inner is None:
                return None
            model = inner
        else:
            named = False
    return model


def _models_in(annotation) -> list[type[Model]]:
    """The spec models in a type such as `Shield | None` or `tuple[Coil, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return [annotation]
    return [m for inner in getattr(annotation, "__args__", ()) for m in _models_in(inner)]


# --- writing ---------------------------------------------------------------------------------------------


def resolved(model: Spec) -> dict[str, Any]:
    """Plain data with every default stated and every value with its unit; it loads back to the same model."""
    return json.loads(model.model_dump_json(exclude_none=True))


def to_yaml(model: Spec) -> str:
    """`resolved` as YAML text."""
    from ruamel.yaml import YAML

    yaml, stream = YAML(), StringIO()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 110
    yaml.dump(_flow(resolved(model)), stream)
    return stream.getvalue()


def _flow(node):
    """Lists of single values on one line, everything else in blocks."""
    from ruamel.yaml.comments import CommentedSeq

    if isinstance(node, dict):
        return {key: _flow(value) for key, value in node.items()}
    if isinstance(node, list):
        sequence = CommentedSeq(_flow(item) for item in node)
        if not any(isinstance(item, (dict, list)) for item in node):
            sequence.fa.set_flow_style()
        return sequence
    return node


def fingerprint(model: Spec) -> str:
    """SHA-256 over the resolved content, with the content of input files in place of their paths."""
    content = json.dumps(_content(model), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(content.encode()).hexdigest()


def _content(value):
    if isinstance(value, Model):
        return {name: _content(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {str(name): _content(item) for name, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_content(item) for item in value]
    if isinstance(value, Path) and value.is_dir():  # a result folder: what its files hold, without times and pictures
        return {str(file.relative_to(value)): _content(file) for file in sorted(value.glob("geometry/*.csv"))}
    if isinstance(value, Path):
        return hashlib.sha256(value.read_bytes()).hexdigest()
    return value


def json_schema(kind: str) -> dict[str, Any]:
    """JSON Schema of a kind of spec, for editors."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    models = (KINDS[kind], *VARIANTS.get(kind, {}).values())
    if len(models) == 1:
        return head | models[0].model_json_schema(mode="validation")
    return head | TypeAdapter[Any](reduce(or_, models)).json_schema(mode="validation")


def write_json_schemas(folder: str | Path) -> list[Path]:
    """Write `<kind>.json` for every kind into `folder`."""
    paths = []
    for kind in KINDS:
        path = Path(folder) / f"{kind}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(json_schema(kind), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        paths.append(path)
    return paths
