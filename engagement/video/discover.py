"""Finds the videos a user means and gives each an output folder of its own."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from stat import S_ISREG

from engagement.errors import ConfigError

VIDEO_SUFFIXES = (
    ".mp4",
    ".mov",
    ".mkv",
    ".avi",
    ".webm",
    ".m4v",
    ".mts",
    ".m2ts",
    ".wmv",
    ".mpg",
    ".mpeg",
    ".flv",
    ".3gp",
)
"""What counts as a video when a folder is searched, and .ts by its content; a file named by the user may have any suffix."""

PICTURE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".jp2"),
    *(".png", ".webp", ".bmp", ".gif", ".pgm", ".ppm", ".tif", ".tiff"),
    *(".heic", ".heif", ".avif"),
)
"""What pictures are called; the last three cannot be read here and are named as damaged, not passed over in silence."""

#: Folders that systems leave beside a user's files: in ZIP files of a Mac, on drives of Synology (small copies of pictures).
_SYSTEM = ("__MACOSX", "@eaDir")

#: Bytes by which a recording called .ts is known.
TRANSPORT_HEAD = 377

#: What lies in every output folder, as :func:`_key` spells it: no video's results can be called that.
RESERVED = frozenset({"run.json", "index.html", "names.txt", "names-before.txt", "report_assets"})

#: Hears of a folder that cannot be searched, and why.
Complain = Callable[[Path, str], object]


@dataclass(frozen=True, slots=True)
class FoundVideo:
    """A video to analyse.

    Attributes:
        path: the file, as reached from the input.
        relative: folder for its results, relative to the output folder; no two videos share one or lie
            inside one another's, also where case does not count, and none is called what a run writes there.
        url: address of a video in another storage, empty for a file; ``path`` is then no more than its name.
    """

    path: Path
    relative: PurePath
    url: str = ""

    @property
    def name(self) -> str:
        """What the user calls it."""
        return self.url or str(self.path)


@dataclass(frozen=True, slots=True)
class _Candidate:
    path: Path
    inside: PurePath
    input_name: str


def discover(
    inputs: Sequence[Path],
    globs: Sequence[str] = (),
    exclude: Path | None = None,
    complain: Complain = lambda *_: None,
) -> list[FoundVideo]:
    """Files as given, folders searched with all their subfolders, sorted by name.

    Args:
        inputs: files and folders. The same file reached twice counts once, where it is met first.
        globs: patterns such as "*.vob": files inside folders that are taken besides VIDEO_SUFFIXES. Matched
            against the path inside the folder and against the name; case does not count.
        exclude: a folder that is not searched (the output folder).
        complain: told of every folder that cannot be searched; the others are.

    Returns:
        The videos, inputs in the given order. Names that begin with a dot are skipped (macOS writes
        ``._x.mp4`` beside ``x.mp4``).

    Raises:
        ConfigError: an input does not exist, or nothing was found at all.
    """
    candidates: list[_Candidate] = []
    met: set[str] = set()
    closed: dict[Path, str] = {}
    for given in inputs:
        for candidate in _candidates(Path(given), globs, exclude, closed.setdefault):
            real = os.path.realpath(candidate.path)
            if real not in met:
                met.add(real)
                candidates.append(candidate)
    for folder, why in closed.items():
        complain(folder, why)
    if inputs and not candidates and closed:
        folders = ", ".join(f"{folder} ({why})" for folder, why in closed.items())
        raise ConfigError(f"No video found, and {folders} cannot be searched", "Check your rights.")
    if inputs and not candidates:
        wanted = ", ".join([*(suffix[1:] for suffix in VIDEO_SUFFIXES), *globs])
        raise ConfigError(
            f"No video found in {', '.join(str(given) for given in inputs)}",
            f"Looked for {wanted}; name the file itself, or take other files with --glob",
        )
    names = _distinct_names(candidates)
    return [FoundVideo(each.path, name) for each, name in zip(candidates, names, strict=True)]


def without_video(
    inputs: Sequence[Path], globs: Sequence[str] = (), exclude: Path | None = None
) -> list[Path]:
    """The inputs that :func:`discover` finds nothing in."""
    return [given for given in inputs if next(iter(_candidates(given, globs, exclude)), None) is None]


def _candidates(
    given: Path, globs: Sequence[str], exclude: Path | None, complain: Complain = lambda *_: None
) -> Iterator[_Candidate]:
    if given.is_dir():
        input_name = given.resolve().name
        for path in videos_in(given, globs, exclude, complain):
            yield _Candidate(path, path.relative_to(given), input_name)
    elif given.exists():
        yield _Candidate(given, PurePath(given.name), given.resolve().parent.name)
    else:
        raise ConfigError(f"{given} does not exist", "Check the spelling of the path")


def videos_in(
    folder: Path,
    globs: Sequence[str] = (),
    exclude: Path | None = None,
    complain: Complain = lambda *_: None,
) -> list[Path]:
    """Videos in a folder and all its subfolders, sorted by name; arguments as of :func:`discover`."""
    found = [
        path
        for path in _walk(folder, exclude, complain)
        if (is_video(path.relative_to(folder), globs) and _is_to_be_read(path)) or _is_transport_stream(path)
    ]
    return sorted(found, key=lambda path: _order(path.relative_to(folder)))


def pictures_in(folder: Path, complain: Complain = lambda *_: None) -> Iterator[Path]:
    """Pictures in a folder and all its subfolders, in no order; ``complain`` as of :func:`discover`."""
    return (path for path in _walk(folder, None, complain) if is_picture(path))


def is_picture(path: Path) -> bool:
    """Whether a file is called like a picture, a link to nowhere included."""
    return path.suffix.lower() in PICTURE_SUFFIXES and _is_to_be_read(path)


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is the system's, not the user's."""
    return name.startswith(".") or name in _SYSTEM


