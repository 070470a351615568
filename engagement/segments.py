"""A long video in stretches: where to split it, and how what was read of each becomes one again.

Neighbouring stretches overlap: each is read with a lead-in and a tail (``video.sampling``), so the same
faces at the same times stand in both. There the tracks are matched, and the frames counted on. Everything
of a stretch proper comes from that stretch alone. Persons are resolved afterwards, over all tracks.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engagement.followed import FOLLOWED
from engagement.geometry import iou_matrix
from engagement.pipeline import Segment
from engagement.records import FaceRecords
from engagement.thumbnails import ThumbnailKeeper
from engagement.types import TimeSpan
from engagement.video import open_video
from engagement.video.clock import counted
from engagement.video.reader import DecodeOutcome
from engagement.video.sampling import within

#: Two boxes of the same time that overlap more are the same face.
_SAME_PLACE = 0.5


def plan_spans(last_s: float, split_s: float, rate_hz: float) -> list[TimeSpan]:
    """Ranges of about ``split_s`` seconds that cover a video; one without end when it is not worth it.

    Args:
        last_s: time of the last frame.
        rate_hz: borders are whole seconds, at lower rates points of its grid.
    """
    step = max(1.0, 1 / rate_hz)
    n = int(last_s // max(split_s, step)) if split_s > 0 else 0
    if n < 2:
        return [TimeSpan(0.0, None)]
    # What rounding takes from a border that lies on the grid is given back first.
    borders = [math.floor(i * last_s / n / step + 1e-9) * step for i in range(n)]
    return [TimeSpan(a, b) for a, b in zip(borders, [*borders[1:], None], strict=True)]


def plan_split(path: Path, backend: str, split_s: float, rate_hz: float) -> list[TimeSpan]:
    """The ranges of a video; one of the whole where its clock does not allow to begin in the middle.

    Raises:
        VideoError: nothing of it can be decoded.
    """
    if split_s <= 0:
        return [TimeSpan(0.0, None)]
    with open_video(path, backend) as reader:
        last_s = reader.splittable_until()
    return plan_spans(last_s or 0.0, split_s, rate_hz)


def join_segments(segments: Sequence[Segment], rate_hz: float) -> Segment:
    """One segment of the whole video from those of its ranges, in order.

    Tracks, shots, samples and frames are numbered through; thumbnails are the best of all.
    """
    first = segments[0]
    whole = Segment(first.info, first.outcome, FaceRecords(first.records.extra), ThumbnailKeeper())
    frame_of: dict[float, int] = {}
    before, tracks_before, n_tracks, frames_decoded = first, dict[int, int](), 0, 0
    for segment in segments:
        shared = [i for i, time_s in enumerate(segment.times) if time_s in frame_of]
        shift = max(frame_of.values(), default=-1) + 1  # where nothing is shared: both ends are damaged
        if shared:
            shift = frame_of[segment.times[shared[0]]] - segment.frames[shared[0]]
        tracks = _matched(before, segment, tracks_before) if segment is not first else {}
        for track in np.unique(segment.records.rows["track"]).tolist():
            if track not in tracks:
                tracks[track], n_tracks = n_tracks, n_tracks + 1
        _append(whole, segment, shift, tracks, rate_hz)
        frame_of |= {t: f + shift for t, f in zip(segment.times, segment.frames, strict=True)}
        if segment.times:
            frames_decoded = segment.outcome.frames_decoded + shift
        before, tracks_before = segment, tracks
    whole.outcome = _outcome([s.outcome for s in segments], frames_decoded)
    return whole


def _append(whole: Segment, part: Segment, shift: int, tracks: dict[int, int], rate_hz: float) -> None:
    """Add what lies within a part's span. ``shift``: of its frame numbers; ``tracks``: its ids -> the whole's."""
    own = [i for i, time_s in enumerate(part.times) if within(time_s, part.span, rate_hz)]
    for stage, seconds in part.seconds.items():
        whole.seconds[stage] = whole.seconds.get(stage, 0.0) + seconds
    if not own:
        return
    low, high = own[0], own[-1] + 1
    samples = len(whole.times) - low
    shots = len(whole.cuts) - sum(1 for cut in part.cuts if cut < low)
    rows = part.records.rows
    rows = rows[(rows["sample"] >= low) & (rows["sample"] < high)].copy()
    rows["sample"] += samples
    rows["track"] = [tracks[track] for track in rows["track"].tolist()]
    whole.records.extend(rows)
    followed = np.concatenate([np.zeros(0, FOLLOWED), *part.followed])
    followed = followed[(followed["sample"] >= low) & (followed["sample"] < high)]
    followed["sample"] += samples
    followed["owner"] = [tracks[track] for track in followed["owner"].tolist()]
    whole.followed.append(followed)
    whole.copies += [(n + samples, tracks[a], tracks[b]) for n, a, b in part.copies if low <= n < high]
    whole.times += part.times[low:high]
    whole.frames += [frame + shift for frame in part.frames[low:high]]
    whole.cuts += [cut + samples for cut in part.cuts if low <= cut < high]
    for track, summary in part.summaries.items():
        number = tracks[track]
        moved = summary.moved(number, samples, shots)
        before = whole.summaries.get(number)
        whole.summaries[number] = moved if before is None else before.followed_by(moved)
        whole.thumbnails.adopt(number, part.thumbnails, track)


def _matched(before: Segment, after: Segment, tracks_before: dict[int, int]) -> dict[int, int]:
    """Tracks of a range that go on from the one before: its id -> the whole's. Those that share most go first."""
    place = {time_s: i for i, time_s in enumerate(before.times)}
    together: Counter[tuple[int, int]] = Counter()
    for sample, time_s in enumerate(after.times):
        if time_s not in place:
            continue
        old, new = _faces(before, place[time_s]), _faces(after, sample)
        for i, j in np.argwhere(iou_matrix(old["box"], new["box"]) > _SAME_PLACE).tolist():
            together[int(old["track"][i]), int(new["track"][j])] += 1
    out: dict[int, int] = {}
    taken: set[int] = set()
    for (earlier, later), _ in sorted(together.items(), key=lambda item: (-item[1], item[0])):
        if earlier not in taken and later not in out:
            out[later] = tracks_before[earlier]
            taken.add(earlier)
    return out


