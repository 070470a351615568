"""The names file: a text that a teacher writes. Forgiving in form, strict in meaning.

``docs/corrections.md`` describes it with an example. Nothing here knows any results: whether the people
exist is seen in ``plan``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from engagement.corrections.mistakes import Mistake, with_causes
from engagement.corrections.notation import ID as _ID
from engagement.corrections.notation import order, person_id, seconds
from engagement.corrections.text import text_of
from engagement.wording import shortened

#: In an output folder, applied by ``analyze`` and ``report`` alike.
NAMES_FILE = "names.txt"

_MAX_NAME = 60
_LIST = rf"{_ID}(?:(?:\s*(?:,|;|&|\+|\band\b)\s*|\s+){_ID})*"

_SECTION = re.compile(r"\[(?P<title>.+)\]|(?P<file>[^:]+\.\w{2,5}):|(?P<yaml>[^\[\]]+):")
_MERGE_INTO = re.compile(
    rf"(?:merge|join):?\s+(?P<sources>{_LIST})\s+(?:in\s?to|to|->|→)\s+(?P<target>{_ID})"
)
_MERGE_ALL = re.compile(
    rf"(?:merge|join):?\s+(?P<people>{_ID}(?:\s+with\s+|\s+and\s+|\s*[,&+]\s*|\s+){_LIST})"
)
_IS = re.compile(rf"(?P<sources>{_ID})\s*(?:==?|->|→|\bis\b)\s*(?P<target>{_ID})")
_SPLIT = re.compile(
    rf"split:?\s+(?P<person>{_ID})\s+(?:at|@)\s*(?P<time>.+?)"
    rf"(?:\s*(?:into|->|→)\s*(?P<first>{_ID})(?:\s*(?:and|,|&|\+)\s*(?P<second>{_ID}))?)?"
)
_HIDE = re.compile(rf"hide:?\s+(?P<people>{_LIST})")
_OPT_OUT = re.compile(rf"(?:opt[\s-]?out|opts out|delete|remove):?\s+(?:of\s+)?(?P<people>{_LIST})")
_BETWEEN = r"\s*[:=,;\t]\s*|\s+(?:[-–—→]|->|is)\s+|\s+"
_OPTS_OUT = re.compile(
    rf"(?P<people>{_LIST})(?:{_BETWEEN})(?:(?:has|is|wants?\s+to)\s+)?(?:opts?|opted)[\s-]?out"
)
_NAME = re.compile(rf"(?P<person>{_ID})(?P<separator>{_BETWEEN})(?P<name>.*)")
_KEYWORDS = (
    *("merge", "join", "split", "hide", "opt", "optout", "opt-out", "delete", "remove"),
    *("merged", "joined", "hidden", "opts", "opted", "deleted", "removed"),
)
#: No name: whoever writes it wants somebody to be gone, who must not stay because it was not understood.
_OUT = re.compile(r"\bopt(?:s|ed|ing)?[\s-]*out\b", re.IGNORECASE)
#: How people say in other words that they do not want to be in it.
_PLEA = re.compile(
    r"\b(?:delet\w*|remov\w*|withdr[ae]w\w*|anonymi[sz]\w*|consent|(?:no|not|don['’]?t|never) (?:be )?show\w*)\b",
    re.I,
)
#: What joins letters (Persian, Sinhala) and pictures, and what turns the direction of writing: seen by nobody.
_JOINERS, _DIRECTIONS = "\u200c\u200d", "\u200e\u200f"
_FORMS = "'P03: Ana', 'merge P05 into P03', 'split P02 at 12:30 into P02 and P09', 'hide P07', 'opt out P08'"


@dataclass(frozen=True, slots=True)
class Name:
    """Call a person something."""

    line: int
    person: str
    name: str


@dataclass(frozen=True, slots=True)
class Merge:
    """``sources`` are the same person as ``target``, whose id remains."""

    line: int
    sources: tuple[str, ...]
    target: str


@dataclass(frozen=True, slots=True)
class Split:
    """From ``time_s`` on it is somebody else. An empty ``second`` means the next free id."""

    line: int
    person: str
    time_s: float
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class Hide:
    """Left out of pages and class curves; stays in the tables."""

    line: int
    people: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OptOut:
    """Removed from everything; deleted."""

    line: int
    people: tuple[str, ...]


Line = Name | Merge | Split | Hide | OptOut


@dataclass(frozen=True, slots=True)
class Section:
    """Lines that speak of one video; ``title`` is empty for those above the first heading."""

    title: str
    line: int
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Video:
    """One video of an output folder: its folder of results ("week1/talk") and its file's name ("talk.mp4")."""

    relative: str
    file: str

    def __str__(self) -> str:
        return self.file if Path(self.file).stem == self.relative else f"{self.relative} ({self.file})"


