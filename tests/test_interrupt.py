"""Ctrl-C, sent to a real process while it solves and while it writes: exit code 130, nothing half done, and on."""

import json
import os
import signal
import subprocess
import sys

import pytest

TINY = """
kind: gradient
name: tiny
region: {radius: 80 mm}
target: {gradient_axis: x, strength: 30 mT/m, error: 10 %}
primary: {radius: 190 mm, length: 560 mm}
conductor: {width: 4 mm, thickness: 4 mm}
winding: {turns: 6}
mesh: {resolution: 40 mm}
audit: {points: 200}
"""
# the command itself, telling every step at once
COMMAND = [sys.executable, "-c", "from designtools import cli; cli.Progress.patience = -1.0; cli.main()"]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of a terminal")


def start(*arguments):
    return subprocess.Popen([*COMMAND, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def interrupted_at(word, *arguments):
    """(exit code, the JSON object on stdout, stderr) of a run that gets Ctrl-C when it says `word`."""
    with start(*arguments, "--json") as process:
        said = ""
        for line in process.stderr:
            said += line
            if word in line:
                process.send_signal(signal.SIGINT)
                break
        out, rest = process.communicate(timeout=120)
    assert word in said, said
    return process.returncode, json.loads(out), said + rest


def test_ctrl_c_in_the_solve_and_in_the_writing_then_resume(tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY)
    work = tmp_path / "work"
    work.mkdir()
    arguments = ("design", tmp_path / "tiny.yaml", "--out", work / "r")
    code, record, said = interrupted_at("sensitivity", *arguments)
    assert (code, record["status"]) == (130, "interrupted")
    assert "nothing was finished yet: run `designtools design" in said and "--resume` to go on" in said
    assert list(work.iterdir()) == []
    code, record, said = interrupted_at("writing", *arguments, "--resume")
    assert (code, record["status"]) == (130, "interrupted")
    assert "nothing was finished before" in said and "what was finished is kept" in record["message"]
    assert [path.name for path in work.iterdir()] == [".r.solution.npz"]
    with start(*arguments, "--json", "--resume") as process:
        out, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert "resuming" in said and "sensitivity" not in said
    assert json.loads(out)["status"] == "done" and json.loads(out)["report"] == str(work / "r" / "report.html")
    assert [path.name for path in work.iterdir()] == ["r"]


def test_ctrl_c_that_falls_into_a_destructor_is_not_lost():
    code = (
        "import os, signal, sys, time\nimport designtools.spec\nfrom designtools import cli\n"
        "class Dying:\n    def __del__(self):\n        os.kill(os.getpid(), signal.SIGINT)\n        time.sleep(0.05)\n"
        "def load(*_):\n    Dying()\n    time.sleep(20)\n    print('survived')\n"
        "designtools.spec.load = load\nsys.argv = ['designtools', 'check', 'x']\ncli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (130, ""), done.stderr
    assert done.stderr.startswith("interrupted")


def test_ctrl_c_ends_a_sweep_and_its_workers(tmp_path):
    """The signal goes to the parent alone, as from `kill`; it passes it on."""
    (tmp_path / "tiny.yaml").write_text(TINY)
    arguments = ("sweep", tmp_path / "tiny.yaml", "--vary", "winding.turns=5:6:2", "--out", tmp_path / "s")
    code, record, said = interrupted_at("design 0: done", *arguments)
    assert (code, record["status"]) == (130, "interrupted"), said
    assert "what was finished is kept" in said
    left = {path.name for path in (tmp_path / "s").iterdir()} - {".0001.solution.npz", "sweep.csv"}
    assert left in ({"sweep.sqlite", "0000"}, {"sweep.sqlite", "0000", "0001"})  # the second may have been quick
    with start(*arguments, "--resume", "--json") as process:
        out, said = process.communicate(timeout=120)
    record = json.loads(out)
    assert process.returncode == 0 and [d["status"] for d in record["designs"]] == ["done", "done"], said
    assert "design 0" not in said and "design 1: done" in said
    assert {p.name for p in (tmp_path / "s").iterdir()} == {"sweep.sqlite", "sweep.csv", "pareto.html", "0000", "0001"}
