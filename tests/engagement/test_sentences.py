"""Sentences of the pages claim no more than the people behind them, and give advice that can be followed."""

from __future__ import annotations

import numpy as np
import pandas as pd

from engagement.batch.status import status_of
from engagement.labels import WEAK_AUC
from engagement.reports import theme
from engagement.reports.moment_sentences import nothing_stood_out
from engagement.reports.person_sentences import person_sentence, readable_share
from engagement.reports.reading import session_length
from engagement.reports.sentences import (
    calibrated,
    empty_text,
    no_curve,
    sampled,
    session_sentence,
    warnings,
)
from engagement.reports.trust import trust
from engagement.timelines.curves import class_curves
from engagement.timelines.session_summary import Limits, SessionSummary


def _told(summary: dict) -> str:
    return session_sentence(SessionSummary(summary))


def _length(summary: dict) -> float:
    return session_length(SessionSummary(summary))


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
    assert "At most 1 of 4 could be read at a time, too few to speak of the class" in _told(_few(1, 4))
    assert "At most 1 of 2 could be read at a time, too few to speak of them together" in _told(_few(1, 2))
    assert "the person looked more" in _told(_few(1, 1))
    assert "people looked more" in _told(_few(4, 4))
    unknown = _few(4, 4)
    for state in theme.STATES:
        unknown["class"] |= {f"{state}_lo": [0.0] * 40, f"{state}_hi": [1.0] * 40}
    assert "No apparent state clearly led" in _told(unknown)


def test_who_walks_through_does_not_set_what_is_said_of_the_session() -> None:
    """A second with a third person is no ground to speak of a session of two."""
    two = _few(2, 3)
    two["class"]["n_used"] = [3] * 2 + [2] * 38
    two["class"]["engagement"] = [0.9] * 2 + [0.3] * 38
    said = _told(two)
    assert "Hardly ever more than 2 of 3 could be read at a time, too few to speak of the class" in said
    assert "engagement about 35" in said
    two["class"]["n_used"] = [3] * 5 + [2] * 35
    assert "the 5 s in which 3 people could be read" in _told(two)
    person = {"session_share": 0.002, "first_s": 61.0, "last_s": 61.4}
    assert "Seen at 1:01, in < 1" in person_sentence(person, Limits(), 300.0)
    assert "(for a further 11 min only the head" in person_sentence(
        {**person, "followed_s": 656.0}, Limits(), 9000.0
    )


def test_says_when_the_class_could_be_read_only_for_a_while() -> None:
    some = _few(4, 4)
    some["class"]["n_used"] = [4] * 20 + [2] * 20
    assert "In the 20 s in which 3 people or more could be read, people looked" in _told(some)
    some["class"] |= {f"confusion{end}": some["class"][f"engagement{end}"] for end in ("", "_lo", "_hi")}
    said = _told(some)
    assert "No apparent state clearly led in the 20 s in which 3 people or more could be read (" in said
    two = _few(2, 2)
    two["class"] |= {"confusion_lo": [0.0] * 40, "confusion_hi": [0.99] * 40}
    assert "): two people who differ like this are too few to say which." in _told(two)
    two = _few(2, 2)
    two["class"]["n_used"] = [2] * 20 + [1] * 20
    assert "In the 20 s in which 2 people could be read, people looked" in _told(two)
    alone = _few(1, 1)
    alone["class"]["n_used"] = [1] * 20 + [0] * 20
    assert "1 person was found" in _told(alone)
    assert "In the 20 s that could be read, the person looked" in _told(alone)


def test_a_last_shorter_step_counts_for_what_it_holds() -> None:
    """Or else the session says about 50 % of one person whose own page says about 55 %."""
    alone = _few(1, 1)
    alone["class"]["n_used"] = [1] * 20
    for state in theme.STATES:
        alone["class"] |= {
            state: [0.53] * 19 + [0.41],
            f"{state}_lo": [None] * 20,
            f"{state}_hi": [None] * 20,
        }
    assert "confusion about 50" in _told(alone)
    alone["sampling"] = {"last_s": 19.0, "step_s": 0.2}
    assert "confusion about 55" in _told(alone)
    assert "of video" in _told({**alone, "sampling": {"last_s": 0.0, "step_s": 0.2}})
    # Where the video ends decides, not how long its last sample would stand.
    alone["sampling"] = {"last_s": 19.0, "step_s": 2.0, "end_s": 19.2}
    assert "confusion about 55" in _told(alone)
    alone["sampling"]["end_s"] = 20.0
    assert "confusion about 50" in _told(alone)


