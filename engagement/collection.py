"""Labelled recordings to folders of faces: what the user named, and reading, finding and following joined."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from engagement.corrections.notation import seconds
from engagement.errors import ConfigError, DataError, EngagementError, OutputError
from engagement.faces.capture import FaceCapture, Follow, Scene
from engagement.faces.manifest import checked_label, printable
from engagement.spreadsheets import read_sheet
from engagement.tracking.appearance import head_colours
from engagement.tracking.tracker import FaceLook, FaceTracker
from engagement.types import FaceDetections, Frame, IndexArray
from engagement.video import open_video
from engagement.video.discover import videos_in
from engagement.video.reader import FrameTicket
from engagement.wording import count, shortened

_COLUMNS = ("video", "start", "end", "label", "person")
#: A stretch may end so much after the last frame, which stays for a while: longer, and its times are another video's.
_LAST_S = 1.0


@dataclass(frozen=True, slots=True)
class Recording:
    """A video, and what is shown in it when.

    Attributes:
        path: the file.
        scenes: none overlaps another.
    """

    path: Path
    scenes: tuple[Scene, ...]


def recordings(inputs: Sequence[Path], label: str | None = None, person: str = "") -> list[Recording]:
    """What the arguments of ``faces capture`` mean.

    Args:
        inputs: videos; CSV files with columns video, label and, where wanted, start, end, person; folders of
            videos. A folder's videos are named by their class (``happy.mp4``, ``happy_2.mp4``) or lie in a
            subfolder that is (``happy/monday.mp4``).
        label: class of everything, when neither a CSV nor a folder says it.
        person: who everybody is that a CSV does not name.

    Raises:
        ConfigError: nothing says what a video shows, or two things do, or it does not exist.
        DataError: a CSV that does not fit, naming its lines.
    """
    found: list[Recording] = []
    for path in inputs:
        if path.suffix.lower() == ".csv":
            if label is not None:
                raise ConfigError(
                    f"--label '{label}' is given, but {path} has labels", "Leave one of them out."
                )
            found += _listed(path)
        elif path.is_dir():
            found += _in_folder(path, label)
        elif label is None and not path.exists():
            raise ConfigError(f"{path} does not exist", "Check the spelling of the path")
        elif label is None:
            raise ConfigError(
                f"nothing says what {path} shows",
                "Give --label happy, or a folder with a subfolder for each label, or a CSV (video, start, end, label).",
            )
        else:
            found.append(Recording(path, (Scene(label),)))
    named = [tuple(s if s.person else replace(s, person=person) for s in r.scenes) for r in found]
    return [Recording(r.path, scenes) for r, scenes in zip(found, named, strict=True)]


def _in_folder(folder: Path, label: str | None) -> list[Recording]:
    def refuse(closed: Path, why: str) -> None:
        raise ConfigError(f"{closed} cannot be searched ({why})", "Check your rights.")

    out: list[Recording] = []
    for path in videos_in(folder, complain=refuse):
        inside = path.relative_to(folder)
        # The first folder below is the class; a video beside them is called as its class is.
        own = inside.parts[0] if len(inside.parts) > 1 else re.sub(r"[\s_.-]*\d*$", "", path.stem)
        if label is None:
            try:
                checked_label(own or path.stem, "label")
            except ConfigError as error:
                raise ConfigError(f"{path}: {error.message}", "Rename the folder or the file.") from error
        out.append(Recording(path, (Scene(label or own or path.stem),)))
    if not out:
        raise ConfigError(
            f"{folder} holds no video",
            "Expected happy/monday.mp4 or happy_1.mp4, a folder or name for each label.",
        )
    return out


def _listed(path: Path) -> list[Recording]:
    if not path.is_file():
        raise ConfigError(f"{path} does not exist", "Check the spelling of the path")
    wrong: list[str] = []
    scenes: dict[Path, list[tuple[int, Scene]]] = {}
    sheet = read_sheet(path, _COLUMNS)
    if not {"video", "label"} <= set(sheet.columns) or not set(sheet.columns) <= set(_COLUMNS):
        raise DataError(
            f"{path} has the columns {', '.join(sheet.columns) or 'of an empty file'}",
            "Expected video,start,end,label and, where known, person; start and end may be empty.",
        )
    for row in sheet.rows:
        if row.surplus:
            wrong.append(
                f"line {row.line}: more cells than columns (write 1.5, not 1,5, or put the cell in quotation marks)"
            )
            continue
        cells = dict.fromkeys(_COLUMNS, "") | row.cells
        try:
            scene = _scene(cells)
            if not cells["video"]:
                raise DataError("no video")
        except EngagementError as error:
            wrong.append(f"line {row.line}: {error.message}")
            continue
        own = scenes.setdefault(path.parent / cells["video"], [])
        wrong += [
            f"line {row.line}: overlaps line {other_line}"
            for other_line, other in own
            if _overlap(scene, other) and scene != other
        ]
        own.append((row.line, scene))
    if wrong:
        hint = "Times are seconds or m:ss." if any("no time" in text for text in wrong) else ""
        raise DataError(f"{path}, {shortened(wrong, 5, '; ')}", hint)
    if not scenes:
        raise DataError(f"{path} has no rows", "Expected video,start,end,label.")
    return [Recording(video, tuple(scene for _, scene in own)) for video, own in scenes.items()]


def _scene(cells: dict[str, str]) -> Scene:
    end = _seconds(cells["end"]) if cells["end"] else None
    label = checked_label(cells["label"], "label")
    return Scene(label, _seconds(cells["start"] or "0"), end, cells["person"])


def _seconds(text: str) -> float:
    """A time as names files write it; DataError otherwise."""
    found = seconds(text)
    if found is None:
        raise DataError(f"'{text}' is no time")
    return found


def _overlap(a: Scene, b: Scene) -> bool:
    return (b.end_s is None or a.start_s < b.end_s) and (a.end_s is None or b.start_s < a.end_s)


def capture(
    wanted: Sequence[Recording], every: int, work: FaceCapture, say: Callable[[str], None] = lambda _: None
) -> list[str]:
    """Save the faces of every recording; a video that cannot be read does not stop the others.

    Args:
        wanted: from :func:`recordings`.
        every: of the decoded frames each one with a number divisible by it is looked at.
        work: writes them.
        say: gets a line for each video, and one for what could not be read of it.

    Returns:
        what went wrong, a line for each video that could not be used.

    Raises:
        OutputError: the faces cannot be written.
    """
    failed: list[str] = []
    for recording in wanted:
        path = recording.path
        try:
            with open_video(path) as reader:
                source_id = _identity(path)
                name = printable(path.name)
                source = work.name_for(name, f"{printable(path.absolute().parent.name)}/{name}", source_id)
                frames = _frames(reader.tickets(), recording.scenes, every)
                found = work.add(source, recording.scenes, frames, follower(), source_id)
                ended = reader.outcome
        except OutputError:  # no fault of the video's
            raise
        except EngagementError as error:
            failed.append(str(error))
            say(f"error: {error}")
            continue
        labels = ", ".join(dict.fromkeys(scene.label for scene in recording.scenes))
        say(f"{source}: {count(found, 'face')} of {labels}")
        if not ended.complete:
            say(f"{source}: not read to its end: {ended.reason}")
        late = [s for s in recording.scenes if s.start_s > ended.last_time_s and ended.frames_decoded]
        if late:
            say(
                f"{source}: ends at {ended.last_time_s:.1f} s, before the beginning of {len(late)} of its stretches"
            )
        cut = [s for s in recording.scenes if s not in late and (s.end_s or 0) > ended.last_time_s + _LAST_S]
        if cut and ended.complete and ended.frames_decoded:
            say(f"{source}: ends at {ended.last_time_s:.1f} s, before the end of {len(cut)} of its stretches")
    return failed


def _frames(tickets: Iterator[FrameTicket], scenes: Sequence[Scene], every: int) -> Iterator[Frame]:
    """Frames of the scenes; reading goes on to the end, so that a damaged file is noticed."""
    for ticket in tickets:
        if ticket.index % every == 0 and any(scene.holds(ticket.time_s) for scene in scenes):
            yield ticket.frame()


def follower() -> Follow:
    """The tracker of the analysis, by place and colours alone: no network but the detector's is run here."""
    tracker = FaceTracker()

    def follow(frame: Frame, faces: FaceDetections) -> IndexArray:
        n = len(faces)
        colours = head_colours(frame.rgb, faces.boxes_xyxy)
        look = FaceLook(np.zeros((n, 1), np.float32), colours, np.zeros(n, np.float32))
        return tracker.update(faces, look)

    return follow


def _identity(path: Path) -> str:
    """Eight digits that tell two files of one name apart: of the size and the first mebibyte."""
    with path.open("rb") as file:
        start = file.read(1 << 20)
    return hashlib.sha256(f"{path.stat().st_size}".encode() + start).hexdigest()[:8]
