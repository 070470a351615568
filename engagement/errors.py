"""Errors that a user can act on.

Every error carries what went wrong and, where there is one, the remedy. The command line prints
both in one line and keeps the traceback for ``--debug``.
"""

from __future__ import annotations


class EngagementError(Exception):
    """A failure with a remedy.

    Args:
        message: what failed and where (file, option, value).
        hint: what the user can do about it; empty when nothing can be done.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[type[EngagementError], tuple[str, str]]:
        """Keep both parts across process boundaries."""
        return type(self), (self.message, self.hint)


def unforeseen(error: BaseException) -> EngagementError:
    """What no stage has put into words, in words: a disk that refuses, or a mistake in this program."""
    if isinstance(error, OSError) and error.strerror:
        what = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        return EngagementError(what, "Check the path, your rights and the space on the disk.")
    return EngagementError(
        f"{type(error).__name__}: {error}",
        "This is a fault of ours; run it again as `engagement --debug …` to see where.",
    )


class ConfigError(EngagementError):
    """An option or a settings file is wrong (exit status 2)."""


class VideoError(EngagementError):
    """A video cannot be opened or decoded."""


class BackendUnavailable(EngagementError):
    """An optional library is not installed on this platform."""


class WeightsError(EngagementError):
    """A weight file is missing, damaged, or made for other labels."""


class DataError(EngagementError):
    """A data set or a table does not have the form that is needed."""


class OutputError(EngagementError):
    """Results cannot be written."""
