"""Several processes of this machine, each with its own models. One that dies takes only its task with it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from engagement.batch.tasks import Failure, Listener, Performer, Task, enqueue
from engagement.device import cores
from engagement.errors import EngagementError

_SAY_EVERY_S = 0.2
#: Libraries that start as many threads as there are cores; the stages have threads of their own.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_ENDS_WITHIN_S = 5.0
#: After Ctrl-C workers have so long to say that they had finished.
_SAYS_WITHIN_S = 0.5


def automatic_workers(tasks: int | None) -> int:
    """For ``--workers auto``: one for two cores, since the stages of one keep about two busy.

    Args:
        tasks: how many there are, None where that is not known.
    """
    return max(1, cores() // 2 if tasks is None else min(tasks, cores() // 2))


def decode_threads(workers: int) -> int:
    """Threads that each of so many workers may decode with."""
    return max(1, cores() // workers)


@contextlib.contextmanager
def interrupted_when_terminated() -> Iterator[None]:
    """Within the block a closed terminal and a scheduler's time limit are what Ctrl-C is: what is finished gets listed.

    Signals that are ignored (``nohup``) or handled already are left alone.
    """
    meant = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        meant = []  # only the main thread may say what happens
    meant = [number for number in meant if signal.getsignal(number) is signal.SIG_DFL]

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    for number in meant:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in meant:
            signal.signal(number, signal.SIG_DFL)


@dataclass(slots=True, eq=False)
class _Worker:
    """A process and our end of its pipe."""

    process: BaseProcess
    pipe: Connection
    task: Task | None = None
    ready: bool = False


class Processes:
    """Works off tasks in processes that start afresh (``spawn``).

    Args:
        make: builds the worker of a process; must be picklable.
        n: how many processes.
    """

    def __init__(self, make: Callable[[], Performer], n: int) -> None:
        self._make = make
        self._n = n
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []
        self._scratch = ""

    def run(self, tasks: Sequence[Task], listener: Listener) -> None:
        """See :class:`engagement.batch.tasks.Executor`."""
        queue = list(tasks)
        # Workers that are stopped leave their temporary files, perhaps whole recordings: they are ours to remove.
        with tempfile.TemporaryDirectory(prefix="engagement-", ignore_cleanup_errors=True) as self._scratch:
            try:
                while queue or any(w.task for w in self._workers):
                    queue = [task for task in queue if listener.wanted(task)]
                    self._assign(queue)
                    for worker, message in self._heard(1.0):
                        queue = enqueue(queue, self._follow(worker, message, listener))
            except KeyboardInterrupt:
                self._hear_out(listener)
                raise
            finally:
                self._stop()

    def _hear_out(self, listener: Listener) -> None:
        """What was finished a moment ago: its result is there already, and belongs into the index."""
        until = time.monotonic() + _SAYS_WITHIN_S
        while any(w.task for w in self._workers) and (left := until - time.monotonic()) > 0:
            for worker, (kind, *rest) in self._heard(left):
                if kind == "done" and worker.task:
                    listener.done(worker.task, rest[0])
                if kind in ("done", "died"):
                    worker.task = None
                if kind == "died":
                    self._workers.remove(worker)
                    worker.pipe.close()

    def _assign(self, queue: list[Task]) -> None:
        idle = [w for w in self._workers if w.task is None]
        while queue and (idle or len(self._workers) < self._n):
            worker = idle.pop(0) if idle else self._start()
            task = queue.pop(0)
            worker.task = task
            # One that just died is noticed when it is listened to.
            with contextlib.suppress(OSError):
                worker.pipe.send(task)

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(self._make, theirs), daemon=True)
        with _environment(dict.fromkeys(_ONE_THREAD, "1") | {"TMPDIR": self._scratch}):
            process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker

    def _heard(self, within_s: float) -> Iterator[tuple[_Worker, tuple[Any, ...]]]:
        """What workers say, and ``("died",)`` for one that ended."""
        by_pipe = {w.pipe: w for w in self._workers}
        for pipe in wait(list(by_pipe), timeout=within_s):
            assert isinstance(pipe, Connection)
            worker = by_pipe[pipe]
            try:
                yield worker, pipe.recv()
            except (EOFError, OSError):
                yield worker, ("died",)

    def _follow(self, worker: _Worker, message: tuple[Any, ...], listener: Listener) -> Sequence[Task]:
        kind, *rest = message
        task = worker.task
        if kind == "ready":
            worker.ready = True
        elif kind == "broken":
            raise rest[0]
        elif kind == "at" and task:
            listener.at(task, *rest)
        elif kind == "done" and task:
            worker.task = None
            return listener.done(task, rest[0])
        elif kind == "failed" and task:
            worker.task = None
            return listener.failed(task, rest[0])
        elif kind == "died":
            self._workers.remove(worker)
            worker.pipe.close()
            worker.process.join()
            how = _how_it_ended(worker.process.exitcode)
            if not worker.ready and worker.process.exitcode != -signal.SIGKILL:
                raise EngagementError(f"a worker process could not start ({how})", "Try --workers 1.")
            if task:
                hint = "If memory ran out, use fewer --workers or a higher --min-face."
                return listener.failed(task, Failure(f"its worker process died ({how})", hint, lost=True))
        return ()

    def _stop(self) -> None:
        for worker in self._workers:
            with contextlib.suppress(OSError):
                if worker.task is None:
                    worker.pipe.send(None)
                else:
                    worker.process.terminate()
        deadline = time.monotonic() + _ENDS_WITHIN_S
        for worker in self._workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.pipe.close()
        self._workers.clear()


def _serve(make: Callable[[], Performer], pipe: Connection) -> None:
    """The life of a worker process."""
    # Ctrl-C reaches the whole group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        worker = make()
    except EngagementError as error:
        pipe.send(("broken", error))
        return
    pipe.send(("ready",))
    while (task := pipe.recv()) is not None:
        try:
            outcome = worker.perform(task, _Saying(pipe))
        except Exception as error:
            pipe.send(("failed", Failure.of(error)))
        else:
            pipe.send(("done", outcome))


class _Saying:
    """Tells the parent how far a task is, a few times a second."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._last = -1e9

    def __call__(self, time_s: float, duration_s: float | None) -> None:
        now = time.monotonic()
        if now - self._last >= _SAY_EVERY_S:
            self._last = now
            self._pipe.send(("at", time_s, duration_s))


def _end_with_parent() -> None:
    """A worker whose parent was killed must not go on writing beside the next run."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _how_it_ended(code: int | None) -> str:
    if code is not None and code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"{name}, perhaps out of memory" if name == "SIGKILL" else name
    return f"exit code {code}"


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Variables that children started meanwhile inherit; what the user has set stays."""
    added = {key: value for key, value in values.items() if key not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for key in added:
            os.environ.pop(key, None)
