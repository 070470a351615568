"""Sentences of the pages claim no more than the people behind them, and give advice that can be followed."""

from __future__ import annotations

from engagement.reports import theme
from engagement.reports.sentences import empty_text, no_curve, nothing_stood_out, session_sentence, trust


def _few(n_used: int, n_shown: int) -> dict:
    """A summary in which one state leads, by so many people of so many."""
    part: dict = {
        "step_s": 1.0,
        "time_s": list(range(40)),
        "n_used": [n_used] * 40,
        "n_visible": [n_shown] * 40,
    }
    for state, value in zip(theme.STATES, (0.3, 0.2, 0.9), strict=True):
        half = 0.05 if n_used > 1 else None
        part |= {state: [value] * 40}
        part |= {f"{state}_lo": [half and value - half] * 40, f"{state}_hi": [half and value + half] * 40}
    return {"n_persons": n_shown, "mean_visible": n_shown, "class": part, "limits": {"state_margin": 0.1}}


def test_one_readable_person_does_not_speak_for_the_class() -> None:
    assert "At most 1 of 4 could be read at a time, too few to speak of the class" in session_sentence(
        _few(1, 4)
    )
    assert "the person looked more" in session_sentence(_few(1, 1))
    assert "people looked more" in session_sentence(_few(4, 4))
    unknown = _few(4, 4)
    for state in theme.STATES:
        unknown["class"] |= {f"{state}_lo": [0.0] * 40, f"{state}_hi": [1.0] * 40}
    assert "No apparent state clearly led" in session_sentence(unknown)


def test_says_why_no_moments_are_listed() -> None:
    assert "Too short" in nothing_stood_out(_few(4, 4)["class"] | {"time_s": []}, 3.0)
    assert "takes 3 people" in nothing_stood_out(_few(2, 4)["class"], 40.0)
    assert "No shift" in nothing_stood_out(_few(4, 4)["class"], 40.0)


def test_advice_can_be_followed() -> None:
    """Nothing is proposed that is in use already, or stricter."""
    assert "--min-face 16" in empty_text({"limits": {"min_face_px": 24}})
    assert "--min-face" not in empty_text({"limits": {"min_face_px": 12}})
    assert "--min-quality 0.2" in no_curve({"limits": {"min_quality": 0.35}}, "nobody's picture")
    assert "--min-quality" not in no_curve({"limits": {"min_quality": 0.15}}, "nobody's picture")


def test_figures_of_models_are_explained_as_what_they_are() -> None:
    found = trust({"m": {"metrics": {"expression_accuracy": 0.84, "expression_mean_class_accuracy": 0.76}}})
    assert [meaning for _, _, meaning in found.figures] == [
        "share of pictures named rightly",
        "mean over the classes of the share found",
    ]
