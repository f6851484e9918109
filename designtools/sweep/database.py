"""The one SQLite file of a sweep: a row per design, written when it ends."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from designtools.sweep.plan import Plan
from designtools.sweep.ranges import BadSweep

_TABLES = (
    """create table if not exists designs (
    number integer primary key, fingerprint text, overrides text, status text, message text, figures text)""",
    "create table if not exists about (name text primary key, value text)",
)


def opened(path: Path, plan: Plan) -> sqlite3.Connection:
    """The database of this sweep, new or found; it is ours alone until closed.  Raises BadSweep."""
    database = sqlite3.connect(path, timeout=1)
    try:
        database.execute("pragma locking_mode = exclusive")
        database.execute("begin immediate")
        for table in _TABLES:
            database.execute(table)
        _claim(database, plan, path)
        database.commit()
    except sqlite3.OperationalError as error:
        database.close()
        reason = "another run works in it; wait for it or name another --out" if "locked" in str(error) else str(error)
        raise BadSweep(f"--out must be a folder that this sweep can have for itself, got '{path.parent}': {reason}") from None
    except (sqlite3.DatabaseError, BadSweep) as error:
        database.close()
        if isinstance(error, BadSweep):
            raise
        raise BadSweep(f"'{path}' must be the database of a sweep, got: {error}; move it away") from None
    return database


def _claim(database, plan: Plan, path: Path) -> None:
    """Write what the sweep is into a new database, or see that a found one is the same."""
    stored = [row[0] for row in database.execute("select fingerprint from designs order by number")]
    known = database.execute("select value from about where name = 'identity'").fetchone()
    same = known[0] == plan.identity if known else stored == list(plan.fingerprints)  # no identity before version 0.1.0
    if stored and not same:
        raise BadSweep(f"--resume must continue the same sweep, but '{path.parent}' holds another; name another --out")
    about = {"identity": plan.identity, "spec": str(plan.spec), "method": plan.method, "seed": str(plan.seed)}
    database.executemany("insert or replace into about values (?, ?)", about.items())
    if not stored:
        _insert(database, 0, zip(plan.designs, plan.fingerprints))


def add(database, first: int, designs, fingerprints) -> None:
    """Rows of designs that are to be done, numbered from `first`."""
    _insert(database, first, zip(designs, fingerprints))
    database.commit()


def _insert(database, first: int, rows) -> None:
    values = [(first + i, print_, json.dumps(overrides)) for i, (overrides, print_) in enumerate(rows)]
    database.executemany("insert into designs (number, fingerprint, overrides) values (?, ?, ?)", values)


def unfinished(database) -> list[tuple[int, dict[str, Any]]]:
    """(number, overrides) of designs that have not ended, or ended in a failure or by Ctrl-C."""
    query = "select number, overrides from designs where status is null or status in ('failed', 'interrupted') order by number"
    return [(number, json.loads(overrides)) for number, overrides in database.execute(query)]


def keep(database, index: int, record: Mapping[str, Any]) -> None:
    """Write what became of a design."""
    values = (record["status"], record["message"], json.dumps(record["figures"]), index)
    database.execute("update designs set status = ?, message = ?, figures = ? where number = ?", values)
    database.commit()


def records(database) -> list[dict[str, Any]]:
    """What became of every design that has ended, in their order."""
    query = "select number, overrides, status, message, figures from designs where status is not null order by number"
    return [
        {"index": i, "overrides": json.loads(o), "status": s, "message": m, "figures": json.loads(f)}
        for i, o, s, m, f in database.execute(query)
    ]
