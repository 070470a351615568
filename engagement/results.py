"""Results of one video on disk: written aside, moved into place whole."""

from __future__ import annotations

import errno
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import Any

from engagement.drafts import drafted, is_draft
from engagement.errors import DataError, OutputError
from engagement.timelines.session_summary import SessionSummary
from engagement.timelines.table import REDO

#: Folders of results under way; what a killed run leaves behind is removed by the next one.
UNDER_WAY = ".engagement-partial-"
#: Within a folder of results: those that are being replaced.
_BEFORE = f"{UNDER_WAY}before-"
RIGHTS = "Check your rights and the space on the disk."
AGAIN = "Make room on the disk and run the same command again."
SUMMARY, RUN, INDEX = "summary.json", "run.json", "index.html"
CALIBRATION = "calibration.json"
#: In the head of an index that a run wrote; pages of sessions lack it.
_OUR_INDEX = b'<meta name="generator" content="engagement analyze">'


class NoRoom(OutputError):
    """The disk of the results is full, so what comes next could not be written either."""


@contextmanager
def committed(target: Path) -> Iterator[Path]:
    """A folder to write into that becomes ``target`` when the block ends without an exception.

    An earlier ``target`` stays as it is until then, and comes back if it cannot be replaced.

    Raises:
        NoRoom: the disk is full.
        OutputError: the place cannot be written.
    """
    work = target.parent / f"{UNDER_WAY}{uuid.uuid4().hex[:8]}"
    try:
        work.mkdir(parents=True)
    except OSError as error:
        raise OutputError(
            f"{target} cannot be written ({error.strerror})", "Choose another folder with -o."
        ) from error
    try:
        yield work
        _replace(work, target)
    except OSError as error:
        file = str(error.filename or target).replace(str(work), str(target))
        said = f"{file} cannot be written ({error.strerror or error})"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoRoom(said, AGAIN) from error
        raise OutputError(said, f"Close it where it is open. {RIGHTS}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _replace(work: Path, target: Path) -> None:
    if not target.exists():
        work.rename(target)
        return
    require_no_file(target)
    # Results of other videos may lie in subfolders (talk.mp4 beside talk/part1.mp4): only ours are replaced.
    old = target / f"{_BEFORE}{uuid.uuid4().hex[:8]}"
    old.mkdir()
    # The summary goes first and comes last: without one a result counts as not there, whatever kills us.
    by_summary = sorted(target.iterdir(), key=lambda p: p.name != SUMMARY)
    try:
        for item in by_summary:
            if _is_ours(item.name) and not _holds_results(item):
                item.rename(old / item.name)
        for item in sorted(work.iterdir(), key=lambda p: p.name == SUMMARY):
            item.rename(target / item.name)
    except BaseException:
        _put_back(old)
        raise
    _drop(old)


def _drop(old: Path) -> None:
    """Remove a result that was replaced, but for what somebody else put into its folders: that stays."""
    with suppress(OSError):  # tried again by the next sweep
        for name, suffix in _WITHIN.items():
            for item in sorted(p for p in (old / name).glob("*") if p.suffix != suffix):
                (old.parent / name).mkdir(exist_ok=True)
                item.rename(old.parent / name / item.name)
        shutil.rmtree(old, ignore_errors=True)


def require_no_file(target: Path) -> None:
    """Raise OutputError where a file lies in the place of a folder of results."""
    if target.is_file():
        raise OutputError(
            f"{target} is a file where a folder of results should go", "Choose another folder with -o."
        )


def require_no_others(target: Path) -> None:
    """Raise OutputError where what results would replace came with no result: it is somebody else's."""
    if not target.is_dir() or (target / SUMMARY).exists():
        return
    # Systems put hidden files into folders that were looked at; those are nobody's.
    found = [
        item
        for item in _replaced(target)
        if item.is_file() or any(p.is_file() and not p.name.startswith(".") for p in item.rglob("*"))
    ]
    refuse_others(str(target), {item.name for item in found})


def refuse_others(target: str, names: set[str]) -> None:
    """Raise OutputError for files or folders called like results in a folder without one, if there are any."""
    if names := names - {CALIBRATION}:
        raise OutputError(
            f"{target} holds {', '.join(sorted(names))} but no {SUMMARY}, so that may be somebody else's and would be replaced",
            "Choose another folder with -o, or move it away.",
        )


def require_output_folder(root: Path, shown: str = "") -> None:
    """Raise OutputError where the index or run.json of a folder are not of an analysis, and would be lost.

    Args:
        shown: what the folder is called, where it is elsewhere.
    """
    run = read_json(root / RUN)
    if (run is not None and "engagement_version" not in run) or (
        (root / INDEX).exists() and not (root / RUN).exists() and not _is_our_index(root / INDEX)
    ):
        name = INDEX if run is None else RUN
        raise OutputError(
            f"{shown or root}/{name} may be somebody else's, not of an analysis, and would be replaced",
            "Choose another folder with -o, or move it away.",
        )


def _is_our_index(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return _OUR_INDEX in file.read(2048)
    except OSError:
        return False


def bring_back(target: Path) -> None:
    """Have a result as it was before a worker died while it replaced it: the video is tried once more, and its labels count."""
    for old in sorted(target.glob(f"{_BEFORE}*")):
        with suppress(OSError):
            _put_back(old)


def _put_back(old: Path) -> None:
    """Bring a result back that was being replaced, unless the new one is whole."""
    target = old.parent
    if not (target / SUMMARY).exists():
        if not (old / SUMMARY).exists():  # there was no result before: what lies there is half of the new one
            for item in _replaced(target):
                _remove(item)
        for item in sorted(old.iterdir(), key=lambda p: p.name == SUMMARY):
            _remove(target / item.name)
            item.rename(target / item.name)
    _drop(old)


def _replaced(target: Path) -> list[Path]:
    """What a first result there would replace, but for a calibration, which may have been put there for it."""
    return [
        item
        for item in target.iterdir()
        if _is_ours(item.name) and item.name != CALIBRATION and not _holds_results(item)
    ]


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    path.unlink(missing_ok=True)


def _holds_results(folder: Path) -> bool:
    """Whether videos lie in a folder that is called like one of ours."""
    return folder.is_dir() and next(folder.rglob(SUMMARY), None) is not None


_OURS = {
    "session.html",
    "persons",
    "timeline.parquet",
    "timeline.csv",
    "samples.parquet",
    "persons.csv",
    "events.csv",
    "unedited",
    CALIBRATION,
    SUMMARY,
}


#: What an analysis writes into folders of these.
_WITHIN = {"persons": ".html", "unedited": ".parquet"}


def _is_ours(name: str) -> bool:
    """Whether a file or folder among the results of a video was written by us."""
    return name in _OURS


def is_in_ours(inside: PurePath) -> bool:
    """Whether a file lies among the results of a video as those that an analysis writes, folders included."""
    first, *rest = inside.parts
    return _is_ours(first) if not rest else len(rest) == 1 and _WITHIN.get(first) == inside.suffix


def under_way(path: Path, root: Path) -> bool:
    """Whether a file belongs to a result that is being written."""
    return any(part.startswith(UNDER_WAY) for part in path.relative_to(root).parts)


def results_in(root: Path) -> list[Path]:
    """Folders of the results of an output folder, sorted; what lies in output folders within it is theirs."""
    return _found(root)[0]


def require_results(root: Path, say: Callable[[str], None] = lambda _: None) -> list[Path]:
    """:func:`results_in`, where there are some.

    Args:
        say: is told of every output folder within, which is left alone.

    Raises:
        DataError: there are none, or only output folders within.
    """
    found, within = _found(root)
    if found:
        for other in within:
            say(f"{other.relative_to(root)} is an output folder of its own and left alone")
        return found
    if within:
        raise DataError(
            f"{root} holds output folders ({', '.join(p.relative_to(root).as_posix() for p in within[:5])})",
            "Give one of them: each has names and corrections of its own.",
        )
    raise DataError(f"{root} holds no results", "Give the folder that `engagement analyze -o` wrote.")


def _found(root: Path) -> tuple[list[Path], list[Path]]:
    """Folders of results below an output folder, and output folders within it, each sorted; in one walk."""
    results: list[Path] = []
    outputs: list[Path] = []
    for place, folders, files in os.walk(root):
        folder = Path(place)
        if RUN in files and folder != root:
            outputs.append(folder)
            folders.clear()  # what is in there is theirs
            continue
        folders[:] = [name for name in folders if not name.startswith(UNDER_WAY)]
        if SUMMARY in files:
            results.append(folder)
    return sorted(results), sorted(outputs)


def sweep(root: Path) -> None:
    """Remove what a killed run left under way, and bring back what it was about to replace.

    Only in an output folder that nobody else is at work in (see ``batch.lock``); those within it are not ours.
    """
    for place, folders, files in os.walk(root):
        folder = Path(place)
        if RUN in files and folder != root:
            folders.clear()
            continue
        for name in [name for name in folders if name.startswith(UNDER_WAY)]:
            folders.remove(name)
            with suppress(OSError):
                (_put_back if name.startswith(_BEFORE) else shutil.rmtree)(folder / name)
        for name in filter(is_draft, files):
            with suppress(OSError):
                (folder / name).unlink()


def root_of(folder: Path) -> Path:
    """The output folder that a folder lies within, found by its run.json; itself where there is none."""
    return next((p for p in (folder, *folder.absolute().parents) if (p / RUN).is_file()), folder)


def read_summary(folder: Path) -> SessionSummary | None:
    """The summary of a finished result, None when there is none or it is damaged."""
    found = read_json(folder / SUMMARY)
    return None if found is None else SessionSummary(found)


def require_summary(folder: Path) -> SessionSummary:
    """The summary of a finished result.

    Raises:
        DataError: there is none, or it is damaged.
    """
    summary = read_summary(folder)
    if summary is None:
        raise DataError(f"{folder / SUMMARY} is missing or damaged", REDO)
    return summary


def is_of_another(summary: SessionSummary, source: str, fingerprint: Mapping[str, Any]) -> bool:
    """Whether a result is of another file of the same name: neither its place nor its size and time are the same.

    Size alone does not tell: cameras cut long recordings into files of one size.

    Args:
        source: of ``Place.source``; results of earlier versions have none.
        fingerprint: of the file as it is now.
    """
    theirs, before = summary.video.source, summary.fingerprint
    return (
        bool(theirs)
        and theirs != source
        and any(before.get(key) != fingerprint[key] for key in ("file_size", "file_version"))
    )


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file, None when there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write JSON so that a reader finds the old or the new file, never half of one."""
    text = json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        content = text.encode()
    except UnicodeEncodeError:
        # Bytes of a file's name that are no UTF-8: as escapes they come back as they were.
        content = (json.dumps(data, indent=1, allow_nan=False) + "\n").encode()
    with drafted(path) as draft:
        draft.write_bytes(content)


def writable(root: Path, hint: str = "Choose another with -o.") -> None:
    """Raise before hours of work if the output folder cannot be written.

    Raises:
        OutputError: it is a file, or writing is not allowed.
    """
    probe = root / f"{UNDER_WAY}probe-{uuid.uuid4().hex[:8]}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        reason = "it is a file" if root.is_file() else (error.strerror or str(error))
        raise OutputError(f"output folder {root} cannot be written ({reason})", hint) from error
