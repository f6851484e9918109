"""The result folder: whole or not at all, never over something else, and back again."""

import json
import math

import numpy as np
import pytest
import synthetic
from synthetic import HOSTILE

from designtools import result as r

CONTRACT = {"kind", "name", "status", "message", "figures", "requirements", "audit", "timing_s", "provenance"}


def refuse_constant(name):
    raise AssertionError(f"{name} is not JSON")


@pytest.mark.parametrize(
    ("op", "limit", "value", "margin", "status"),
    [
        ("<=", 2.0, 1.0, 0.5, "MET"),
        ("<=", 2.0, 3.0, -0.5, "MISSED"),
        ("<=", 2.0, 2.0, 0.0, "MET"),
        ("<", 2.0, 2.0, 0.0, "MISSED"),
        (">=", 2.0, 3.0, 0.5, "MET"),
        (">=", -2.0, -3.0, -0.5, "MISSED"),
        (">", 2.0, 1.0, -0.5, "MISSED"),
        ("<=", 0.0, 1.0, None, "MISSED"),
        ("<=", 2.0, math.inf, -math.inf, "MISSED"),
        ("<=", 2.0, math.nan, None, "NOT EVALUATED"),
    ],
)
def test_margin_is_the_signed_relative_distance_to_the_limit(op, limit, value, margin, status):
    wanted = [{"quantity": "torque", "op": op, "limit": limit}]
    (row,) = r.evaluate_requirements(wanted, {"torque": r.Figure(value, "N·m", "test")})
    assert (row["margin"], row["status"]) == (margin, status)
    assert list(row) == ["quantity", "op", "limit", "value", "margin", "status"]


def test_absent_figure_is_not_evaluated_and_a_limit_may_be_text():
    (row,) = r.evaluate_requirements([{"quantity": "torque", "op": "<=", "limit": "5 mT"}], {})
    assert (row["status"], row["value"], row["limit"]) == ("NOT EVALUATED", None, 5e-3)


def test_unknown_operator_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match="op must be one of <=, >=, <, >, got '=='"):
        r.evaluate_requirements([{"quantity": "torque", "op": "==", "limit": 1}], {})


def test_unknown_status_is_refused():
    with pytest.raises(ValueError, match="status must be one of done"):
        r.Result("gradient", "x", "finished")


def test_json_is_strict_and_has_the_keys_of_the_contract():
    figures = {"a": r.Figure(np.float64("nan"), "T", "m"), "b": r.Figure(np.float32(2), "T", "m", 0.5)}
    odd = {"array": np.array([1.0, math.inf]), "scalar": np.int64(3), 4: (True, None)}
    result = r.Result("gradient", HOSTILE, "done", figures=figures, audit=odd)
    record = json.loads(r.to_json(result), parse_constant=refuse_constant)
    assert CONTRACT <= set(record)
    assert record["figures"] == {
        "a": {"value": None, "unit": "T", "method": "m"},
        "b": {"value": 2.0, "unit": "T", "method": "m", "uncertainty": 0.5},
    }
    assert record["audit"] == {"array": [1.0, None], "scalar": 3, "4": [True, None]}
    assert record["name"] == HOSTILE


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    result = synthetic.gradient()
    return result, r.write(result, tmp_path_factory.mktemp("out") / "coil", formats=["csv"])


def test_folder_holds_the_files_of_the_contract(written):
    _, folder = written
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {"spec.yaml", "result.json", "report.html", "fields/field.nc", "geometry/primary.csv"} <= files
    assert [path.name for path in folder.parent.iterdir()] == ["coil"]


def test_load_gives_back_what_was_written(written):
    result, folder = written
    back = r.load(folder)
    assert back.figures["efficiency"] == result.figures["efficiency"]
    assert math.isnan(back.figures["torque"].value)
    assert back.requirements == result.requirements
    assert (back.kind, back.name, back.status, back.message) == (
        result.kind,
        result.name,
        result.status,
        result.message,
    )
    assert back.spec == result.spec and list(back.spec) == list(result.spec)
    assert back.audit == result.audit and back.frame == result.frame
    assert back.folder == folder


