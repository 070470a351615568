"""The sample clips and their truth files fit together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "sample_videos"
CLIPS = sorted(FOLDER.glob("*.mp4"))
CLIP_KEYS = {"file", "width", "height", "duration_s", "n_persons", "persons"}
PERSON_KEYS = {"name", "description", "source", "presence", "occluded", "boxes"}


def truth_of(clip: Path) -> dict[str, Any]:
    return json.loads(clip.with_suffix(".truth.json").read_text(encoding="utf-8"))


each_clip = pytest.mark.parametrize("clip", CLIPS, ids=lambda c: c.stem)


def test_every_clip_has_a_truth_file_and_vice_versa() -> None:
    truths = {p.name.removesuffix(".truth.json") for p in FOLDER.glob("*.truth.json")}
    assert {"seminar", "crossing", "occluded", "video_call"} <= truths
    assert truths == {c.stem for c in CLIPS}


def test_clips_stay_small() -> None:
    assert sum(c.stat().st_size for c in CLIPS) < 5_000_000


def test_sources_name_every_clip_and_picture() -> None:
    text = (FOLDER / "SOURCES.md").read_text(encoding="utf-8")
    for clip in CLIPS:
        assert clip.name in text
    for picture in ("grace_hopper.jpg", "astronaut.png", "mona-lisa.jpg"):
        assert picture in text


@each_clip
def test_schema(clip: Path) -> None:
    truth = truth_of(clip)
    assert truth.keys() >= CLIP_KEYS
    assert truth["file"] == clip.name
    assert truth["n_persons"] == len(truth["persons"]) == len({p["name"] for p in truth["persons"]})
    assert len({p["source"] for p in truth["persons"]}) == truth["n_persons"]
    for person in truth["persons"]:
        assert person.keys() >= PERSON_KEYS
        assert person["boxes"]


@each_clip
def test_spans_lie_inside_the_clip_in_order(clip: Path) -> None:
    truth = truth_of(clip)
    for person in truth["persons"]:
        assert person["presence"]
        for kind in ("presence", "occluded"):
            edges = [edge for span in person[kind] for edge in span]
            assert edges == sorted(set(edges))
            assert all(0 <= edge <= truth["duration_s"] for edge in edges)
        for start, end in person["occluded"]:
            assert any(s <= start and end <= e for s, e in person["presence"])


@each_clip
def test_boxes_lie_inside_the_picture_and_the_presence(clip: Path) -> None:
    truth = truth_of(clip)
    for person in truth["persons"]:
        times = [box["time_s"] for box in person["boxes"]]
        assert times == sorted(set(times))
        for box in person["boxes"]:
            assert 0 <= box["x1"] < box["x2"] <= truth["width"]
            assert 0 <= box["y1"] < box["y2"] <= truth["height"]
            assert 60 <= box["y2"] - box["y1"] <= 160
            # The box belongs to the frame on screen, which may have begun shortly before.
            assert any(s - 0.01 <= box["time_s"] < e + 0.01 for s, e in person["presence"])


@each_clip
def test_decodes_to_the_stated_size_and_length(clip: Path) -> None:
    truth = truth_of(clip)
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert stream.duration is not None
        assert float(stream.duration * stream.time_base) == pytest.approx(truth["duration_s"], abs=0.01)
        times = []
        for frame in container.decode(stream):
            assert (frame.width, frame.height) == (truth["width"], truth["height"])
            times.append(frame.time)
    assert times[0] == 0
    assert times == sorted(set(times))
    assert truth["duration_s"] - 0.25 < times[-1] < truth["duration_s"]


def test_what_the_clips_are_for() -> None:
    """Somebody comes back, two cross, one is covered, one joins late, one tile goes dark."""
    truths = {c.stem: {p["name"]: p for p in truth_of(c)["persons"]} for c in CLIPS}
    (_, left), (back, _) = truths["seminar"]["C"]["presence"]
    assert 5 <= back - left <= 8
    crossing = truths["crossing"]
    first, last = (sum(crossing[n]["boxes"][k]["x1"] * s for n, s in (("A", 1), ("B", -1))) for k in (0, -1))
    assert first < 0 < last
    assert crossing["A"]["occluded"] and not crossing["B"]["occluded"]
    assert truths["occluded"]["A"]["occluded"]
    assert truths["occluded"]["C"]["presence"][0][0] > 4
    assert len(truths["video_call"]["B"]["presence"]) == 2
