"""A folder as ``faces capture`` writes it, with made-up faces."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from engagement.faces.manifest import write_manifest
from tests.training.made_up_faces import write_face

#: Class -> videos of it -> faces, at two a second.
Videos = dict[str, dict[str, int]]


def write_captured(folder: Path, videos: Videos, persons: dict[str, str] | None = None) -> Path:
    """Made-up faces of several videos; the class decides the pattern, the video its variation."""
    rows: list[dict[str, str]] = []
    number = 0
    for kind, (label, own) in enumerate(videos.items()):
        for source, count in own.items():
            for i in range(count):
                file = f"{label}/{source}_{15 * i:06d}_0.png"
                write_face(folder / file, kind, number)
                number += 1
                rows.append(
                    {
                        "file": file,
                        "source": source,
                        "person": (persons or {}).get(source, ""),
                        "time_s": f"{0.5 * i:.3f}",
                        "track": "0",
                        "quality": "0.9",
                        "label": label,
                        "group": f"{source}#{i // 4}",
                        **dict(zip(("box_x1", "box_y1", "box_x2", "box_y2"), box(), strict=True)),
                    }
                )
    write_manifest(folder, rows)
    return folder


def box() -> Iterable[str]:
    return ("0.20000", "0.1875", "0.70000", "0.8125")
