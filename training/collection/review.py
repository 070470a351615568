"""Looking through captured faces: a page beside them, and what was decided on it put into effect.

The page is a file: it needs no server and sends nothing anywhere. It hands over ``review.json``, which
``faces review FOLDER --apply`` reads; only that changes the folder, and nothing is deleted.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from engagement.errors import ConfigError, DataError, OutputError
from engagement.faces.manifest import DROPPED, Rows, checked_label, read_manifest, write_manifest
from engagement.given import no_file
from engagement.reports.page import write_page
from engagement.wording import shortened
from training import Say
from training.collection.folder import Faces, read_faces

PAGE, ANSWER = "review.html", "review.json"
#: What every answer says, and nothing else does.
FORMAT = "engagement-faces-review-1"
#: Pages before the present one whose unsaved changes it takes over.
_REMEMBERED = 20


def write_review(folder: Path, more_labels: Sequence[str] = (), say: Say = lambda _: None) -> Path:
    """Write ``FOLDER/review.html``.

    Args:
        folder: of the class folders.
        more_labels: classes to choose from besides those there are.

    Raises:
        DataError: no faces, or augmented copies among them.
        ConfigError: a label that cannot be a folder's name.
    """
    faces = read_faces(folder, say)
    faces.require_originals("review")
    return _write_page(faces, [checked_label(label, "--add") for label in more_labels])


def _write_page(
    faces: Faces, more_labels: Sequence[str], earlier: Sequence[str] = (), fresh: Sequence[str] = ()
) -> Path:
    """Write the page.

    Args:
        earlier: states of the pages before this one, latest first: what a browser remembers of them still holds.
        fresh: files about which it does not, since a review has put another picture there.
    """
    folder = faces.folder
    labels = list(dict.fromkeys([*faces.labels, *more_labels]))
    shown = [
        {
            "file": row["file"],
            "src": quote(row["file"].encode("utf-8", "surrogateescape"), safe="/"),
            "label": row["label"],
            "source": row.get("source", ""),
            "time": row.get("time_s", ""),
            "quality": row.get("quality", ""),
            "track": row.get("track", ""),
            "person": row.get("person", ""),
            "split": row.get("split", ""),
        }
        for row in faces.rows
    ]
    data = {"format": FORMAT, "folder": folder.resolve().name, "state": _state(faces), "labels": labels}
    data |= {"earlier": list(earlier), "fresh": list(fresh)}
    return write_page(
        folder / PAGE,
        "review.html",
        img_src="'self' file: data:",
        folder=data["folder"],
        command=shlex.join(["engagement", "faces", "review", str(folder), "--apply", ANSWER]),
        labels=labels,
        total=len(shown),
        answer=ANSWER,
        data=json.dumps({**data, "faces": shown}, ensure_ascii=False, separators=(",", ":")),
    )


def _page_again(folder: Path, changes: Sequence[Change], say: Say) -> None:
    """Let the page, if there is one, show what is there now. What it offered, and what was not saved yet, stays."""
    page = folder / PAGE
    try:
        found = re.search(r'id="data">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)
        before = json.loads(found[1]) if found else None
    except (OSError, ValueError):
        return
    if not isinstance(before, dict) or before.get("format") != FORMAT:
        return
    try:
        faces = read_faces(folder)
    except DataError:  # every face was dropped
        page.unlink()
        say(f"{page} is removed: no face is left to show")
        return
    moved = [_target(change) for change in changes if change.label is not None]
    fresh = {str(file) for file in (*before.get("fresh", ()), *moved)} & {row["file"] for row in faces.rows}
    states = [state for state in (before.get("state"), *before.get("earlier", ())) if state]
    earlier = [state for state in states if state != _state(faces)][:_REMEMBERED]
    _write_page(faces, before.get("labels", ()), earlier, sorted(fresh))
    say(f"written anew: {page}")


def _state(faces: Faces) -> str:
    """Changes when the faces do: what a browser remembers is about the faces that it showed."""
    return hashlib.sha256("\n".join(row["file"] for row in faces.rows).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Change:
    """What a review decided of one face: another class, or None to drop it."""

    file: str
    label: str | None


def read_answer(path: Path) -> list[Change]:
    """The changes in a ``review.json``.

    Raises:
        DataError: it is none.
    """
    wrong = DataError(f"{path} is no review", f"Give the {ANSWER} that the page {PAGE} saved.")
    if no_file(path):
        raise wrong
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror})", "Is it still in the downloads?"
        ) from error
    except ValueError as error:
        raise wrong from error
    if (
        not isinstance(data, dict)
        or data.get("format") != FORMAT
        or not isinstance(data.get("changes"), dict)
    ):
        raise wrong
    return [_change(path, str(file), value) for file, value in data["changes"].items()]


def _change(path: Path, file: str, value: Any) -> Change:
    if isinstance(value, dict) and value.get("drop") is True:
        return Change(file, None)
    if isinstance(value, dict) and isinstance(value.get("label"), str):
        try:
            return Change(file, checked_label(value["label"]))
        except ConfigError as error:
            raise DataError(f"{path}: {file}: label '{value['label']}' cannot name a folder") from error
    raise DataError(f"{path}: nothing is decided of {file}", "Expected a label or drop.")


def apply_review(folder: Path, answer: Path, say: Say = lambda _: None) -> Counter[str]:
    """Move relabelled faces to their class, dropped ones to ``.dropped``, and write the manifests.

    Everything is checked before anything moves. An answer that is applied again changes nothing. A page that is there
    is written anew.

    Returns:
        counts of ``relabelled``, ``dropped`` and ``done before``.

    Raises:
        DataError: the answer is none, about faces that are not here, or makes one picture of two.
        OutputError: a file cannot be moved.
    """
    changes = read_answer(answer)
    faces = read_faces(folder, say)
    faces.require_originals("review")
    rows = {row["file"]: row for row in faces.rows}
    dropped = {row["file"]: row for row in read_manifest(folder / DROPPED, own=False)}
    due, done = _due(folder, answer, changes, rows, dropped)
    counts = Counter({"done before": done} if done else {})
    # Rows for where faces are going to be, before any is: killed in the midst of it, none has lost what is known of it.
    coming = [_relabelled(rows[change.file], change) for change in due if change.label is not None]
    leaving = [rows[change.file] for change in due if change.label is None]
    _write(faces, [*rows.values(), *coming], [*dropped.values(), *leaving], len(due), len(leaving))
    try:
        for change in due:
            _move(folder, change)
            row = rows.pop(change.file)
            if change.label is None:
                dropped[change.file] = row
            else:
                rows[_target(change)] = _relabelled(row, change)
            counts["dropped" if change.label is None else "relabelled"] += 1
    except OSError as error:
        raise OutputError(
            f"{error.filename} cannot be moved ({error.strerror})", "Apply the same review again afterwards."
        ) from error
    finally:  # what moved is written down, also when the next could not
        _write(faces, list(rows.values()), list(dropped.values()), len(due), len(leaving))
    _page_again(folder, changes, say)
    return counts


def _due(
    folder: Path, answer: Path, changes: Sequence[Change], rows: Mapping[str, Any], dropped: Mapping[str, Any]
) -> tuple[list[Change], int]:
    """What is to be moved, and how many changes were made before.

    Args:
        rows, dropped: of the manifests, by file.

    Raises:
        DataError: see :func:`apply_review`.
    """
    due: list[Change] = []
    done = 0
    unknown: list[str] = []
    becoming: dict[str, str] = {}
    for change in changes:
        target = _target(change)
        if change.file in rows:
            if target in rows and target != change.file:
                raise DataError(
                    f"{target} is there already, so {change.file} cannot become it", "Rename one."
                )
            if (other := becoming.setdefault(target, change.file)) != change.file:
                raise DataError(
                    f"{other} and {change.file} would both become {target}; nothing was changed",
                    "Rename one.",
                )
            if change.label is None:
                _require_same(folder / DROPPED / change.file, folder / change.file)
            due += [change] if change.label != rows[change.file]["label"] else []
        elif target in rows or (change.label is None and change.file in dropped):
            done += 1
        else:
            unknown.append(change.file)
    if unknown:
        command = shlex.join(["engagement", "faces", "review", str(folder)])
        raise DataError(
            f"{answer} is about faces that {folder} does not hold: {shortened(unknown, 5)}",
            f"Was it saved for another folder? Nothing was changed; `{command}` writes a page of what is there.",
        )
    return due, done


def _require_same(dropped: Path, face: Path) -> None:
    """Of a picture dropped before under this name: another one must not be lost to it."""
    if dropped.is_file() and dropped.read_bytes() != face.read_bytes():
        raise DataError(
            f"{dropped} is another picture, so {face} cannot be dropped; nothing was changed",
            "Rename or delete the one dropped before.",
        )


def _target(change: Change) -> str:
    inside = PurePosixPath(change.file)
    return change.file if change.label is None else str(PurePosixPath(change.label, *inside.parts[1:]))


def _relabelled(row: dict[str, str], change: Change) -> dict[str, str]:
    first = row.get("captured_label") or row["label"]
    label = str(change.label)
    return {**row, "file": _target(change), "label": label, "captured_label": "" if first == label else first}


def _move(folder: Path, change: Change) -> None:
    target = folder / (f"{DROPPED}/{change.file}" if change.label is None else _target(change))
    target.parent.mkdir(parents=True, exist_ok=True)
    (folder / change.file).replace(target)
    for parent in (folder / change.file).parents:  # an empty class folder would stop every reader
        if parent == folder or any(parent.iterdir()):
            break
        parent.rmdir()


def _write(faces: Faces, rows: Rows, dropped: Rows, changes: int, drops: int) -> None:
    if changes:
        write_manifest(faces.folder, rows, faces.columns)
    if drops:
        write_manifest(faces.folder / DROPPED, dropped, faces.columns)
