"""The names file: forgiving in form, and every mistake named with its line and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engagement.corrections.file import (
    Hide,
    Line,
    Merge,
    Name,
    OptOut,
    Split,
    Video,
    matching,
    parse,
    read_names,
)
from engagement.corrections.mistakes import Mistake, raise_mistakes
from engagement.corrections.notation import clock, person_id, seconds
from engagement.errors import ConfigError


def one(text: str) -> Line | Mistake:
    """What a text of one line means."""
    sections, mistakes = parse(text)
    found = [line for section in sections for line in section.lines] + mistakes
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("P03: Ana", Name(1, "P03", "Ana")),
        ("p3:Ana", Name(1, "P03", "Ana")),
        ("P003 = Ana María  Núñez", Name(1, "P03", "Ana María Núñez")),
        ("P03, Ana", Name(1, "P03", "Ana")),
        ("P03\tAna", Name(1, "P03", "Ana")),
        ("P03 Ana", Name(1, "P03", "Ana")),
        ('- "P03": "Ana # 2"', Name(1, "P03", "Ana # 2")),
        ("  P03: Ana   # back row", Name(1, "P03", "Ana")),
        ("P112: Null", Name(1, "P112", "Null")),
        ("P03: Merge Lee", Name(1, "P03", "Merge Lee")),
        ("merge P05 into P03", Merge(1, ("P05",), "P03")),
        ("Merge p5, P6 and P07 into P3.", Merge(1, ("P05", "P06", "P07"), "P03")),
        ("merge P05 and P03", Merge(1, ("P05",), "P03")),
        ("merge P05 with P03", Merge(1, ("P05",), "P03")),
        ("P05 = P03", Merge(1, ("P05",), "P03")),
        ("P05 -> P03", Merge(1, ("P05",), "P03")),
        ("split P02 at 12:30 into P02 and P09", Split(1, "P02", 750.0, "P02", "P09")),
        ("split P02 at 12:30 into P09", Split(1, "P02", 750.0, "P02", "P09")),
        ("SPLIT P02 @ 1:02:03.5", Split(1, "P02", 3723.5, "P02", "")),
        ("split P02 at 90s into P08, P09", Split(1, "P02", 90.0, "P08", "P09")),
        ("hide P07", Hide(1, ("P07",))),
        ("hide: P07, P08 & P09", Hide(1, ("P07", "P08", "P09"))),
        ("opt out P07", OptOut(1, ("P07",))),
        ("opt-out: P07 P08", OptOut(1, ("P07", "P08"))),
        ("P07 opts out", OptOut(1, ("P07",))),
        ("P07: opt out", OptOut(1, ("P07",))),
        ("remove P07", OptOut(1, ("P07",))),
        # A colon at the end makes no heading of a line.
        ("opt out P07:", OptOut(1, ("P07",))),
        ("hide P07:", Hide(1, ("P07",))),
        ("P03: Ana:", Name(1, "P03", "Ana")),
        ("P03 - Ana", Name(1, "P03", "Ana")),
        ("P03 → Ana", Name(1, "P03", "Ana")),
        ("P03 is Ana", Name(1, "P03", "Ana")),
        ("P03 Isabel", Name(1, "P03", "Isabel")),
        ("P03: -x-", Name(1, "P03", "-x-")),
        ("P03: Hide Sato", Name(1, "P03", "Hide Sato")),
        *((text, OptOut(1, ("P07",))) for text in ("P07, opt out", "P07 = opt-out", "P07 → opts out")),
        *((text, OptOut(1, ("P07",))) for text in ("P07 - opt out", "P07 is opted out", "P07 has opted out")),
        # Letters that are joined (Persian, Sinhala), joined pictures; turns of the direction of writing are left out.
        ("P03: علی\u200cرضا", Name(1, "P03", "علی\u200cرضا")),
        ("P03: Ana 👩\u200d🎓", Name(1, "P03", "Ana 👩\u200d🎓")),
        ("P03: \u200e دانا \u200f", Name(1, "P03", "دانا")),
    ],
)
def test_forms(text: str, meant: Line) -> None:
    assert one(text) == meant


@pytest.mark.parametrize(
    ("text", "wrong", "remedy"),
    [
        ("hello", "'hello' is not understood", "P03: Ana"),
        ("P03:", "no name follows P03", "P03: Ana"),
        ("P03: hide", "'hide' is not taken as a name", "hide P07"),
        ("P03 merge", "'merge' is not taken as a name", "merge P05"),
        ("P05: P03", "looks like a person's id", "merge P05 into P03"),
        ("P05 together with P03", "looks like a person's id", "merge P05 into P03"),
        ("merge P05 into P05", "merged into itself", "two people"),
        ("merge P05 and P5", "merged with itself", "two people"),
        ("P05 = p5", "merged into itself", "two people"),
        ("split P02 at 12:75", "'12:75' is no time", "12:30"),
        ("split P02 at 3 parsecs", "'3 parsecs' is no time", "12:30"),
        ("split P02 at 12.30", "'12.30' may be minutes or seconds", "Write 12:30, or 12.3s"),
        ("split P02 at 12:30 into P03 and P03", "both parts of P02 would be P03", "new id"),
        ("split P02 into P03 and P04", "not understood", "split P02 at 12:30"),
        # Who wants to be gone, or hidden, must not become a display name.
        *(
            (text, "not taken as a name", "opt out P08")
            for text in (
                "P08: opt out please",
                "P08 (Ana) opts out",
                "P08 wants to be deleted",
                "P08: please remove",
                "P08: no consent",
                "P08 withdrew",
                "P08: do not show",
                "P08: don't show her",
            )
        ),
        *((text, "not taken as a name", "hide P07") for text in ("P08 deleted", "P08: delete everything")),
        *((text, "not taken as a name", "split P02") for text in ("P08: hide him", "P02: split at 12:30")),
        ("P03: \u200d", "no name follows P03", "P03: Ana"),
        ("P05: merged into P03", "looks like a person's id", "merge P05 into P03"),
        ("P03: Ana\u0007", "holds a character that nobody sees (U+0007)", "Type it anew"),
        (f"P01: {'a' * 61}", "has 61 characters, of which 60 fit", "Shorten"),
    ],
)
def test_mistakes_say_what_and_what_to_do(text: str, wrong: str, remedy: str) -> None:
    found = one(text)
    assert isinstance(found, Mistake)
    assert found.line == 1
    assert wrong in found.text
    assert remedy in found.remedy


@pytest.mark.parametrize("text", ["", "\n\n", "# only a remark", "---\n# x\n  \u00a0\n...", "\ufeff"])
def test_nothing_is_nothing(text: str) -> None:
    assert parse(text) == ([], [])


@given(st.text(max_size=200))
def test_no_text_breaks_it(text: str) -> None:
    sections, mistakes = parse(text)
    lines = len(text.splitlines())
    assert all(1 <= m.line <= lines for m in mistakes)
    assert all(1 <= line.line <= lines for s in sections for line in s.lines)


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59))
def test_times_are_read_as_written(h: int, m: int, s: int) -> None:
    whole = h * 3600 + m * 60 + s
    for form in (f"{h}:{m:02d}:{s:02d}", f"{h}h{m}m{s}s", f"{h} h {m} min {s} sec", str(whole), f"{whole} s"):
        assert seconds(form) == whole
    assert seconds(f"{m}:{s:02d},5") == m * 60 + s + 0.5


@pytest.mark.parametrize(
    "text", ["1:60", "1:60:00", "1:00:60", "3 min 4 x", "min", "3 min and 4 s", "1:2:3:4"]
)
def test_what_is_no_time_is_none(text: str) -> None:
    assert seconds(text) is None


@given(st.integers(0, 999_999))
def test_times_are_written_as_they_are_read(tenths: int) -> None:
    assert seconds(clock(tenths / 10)) == pytest.approx(tenths / 10)
    assert clock(tenths / 10 + 0.09) == clock(tenths / 10)  # rounded down: what is seen then is seen after it


@pytest.mark.parametrize(
    ("time_s", "written"),
    [
        (0, "0:00"),
        (5.3, "0:05.3"),
        (750, "12:30"),
        (3599.99, "59:59.9"),
        (3600, "1:00:00"),
        (3723.4, "1:02:03.4"),
    ],
)
def test_times_are_written_without_needless_parts(time_s: float, written: str) -> None:
    assert clock(time_s) == written


@given(st.integers(1, 99999))
def test_ids_are_found_in_any_form(number: int) -> None:
    assert person_id(f"p{number}") == person_id(f"P{number:05d}") == f"P{number:02d}"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_editors_of_several_systems(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "names.txt"
    path.write_bytes("# Größe\r\nP01: Zoë\r\n".encode(encoding))
    assert read_names(path).sections[0].lines == (Name(2, "P01", "Zoë"),)


def test_a_file_that_is_no_text_and_one_that_is_not_there(tmp_path: Path) -> None:
    for content in (b"PK\x03\x04 and more", b"\0\0\0\x20ftypisom"):
        document = tmp_path / "names.docx"
        document.write_bytes(content)
        with pytest.raises(ConfigError, match=r"not plain text.*Save it as plain text"):
            read_names(document)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_names(tmp_path / "missing.txt")


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text("P01: Ana\nwhat\n\nsplit P02 at 1:99\n", encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        raise_mistakes(path, read_names(path).unread)
    text = str(error.value)
    assert "2 mistakes" in text
    assert "names.txt, line 2: 'what' is not understood" in text
    assert "names.txt, line 4: '1:99' is no time. Write 12:30" in text


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("[Zoom [2024].mp4]", "Zoom [2024].mp4"),
        ("Zoom [2024].mp4:", "Zoom [2024].mp4"),
        ("[lesson #1.mp4]", "lesson #1.mp4"),
        ("[lesson #1.mp4] # the first", "lesson #1.mp4"),
        ("[lesson] # see [b]", "lesson"),
        ("[talk [1] #2.mp4] # the second", "talk [1] #2.mp4"),
    ],
)
def test_headings_may_hold_brackets(text: str, title: str) -> None:
    sections, mistakes = parse(f"{text}\nP01: Ana")
    assert [s.title for s in sections if s.lines] == [title] and not mistakes


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ('P01: Ana   # called "Annie" by others', Name(1, "P01", "Ana")),
        ('hide P07 # the "technician"', Hide(1, ("P07",))),
        ('P01: "Ana # 2" # a remark', Name(1, "P01", "Ana # 2")),
    ],
)
def test_remarks_may_hold_quotes(text: str, meant: Line) -> None:
    assert one(text) == meant


VIDEOS = [Video("week1/talk", "talk.mp4"), Video("week2/talk", "talk.mp4"), Video("call", "call.MKV")]


@pytest.mark.parametrize(
    ("title", "meant"),
    [
        ("week1/talk", [0]),
        ("Week2/talk.mp4", [1]),
        ("week1\\talk.mp4", [0]),
        ("talk.mp4", [0, 1]),
        ("talk", [0, 1]),
        ("call.mkv", [2]),
        ("CALL", [2]),
        ("cal", []),
    ],
)
def test_headings_find_their_video(title: str, meant: list[int]) -> None:
    assert matching(title, VIDEOS) == [VIDEOS[i] for i in meant]


def test_lines_go_to_the_video_of_their_heading(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text("[call.mkv]\nP01: Ana\nweek1/talk:\n  P02: Ben\n[talk.mp4]\nP03: C\n[x]\nP01: D\n")
    lines, mistakes = read_names(path).lines_of(VIDEOS)
    assert lines == {VIDEOS[0]: [Name(4, "P02", "Ben")], VIDEOS[1]: [], VIDEOS[2]: [Name(2, "P01", "Ana")]}
    assert [(m.line, m.text) for m in mistakes] == [
        (5, "[talk.mp4] may be week1/talk, week2/talk"),
        (7, "there is no video [x]"),
    ]
    assert "call" in mistakes[1].remedy


def test_lines_without_heading_need_a_single_video(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text("P01: Ana\n")
    names = read_names(path)
    assert names.lines_of(VIDEOS[2:]) == ({VIDEOS[2]: [Name(1, "P01", "Ana")]}, [])
    _, (mistake,) = names.lines_of(VIDEOS)
    assert "holds 3 videos" in mistake.text
    assert "[week1/talk]" in mistake.remedy  # [talk.mp4] would mean two


def test_the_documents_example_is_understood() -> None:
    document = Path(__file__).parents[2] / "docs" / "corrections.md"
    examples = [part for part in document.read_text(encoding="utf-8").split("```")[1::2] if "P01" in part]
    wrong = [part for part in examples if "mistakes in" in part]
    assert len(examples) == 3 and len(wrong) == 1
    for text in set(examples) - set(wrong):
        sections, mistakes = parse(text)
        assert not mistakes
        assert sum(len(section.lines) for section in sections) >= 4


@pytest.mark.parametrize("text", ["12", "112", "X03", "-4", "P", "P3a", ""])
def test_what_is_no_id_is_nobody(text: str) -> None:
    with pytest.raises(ValueError, match="no person's id"):
        person_id(text)
    assert person_id(" p3 ") == "P03"
