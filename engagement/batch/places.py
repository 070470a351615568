"""Where videos come from and results go: folders of this machine, or storage that fsspec knows.

A remote output has a mirror: a local folder with what a task needs of it (the names file, an earlier result)
and what it writes. Results are uploaded when a video is committed, its summary last, so that a video without
summary is one that is not finished. A remote video is copied here for as long as it is analysed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import Any
from urllib.parse import unquote

from engagement.corrections.file import NAMES_FILE
from engagement.errors import ConfigError, OutputError, VideoError
from engagement.results import (
    CALIBRATION,
    INDEX,
    RUN,
    SUMMARY,
    UNDER_WAY,
    bring_back,
    is_in_ours,
    refuse_others,
    require_no_file,
    require_no_others,
    require_output_folder,
    sweep,
    writable,
)
from engagement.video.discover import (
    TRANSPORT_HEAD,
    FoundVideo,
    begins_as_a_transport_stream,
    distinct_names,
    is_hidden,
    is_video,
)


@dataclass(frozen=True, slots=True)
class FileFacts:
    """By what a changed file is known. The content is not read: it may be hundreds of gigabytes.

    Attributes:
        version: time of change in nanoseconds, or what the storage calls a version.
    """

    size: int
    version: str


#: Lies among results while they are uploaded: without it and a summary they are somebody else's.
_UPLOAD = f"{UNDER_WAY}upload"

#: Bytes of each of the three places by which copies are known.
_BLOCK = 2**20


class Place(ABC):
    """An output, and the way to the videos.

    Attributes:
        root: the output folder or its mirror.
    """

    root: Path

    def facts(self, video: FoundVideo) -> FileFacts:
        """Raises VideoError when the video is not there."""
        if video.url:
            files, path = _file_system(video.url)
            with _readable(video.url, "Check the address, your rights and the connection."):
                known: dict[str, Any] = files.info(path)
            version = next((str(known[k]) for k in _VERSIONS if known.get(k)), "")
            return FileFacts(int(known.get("size") or 0), version)
        with _readable(video.name, "Check the path; workers on other machines must see it as well.", OSError):
            status = video.path.stat()
        return FileFacts(status.st_size, str(status.st_mtime_ns))

    def source(self, video: FoundVideo) -> str:
        """Tells a video's file from others of the same name, and nobody where it lies."""
        where = video.url or os.path.realpath(video.path)
        return hashlib.sha256(where.encode("utf-8", "surrogateescape")).hexdigest()[:16]

    def content(self, video: FoundVideo) -> str:
        """Digest of the file's beginning, middle and end, by which a copy is known; empty in other storages, and where
        it cannot be read any more."""
        if video.url:
            return ""  # what they call a version is the same for copies, where they can tell
        try:
            with video.path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                found = hashlib.sha256(str(size).encode())
                for start in (0, (size - _BLOCK) // 2, size - _BLOCK):
                    file.seek(max(start, 0))
                    found.update(file.read(_BLOCK))
        except OSError:
            return ""
        return found.hexdigest()[:16]

    @contextmanager
    def at_hand(self, video: FoundVideo) -> Iterator[Path]:
        """The video as a file of this machine, for as long as the block lasts."""
        if not video.url:
            yield video.path
            return
        import fsspec

        with tempfile.TemporaryDirectory(prefix="engagement-") as folder:
            options: Any = {"simplecache": {"cache_storage": folder, "same_names": True}}
            with _readable(video.url, f"Check your rights, the connection and the space in {folder}."):
                copy: Any = fsspec.open_local(f"simplecache::{video.url}", **options)
            yield Path(copy)

    @abstractmethod
    def prepare(self) -> None:
        """Raise OutputError if nothing can be written."""

    @abstractmethod
    def require_room(self, relative: PurePath) -> None:
        """Raise OutputError if the results of a video cannot be put there."""

    @abstractmethod
    def sweep(self) -> None:
        """Remove what killed runs and workers left half written."""

    @abstractmethod
    def fetch(self, relative: PurePath) -> None:
        """Bring an earlier result, as it was before a worker died over it, and the names file."""

    @abstractmethod
    def publish(self, relative: PurePath) -> None:
        """Upload the results of one video."""

    @abstractmethod
    def release(self, relative: PurePath) -> None:
        """Nothing of a video's results is needed here any more: what was fetched of them goes."""

    @abstractmethod
    def fetch_run(self, outputs: Sequence[str]) -> None:
        """Bring run.json, the names file, and what the index says of each video."""

    @abstractmethod
    def publish_run(self) -> None:
        """Upload run.json, index and what pages share."""


class Folder(Place):
    """A folder of this machine, or one that all machines of a cluster see."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def prepare(self) -> None:
        writable(self.root)
        require_output_folder(self.root)

    def require_room(self, relative: PurePath) -> None:
        target = self.root / relative
        require_no_file(target)
        require_no_others(target)
        writable(target.parent)
        if target.is_dir():
            writable(target)

    def sweep(self) -> None:
        sweep(self.root)

    def fetch(self, relative: PurePath) -> None:
        bring_back(self.root / relative)

    def publish(self, relative: PurePath) -> None:
        pass

    def release(self, relative: PurePath) -> None:
        pass

    def fetch_run(self, outputs: Sequence[str]) -> None:
        pass

    def publish_run(self) -> None:
        pass


class Remote(Place):
    """A folder of a storage that fsspec knows."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._files, self._base = _file_system(url)
        self._mirror = tempfile.TemporaryDirectory(prefix="engagement-")
        self.root = Path(self._mirror.name) / "out"
        self.root.mkdir()

    def prepare(self) -> None:
        probe = f"{self._base}/.engagement-partial-probe"
        with self._named("written", "Choose another with -o."):
            self._files.makedirs(self._base, exist_ok=True)
            self._files.pipe_file(probe, b"")
            self._files.rm_file(probe)
        with self._named("read"):
            self._get(RUN)
            self._get(INDEX)
        require_output_folder(self.root, self._url)

    def require_room(self, relative: PurePath) -> None:
        # A file and a folder of one name lie beside each other in most storages.
        there = f"{self._base}/{relative.as_posix()}"
        with self._named("read"):
            known = self._files.exists(f"{there}/{SUMMARY}") or self._files.exists(f"{there}/{_UPLOAD}")
            found = {} if known else self._of_ours(relative)
        refuse_others(f"{self._url}/{relative.as_posix()}", {inside.split("/")[0] for inside in found})

    def sweep(self) -> None:
        pass  # what lacks a summary counts as not there, and is overwritten

    def fetch(self, relative: PurePath) -> None:
        target = self.root / relative
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        (self.root / NAMES_FILE).unlink(missing_ok=True)
        with self._named("read"):
            self._get(NAMES_FILE)
            there = self._get(f"{relative.as_posix()}/{SUMMARY}")
            for inside in self._of_ours(relative) if there else (CALIBRATION,):
                self._get(f"{relative.as_posix()}/{inside}")

    def publish(self, relative: PurePath) -> None:
        own = self.root / relative
        files = sorted(p for p in own.rglob("*") if p.is_file())
        there = f"{self._base}/{relative.as_posix()}"
        wanted = {p.relative_to(own).as_posix() for p in files}
        with self._named("written"):
            self._files.makedirs(there, exist_ok=True)
            self._files.pipe_file(f"{there}/{_UPLOAD}", b"")
            if self._files.exists(f"{there}/{SUMMARY}"):
                self._files.rm_file(f"{there}/{SUMMARY}")
            for path in files:
                if path != own / SUMMARY:
                    self._put(path)
            for inside, path in self._of_ours(relative).items():
                if inside not in wanted:
                    self._files.rm_file(path)
            self._put(own / SUMMARY)
            self._files.rm_file(f"{there}/{_UPLOAD}")

    def release(self, relative: PurePath) -> None:
        shutil.rmtree(self.root / relative, ignore_errors=True)

    def fetch_run(self, outputs: Sequence[str]) -> None:
        with self._named("read"):
            self._get(RUN)
            self._get(NAMES_FILE)
            for output in outputs:
                if self._get(f"{output}/{SUMMARY}"):
                    (self.root / output / "session.html").touch()  # the index looks whether there is one

    def publish_run(self) -> None:
        with self._named("written"):
            for path in sorted(p for p in (self.root / "report_assets").rglob("*") if p.is_file()):
                self._put(path)
            for name in (RUN, INDEX):  # an index alone is taken for somebody else's
                self._put(self.root / name)

    @contextmanager
    def _named(
        self, done: str, hint: str = "Check that the storage can be reached, and your rights."
    ) -> Iterator[None]:
        """Whatever the storage raises (each has exceptions of its own) as one that names the output."""
        try:
            yield
        except Exception as error:
            raise OutputError(f"output {self._url} cannot be {done} ({_told(error)})", hint) from error

    def _of_ours(self, relative: PurePath) -> dict[str, str]:
        """Files called like results of a video, by where they lie in its folder: none of another video there."""
        base = f"{self._base}/{relative.as_posix()}"
        if not self._files.exists(base):
            return {}
        bare = PurePosixPath(self._files._strip_protocol(base))
        found = {PurePosixPath(path).relative_to(bare): path for path in self._files.find(base)}
        others = {where.parts[0] for where in found if where.name == SUMMARY and len(where.parts) > 1}
        return {
            where.as_posix(): path
            for where, path in found.items()
            if is_in_ours(where) and where.parts[0] not in others
        }

    def _get(self, name: str) -> bool:
        there = f"{self._base}/{name}"
        if not self._files.exists(there):
            return False
        own = self.root / name
        own.parent.mkdir(parents=True, exist_ok=True)
        self._files.get_file(there, str(own))
        return True

    def _put(self, path: Path) -> None:
        there = f"{self._base}/{path.relative_to(self.root).as_posix()}"
        self._files.makedirs(there.rsplit("/", 1)[0], exist_ok=True)
        self._files.put_file(str(path), there)


def is_url(text: str) -> bool:
    """Whether a path names another storage."""
    return "://" in text


def local_path(text: str) -> str:
    """``file://`` addresses as plain paths, whatever stands before the first slash; anything else unchanged."""
    # Names of files have # and ?, which in other addresses begin something else.
    return unquote("/" + text[7:].partition("/")[2]) if text.startswith("file://") else text


def open_place(root: str) -> Place:
    """The output folder of a path or URL."""
    root = local_path(root)
    return Remote(root.rstrip("/")) if is_url(root) else Folder(Path(root))


def discover_remote(url: str, globs: Sequence[str] = ()) -> list[FoundVideo]:
    """Videos of a storage: a file as given, a folder with all its subfolders.

    Raises:
        ConfigError: there is nothing, or the storage cannot be reached.
    """
    files, base = _file_system(url.rstrip("/"))
    try:
        paths = [base] if files.isfile(base) else sorted(files.find(base))
    except Exception as error:
        raise ConfigError(
            f"{url} cannot be read ({_told(error)})", "Check the address and your rights."
        ) from error
    stem = PurePosixPath(base).parent if paths == [base] else PurePosixPath(base)
    inside = [PurePosixPath(path).relative_to(stem) for path in paths]
    found = [
        (path, where)
        for path, where in zip(paths, inside, strict=True)
        if paths == [base] or (not any(map(is_hidden, where.parts)) and _is_taken(files, path, where, globs))
    ]
    if not found:
        raise ConfigError(f"No video found in {url}", "Check the address; --glob takes other files.")
    names = distinct_names([where for _, where in found], stem.name)
    return [
        FoundVideo(Path(where), name, files.unstrip_protocol(path))
        for (path, where), name in zip(found, names, strict=True)
    ]


def _is_taken(files: Any, path: str, where: PurePath, globs: Sequence[str]) -> bool:
    """Whether a file in a folder of a storage is a video, by what decides it on this machine."""
    if is_video(where, globs):
        return True
    if where.suffix.lower() != ".ts":
        return False
    try:
        return begins_as_a_transport_stream(files.cat_file(path, 0, TRANSPORT_HEAD))
    except Exception:  # each storage has its own; taken, so that it is said when it is to be read
        return True


@contextmanager
def _readable(name: str, hint: str, raised: type[Exception] = Exception) -> Iterator[None]:
    """What reading a video raises as one that names it; storages have exceptions of their own."""
    try:
        yield
    except raised as error:
        raise VideoError(f"{name} cannot be read here ({_told(error)})", hint) from error


_VERSIONS = ("ETag", "etag", "mtime", "LastModified", "last_modified", "created")


def _file_system(url: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise ConfigError(f"{url} needs fsspec", "pip install 'engagement[cluster]'") from error
    try:
        return url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise ConfigError(f"{url} cannot be reached ({error})", "Install what fsspec asks for.") from error


def _told(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text.splitlines()[0]
