"""What the page of a session warns of, sentence by sentence."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engagement.batch.session import _warnings
from engagement.labels import EXPRESSIONS


def warned(times_s: Any = (0.0, 0.2), step_s: float = 0.2, **said: Any) -> list[str]:
    """Warnings of a video that is sound but for what is said of it."""
    outcome = {"complete": True, "reason": "", "shrunk_from": (0, 0)}
    info = {"unread": (), "width": 640, "height": 480, "pixel_aspect": 1.0}
    of = SimpleNamespace(
        outcome=SimpleNamespace(**outcome | {k: v for k, v in said.items() if k in outcome}),
        info=SimpleNamespace(**info | {k: v for k, v in said.items() if k in info}),
        sample_time_s=np.asarray(times_s, np.float64),
        step_s=step_s,
        person=np.asarray(said.get("person", [0]), np.int64),
    )
    classes = said.get("classes", EXPRESSIONS.classes)
    analyzer = SimpleNamespace(
        classifier=SimpleNamespace(expression_classes=classes), smoother_weights=None, config=None
    )
    return _warnings(analyzer, of)  # type: ignore[arg-type]


def test_of_a_sound_video_nothing_is_said() -> None:
    assert warned() == warned(times_s=()) == warned(times_s=[3.0]) == []


@pytest.mark.parametrize("step_s", [0.2, 1.0, 5.0])
def test_the_longest_pause_is_named_and_others_are_counted(step_s: float) -> None:
    """Pictures of an unbroken stream may lie two steps apart; of a fast one up to two seconds are no gap."""
    fits = max(2.0, 2 * step_s)
    steps = np.array([step_s, fits, fits + 0.3 * step_s, 20, fits + 0.3 * step_s, step_s])
    times = np.concatenate([[0], np.cumsum(steps)])
    assert warned(times[:3], step_s) == []
    (said,) = warned(times, step_s)
    begins = times[3]
    assert said.startswith("The video has no pictures between ")
    assert said.endswith(", and none in 2 further stretches.")
    for moment in (begins, begins + 20):
        assert f"0:{int(moment):02d}" in said
    assert "further" not in warned([0, step_s, step_s + 20], step_s)[0]


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"complete": False, "reason": "cut short"}, "Not all of the video could be read: cut short."),
        ({"reason": "times jump"}, "Times after such a place may be off: times jump."),
        ({"unread": (2,)}, "holds 1 further video stream, .* -map 0:2 -c copy OUT.mkv` takes out another.$"),
        ({"unread": (2, 3, 5)}, r"holds 3 further video streams, .* -map 0:2 .*\(then 0:3, 0:5\)\.$"),
        ({"shrunk_from": (1280, 480)}, "Some pictures have 1280 × 480 px and were shrunk .* 640 × 480 px"),
        ({"shrunk_from": (640, 720)}, "Some pictures have 640 × 720 px"),
        ({"pixel_aspect": 4 / 3}, "1.33 times as wide as high"),
        ({"pixel_aspect": 0.75}, "0.75 times as wide as high"),
        ({"classes": EXPRESSIONS.classes[1:]}, "cannot name: angry; their probability is 0 throughout"),
    ],
)
def test_each_fault_is_said_with_what_it_means(said: dict[str, Any], sentence: str) -> None:
    (found,) = warned(**said)
    assert re.search(sentence, found)


@pytest.mark.parametrize("person", [[], [-1, -1]])
def test_where_nobody_is_nothing_is_said_of_scores(person: list[int]) -> None:
    (found,) = warned(classes=EXPRESSIONS.classes[1:], person=person, reason="times jump")
    assert "times jump" in found


@pytest.mark.parametrize(
    "said", [{"shrunk_from": (720, 540)}, {"pixel_aspect": 16 / 15}, {"pixel_aspect": 10 / 11}]
)
def test_what_hardly_matters_is_not_said(said: dict[str, Any]) -> None:
    assert warned(**said) == []
