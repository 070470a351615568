"""One command at a time in an output folder: what the other has under way would count as left behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engagement.errors import OutputError

#: Stays in the folder: removing it would let two commands hold locks on different files of that name. Only a run that comes to
#: nothing takes it away again, where it made it.
LOCK = ".engagement-lock"


@contextmanager
def alone_in(root: Path) -> Iterator[None]:
    """Hold an output folder for as long as the block lasts, or for as long as this process lives.

    Storage that knows no locks, and a lock that only somebody else may open, are done without: nothing else keeps the
    command from its work, and whether results can be written is said by those who write them.

    Raises:
        OutputError: another command holds it.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(root / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise OutputError(
            f"another engagement command is at work in {root}",
            "Wait until it ends, or choose another folder.",
        ) from error
    except (OSError, NotImplementedError):
        pass  # no locks here, see above
    try:
        yield
    finally:
        lock.release()
