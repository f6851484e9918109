"""The house, asserted from the source text itself: which way imports point, and habits that keep modules small.

    layer        rows of LAYERS, top to bottom       a module may import rows above its own and its own package
    specs        only SPEC_READERS see spec models   everybody else gets plain values (or duck-typed attributes)
    state        none at module level                tables of constants are fine, nothing may write to them
    functions    median at most 12 lines             the longest are named when it fails
"""

import ast
import statistics
from functools import cache
from pathlib import Path

import pytest

import designtools

PACKAGE = Path(designtools.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

LAYERS = (
    ("ground", {"units", "precision"}),
    ("trees", {"_pytree"}),
    ("materials", {"materials"}),
    ("specs", {"spec"}),
    ("geometry", {"regions", "formers"}),
    ("kernels", {"kernels"}),
    ("sources", {"sources"}),
    ("of fields", {"fast_sum", "fields", "harmonics", "inductance", "interop"}),
    ("field maps", {"field_map", "fringe"}),
    ("siting", {"siting"}),
    ("vocabulary", {"problem"}),
    ("questions", {"quantities", "rf"}),
    ("answers", {"solve", "windings"}),
    ("records", {"result"}),
    ("audit", {"audit"}),
    ("design", {"recipes"}),
    ("files", {"export", "centreline"}),
    ("report", {"report"}),
    ("pipeline", {"pipeline"}),
    ("files of others", {"foreign"}),
    ("verbs", {"evaluate", "starters", "doctor", "explorer"}),
    ("many designs", {"sweep"}),
    ("command line", {"cli"}),
    ("entry", {"__main__"}),
)
ROW = {name: row for row, (_, names) in enumerate(LAYERS) for name in names}

# Result has methods that write files; the imports stand inside those functions, and nothing below is needed to read it.
DOWNWARD = {("result", "export"), ("result", "report")}

SPEC_READERS = {"spec", "recipes", "pipeline", "cli", "sweep", "starters", "explorer"}
PLAIN_TABLES = {"designtools.spec.figures"}  # names and meanings of figures: no models, no reading


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def home(path: Path) -> str:
    """The folder or module directly under designtools to which a file belongs."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[0] if parts != ("__init__",) else "designtools"


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path):
    """(line, dotted name) of every module of the package that a file imports, late and dynamic imports included."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            yield from ((node.lineno, _submodule(node.module, alias.name)) for alias in node.names)
        elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func):
            yield node.lineno, _leading_text(node.args[0])


def _submodule(module: str, name: str) -> str:
    """`from designtools import result` names a module, `from designtools.units import MU_0` does not."""
    below = PACKAGE.parent.joinpath(*module.split("."), name)
    return f"{module}.{name}" if below.with_suffix(".py").exists() or below.is_dir() else module


def _leading_text(argument: ast.expr) -> str:
    if isinstance(argument, ast.JoinedStr):
        argument = argument.values[0]
    return argument.value if isinstance(argument, ast.Constant) else ""


def edges():
    """(place, importing home, imported home, dotted name) within the package."""
    for path in FILES:
        for line, name in imported(path):
            parts = name.split(".")
            if parts[0] == "designtools" and len(parts) > 1 and parts[1]:
                yield f"{path.relative_to(PACKAGE.parent)}:{line}", home(path), parts[1], name


# --- imports -------------------------------------------------------------------------------------------------


def test_every_module_has_a_place_in_the_table():
    assert {home(path) for path in FILES} - set(ROW) - {"designtools"} == set()


def test_imports_point_up_the_table():
    wrong = [
        f"{place}: {here} (row '{LAYERS[ROW[here]][0]}') must not import {name} (row '{LAYERS[ROW[there]][0]}')"
        for place, here, there, name in edges()
        if here != there and "designtools" != here and ROW[there] >= ROW[here] and (here, there) not in DOWNWARD
    ]
    assert wrong == []


def test_exceptions_to_the_table_are_late_and_needed():
    late = {
        (home(path), name.split(".")[1])
        for path in FILES
        for function in ast.walk(tree(path))
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.ImportFrom) and (name := node.module).startswith("designtools.")
    }
    assert DOWNWARD <= late
    top = {(home(p), n.module.split(".")[1]) for p in FILES for n in tree(p).body if isinstance(n, ast.ImportFrom) and n.module.startswith("designtools.")}
    assert not DOWNWARD & top


def test_only_the_edge_reads_specs():
    readers = {(place, here) for place, here, there, name in edges() if there == "spec" and name not in PLAIN_TABLES}
    assert sorted(place for place, here in readers if here not in SPEC_READERS) == []


def test_modules_of_a_package_do_not_import_each_other_in_circles():
    names = {module_name(path) for path in FILES}
    below = {module_name(path): {n for _, n in _at_import_time(path) if n in names} for path in FILES}
    assert _circle(below) == []


def _at_import_time(path: Path):
    for node in tree(path).body:
        if isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, _submodule(node.module, alias.name)) for alias in node.names)


def _circle(below: dict[str, set[str]]) -> list[str]:
    """A circle of names, or nothing: depth-first, a package's own __init__ counting as a module."""
    done: set[str] = set()

    def visit(name, trail):
        if name in trail:
            return [*trail[trail.index(name) :], name]
        if name in done:
            return []
        found = next((c for n in sorted(below.get(name, ())) if (c := visit(n, [*trail, name]))), [])
        done.add(name)
        return found

    return next((c for name in sorted(below) if (c := visit(name, []))), [])


