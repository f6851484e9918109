"""Somebody else's files: whatever they hold, the answer is figures or one sentence, never a traceback."""

import json
import struct

import numpy as np
import pytest
from typer.testing import CliRunner

from designtools import cli
from designtools.evaluate import UnreadableWinding, read

LOOP = "x,y,z\n0.1,0,0\n0,0.1,0\n-0.1,0,0\n0,-0.1,0\n0.1,0,0\n"


def call(*arguments):
    return CliRunner().invoke(cli.app, ["evaluate", *map(str, arguments)])


def stl(triangles) -> bytes:
    body = b"".join(struct.pack("<12fH", 0, 0, 1, *np.ravel(t), 0) for t in triangles)
    return bytes(80) + struct.pack("<I", len(triangles)) + body


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("a.csv", bytes(range(256)), "must be text in UTF-8, got the byte 0x80"),
        ("a.csv", LOOP.encode("utf-16"), "must be text in UTF-8"),
        ("a.csv", "x,y,z\n", "at least two finite points, got 0"),
        ("a.csv", "x,y,z\n0,0,nan\n1,1,1\n", "finite points"),
        ("a.csv", "1e300,0,0\n0,1e300,1\n", "lengths must be those of a coil"),
        ("a.csv", "x,y,z\n0,0,0.1\n0.1,0\n", "every row must hold numbers, got '0.1,0'"),
        ("a.csv", "x;y;z\n0;0;0,1\n1;0;0,1\n", "every row must hold numbers"),
        ("a.csv", "x,y,z,current\n0,0,0.1,nan\n1,0,0.1,nan\n", "every current must be a finite number"),
        ("a.csv", "x,y,z,current\n0,0,0.1,0\n1,0,0.1,0\n", "must make a field"),
        ("a.csv", "0.1,0,0\n0.1,0,0\n", "must make a field"),
        ("a.csv", "-1,0,0\n1,0,0\n", "a wire passes through the origin"),
        ("a.csv", "# designtools: winding\nx,y\n1,2\n", "the columns of a track table"),
        ("a.csv", "# designtools: source\nfoo\n", "must be a sound .csv file"),
        ("a.stl", "", "there are none"),
        ("a.stl", bytes(range(256)) * 9, "must be a sound .stl file"),
        ("a.stl", stl([[[0, 0, 0], [1, 0, 0], [0, 1, 0]]]), "got one with holes"),
        ("a.stl", stl([[[0, 0, 0], [1, 0, 0], [0, 1, 0]]])[:100], "must be a sound .stl file"),
        ("a.json", "3", "must be a list of objects"),
        ("a.json", "[" * 9000, "must be a sound .json file"),
        ("a.json", b"\xff\xfe", "must be text in UTF-8"),
        ("a.json", '[{"type": "__class__"}]', "must name a magpylib source"),
        ("a.json", '[{"type": "Circle"}]', "must be a sound .json file"),
        ("a.json", '[{"type": "Circle", "diameter": -1}]', "Circle must have sound arguments"),
        ("a.json", '[{"type": "Circle", "diameter": 0.4, "orientation": 5}]', "Circle must have sound arguments"),
        ("a.json", '[{"type": "Circle", "diameter": 0.4, "position": [[0, 0, 0], [0, 0, 1]]}]', "must have one position"),
        ("a.json", '[{"type": "Sensor", "pixel": [0, 0, 1]}]', "got 'Sensor'"),
        ("a.json", '[{"type": "Cuboid", "dimension": [1, 1, 1], "polarization": [0, 0, 1]}]', "--radius"),
    ],
)
def test_nasty_files_get_one_sentence(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    done = call(path, "--json")
    assert done.exit_code == 2 and words in done.stderr
    assert done.stderr.count("\n") == 1
    assert json.loads(done.stdout)["message"] == done.stderr.strip()


@pytest.mark.parametrize(
    "options, words",
    [
        (["--radius", "0 mm"], "--radius must be greater than 0, got '0 mm'"),
        (["--radius", "5 T"], "--radius must be a length"),
        (["--current", "nan"], "--current must be a current"),
        (["--current", "0 A"], "must make a field"),
        (["--unit", "T"], "unit of lengths must be a length"),
        (["--spec", "nowhere.yaml"], "must be an existing spec file"),
    ],
)
def test_bad_options_get_one_sentence(tmp_path, options, words):
    (tmp_path / "loop.csv").write_text(LOOP)
    done = call(tmp_path / "loop.csv", *options)
    assert done.exit_code == 2 and words in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("path", ["", "nowhere.csv"])
def test_a_folder_or_nothing_is_no_winding(tmp_path, path):
    with pytest.raises(UnreadableWinding, match="must be an existing file"):
        read(tmp_path / path)


@pytest.mark.parametrize("text", [LOOP, "\ufeff" + LOOP, LOOP.replace("\n", "\r\n"), LOOP.replace(",", ";"), LOOP.replace(",", "\t"), LOOP.replace(",", "  ")])
def test_marks_line_ends_and_separators_of_other_programs(tmp_path, text):
    (tmp_path / "loop.csv").write_bytes(text.encode())
    assert read(tmp_path / "loop.csv").start.shape == (4, 3)