def test_loaded_geometry_is_the_same_to_the_last_bit(written):
    result, folder = written
    back = r.load(folder)
    for ours, theirs in zip(result.windings, back.windings, strict=True):
        assert (ours.name, ours.current, ours.width, ours.thickness) == (
            theirs.name, theirs.current, theirs.width, theirs.thickness,
        )  # fmt: skip
        for a, b in zip(ours.tracks, theirs.tracks, strict=True):
            assert (
                np.array_equal(a.points, b.points)
                and np.array_equal(a.normals, b.normals)
                and a.roles == b.roles
            )
    points = np.array([[0.01, 0.02, 0.03], [0.3, -0.2, 0.1]])
    assert np.array_equal(back.source.field(points), result.source.field(points))
    assert len(back.source.parts) == 2
    uv = np.array([[0.3, 0.1]])
    assert np.array_equal(back.formers["shield"].at(uv), result.formers["shield"].at(uv))


def test_loaded_maps_come_from_the_file(written):
    result, folder = written
    (ours,), theirs = result.maps, r.load(folder).maps
    assert len(theirs) == 1 and theirs[0].name == ours.name and theirs[0].unit == "T"
    assert np.array_equal(theirs[0].values, ours.values)
    assert all(np.array_equal(a, b) for a, b in zip(theirs[0].axes, ours.axes))


def test_sources_of_every_kind_survive(tmp_path):
    from designtools.sources import Assembly, Filaments, Loops, Sheet, Uniform

    mesh = synthetic.winding()[1].mesh(0.1)
    parts = [
        Loops(centre=[[0, 0, 0.1]], normal=[[0, 0, 1]], radius=[0.3], current=[1 / 3]),
        Assembly([Filaments.from_path([[0, 0, 0], [0, 0, 0.1], [0, 0.2, 0.1]], current=2.0, closed=True)]),
        Uniform(flux_density=[0, 0, 0.1]),
        Sheet(vertices=mesh.vertices, faces=mesh.faces, stream=np.arange(len(mesh.vertices)) / 7),
        Loops(centre=[[0, 0, -0.1]], normal=[[0, 0, 1]], radius=[0.2], current=[1.0]),
    ]
    result = r.Result("magnet", HOSTILE, "done", source=Assembly(parts), sheets={HOSTILE: parts[3]})
    back = r.load(r.write(result, tmp_path / "odd", formats=[]))
    points = np.array([[0.01, 0.02, 0.03], [0.3, -0.2, 0.1]])
    assert np.array_equal(back.source.field(points), result.source.field(points))
    assert [type(part).__name__ for part in back.source.parts] == [
        "Loops",
        "Filaments",
        "Uniform",
        "Sheet",
        "Loops",
    ]
    assert np.array_equal(back.sheets[HOSTILE].stream, parts[3].stream)
    assert back.name == HOSTILE


def test_an_occupied_folder_is_refused_and_untouched(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "mine.txt").write_text("keep")
    with pytest.raises(FileExistsError, match="must be new or empty, but '.*out' already holds something"):
        r.write(synthetic.gradient(), folder)
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "mine.txt"]


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "out").mkdir()
    r.write(r.Result("gradient", "x", "done"), tmp_path / "out")
    assert (tmp_path / "out" / "result.json").is_file()


def test_a_failure_leaves_nothing_behind(tmp_path):
    class Broken:
        parts = ()

        def __len__(self):
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        r.write(r.Result("gradient", "x", "done", maps=Broken()), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_loading_something_else_says_what_it_must_be(tmp_path):
    with pytest.raises(FileNotFoundError, match="must hold result.json"):
        r.load(tmp_path)


def test_field_map_refuses_the_wrong_shape():
    with pytest.raises(ValueError, match="indexing='ij'"):
        r.FieldMap("b", (np.zeros(2), np.zeros(3), np.zeros(4)), np.zeros((4, 3, 2)), "T")


def test_notebook_summary_escapes_names():
    text = synthetic.gradient(HOSTILE)._repr_html_()
    assert "<script>" not in text and "&lt;script&gt;" in text and "123.4 µT/m/A" in text
