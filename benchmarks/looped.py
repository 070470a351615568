"""A video played several times over, without encoding it again: long sessions from short clips."""

from __future__ import annotations

from pathlib import Path

import av


def loop(clip: Path, out: Path, seconds: float) -> Path:
    """Copy the packets of a clip's video stream until the copy lasts ``seconds``.

    Returns:
        ``out``, which is written anew.
    """
    with av.open(str(clip)) as source, av.open(str(out), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        assert stream.time_base is not None
        offset, reached = 0, 0
        while reached * float(stream.time_base) < seconds:
            source.seek(0)
            for packet in source.demux(stream):
                if packet.pts is None or packet.dts is None:
                    continue
                length = packet.duration or 1
                packet.pts += offset
                packet.dts += offset
                packet.stream = copy
                reached = max(reached, packet.pts + length)
                target.mux(packet)
            offset = reached
    return out
