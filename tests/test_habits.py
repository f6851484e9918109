"""Names and habits: one JSON object from every verb, completion, schemas for editors, a doctor who sees what is missing, the pages of the site."""

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

import designtools
from designtools import cli, doctor
from designtools.spec import KINDS, SpecError, json_schema, load

ROOT = Path(__file__).parent.parent
EARLIER = ROOT / "tests" / "reference" / "earlier" / "magnet"


def call(*arguments):
    return CliRunner().invoke(cli.app, list(map(str, arguments)))


# --- --json ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", ROOT / "specs" / "six_coil_magnet.yaml"),
        ("check", "nowhere.yaml"),
        ("new", "halbach"),
        ("new", "nonsense"),
        ("compare", EARLIER, EARLIER),
        ("compare", "nowhere"),
        ("export", EARLIER, "csv", "--out", "{tmp}/coils.csv"),
        ("export", EARLIER, "nonsense"),
        ("evaluate", EARLIER / "geometry" / "blocks.csv", "--radius", "50 mm"),
        ("evaluate", "nowhere.csv"),
        ("sweep", ROOT / "specs" / "six_coil_magnet.yaml", "--vary", "nonsense"),
        ("design", "nowhere.yaml"),
        ("doctor",),
    ],
    ids=lambda a: " ".join(map(str, a[:1])) + (" refused" if "non" in str(a) or "nowhere" in str(a) else ""),
)
def test_json_is_one_object_and_nothing_else(arguments, tmp_path):
    done = call(*(str(a).replace("{tmp}", str(tmp_path)) for a in arguments), "--json")
    record = json.loads(done.stdout)
    assert isinstance(record, dict) and done.exit_code in (0, 2, 3)
    assert done.exit_code != 2 or (record["status"] == "bad input" and record["message"] and done.stderr.strip())


def test_every_verb_but_the_server_has_json():
    group = importlib.import_module("typer.main").get_command(cli.app)
    lacking = [name for name, command in group.commands.items() if not any("--json" in p.opts for p in command.params)]
    assert set(lacking) <= {"show"}


# --- errors ----------------------------------------------------------------------------------------------------

WORDS = re.compile(r"\b(must|needs|unknown|cannot|one of|did you mean|try)\b")
SPOILT = [
    ("primary.radius", "-1 mm"), ("primary.radius", "1 T"), ("primary.radius", "wide"), ("primary.raduis", "1 mm"), ("kind", "gradeint"),
    ("winding.turns", "2.5"), ("target.error", "-3 %"), ("requirements", "5"), ("frame.b0_axis", "w"), ("conductor.material", "cheese"), ("version", "9"),
]  # fmt: skip


@pytest.mark.parametrize("key, value", SPOILT)
def test_a_mistake_says_where_what_it_must_be_and_what_came(key, value):
    with pytest.raises(SpecError) as caught:
        load(ROOT / "specs" / "head_gradient_x.yaml", {key: value})
    for problem in caught.value.problems:
        assert problem.place and WORDS.search(problem.sentence), str(problem)
    assert any(value.split()[0].strip("-") in str(p) or key.rpartition(".")[2] in str(p) for p in caught.value.problems)


# --- completion and schemas ------------------------------------------------------------------------------------


