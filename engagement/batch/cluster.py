"""Workers on other machines, through Dask distributed. The only file that imports it.

One task per video, or per range of a long one. The scheduler gives the tasks of a worker that died to others;
what a range saw stays in the memory of the workers until the ranges are joined. Results are written by the
workers themselves, so the output must be storage that all of them see.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from engagement import RESULTS_VERSION, __version__
from engagement.batch.places import is_url, local_path
from engagement.batch.tasks import Failure, Listener, Outcome, Setup, Task
from engagement.errors import BackendUnavailable, ConfigError, EngagementError, OutputError
from engagement.results import UNDER_WAY
from engagement.weights.store import manifest

_CONNECT_S = 15
_SAY_EVERY_S = 0.5


class Cluster:
    """Works off tasks on the workers of a Dask scheduler.

    Args:
        address: of the scheduler, such as ``tcp://host:8786``.
        setup: paths in it are made absolute.
        note: tells the user something at once.

    Raises:
        BackendUnavailable: Dask distributed is not installed.
    """

    def __init__(self, address: str, setup: Setup, note: Callable[[str], None]) -> None:
        try:
            import distributed
        except ImportError as error:
            raise BackendUnavailable(
                "--scheduler needs Dask distributed", "pip install 'engagement[cluster]'"
            ) from error
        root = local_path(setup.root)
        self._distributed: Any = distributed
        self._address = address
        self._setup = replace(setup, root=root if is_url(root) else str(Path(root).absolute()))
        self._note = note
        self._run_id = uuid.uuid4().hex[:8]
        self._events: Queue[tuple[Any, ...]] = Queue()
        self._tasks: dict[str, Task] = {}
        self._futures: dict[str, Any] = {}

    def run(self, tasks: Sequence[Task], listener: Listener) -> None:
        """See :class:`engagement.batch.tasks.Executor`.

        Raises:
            ConfigError: the scheduler cannot be reached, or its workers are of another version.
            OutputError: a worker does not see the output folder.
        """
        _hush()
        client = self._connect()
        try:
            with _marked(self._setup.root, self._run_id):
                self._check_workers(client)
                client.subscribe_topic(
                    _topic(self._run_id), lambda event: self._events.put(("at", *event[1]))
                )
                self._submit(client, tasks)
                self._work_off(client, listener)
        except (self._distributed.comm.CommClosedError, TimeoutError) as error:
            raise self._gone() from error
        finally:
            # Tasks nobody wants any more are abandoned by the workers at their next frame.
            self._futures.clear()
            client.close(timeout=_CONNECT_S)

    def _connect(self) -> Any:
        try:
            return self._distributed.Client(
                self._address, timeout=_CONNECT_S, name="engagement", set_as_default=False
            )
        except (OSError, TimeoutError, ValueError) as error:
            reason = str(error).splitlines()[0] if str(error) else "no answer"
            raise ConfigError(
                f"--scheduler {self._address} cannot be reached ({reason})",
                "Start it with 'dask scheduler', and give the address that it prints.",
            ) from error

    def _check_workers(self, client: Any) -> None:
        mark = "" if is_url(self._setup.root) else str(Path(self._setup.root) / _mark(self._run_id))

        # A nested function travels by value: a worker without this package can still answer.
        def look(mark: str) -> tuple[str, bool]:
            import os.path

            try:
                from engagement.batch.cluster import identity

                return identity(), not mark or os.path.exists(mark)  # noqa: PTH110
            except ImportError:
                return "", True

        found = client.run(look, mark)
        if not found:
            self._note(f"{self._address} has no workers yet; waiting for them")
        for worker, (there, sees) in sorted(found.items()):
            if there != identity():
                raise ConfigError(
                    f"worker {worker} has {there or 'no engagement'}, this is {identity()}",
                    "Install the same version and weights everywhere.",
                )
            if not sees:
                raise OutputError(
                    f"worker {worker} does not see the output folder {self._setup.root}",
                    "Choose a folder on storage that all machines share.",
                )

    def _submit(self, client: Any, tasks: Sequence[Task]) -> None:
        for task in tasks:
            key = f"engagement-{task.action}-{self._run_id}-{task.number}-{uuid.uuid4().hex[:6]}"
            plain = replace(task, video=replace(task.video, path=task.video.path.absolute()), parts=())
            future = client.submit(
                perform,
                self._setup,
                plain,
                list(task.parts),
                self._run_id,
                identity(),
                key=key,
                pure=False,
                priority=1 if task.urgent else 0,
            )
            self._tasks[key], self._futures[key] = task, future
            future.add_done_callback(lambda done: self._events.put(("ended", done.key)))

    def _work_off(self, client: Any, listener: Listener) -> None:
        while self._futures:
            if client.status != "running":
                raise self._gone()
            try:
                kind, key, *rest = self._events.get(timeout=1.0)
            except Empty:
                continue
            task = self._tasks.get(key)
            if task is None:
                continue
            if kind == "at":
                listener.at(task, *rest)
                continue
            # Both forgotten: a task that joins ranges holds on to what was read of them.
            future = self._futures.pop(key)
            del self._tasks[key]
            if not listener.wanted(task):
                continue
            if future.status == "finished":
                outcome: Outcome = future if task.action == "read" else future.result()
                self._submit(client, listener.done(task, outcome))
            else:
                self._submit(client, listener.failed(task, self._failure(future)))
            for other in [k for k in self._futures if not listener.wanted(self._tasks[k])]:
                self._futures.pop(other).cancel()
                del self._tasks[other]

    def _gone(self) -> EngagementError:
        return EngagementError(
            f"the scheduler {self._address} is gone", "Start it and this command again: it goes on."
        )

    def _failure(self, future: Any) -> Failure:
        if future.status in ("cancelled", "lost"):
            return Failure("the cluster dropped it", "See the log of the scheduler.", lost=True)
        error = future.exception()
        if isinstance(error, self._distributed.scheduler.KilledWorker):
            last = getattr(getattr(error, "last_worker", None), "address", "")
            hint = "If memory ran out, give workers more of it or use a higher --min-face."
            return Failure(f"its worker died again and again, at last {last}", hint, lost=True)
        if isinstance(error, ModuleNotFoundError) and (error.name or "").startswith("engagement"):
            return Failure("a worker has no engagement", "Install the same version everywhere.")
        return Failure.of(error or RuntimeError("no reason given"))


def _hush() -> None:
    """Dask's own lines about lost connections mean nothing to a user; what matters is reported by us."""
    for name in list(logging.root.manager.loggerDict):
        if name.split(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL)


