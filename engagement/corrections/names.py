"""The names file of an output folder, and the videos that it may speak of."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, count
from pathlib import Path, PurePath

from engagement.corrections.file import (
    NAMES_FILE,
    NamesFile,
    Video,
    matching,
    read_names,
)
from engagement.corrections.mistakes import described, raise_mistakes
from engagement.drafts import drafted
from engagement.errors import ConfigError, OutputError
from engagement.results import RIGHTS, RUN, read_json, read_summary, results_in
from engagement.timelines.session_summary import NOTHING

#: Where an earlier names file goes when another takes its place.
EARLIER_NAMES = "names-before.txt"


def names_written(root: Path) -> NamesFile:
    """The names file of an output folder, of which some lines may not be understood; empty when there is none.

    Raises:
        ConfigError: it cannot be read.
    """
    path = root / NAMES_FILE
    return read_names(path) if path.is_file() else NamesFile(path)


def names_of(root: Path) -> NamesFile:
    """The names file of an output folder; empty when there is none.

    Raises:
        ConfigError: it has lines that are not understood.
    """
    names = names_written(root)
    raise_mistakes(names.path, names.unread)
    return names


def names_as_it_is(root: Path) -> tuple[NamesFile, list[str]]:
    """The lines of the names file that are understood, and what is wrong with the others, in words."""
    try:
        names = names_written(root)
    except ConfigError as error:
        return NamesFile(root / NAMES_FILE), [f"{error.message}. {error.hint}"]
    return names, [described(names.path, m) for m in names.unread]


def known_videos(root: Path, videos: Sequence[Video]) -> list[Video]:
    """What the names file of an output folder may speak of: these videos, and those of earlier results."""
    earlier = [video_of(folder, root) for folder in results_in(root)]
    if not earlier:  # of a folder in another storage there is no more here than its run.json
        earlier = listed_videos(root, failed=False)
    return list({video.relative: video for video in (*earlier, *videos)}.values())


def listed_videos(root: Path, failed: bool = True) -> list[Video]:
    """The videos that the last run of an output folder was about, also those that ``failed``."""
    listed = (read_json(root / RUN) or {}).get("videos") or []
    there = [v for v in listed if isinstance(v, dict) and v.get("output")]
    return [
        Video(str(v["output"]), PurePath(str(v.get("input"))).name)
        for v in there
        if failed or v.get("status") != "failed"
    ]


def check_names(root: Path, known: Sequence[Video]) -> list[str]:
    """Look at the names file of an output folder before videos are analysed into it.

    Args:
        known: of :func:`known_videos`.

    Returns:
        A line for each heading that fits neither these videos nor earlier results: a slip, or for later.

    Raises:
        ConfigError: lines are not understood, or do not say which of several videos they mean.
    """
    names = names_written(root)
    mistakes = names.mistakes(names.lines_of(known)[1])
    titles = {section.line: section.title for section in names.sections}
    unknown = [m for m in mistakes if titles.get(m.line) and not matching(titles[m.line], known)]
    raise_mistakes(names.path, [m for m in mistakes if m not in unknown])
    return [described(names.path, m) for m in unknown]


def adopt(names: Path, root: Path) -> None:
    """Make a names file that of an output folder; one with other content that lies there is kept beside.

    Raises:
        OutputError: the folder cannot be written.
    """
    own = root / NAMES_FILE
    try:
        text = names.read_bytes()
        if own.is_file() and own.samefile(names):
            return
        if own.is_file() and own.read_bytes() != text:
            own.replace(_kept_as(root, own.read_bytes()))
        with drafted(own) as draft:
            draft.write_bytes(text)
    except OSError as error:
        raise OutputError(f"{own} cannot be written ({error.strerror})", RIGHTS) from error


def _kept_as(root: Path, text: bytes) -> Path:
    """Where an earlier names file goes: what was put there before it stays, but for the same text."""
    numbered = (EARLIER_NAMES.replace(".", f"-{number}.") for number in count(2))
    places = (root / name for name in chain([EARLIER_NAMES], numbered))
    return next(p for p in places if not p.exists() or (p.is_file() and p.read_bytes() == text))


def video_of(folder: Path, root: Path) -> Video:
    """How a names file may call the video whose results lie in ``folder``."""
    summary = read_summary(folder) or NOTHING
    return Video(folder.relative_to(root).as_posix(), summary.video.file)
