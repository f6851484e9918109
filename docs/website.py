"""Builds the documentation into out/site: the pages of this folder and those that follow from the code and the tests.

    python docs/website.py            # then open out/site/index.html

Made here, never typed: commands, one page per kind, the Python interface from its docstrings, the gallery from
`docs/gallery/`, and the validation from what the last test run measured (`DESIGNTOOLS_MEASURED=out/measured pytest`).
"""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
SOURCE, SITE, MEASURED = ROOT / "out" / "site-source", ROOT / "out" / "site", ROOT / "out" / "measured"
PHYSICS = {"gradient": ("gradient", "gradient-limits"), "rf_coil": ("rf",), "rf_shim": ("rf",)}


def build() -> Path:
    """Write the pages and have them rendered; returns the folder of the site."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    shutil.copytree(HERE, SOURCE, ignore=shutil.ignore_patterns("*.py", "__pycache__", "*.json"))
    for name, text in made().items():
        (SOURCE / name).write_text(text, encoding="utf-8")
    for page in SOURCE.glob("*.md"):
        page.write_text(_linked(page.read_text(encoding="utf-8")), encoding="utf-8")
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    subprocess.run([sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-f", str(ROOT / "mkdocs.yml")], check=True, env=quiet)
    return SITE


def made() -> dict[str, str]:
    """File name -> text of every page that is made."""
    pages = {"index.md": (ROOT / "README.md").read_text(encoding="utf-8"), "changes.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")}
    pages |= {"contributing.md": (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), "licence.md": "# Licence\n\n" + (ROOT / "LICENSE").read_text(encoding="utf-8")}
    pages |= {"commands.md": commands(), "python.md": interface(), "gallery.md": gallery(), "validation.md": validation(MEASURED)}
    return pages | kinds()


def _linked(text: str) -> str:
    """Links within the repository as links within the site; what is not on it is named, not linked."""
    text = re.sub(r"\]\((?:\.\./)?(?:docs/)?CHANGELOG\.md\)", "](changes.md)", text)
    text = re.sub(r"\]\((?:\.\./)?CONTRIBUTING\.md\)", "](contributing.md)", text)
    text = re.sub(r"\]\((?:\.\./)?README\.md\)", "](index.md)", text)
    text = re.sub(r"\]\(docs/", "](", text)
    return re.sub(r"(?<!!)\[([^\]]+)\]\((?!https?:|#|mailto:)([^)#\s]+)(#[^)]*)?\)", _kept_link, text)


def _kept_link(match) -> str:
    return match[0] if (SOURCE / match[2]).exists() else match[1]


# --- commands and Python ---------------------------------------------------------------------------------------


def commands() -> str:
    """Every verb with its arguments and options."""
    import typer.main

    from designtools.cli import app

    group = typer.main.get_command(app)
    parts = ["# Commands", "", "Every verb also as `python -m designtools VERB`. `--help` says the same.", ""]
    for name, command in group.commands.items():
        parts += [f"## `designtools {name}`", "", (command.help or "").strip(), "", "| argument | meaning |", "|---|---|"]
        parts += [_row(_argument(p), getattr(p, "help", "") or "") for p in command.params if p.name != "help"] + [""]
    return "\n".join(parts)


def _argument(parameter) -> str:
    names = ", ".join([*parameter.opts, *parameter.secondary_opts]) if parameter.param_type_name == "option" else ""
    metavar = parameter.metavar or ""
    return f"`{' '.join(filter(None, (names, metavar))) or parameter.name}`"


def _row(*cells: str) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def interface() -> str:
    """Every public name of `designtools` with its signature and docstring."""
    import designtools as dt

    parts = ["# Python", "", "`import designtools as dt`. Arrays in, arrays out, SI; every number of a source can be traced and differentiated by JAX.", ""]
    for name in dt.__all__:
        value = getattr(dt, name)
        if not callable(value):
            parts += [f"## `dt.{name}`", "", f"`{value!r}`", ""]
            continue
        parts += [f"## `dt.{name}`", "", f"`{name}{_signature(value)}`", "", _code(inspect.getdoc(value) or ""), ""]
        methods = inspect.getmembers(value, lambda m: inspect.isfunction(m) or isinstance(m, property)) if inspect.isclass(value) else []
        parts += [f"- `{n}{_signature(m)}` {' '.join((inspect.getdoc(m) or '').partition(chr(10) * 2)[0].split())}" for n, m in methods if n[0] != "_" and n != "check"]
        parts += [""]
    return "\n".join(parts)


def _signature(value) -> str:
    """Names and plain defaults; types stand in the words."""
    if isinstance(value, property):
        return ""
    try:
        parameters = [p for p in inspect.signature(value).parameters.values() if p.name != "self"]
    except (TypeError, ValueError):
        return ""
    return f"({', '.join(map(_parameter, parameters))})"


def _parameter(parameter) -> str:
    default = parameter.default
    plain = default is None or isinstance(default, (bool, int, float, str, tuple))
    star = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    return star + parameter.name + ("" if default is parameter.empty else f"={default!r}" if plain else "=…")


def _code(text: str) -> str:
    """A docstring as Markdown: what is indented stays code, what is in angle brackets stays text."""
    return text.replace("<", "&lt;")


# --- kinds and gallery -----------------------------------------------------------------------------------------


def kinds() -> dict[str, str]:
    """One page per kind: what it is, a starter, its designs, its keys and its physics."""
    from designtools.spec import KINDS
    from designtools.starters import starter

    pages = {}
    for kind, model in KINDS.items():
        keys = sorted(page.stem for page in HERE.glob(f"spec-{kind}*.md") if re.fullmatch(rf"spec-{kind}(-[a-z]+)?", page.stem))
        physics = [f"physics-{name}" for name in PHYSICS.get(kind, (kind,)) if (HERE / f"physics-{name}.md").exists()]
        links = [f"[{'keys' if i == 0 else 'keys, ' + k.removeprefix(f'spec-{kind}-')}]({k}.md)" for i, k in enumerate(keys)]
        links += [f"[{p.replace('-', ' of ', 1).replace('-', ' ')}]({p}.md)" for p in physics]
        try:
            begin = ["## Begin with", "", "```yaml", starter(kind).rstrip(), "```", ""]
        except (ValueError, FileNotFoundError):
            begin = []
        head = [f"# Kind `{kind}`", "", inspect.getdoc(model) or "", "", " · ".join(links), ""]
        pages[f"kind-{kind}.md"] = "\n".join([*head, "## Designs", "", *_cards(kind), *begin])
    return pages


def gallery() -> str:
    """Every published spec, with the picture and the figures of its design where there are any."""
    from designtools.spec import KINDS

    parts = ["# Gallery", "", "The specs in `specs/`, designed as they stand (`python docs/gallery.py specs/NAME.yaml`).", ""]
    for kind in KINDS:
        parts += [f"## `{kind}`", "", *_cards(kind)]
    return "\n".join(parts)


def _cards(kind: str) -> list[str]:
    lines = []
    for spec in sorted((ROOT / "specs").glob("*.yaml")):
        text = spec.read_text(encoding="utf-8")
        if f"\nkind: {kind}\n" in "\n" + text:
            lines += [f"### `{spec.name}`", "", _first_comment(text), "", *_card(spec)]
    return lines


def _first_comment(text: str) -> str:
    lines = [line.lstrip("# ").strip() for line in text.splitlines() if line.startswith("#") and "yaml-language-server" not in line]
    return " ".join(lines).partition(". ")[0].rstrip(".:") + "." if lines else ""


def _card(spec: Path) -> list[str]:
    record = HERE / "gallery" / f"{spec.stem}.json"
    if not record.exists():
        return ["Not designed for the gallery.", ""]
    from designtools.spec import fingerprint, load
    from designtools.units import format as readable

    found = json.loads(record.read_text(encoding="utf-8"))
    rows = [_row(name, "-" if f["value"] is None else readable(f["value"], f["unit"])) for name, f in found["figures"].items()]
    met = sum(row["status"] == "MET" for row in found["requirements"])
    stale = "" if found["fingerprint"] == fingerprint(load(spec)) else " The spec has changed since."
    picture = [f"![{found['name']}](gallery/{spec.stem}.png)", ""] if record.with_suffix(".png").exists() else []
    verdict = f"{found['status']}; {met} of {len(found['requirements'])} requirements met; {found['seconds']:.0f} s.{stale}"
    return [*picture, verdict, "", "| figure | value |", "|---|---|", *rows, ""]


# --- validation ------------------------------------------------------------------------------------------------


def validation(folder: Path) -> str:
    """What the last test run measured, test file by test file."""
    tests = [json.loads(line) for file in sorted(folder.glob("*.jsonl")) for line in file.read_text(encoding="utf-8").splitlines()]
    compared = sum(len(test["measured"]) for test in tests)
    head = [
        "# Validation",
        "",
        "Made from the last test run beside this build; nothing here is typed. Each comparison with an exact case, a published",
        "figure or another program is the largest difference found, relative to the largest reference value compared, beside",
        "what the test allows. A test whose line has no difference asserts a bound or a relation instead.",
        "",
        f"{len(tests)} tests, {compared} comparisons, {sum(t['outcome'] == 'failed' for t in tests)} failures.",
        "",
    ]
    if not tests:
        head += ["No test run lies beside this build: `DESIGNTOOLS_MEASURED=out/measured uv run pytest`, then build again.", ""]
    by_file = defaultdict(list)
    for test in tests:
        by_file[test["test"].partition("::")[0]].append(test)
    return "\n".join([*head, *(line for file in sorted(by_file) for line in _of_file(file, by_file[file]))])


def _of_file(file: str, tests) -> list[str]:
    title = " ".join((ast.get_docstring(ast.parse((ROOT / file).read_text(encoding="utf-8"))) or file).partition("\n\n")[0].split())
    by_name = defaultdict(list)
    for test in tests:
        by_name[test["test"].partition("::")[2].partition("[")[0]].append(test)
    rows = [_of_test(name, group) for name, group in by_name.items()]
    return [f"## {title}", "", f"`{file}`", "", "| test | cases | largest difference | allowed | |", "|---|---|---|---|---|", *rows, ""]


def _of_test(name: str, group) -> str:
    words = name.removeprefix("test_").replace("_", " ")
    said = next((test["words"] for test in group if test["words"]), "")
    measured = [row for test in group for row in test["measured"] if row["scale"] > 0]
    worst = max((row["difference"] / row["scale"] for row in measured), default=None)
    allowed = max((_allowed(row) for row in measured), default=None)
    outcome = "failed" if any(t["outcome"] == "failed" for t in group) else "skipped" if all(t["outcome"] == "skipped" for t in group) else "passed"
    cells = [f"{words}{'. ' + said if said else ''}", str(len(group)), *("" if v is None else f"{v:.1e}" for v in (worst, allowed)), outcome]
    return _row(*(cell.replace("<", "&lt;") for cell in cells))


def _allowed(row) -> float:
    """The tolerance of a comparison, relative to its scale; that of pytest where the test names none."""
    relative = row["rel"] if row["rel"] is not None else 0.0 if row["abs"] is not None else 1e-6
    return max(relative, (row["abs"] if row["abs"] is not None else 1e-12) / row["scale"])


if __name__ == "__main__":
    print(build())