def _faces(segment: Segment, sample: int) -> NDArray[np.void]:
    rows = segment.records.rows
    low, high = np.searchsorted(rows["sample"], [sample, sample + 1])
    return rows[low:high]


def _outcome(parts: Sequence[DecodeOutcome], frames_decoded: int) -> DecodeOutcome:
    # A range without a picture says that they end at 0 s; those with some know where.
    last = max(parts, key=lambda part: part.last_time_s)
    told = [part for part in parts if part.reason and part.frames_decoded]
    told = told or [part for part in parts if part.reason]
    reasons = [clause for part in told for clause in part.reason.split("; ") if clause not in _counts([part])]
    return DecodeOutcome(
        frames_decoded=frames_decoded,
        last_time_s=last.last_time_s,
        complete=all(part.complete for part in parts),
        reason="; ".join([*dict.fromkeys(reasons), *_counts(parts)]),
        frames_dropped=sum(part.frames_dropped for part in parts),
        packets_damaged=sum(part.packets_damaged for part in parts),
        stamps_wild=sum(part.stamps_wild for part in parts),
        shrunk_from=max((part.shrunk_from for part in parts), key=math.prod),
        end_s=last.end_s,
    )


def _counts(parts: Sequence[DecodeOutcome]) -> list[str]:
    """What was lost, in words. Where several ranges say so, those that overlap may mean the same."""
    lost = [(part.packets_damaged, part.frames_dropped, part.stamps_wild) for part in parts]
    several = sum(map(any, lost)) > 1
    clauses = counted(*(sum(numbers) for numbers in zip(*lost, strict=True)))
    return [f"up to {clause}" if several else clause for clause in clauses]