def identity() -> str:
    """What must be equal on all machines: version, and the hashes of the shipped weights."""
    import hashlib

    hashes = sorted(str(entry.get("sha256", "")) for entry in manifest().values())
    weights = hashlib.sha256("".join(hashes).encode()).hexdigest()[:8]
    return f"engagement {__version__} (results {RESULTS_VERSION}, weights {weights})"


_own = threading.local()


def perform(setup: Setup, task: Task, parts: list[Any], run_id: str, wanted: str) -> Outcome:
    """One task, on a worker. The models are kept for the next task of the same setup.

    Raises:
        EngagementError: as the stages say; also when this machine has another version.
    """
    from distributed import get_worker

    worker = get_worker()
    if identity() != wanted:
        raise ConfigError(
            f"worker {worker.address} has {identity()}, the run was started with {wanted}",
            "Install the same version and weights everywhere.",
        )
    if not is_url(setup.root) and not (Path(setup.root) / _mark(run_id)).exists():
        raise OutputError(
            f"worker {worker.address} does not see the output folder {setup.root}",
            "Choose a folder on storage that all machines share.",
        )
    if getattr(_own, "setup", None) != setup:
        from engagement.batch.work import VideoWorker

        _own.worker, _own.setup = VideoWorker(setup), setup
    key = worker.get_current_task()
    last = -1e9

    def say(time_s: float, duration_s: float | None) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < _SAY_EVERY_S:
            return
        last = now
        state = worker.state.tasks.get(key)
        if state is None or state.state in ("cancelled", "resumed"):
            raise EngagementError("abandoned: nobody waits for it any more")
        worker.log_event(_topic(run_id), (key, time_s, duration_s))

    return _own.worker.perform(replace(task, parts=tuple(parts)), say)


def _topic(run_id: str) -> str:
    return f"engagement-{run_id}"


def _mark(run_id: str) -> str:
    return f"{UNDER_WAY}run-{run_id}"


@contextmanager
def _marked(root: str, run_id: str) -> Iterator[None]:
    """A folder in the output folder meanwhile, by which workers see that it is the same one."""
    if is_url(root):
        yield
        return
    path = Path(root) / _mark(run_id)
    path.mkdir()
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            path.rmdir()
