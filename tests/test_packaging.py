"""What ships: declared dependencies are those that are imported, none is under a copyleft licence, data files go along."""

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib import metadata, resources
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import designtools

ROOT = Path(__file__).parent.parent
PACKAGE = Path(designtools.__file__).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DECLARED = {Requirement(text).name for text in PROJECT["dependencies"]}

# distribution -> module, where the names differ
MODULE = {"cvxpy-base": "cvxpy", "ruamel.yaml": "ruamel", "pyyaml": "yaml", "scikit-fem": "skfem", "scikit-rf": "skrf"}
# needed though no module of ours names them: who calls them
CALLED_BY_OTHERS = {
    "clarabel": "cvxpy, for cones",
    "osqp": "cvxpy, which lists it as a default solver",
    "highspy": "cvxpy, for linear programs",
    "manifold3d": "trimesh, for solids cut from one another",
    "rtree": "trimesh, for spatial queries",
    "networkx": "trimesh, for graphs of faces",
    "h5py": "h5netcdf",
}


@cache
def imported_modules() -> set[str]:
    found: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"designtools"}


def test_every_import_is_a_declared_dependency():
    extras = {Requirement(text).name for texts in PROJECT["optional-dependencies"].values() for text in texts}
    declared = {MODULE.get(name, name) for name in DECLARED | extras} | {"pydantic_core"}  # part of pydantic
    transitive = {"contourpy": "matplotlib", "markupsafe": "jinja2"}  # imported by us, required by a declared dependency
    for module, owner in transitive.items():
        assert owner in DECLARED and any(Requirement(r).name.lower() == module for r in metadata.requires(owner))
    assert imported_modules() - declared - set(transitive) == set()


def test_every_declared_dependency_is_needed():
    idle = {name for name in DECLARED if MODULE.get(name, name) not in imported_modules()}
    assert idle - set(CALLED_BY_OTHERS) == set()


def test_optional_solvers_and_judges_stay_out_of_the_import():
    """`import designtools.cli` and the spec models answer before anything heavy is loaded."""
    heavy = ("jax", "scipy", "cvxpy", "plotly", "trimesh", "matplotlib", "h5py", "nibabel", "magpylib", "ezdxf")
    code = f"import sys, designtools.cli, designtools.spec, designtools.units; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.parametrize("arguments", [("--help",), ("design", "--help"), ("doctor", "--help")])
def test_the_module_is_the_command(arguments):
    done = subprocess.run([sys.executable, "-m", "designtools", *arguments], capture_output=True, text=True, check=True)
    assert "Usage: designtools" in done.stdout


# --- licences ------------------------------------------------------------------------------------------------


@cache
def closure() -> dict[str, metadata.Distribution]:
    """Every distribution that the declared dependencies bring along here, by normalised name."""
    found: dict[str, metadata.Distribution] = {}
    waiting = sorted(DECLARED)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        found[name] = metadata.distribution(name)
        needed = map(Requirement, found[name].requires or ())
        waiting += [r.name for r in needed if r.marker is None or r.marker.evaluate({"extra": ""})]
    return found


def licence(distribution: metadata.Distribution) -> str:
    """What a distribution says of itself: SPDX expression, else classifiers, else the first words of its text."""
    about = distribution.metadata
    classifiers = [c.split("::")[-1].strip() for c in about.get_all("Classifier") or () if c.startswith("License ::")]
    return about.get("License-Expression") or "; ".join(classifiers) or " ".join((about.get("License") or "").split())[:60]


PERMISSIVE = re.compile(r"MIT|BSD|Apache|ISC|PSF|Python Software Foundation|Zlib|0BSD|CC0", re.IGNORECASE)


@pytest.mark.parametrize("name", sorted(closure()))
def test_no_dependency_is_copyleft(name):
    words = licence(closure()[name])
    assert PERMISSIVE.search(words), f"{name}: {words!r}"
    assert not re.search(r"GPL|General Public|EUPL|MPL", words), f"{name}: {words!r}"


def test_the_page_of_licences_names_every_declared_dependency():
    page = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| ([\w.-]+) \| ([^|]+?) \|", page, re.MULTILINE))
    assert set(rows) - {"package"} >= DECLARED
    spelled = lambda text: re.sub(r"[\s-]|License|Software", "", text).lower()
    for name in DECLARED:
        assert spelled(licence(metadata.distribution(name))).startswith(spelled(rows[name])[:3]), name


# --- files ---------------------------------------------------------------------------------------------------


def test_version_is_said_once():
    assert PROJECT["version"] == designtools.__version__
    assert f"## [{designtools.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("place", ["report/page.css", "report/page.js", "report/template.html.j2", "starters/gradient.yaml"])
def test_data_files_lie_inside_the_package(place):
    assert resources.files("designtools").joinpath(place).is_file()


def test_nothing_of_the_package_is_ignored_by_git():
    """hatchling leaves out of the wheel what git ignores."""
    done = subprocess.run(
        ["git", "ls-files", "--others", "--ignored", "--exclude-standard", "designtools"], cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip("not a git checkout: nothing says what is ignored")
    assert [line for line in done.stdout.splitlines() if "__pycache__" not in line] == []


def test_ci_runs_the_commands_of_the_readme():
    commands = re.findall(r"^pip install uv && uv run .*$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert commands == [
        "pip install uv && uv run designtools design specs/head_gradient_x.yaml",
        "pip install uv && uv run designtools design specs/scanner_50mT_head.yaml",
        "pip install uv && uv run pytest",
    ]
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert commands[-1] in script.splitlines()
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