def completed(words: str) -> list[str]:
    environment = os.environ | {"_DESIGNTOOLS_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = subprocess.run([sys.executable, "-m", "designtools"], capture_output=True, text=True, env=environment, timeout=60)
    return done.stdout.split()


@pytest.mark.parametrize("words, found", [("designtools ev", ["evaluate"]), ("designtools new ha", ["halbach"]), ("designtools sweep --eps", ["--epsilon"])])
def test_the_shell_completes_verbs_kinds_and_options(words, found):
    assert completed(words) == found


@pytest.mark.parametrize("path", sorted((ROOT / "specs").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_published_spec_names_its_schema(path):
    first = path.read_text(encoding="utf-8").splitlines()[0]
    kind = YAML(typ="safe").load(path.read_text(encoding="utf-8"))["kind"]
    assert first == f"# yaml-language-server: $schema=schema/{kind}.json" and (ROOT / "specs" / "schema" / f"{kind}.json").is_file()


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_spec_brings_its_schema_for_the_editor(kind, tmp_path):
    done = call("new", kind, "--out", tmp_path / "s.yaml", "--schema", "--json")
    assert done.exit_code == 0 and f"{kind}.schema.json" in done.stdout
    assert (tmp_path / "s.yaml").read_text(encoding="utf-8").startswith(f"# yaml-language-server: $schema={kind}.schema.json\n")
    assert json.loads((tmp_path / f"{kind}.schema.json").read_text(encoding="utf-8")) == json_schema(kind)
    assert call("check", tmp_path / "s.yaml").exit_code == 0
    assert call("new", kind, "--schema").exit_code == 2


# --- doctor ----------------------------------------------------------------------------------------------------


def test_the_doctor_knows_every_declared_dependency_and_extra():
    found = doctor.findings()
    assert set(doctor.required()) <= set(found["versions"]) and "jax" in doctor.required()
    assert {"xarray", "scikit-fem", "distributed", "browser"} <= set(found["optional"])
    assert doctor.problems(found) == [] and "GB free" in found["places"]["this folder"]


def test_the_doctor_says_what_is_wrong_and_what_to_do(monkeypatch):
    found = doctor.findings()
    sick = found | {"versions": found["versions"] | {"scipy": "missing, but required"}, "precision": {"default": "float32"}}
    assert doctor.problems(sick) == ["scipy must be installed, but is missing: pip install scipy", "arithmetic must be float64, got float32; unset JAX_ENABLE_X64"]
    monkeypatch.setattr(doctor, "_version", lambda name: None)
    assert doctor.findings()["optional"]["distributed"] == "missing: sweep --cluster; pip install 'designtools[cluster]'"


def test_types_are_shipped():
    assert (Path(designtools.__file__).parent / "py.typed").is_file()


# --- the site --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def website():
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        yield importlib.import_module("website")
    finally:
        sys.path.remove(str(ROOT / "docs"))


def test_the_site_has_a_page_per_kind_every_verb_and_every_public_name(website):
    pages = website.made()
    assert {f"kind-{kind}.md" for kind in KINDS} <= set(pages)
    assert all(f"## `designtools {name}`" in pages["commands.md"] for name in ("design", "sweep", "evaluate", "doctor"))
    assert all(f"## `dt.{name}`" in pages["python.md"] for name in designtools.__all__)
    assert all(f"### `{path.name}`" in pages["gallery.md"] for path in (ROOT / "specs").glob("*.yaml"))
    nav = re.findall(r": ([\w-]+\.md)", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert [page for page in nav if page not in pages and not (ROOT / "docs" / page).is_file()] == []
    assert {f"kind-{kind}.md" for kind in KINDS} <= set(nav)


def test_every_picture_of_the_gallery_belongs_to_a_spec():
    shown = {path.stem for path in (ROOT / "docs" / "gallery").glob("*.json")}
    assert shown and shown <= {path.stem for path in (ROOT / "specs").glob("*.yaml")}


def test_validation_tells_what_was_measured(website, tmp_path):
    row = {"difference": 2e-9, "scale": 4.0, "rel": None, "abs": None, "count": 1, "expected": 4.0, "actual": 4.000000002}
    record = {"test": "tests/test_habits.py::test_types_are_shipped[a]", "words": "Said so.", "outcome": "passed", "seconds": 1, "measured": [row]}
    (tmp_path / "1.jsonl").write_text(json.dumps(record) + "\n")
    page = website.validation(tmp_path)
    assert "1 tests, 1 comparisons, 0 failures" in page and "| types are shipped. Said so. | 1 | 5.0e-10 | 1.0e-06 | passed |" in page


def test_what_tests_compare_is_kept(tmp_path):
    """The plugin in a run of its own: scalars, arrays and failures."""
    (tmp_path / "test_small.py").write_text(
        "import numpy as np, pytest\ndef test_a():\n    'Says.'\n    assert 1.0 == pytest.approx(1.0 + 1e-9)\n    assert np.ones(3) == pytest.approx(np.ones(3))\n"
        "def test_b():\n    assert 1.0 == pytest.approx(2.0)\n"
    )
    (tmp_path / "conftest.py").write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT / 'tests')!r})\nfrom pathlib import Path\nfrom measured import Measured\n"
        f"def pytest_configure(config):\n    config.pluginmanager.register(Measured(Path({str(tmp_path / 'm')!r})))\n"
    )
    subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", str(tmp_path)], capture_output=True, cwd=tmp_path, timeout=60)
    (file,) = (tmp_path / "m").glob("*.jsonl")
    first, second = map(json.loads, file.read_text().splitlines())
    assert (first["words"], first["outcome"], len(first["measured"])) == ("Says.", "passed", 2) and first["measured"][0]["difference"] < 1.1e-9
    assert second["outcome"] == "failed" and second["measured"][0]["difference"] == 1.0