@dataclass(frozen=True, slots=True)
class NamesFile:
    """The lines of a names file that are understood, and those that are not."""

    path: Path
    sections: tuple[Section, ...] = ()
    unread: tuple[Mistake, ...] = ()

    def mistakes(self, of_meaning: Sequence[Mistake]) -> list[Mistake]:
        """All there are: lines that are not understood, and those of meaning, with what may have caused them."""
        headings = [section.line for section in self.sections if section.title]
        return [*self.unread, *with_causes(of_meaning, self.unread, headings)]

    def lines_of(self, videos: Sequence[Video]) -> tuple[dict[Video, list[Line]], list[Mistake]]:
        """The lines that speak of each video, and headings that fit none or several."""
        out: dict[Video, list[Line]] = {video: [] for video in videos}
        mistakes: list[Mistake] = []
        for section in self.sections:
            found = matching(section.title, videos)
            if len(found) == 1:
                out[found[0]] += section.lines
            elif section.lines:
                mistakes.append(_no_video(section, found, videos))
        return out, mistakes

    def lines_for(self, video: Video, known: Sequence[Video]) -> list[Line]:
        """The lines that speak of one of the videos that a names file may mean."""
        return self.lines_of(list({v.relative: v for v in (*known, video)}.values()))[0][video]


def read_names(path: Path) -> NamesFile:
    """Read a names file; lines that are not understood are its ``unread``.

    Raises:
        ConfigError: it cannot be read.
    """
    sections, mistakes = parse(text_of(path))
    return NamesFile(path, tuple(sections), tuple(mistakes))


def parse(text: str) -> tuple[list[Section], list[Mistake]]:
    """Sections of a text, and the lines that are not understood."""
    sections: list[Section] = []
    mistakes: list[Mistake] = []
    title, began, lines = "", 0, list[Line]()
    for number, raw in enumerate(text.splitlines(), 1):
        written = _bare(raw)
        if not written:
            continue
        heading, found = _SECTION.fullmatch(written), _line(number, written)
        # "opt out P03:" is no heading, and neither is an id without a name.
        if heading and (not heading["yaml"] or isinstance(found, Mistake)) and not _bare_id(written):
            sections.append(Section(title, began, tuple(lines)))
            title, began, lines = _unquoted(heading[heading.lastindex or 0]), number, []
            continue
        if isinstance(found, Mistake):
            mistakes.append(replace(found, written=written))
        else:
            lines.append(found)
    sections.append(Section(title, began, tuple(lines)))
    return [s for s in sections if s.lines or s.title], mistakes


def matching(title: str, videos: Sequence[Video]) -> list[Video]:
    """Videos that a heading means: by folder of results, path, file name or name without suffix."""
    if not title:
        return list(videos)
    wanted = title.strip().replace("\\", "/").removeprefix("./").casefold()
    for form in (
        lambda v: v.relative,
        lambda v: (Path(v.relative).parent / v.file).as_posix(),
        lambda v: v.file,
        lambda v: Path(v.relative).name,
        lambda v: Path(v.file).stem,
    ):
        found = [v for v in videos if form(v).casefold() == wanted]
        if found:
            return found
    return []


def meant(title: str, videos: Sequence[Video]) -> Video | None:
    """The video that a heading which fits none may mean, since it is called much like it."""
    near = "" if matching(title, videos) else _near(title, videos)
    found = matching(near, videos) if near else []
    return found[0] if len(found) == 1 else None


def _near(title: str, videos: Sequence[Video]) -> str:
    near = get_close_matches(title, [name for v in videos for name in (v.file, v.relative)], 1)
    return near[0] if near else ""


def _unique(video: Video, videos: Sequence[Video]) -> str:
    """A heading that means this video alone."""
    return video.file if matching(video.file, videos) == [video] else video.relative


def _no_video(section: Section, found: Sequence[Video], videos: Sequence[Video]) -> Mistake:
    known = shortened(str(v) for v in videos)
    if not section.title:
        return Mistake(
            section.lines[0].line,
            f"the folder holds {len(videos)} videos, and this does not say which one is meant",
            f"Put a line [{_unique(videos[0], videos)}] above it. Known: {known}." if videos else "",
        )
    if found:
        places = shortened(v.relative for v in found)
        return Mistake(section.line, f"[{section.title}] may be {places}", "Write the folder's name as well.")
    near = _near(section.title, videos)
    meant = f"Do you mean [{near}]? " if near else ""
    return Mistake(section.line, f"there is no video [{section.title}]", f"{meant}Known: {known}.")


def _bare(raw: str) -> str:
    """A line without comment, list dash and spaces around it."""
    # Within quotes, or the brackets of a heading, it is text.
    begun = _closing(raw) if raw.lstrip().startswith("[") else 0
    marks = [m.start() for m in re.finditer(r"(?<!\S)#", raw) if raw.count('"', 0, m.start()) % 2 == 0]
    marks = [mark for mark in marks if mark >= begun]
    text = raw[: marks[0]] if marks else raw
    text = text.replace("\u00a0", " ").replace("\ufeff", "").strip()
    if text in ("---", "...") or text.startswith("#"):
        return ""
    return re.sub(r"^[-*•]\s+", "", text)