def test_a_session_is_as_long_as_the_table_of_the_run_says() -> None:
    sampling = {"last_s": 9.0, "step_s": 2.0, "end_s": 10.0}
    assert _length({"video": {"duration_s": 10.0, "complete": True}, "sampling": sampling}) == 10.0
    assert _length({"video": {"duration_s": 60.0, "complete": False}, "sampling": sampling}) == 10.0
    del sampling["end_s"]  # as earlier versions wrote it
    assert _length({"video": {"duration_s": 60.0, "complete": True}, "sampling": sampling}) == 60.0
    assert _length({"video": {"duration_s": 60.0, "complete": False}, "sampling": sampling}) == 11.0
    for complete, declared in ((True, 60.0), (False, 60.0), (True, None)):
        video = {"duration_s": declared, "complete": complete}
        summary = {"video": video, "sampling": sampling, "n_persons": 1, "coverage": 1.0}
        assert status_of("a", "a", "ok", SessionSummary(summary), "").duration_s == _length(summary)


def test_the_table_of_the_run_counts_what_the_page_warns_of() -> None:
    summary = {
        "n_persons": 1,
        "coverage": 1.0,
        "video": {"reason": "cut short"},
        "warnings": ["Not all of the video could be read: cut short.", "The picture is squeezed."],
        "corrections": {"mistakes": ["line 2: nobody is called P09"]},
    }
    assert (
        status_of("a", "a", "ok", SessionSummary(summary), "").n_warnings
        == len(warnings(SessionSummary(summary)))
        == 3
    )
    # Beside the reason, which the table has as well.
    for reason in ("cut short", "cut short; read before, nothing changed"):
        assert status_of("a", "a", "partial", SessionSummary(summary), reason).n_warnings == 2


def test_where_no_state_leads_it_says_what_would_suffice() -> None:
    limits = {"state_margin": 0.1, "wide_margin": ["boredom", "confusion"]}
    person = {"mean_boredom": 0.624, "mean_confusion": 0.481, "mean_engagement": 0.3}
    said = person_sentence(person, Limits.of(limits), 60.0)
    assert said.endswith("boredom is 14 points ahead, and 20 are needed where estimates are this weak.")
    close = {"mean_boredom": 0.5, "mean_confusion": 0.3, "mean_engagement": 0.591}
    said = person_sentence(close, Limits.of(limits), 60.0)
    assert said.endswith("engagement is 9 points ahead, and 10 are needed.")
    level = {"mean_boredom": 0.45, "mean_confusion": 0.3, "mean_engagement": 0.456}
    said = person_sentence(level, Limits.of(limits), 60.0)
    assert said.endswith("engagement is less than 1 point ahead, and 10 are needed.")


def test_nobody_leans_towards_a_state_that_is_rather_absent() -> None:
    """50 % is undecided; labels that say no may shift all states far below it."""
    person = {"mean_boredom": 0.15, "mean_confusion": 0.2, "mean_engagement": 0.48}
    assert "lean towards engaged (engagement about 50" in person_sentence(person, Limits(), 60.0)
    person["mean_engagement"] = 0.31
    said = person_sentence(person, Limits(), 60.0)
    assert "apparent engagement leads, but is more likely absent than present (engagement about 30" in said
    calibrated = _few(4, 4)
    for state, value in zip(theme.STATES, (0.1, 0.2, 0.4), strict=True):
        ends = {"": value, "_lo": value - 0.05, "_hi": value + 0.05}
        calibrated["class"] |= {state + end: [v] * 40 for end, v in ends.items()}
    said = _told(calibrated)
    assert "led, but was more likely absent than present (apparent" in said and "looked more" not in said


