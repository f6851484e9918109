"""Where designs are made: this process, local processes, or a Dask cluster; each yields (index, record) as designs end.

A process that dies takes no finished design along, and what it was at is done again by another; a design that kills
whoever takes it is recorded as failed.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any

from designtools.sweep.ranges import BadSweep

Design = Callable[[Path, Path, dict], dict[str, Any]]
Job = tuple[int, Design, Path, Path, dict]
Records = Iterator[tuple[int, dict[str, Any]]]
PATIENCE = 2  # deaths of the pool without a finished design before jobs are tried one at a time


@contextmanager
def crew(workers: int, cluster: str | None, folder: Path):
    """A function from jobs to records, and its tidy end."""
    if cluster is not None:
        with _client(cluster, folder) as client:
            yield lambda jobs: _on_cluster(client, jobs)
    elif workers == 0:
        yield lambda jobs: map(_job, jobs)
    else:
        pools = _Pools(workers)
        try:
            yield pools.work
        finally:
            pools.close()


def failed(message: str) -> dict[str, Any]:
    """The record of a design that could not be made."""
    return {"status": "failed", "message": message, "figures": {}}


def _job(job: Job) -> tuple[int, dict[str, Any]]:
    """One design; a failure is a record too, so that it does not end the sweep."""
    index, design, spec, folder, overrides = job
    try:
        return index, design(spec, folder, overrides)
    except Exception as error:
        return index, failed(f"{type(error).__name__}: {error}")


# --- local processes -------------------------------------------------------------------------------------------


class _Pools:
    """A pool of processes, replaced when one of them is killed."""

    def __init__(self, workers: int):
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def work(self, jobs: list[Job]) -> Records:
        """Records as the designs end."""
        waiting, deaths = {job[0]: job for job in jobs}, 0
        while waiting:
            chosen = list(waiting.values()) if deaths < PATIENCE else list(waiting.values())[:1]
            try:
                for index, record in self._round(chosen):
                    del waiting[index]
                    deaths = 0
                    yield index, record
            except BrokenProcessPool:
                self._pool, deaths = None, deaths + 1
                if len(chosen) == 1 and deaths > PATIENCE:
                    del waiting[chosen[0][0]]
                    deaths = 0
                    yield chosen[0][0], failed("its process was killed every time; was the memory enough?")

    def _round(self, jobs: list[Job]) -> Records:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self._workers, mp_context=get_context("spawn"), initializer=_deaf_to_ctrl_c)
        futures = [self._pool.submit(_interruptible, job) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        except (KeyboardInterrupt, GeneratorExit):
            self._pool.shutdown(wait=False, cancel_futures=True)
            _interrupt(active_children())
            raise

    def close(self) -> None:
        """Wait for the processes to end."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


def _interrupt(processes) -> None:
    """Ctrl-C in a terminal reaches the workers too, a signal sent to this process alone does not."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGINT)


def _deaf_to_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _interruptible(job: Job) -> tuple[int, dict[str, Any]]:
    """A job in a worker: the first Ctrl-C ends it, tidily, and those after it find nobody."""

    def once(number, frame):
        _deaf_to_ctrl_c()
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, once)
    try:
        return _job(job)
    except KeyboardInterrupt:
        return job[0], {"status": "interrupted", "message": "interrupted", "figures": {}}
    finally:
        _deaf_to_ctrl_c()


# --- a Dask cluster --------------------------------------------------------------------------------------------


@contextmanager
def _client(address: str, folder: Path):
    """A connection to the scheduler at `address`, whose workers see the folder of the sweep.  Raises BadSweep."""
    try:
        from distributed import Client
    except ImportError:
        raise BadSweep("--cluster needs the package distributed: pip install 'designtools[cluster]'") from None
    try:
        client = Client(address, timeout=20, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise BadSweep(f"--cluster must be the address of a Dask scheduler such as tcp://host:8786, got {address!r}: {reason}") from None
    with _told_by_us(), client:
        _refuse_strangers(client, address, folder)
        yield client


@contextmanager
def _told_by_us():
    """The client's own words of a connection that broke are kept from the screen; what it means is said in a sentence."""
    logs = [logging.getLogger(name) for name in ("distributed", "distributed.client", "tornado", "asyncio")]
    levels = [log.level for log in logs]
    try:
        for log in logs:
            log.setLevel(logging.CRITICAL + 1)
        yield
    finally:
        for log, level in zip(logs, levels):
            log.setLevel(level)


def _refuse_strangers(client, address: str, folder: Path) -> None:
    """Workers must exist, run this version, and see the folder that is to be filled."""
    import designtools

    try:
        client.wait_for_workers(1, timeout=20)
        found = client.run(_sight, str(folder.absolute()))
    except TimeoutError:
        raise BadSweep(f"--cluster must have workers, got none at {address!r}; try `dask worker {address}`") from None
    except Exception as error:  # whatever a worker without this package raises
        reason = " ".join(str(error).split())[:200]
        raise BadSweep(f"--cluster must have workers that can import designtools, got: {type(error).__name__}: {reason}") from None
    for worker, (version, there) in found.items():
        if version != designtools.__version__:
            raise BadSweep(f"--cluster must run designtools {designtools.__version__}, got {version} at {worker}")
        if not there:
            raise BadSweep(f"--cluster must see --out, got a worker at {worker} without '{folder.absolute()}'; name a folder that all share")


def _sight(folder: str) -> tuple[str, bool]:
    """What a worker is: its version, and whether it can write to the folder."""
    import designtools

    return designtools.__version__, os.access(folder, os.W_OK)


def _on_cluster(client, jobs: list[Job]) -> Records:
    """Dask gives the jobs of a worker that dies to another; one that kills three workers is given up by it."""
    from distributed import as_completed as as_futures_end
    from distributed.scheduler import KilledWorker

    numbers = {client.submit(_job, job, pure=False, key=f"design-{os.getpid()}-{job[3].absolute()}"): job[0] for job in jobs}
    try:
        for future in as_futures_end(list(numbers), loop=client.loop):
            try:
                yield numbers[future], future.result()[1]
            except KilledWorker:
                yield numbers[future], failed("its workers were killed every time; was the memory enough?")
    except (KeyboardInterrupt, GeneratorExit):
        client.cancel(list(numbers), force=True)
        raise
    except (OSError, RuntimeError, CancelledError) as error:  # the scheduler is gone
        raise BadSweep(f"--cluster was lost: {type(error).__name__}; what has ended is kept, go on with --resume") from None