# --- habits --------------------------------------------------------------------------------------------------


def calls(path: Path, name: str) -> list[str]:
    found = (n for n in ast.walk(tree(path)) if isinstance(n, ast.Call) and ast.unparse(n.func) == name)
    return [f"{path.relative_to(PACKAGE.parent)}:{n.lineno}" for n in found]


def test_only_the_command_line_prints():
    assert [place for path in FILES if path.name != "cli.py" for place in calls(path, "print")] == []


def test_no_file_is_a_drawer_for_everything():
    drawers = {"utils", "util", "helpers", "common", "misc", "tools"}
    assert [str(path) for path in PACKAGE.rglob("*") if path.stem in drawers] == []


WRITERS = {"append", "extend", "insert", "add", "update", "setdefault", "pop", "popitem", "clear", "remove", "discard", "sort", "reverse"}


def test_nothing_is_kept_at_module_level():
    wrong = [f"{path.relative_to(PACKAGE.parent)}:{line}: {what}" for path in FILES for line, what in _state(path)]
    assert wrong == []


def _state(path: Path):
    names = {t.id for node in tree(path).body for t in _targets(node) if isinstance(t, ast.Name)}
    for node in tree(path).body:
        value = getattr(node, "value", None)
        if isinstance(value, (ast.List, ast.Dict, ast.Set)) and not ast.unparse(value).strip("[]{}"):
            yield node.lineno, "an empty container at module level can only be there to be filled"
    for function in (n for n in ast.walk(tree(path)) if isinstance(n, (ast.FunctionDef, ast.Lambda))):
        local = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        local |= {a.arg for a in ast.walk(function) if isinstance(a, ast.arg)}
        yield from _writes(function, names - local)
        for decorator in getattr(function, "decorator_list", ()):
            if "cache" in ast.unparse(decorator):
                yield function.lineno, f"@{ast.unparse(decorator)} keeps values between calls"


def _targets(node) -> list[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []


def _writes(function, names: set[str]):
    for node in ast.walk(function):
        if isinstance(node, ast.Global):
            yield node.lineno, f"global {', '.join(node.names)}"
        elif isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load) and ast.unparse(node.value) in names:
            yield node.lineno, f"writes to {ast.unparse(node.value)}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in WRITERS and ast.unparse(node.func.value) in names:
                yield node.lineno, f"{ast.unparse(node.func)} changes a module's own data"


def test_only_precision_touches_the_settings_of_jax():
    assert [place for path in FILES if path.name != "precision.py" for place in calls(path, "jax.config.update")] == []


def functions():
    for path in FILES:
        for node in ast.walk(tree(path)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield node.end_lineno - node.lineno + 1, f"{path.relative_to(PACKAGE.parent)}:{node.lineno} {node.name}"


def test_functions_are_short(record_property):
    lengths = sorted(functions(), reverse=True)
    longest = "; ".join(f"{place} ({n})" for n, place in lengths[:8])
    median = statistics.median(n for n, _ in lengths)
    record_property("functions", f"{len(lengths)}, median {median}; longest: {longest}")
    assert median <= 12, longest
    assert lengths[0][0] <= LONGEST, longest


LONGEST = 50  # lines: what one screen shows


# --- words ---------------------------------------------------------------------------------------------------


def test_every_public_function_and_class_says_what_it_is():
    silent = [
        f"{path.relative_to(PACKAGE.parent)}:{node.lineno} {node.name}"
        for path in FILES
        for node in tree(path).body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_") and not ast.get_docstring(node)
    ]
    assert silent == []


def test_every_module_says_what_it_is():
    assert [str(path) for path in FILES if not ast.get_docstring(tree(path))] == []


@pytest.mark.parametrize("name", designtools.__all__)
def test_public_names_resolve_to_documented_things(name):
    value = getattr(designtools, name)
    assert isinstance(value, float) or value.__doc__


# --- the checks themselves can fail --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, words",
    [
        ("KEPT = {}\n", "empty container"),
        ("TABLE = {'a': 1}\ndef f(x):\n    TABLE['b'] = x\n", "writes to TABLE"),
        ("NAMES = ['a']\ndef f(x):\n    NAMES.append(x)\n", "NAMES.append"),
        ("COUNT = 0\ndef f():\n    global COUNT\n    COUNT += 1\n", "global COUNT"),
        ("from functools import cache\n@cache\ndef f(x):\n    return x\n", "@cache"),
    ],
)
def test_state_is_found(tmp_path, text, words):
    path = tmp_path / "module.py"
    path.write_text(text)
    assert any(words in what for _, what in _state(path))


def test_constants_and_local_containers_are_not_state(tmp_path):
    path = tmp_path / "module.py"
    path.write_text("TABLE = {'a': 1}\ndef f(x):\n    found = []\n    found.append(TABLE[x])\n    return found\n")
    assert list(_state(path)) == []


def test_imports_are_found_however_they_are_written(tmp_path):
    path = tmp_path / "module.py"
    path.write_text(
        "import designtools.cli\nfrom designtools import result\nfrom designtools.units import MU_0\n"
        "def f(kind):\n    from designtools.export.csv import write\n    import_module(f'designtools.recipes.{kind}')\n"
    )
    names = ["designtools.cli", "designtools.result", "designtools.units", "designtools.export.csv", "designtools.recipes."]
    assert sorted(name for _, name in imported(path)) == sorted(names)


def test_circles_are_found():
    assert _circle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == ["a", "b", "c", "a"]
    assert _circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
