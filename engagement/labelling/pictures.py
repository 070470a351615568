"""Pictures of moments, cut from the source video when a page shows them; kept in memory alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engagement.errors import EngagementError
from engagement.labelling.session import Proposal, Session
from engagement.results import RUN, read_json
from engagement.thumbnails import encode
from engagement.timelines.session_summary import VideoFacts
from engagement.types import ChipSpec
from engagement.video import open_video
from engagement.video.reader import VideoInfo

#: Shoulders and hands near the face say as much as the face.
_SPEC = ChipSpec(320, 2.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def source_of_video(session: Session) -> tuple[Path | None, str]:
    """Where the source video lies, as the run says; or None and why there is none."""
    run = read_json(session.root / RUN)
    listed = [
        v
        for v in (run or {}).get("videos") or []
        if v.get("output") == session.video.relative and v.get("status") != "failed"
    ]
    if not listed:
        return None, f"{RUN} does not say where the video lies"
    path = Path(str(listed[-1].get("input") or ""))
    if not path.is_absolute():  # a run was killed before it could say
        return None, f"{RUN} does not say where the video lies"
    if not path.is_file():
        return None, f"the video is not at {path} any more"
    size = session.summary.fingerprint.get("file_size")
    if size is not None and path.stat().st_size != size:
        return None, f"{path} is another file than the one analysed"
    return path, ""


def _is_another(info: VideoInfo, analysed: VideoFacts) -> bool:
    """Whether a file of the same name and size shows something else: cameras cut recordings into files of one size."""
    # A wild time stamp may declare more than there is, so only less tells.
    lengths = info.duration_s, analysed.duration_s
    shorter = None not in lengths and (info.duration_s or 0.0) < (analysed.duration_s or 0.0) - 0.5
    return (info.width, info.height) != (analysed.width, analysed.height) or shorter


def pictures_of(session: Session, moments: Sequence[Proposal]) -> tuple[list[bytes | None], str]:
    """A JPEG of each moment, and why there are none where there are none.

    Only the frames of these moments are decoded.
    """
    path, reason = source_of_video(session)
    out: list[bytes | None] = [None] * len(moments)
    if path is None:
        return out, reason
    try:
        with open_video(path) as reader:
            if _is_another(reader.info, session.summary.video):
                return out, f"{path} is another file than the one analysed"
            for place in sorted(range(len(moments)), key=lambda i: moments[i].time_s):
                frame = reader.frame_at(moments[place].time_s)
                out[place] = encode(frame.rgb, np.array(moments[place].box, np.float32), _SPEC)
    except EngagementError as error:
        return out, f"the video cannot be read: {error.message}"
    return out, ""