def _closing(raw: str) -> int:
    """Where the bracket closes that a line begins with; 0 where it does not."""
    depth = 0
    for at, letter in enumerate(raw):
        depth += (letter == "[") - (letter == "]")
        if letter == "]" and not depth:
            return at
    return 0


def _bare_id(text: str) -> bool:
    return bool(re.fullmatch(rf"{_ID}\s*:", text))


def _line(number: int, text: str) -> Line | Mistake:
    plain = re.sub(rf"^[\"']({_ID})[\"']", r"\1", text)
    for pattern, make in (
        (_MERGE_INTO, _merge),
        (_MERGE_ALL, _merge_all),
        (_IS, _merge),
        (_SPLIT, _split),
        (_HIDE, lambda n, m: Hide(n, _people(m["people"]))),
        (_OPT_OUT, lambda n, m: OptOut(n, _people(m["people"]))),
        (_OPTS_OUT, lambda n, m: OptOut(n, _people(m["people"]))),
    ):
        found = re.fullmatch(pattern.pattern, plain.rstrip(" .;,:"), re.IGNORECASE)
        if found:
            return make(number, found)
    found = _NAME.fullmatch(plain)
    return (
        _name(number, found)
        if found
        else Mistake(number, f"'{_cut(text)}' is not understood", f"Write {_FORMS}.")
    )


def _name(number: int, found: re.Match[str]) -> Name | Mistake:
    text = found["name"].translate(dict.fromkeys(map(ord, _DIRECTIONS)))
    person, name = person_id(found["person"]), " ".join(_unquoted(text.strip().rstrip(" :")).split())
    if not name.strip(_JOINERS):
        return Mistake(number, f"no name follows {person}", f"Write '{person}: Ana', or leave the line out.")
    other = re.search(rf"(?:^|\W)({_ID})(?:$|\W)", name)
    joined = other and name.casefold().startswith(("merge", "join"))
    if not joined and _orders(name, bool(found["separator"].strip())):
        return Mistake(
            number,
            f"'{_cut(name)}' is not taken as a name",
            f"To remove {person} write 'opt out {person}', to leave them off the pages 'hide {person}'. Other "
            f"corrections: {_FORMS}.",
        )
    if other:
        return Mistake(
            number,
            f"the name '{_cut(name)}' looks like a person's id",
            f"To say that two are one person write 'merge {person} into {person_id(other[1])}'.",
        )
    if len(name) > _MAX_NAME:
        return Mistake(
            number,
            f"the name of {person} has {len(name)} characters, of which {_MAX_NAME} fit",
            "Shorten it.",
        )
    odd = next((c for c in name if not c.isprintable() and c not in _JOINERS), "")
    if odd:
        return Mistake(
            number,
            f"the name of {person} holds a character that nobody sees (U+{ord(odd):04X})",
            "Type it anew.",
        )
    return Name(number, person, name)


def _orders(name: str, separated: bool) -> bool:
    """Whether a name is an order not understood, or a wish: 'opt out please', 'hide him', 'no consent'; not 'Hide Sato'."""
    first, _, rest = name.partition(" ")
    keyword = first.rstrip(":").casefold() in _KEYWORDS
    return bool(_OUT.search(name) or _PLEA.search(name)) or (
        keyword and not (separated and rest and not re.match(r"[a-z\d]", rest))
    )


def _merge(number: int, found: re.Match[str]) -> Line | Mistake:
    target = person_id(found["target"])
    sources = tuple(p for p in _people(found["sources"]) if p != target)
    if not sources:
        return Mistake(number, f"{target} is to be merged into itself", "Name two people.")
    return Merge(number, sources, target)


def _merge_all(number: int, found: re.Match[str]) -> Line | Mistake:
    people = sorted(set(_people(found["people"])), key=order)
    if len(people) < 2:
        return Mistake(number, f"{people[0]} is to be merged with itself", "Name two people.")
    return Merge(number, tuple(people[1:]), people[0])


def _split(number: int, found: re.Match[str]) -> Line | Mistake:
    person, at = person_id(found["person"]), seconds(found["time"])
    if at is None:
        return Mistake(number, f"'{found['time']}' is no time", "Write 12:30, 1:02:30 or 750s.")
    if re.fullmatch(r"\d{1,2}\.\d\d", found["time"]):
        return Mistake(
            number,
            f"'{found['time']}' may be minutes or seconds",
            f"Write {found['time'].replace('.', ':')}, or {at:g}s.",
        )
    first = person_id(found["first"]) if found["first"] else person
    second = person_id(found["second"]) if found["second"] else ""
    if found["first"] and not second:  # "into P09": the later part
        first, second = person, "" if first == person else first
    if first == second:
        return Mistake(
            number, f"both parts of {person} would be {first}", f"Write 'into {person} and' a new id."
        )
    return Split(number, person, at, first, second)


def _people(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(person_id(p) for p in re.findall(_ID, text)))


def _unquoted(text: str) -> str:
    text = text.strip()
    return text[1:-1].strip() if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def _cut(text: str, most: int = 50) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