def _is_to_be_read(path: Path) -> bool:
    """No pipe or device. A link to nowhere and a file that nobody may look at cannot be read, which is to be said."""
    try:
        return S_ISREG(path.stat().st_mode)
    except OSError:
        return True


def _is_transport_stream(path: Path) -> bool:
    """Whether a file called .ts is a recording: TypeScript sources are called so too."""
    if path.suffix.lower() != ".ts" or not _is_to_be_read(path):
        return False
    try:
        with path.open("rb") as file:
            return begins_as_a_transport_stream(file.read(TRANSPORT_HEAD))
    except OSError:
        return False


def begins_as_a_transport_stream(head: bytes) -> bool:
    """Whether these first TRANSPORT_HEAD bytes are of packets: they begin with a G, 188 bytes each."""
    return head[:TRANSPORT_HEAD:188] == b"GGG"


def _walk(folder: Path, exclude: Path | None, complain: Complain) -> Iterator[Path]:
    """Files below a folder. Links are followed, but no folder is entered twice."""
    barred = None if exclude is None else os.path.realpath(exclude)
    entered = {os.path.realpath(folder)}

    def refused(error: OSError) -> None:
        complain(Path(error.filename or folder), error.strerror or str(error))

    for place, folders, files in os.walk(folder, followlinks=True, onerror=refused):
        kept = []
        for name in sorted(folders):
            real = os.path.realpath(Path(place, name))
            if is_hidden(name) or real == barred or real in entered:
                continue
            entered.add(real)
            kept.append(name)
        folders[:] = kept
        yield from (Path(place, name) for name in files if not is_hidden(name))


def distinct_names(inside: Sequence[PurePath], input_name: str) -> list[PurePath]:
    """Output folders of the files of one input, none of which equals or holds another."""
    return _distinct_names([_Candidate(Path(path), path, input_name) for path in inside])


def is_video(inside: PurePath, globs: Sequence[str]) -> bool:
    """Whether a file in a folder is taken: by its suffix, or by a pattern of the user's."""
    if inside.suffix.lower() in VIDEO_SUFFIXES:
        return True
    texts = (inside.as_posix().casefold(), inside.name.casefold())
    return any(fnmatchcase(text, pattern.casefold()) for pattern in globs for text in texts)


def _order(path: PurePath) -> tuple[str, str]:
    return path.as_posix().casefold(), path.as_posix()


def _distinct_names(candidates: Sequence[_Candidate]) -> list[PurePath]:
    """Each gets the shortest of its names that clashes with nobody's: without suffix, with suffix, below its
    input's name, with a number."""
    namings: list[Callable[[_Candidate], PurePath]] = [
        lambda each: _without_suffix(each.inside),
        lambda each: each.inside,
        lambda each: PurePath(each.input_name) / each.inside if each.input_name else each.inside,
    ]
    names = [namings[0](each) for each in candidates]
    for naming in namings[1:]:
        clashing = _clashing(names)
        names = [
            naming(each) if clash else name
            for each, name, clash in zip(candidates, names, clashing, strict=True)
        ]
    return _numbered([_beside_ours(name) for name in names])


def _beside_ours(name: PurePath) -> PurePath:
    """A name that is not below one of RESERVED."""
    return PurePath(f"{name.parts[0]} (2)", *name.parts[1:]) if _is_reserved(name) else name


def _is_reserved(name: PurePath) -> bool:
    return _key(name)[0] in RESERVED


def _numbered(names: Sequence[PurePath]) -> list[PurePath]:
    clashing = _clashing(names)
    taken = {_key(name) for name, clash in zip(names, clashing, strict=True) if not clash} | _parents(names)
    result = []
    for name, clash in zip(names, clashing, strict=True):
        number, chosen = 2, name
        while clash and _key(chosen) in taken:
            chosen = name.with_name(f"{name.name} ({number})")
            number += 1
        taken.add(_key(chosen))
        result.append(chosen)
    return result


def _clashing(names: Sequence[PurePath]) -> list[bool]:
    keys = [_key(name) for name in names]
    count, parents = Counter(keys), _parents(names)
    return [
        count[key] > 1 or key in parents or _is_reserved(name) for key, name in zip(keys, names, strict=True)
    ]


def _parents(names: Sequence[PurePath]) -> set[tuple[str, ...]]:
    return {key[:length] for key in map(_key, names) for length in range(1, len(key))}


def _without_suffix(inside: PurePath) -> PurePath:
    # "...mp4" would become "..", the folder above.
    return inside.with_name(inside.stem) if inside.stem.strip(". ") else inside


def _key(name: PurePath) -> tuple[str, ...]:
    """Equal for names that some file system takes for one: case, composed letters, trailing dots."""
    return tuple(unicodedata.normalize("NFC", part).casefold().rstrip(" .") for part in name.parts)