def test_where_no_state_of_the_class_leads_it_says_what_would_suffice() -> None:
    limits = {"state_margin": 0.1, "wide_margin": ["boredom", "confusion"]}
    class_of = _few(4, 4)
    class_of["limits"] = limits
    for end in ("", "_lo", "_hi"):
        class_of["class"][f"engagement{end}"] = [v - 0.15 for v in class_of["class"][f"confusion{end}"]]
    assert "confusion is 15 points ahead, and 20 are needed where" in _told(class_of)
    class_of["class"]["confusion_lo"] = [0.6] * 40
    assert "and 31 are needed, since people differ" in _told(class_of)
    for end, value in (("_lo", 0.0), ("_hi", 1.0)):
        class_of["class"][f"confusion{end}"] = [value] * 40
    assert "confusion is 15 points ahead, and at least 20 are needed where" in _told(class_of)
    class_of["limits"] = limits | {"wide_margin": []}
    assert "people differ too much to say which" in _told(class_of)


def test_says_why_no_moments_are_listed() -> None:
    assert "Too short" in nothing_stood_out(_few(4, 4)["class"] | {"time_s": []})
    few = nothing_stood_out(_few(2, 4)["class"])
    assert "takes 3 people" in few and few.endswith("The names file or --min-presence leave others out.")
    assert "no shift of at least 10 points between neighbouring stretches of 10" in nothing_stood_out(
        _few(4, 4)["class"]
    )
    slow = _few(4, 4)["class"]
    slow = {key: values[:5] if isinstance(values, list) else values for key, values in slow.items()}
    slow |= {"step_s": 10.0, "time_s": [0.0, 10.0, 20.0, 30.0, 40.0]}
    assert "two stretches of 30" in nothing_stood_out(slow)


def test_a_third_is_told_of_as_a_whole_only() -> None:
    """One second in which somebody could be read says nothing of the third around it."""
    session = _few(4, 4)
    n = len(session["class"]["time_s"])
    rising = np.linspace(0.3, 0.9, n)
    session["class"] |= {f"confusion{end}": [0.1] * n for end in ("", "_lo", "_hi")}
    session["class"] |= {"engagement": rising.tolist(), "engagement_lo": (rising - 0.05).tolist()}
    session["class"] |= {"engagement_hi": (rising + 0.05).tolist()}
    assert "in the session's first third to" in _told(session)
    for at in range(1, n // 3):
        session["class"]["n_used"][at] = 0
    assert "first third" not in _told(session)


def test_a_session_in_two_sentences_and_whether_it_changed() -> None:
    session = _few(4, 4) | {"n_persons": 5, "n_shown": 4, "mean_visible": 2.5}
    session["sampling"] = {"end_s": 40.0}
    found = "In 40 s of video, 5 people were found; 4 are shown here, on average about 3 of them visible at a time."
    led = " Over the whole session people looked more confused than anything else (apparent confusion about "
    others = "\u202f%, engagement about 30\u202f%, boredom about 20\u202f%)"
    assert _told(session) == f"{found}{led}90{others}."
    for late, change in (
        (0.71, ", from about 80\u202f% in the session's first third to about 70\u202f% in its last"),
        (0.73, ""),  # less than ten points are within what scores vary by
    ):
        changed = np.array([0.82] * 27 + [late] * 13)
        for end, half in (("", 0.0), ("_lo", -0.05), ("_hi", 0.05)):
            session["class"][f"confusion{end}"] = (changed + half).tolist()
        assert _told(session) == f"{found}{led}80{others}{change}."


def test_labels_are_counted_of_those_who_are_shown() -> None:
    persons = {
        "P01": {"boredom": {"labels": 1, "shift": 0.2}},
        "P02": {"boredom": {"labels": 4, "shift": 0.1}},
    }
    session = {"calibration": {"persons": persons, "uncalibrated": ["P03"]}}
    assert "2 people are calibrated, each by 1 to 4 labels" in calibrated(SessionSummary(session))
    assert "those of 1 person are not" in calibrated(SessionSummary(session))
    session["corrections"] = {"not_shown": ["P02", "P03"]}
    assert calibrated(SessionSummary(session)).startswith(
        "The estimates of 1 person are calibrated by 1 label of this session"
    )
    assert "those of" not in calibrated(SessionSummary(session))


def test_of_whom_little_can_be_read_no_mean_is_told_first() -> None:
    person = {"first_s": 0.0, "last_s": 31.0, "session_share": 0.98, "n_samples": 63, "n_used": 6}
    person |= {"low_quality_share": 0.9, "mean_boredom": 0.9, "mean_engagement": 0.2, "mean_confusion": 0.2}
    said = person_sentence(person, Limits(), 60.0)
    assert said.startswith(
        "Too little to tell: only 6 of 63 pictures were good enough to estimate anything from."
    )
    assert "bored" not in said and "in 98\u202f% of the session" in said
    assert "lean towards bored" in person_sentence(person | {"n_used": 40}, Limits(), 60.0)
    assert readable_share(person) == 6 / 63
    assert readable_share({}) is None


def test_all_that_is_known_of_a_person_in_a_sentence() -> None:
    person = {"first_s": 5.0, "last_s": 59.6, "session_share": 1.0, "n_samples": 100, "n_used": 25}
    person |= {"mean_boredom": 0.3, "mean_engagement": 0.62, "mean_confusion": 0.2}
    lean = (
        " On average the estimates lean towards engaged (engagement about 60\u202f%, boredom about 30\u202f%, "
        "confusion about 20\u202f%)."
    )
    hardly = {"followed_s": 0.9, "low_quality_share": 0.004, "frozen_s": 0.0}
    seen = "Seen between 0:05 and 1:00, in 100\u202f% of the session."
    assert (
        person_sentence(person, Limits(), 60.0)
        == person_sentence(person | hardly, Limits(), 60.0)
        == seen + lean
    )
    more = {"followed_s": 90.0, "median_face_px": 54.6, "low_quality_share": 0.126, "frozen_s": 30.0}
    assert person_sentence(person | more, Limits(), 3600.0) == (
        "Seen between 0:00:05 and 0:01:00, in 100\u202f% of the session (for a further 1 min 30 s only the head was "
        "followed, with no face to read), with a face of typically 55\u202fpx; 13\u202f% of the pictures were too poor "
        "to use; for 30 s the picture stood still, as a photograph or a video that hangs does." + lean
    )
    little = person_sentence(person | more | {"n_used": 24}, Limits(), 60.0)
    assert little.startswith(
        "Too little to tell: only 24 of 100 pictures were fit to estimate anything from."
    )
    assert "too poor" not in little and "lean towards" not in little
    unknown = {key: value for key, value in person.items() if not key.startswith("mean_")}
    assert person_sentence(unknown, Limits(), 60.0) == (
        f"Too little to tell: no picture was good enough to estimate anything from. {seen}"
    )


def test_how_often_was_looked_is_what_the_video_allowed() -> None:
    asked = {"rate_hz": 5.0, "n_samples": 14}
    assert sampled(SessionSummary({"sampling": asked | {"step_s": 0.2}})) == "5 pictures a second, 14 in all"
    assert (
        sampled(SessionSummary({"sampling": asked | {"step_s": 0.5}}))
        == "2 pictures a second (5 a second were asked for), 14 in all"
    )
    assert "one picture every 5\u202fs" in sampled(
        SessionSummary({"sampling": {"rate_hz": 0.2, "step_s": 5.0, "n_samples": 3}})
    )
    assert sampled(SessionSummary({})) == ""


def test_advice_can_be_followed() -> None:
    """Nothing is proposed that is in use already, or stricter."""
    still = {"left_out": {"samples": 5}, "video": {"frames_decoded": 1}, "sampling": {"n_samples": 1}}
    assert empty_text(SessionSummary(still)).endswith(
        "to make a person of: the video has no more than 1 picture."
    )
    still["video"] = {"frames_decoded": 30}
    assert "A higher --sample-rate" in empty_text(SessionSummary(still))
    assert "--min-face 16" in empty_text(SessionSummary({"limits": {"min_face_px": 24}}))
    assert "--min-face" not in empty_text(SessionSummary({"limits": {"min_face_px": 12}}))
    assert "turn the video upright" in empty_text(SessionSummary({"left_out": {"samples": 251}}))
    assert "--min-quality 0.2" in no_curve(
        SessionSummary({"limits": {"min_quality": 0.35}}), "nobody's picture", 0.3
    )
    assert "--min-quality" not in no_curve(
        SessionSummary({"limits": {"min_quality": 0.15}}), "nobody's picture", 0.1
    )
    for best, helps in ((0.13, False), (0.24, True)):
        said = no_curve(SessionSummary({"limits": {"min_quality": 0.3}}), "no picture of P10", best)
        assert ("--min-quality" in said) is helps


def test_a_lead_counts_how_far_people_differ_in_both_states() -> None:
    """Two of four look more confused than engaged: the class does not look more engaged than anything else."""
    looks = {
        "engagement": (0.70, 0.72, 0.68, 0.70),
        "confusion": (0.95, 0.90, 0.10, 0.05),
        "boredom": (0.2,) * 4,
    }
    times = np.arange(0.0, 60.0, 0.2)
    people = [
        pd.DataFrame({"person_id": f"P0{k + 1}", "time_s": times, "observed": True}).assign(
            **{f"s_{state}": each[k] for state, each in looks.items()}
        )
        for k in range(4)
    ]
    session = _few(4, 4) | {"class": class_curves(pd.concat(people), times)}
    assert "engagement about 70" in _told(session)
    assert "people differ too much to say which" in _told(session)


def test_figures_of_models_are_explained_as_what_they_are() -> None:
    figures = {
        "expression_accuracy": 0.84,
        "expression_mean_class_accuracy": 0.76,
        "daisee_boredom_auc": 0.64,
    }
    assert [meaning for _, _, meaning in trust({"m": {"metrics": figures}}).figures] == [
        "share of pictures named correctly",
        "share of a class's pictures that is found, averaged over the classes",
        # Not of people: pictures of one and the same person are compared as well.
        "chance of picking, of two pictures, the one that was labelled with the state; 0.5 is a coin toss",
    ]
    assert trust({"m": {"metrics": {"daisee_boredom_auc": 0.7}}}).note.endswith("Treat each as a guess.")


def test_states_told_hardly_better_than_chance_are_named_with_their_figure() -> None:
    measured = {"daisee_boredom_auc": 0.639, "daisee_test_engagement_auc": WEAK_AUC, "daisee_n": 1784}
    found = trust({"m": {"metrics": measured | {"ece": None}}, "other": {"metrics": None}, "text": "x"})
    assert found.note == (
        "Barely better than chance on unseen people: apparent boredom (AUC 0.64). An AUC of 0.5 is a coin toss, 1 is "
        "never wrong. Not measured on unseen people: apparent confusion. Treat it as a guess."
    )
    assert [figure[:2] for figure in found.figures] == [
        ("m: daisee boredom auc", "0.64"),
        ("m: daisee test engagement auc", f"{WEAK_AUC:.2f}"),
        ("m: daisee n", "1784"),
    ]
    good = {f"daisee_{state}_auc": 0.8 for state in theme.STATES}
    assert trust({"m": {"metrics": good}}).note == ""


def test_times_and_shares_in_words() -> None:
    """Rounded as a reader would, and nothing is all or none that is not."""
    assert [theme.clock(s) for s in (0.0, 59.49, 59.5, 3599.4)] == ["0:00", "0:59", "1:00", "59:59"]
    assert theme.clock(3599.5) == "1:00:00"
    assert (theme.clock(5.0, 3599.0), theme.clock(5.0, 3600.0)) == ("0:05", "0:00:05")
    assert [theme.duration(s) for s in (0.4, 59.4, 60.0, 90.0, 299.0, 300.0, 3569.0, 3571.0, 5400.0)] == [
        *("0 s", "59 s", "1 min", "1 min 30 s", "4 min 59 s", "5 min", "59 min", "1 h", "1 h 30 min"),
    ]
    assert [theme.about(p) for p in (0.0, 0.024, 0.025, 0.474, 0.475, 0.975, 1.0)] == [
        0,
        0,
        5,
        45,
        50,
        100,
        100,
    ]
    shares = [theme.share(p).replace("\u202f", "") for p in (0.0, 0.004, 0.006, 0.994, 0.996, 1.0)]
    assert shares == ["0%", "< 1%", "1%", "99%", "> 99%", "100%"]
    assert theme.clock(None) == theme.share(float("nan")) == "–"
