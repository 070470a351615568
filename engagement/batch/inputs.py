"""What the user named: videos of this machine and of other storage, and inputs that give none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from engagement.batch.places import discover_remote, is_url, local_path
from engagement.batch.status import VideoStatus
from engagement.errors import ConfigError
from engagement.video.discover import FoundVideo, discover, without_video


def find_videos(
    inputs: Sequence[str], globs: Sequence[str], output: str
) -> tuple[list[FoundVideo], list[VideoStatus]]:
    """Videos that are there, and a failed status for each input, and folder within one, that gives none.

    Args:
        inputs: paths, or addresses that fsspec knows.
        globs: patterns of further files in folders.
        output: where results go; not searched.

    Raises:
        ConfigError: nothing is found at all, which is wrong usage; otherwise the others are analysed.
    """
    given = [local_path(text) for text in inputs]
    paths = [Path(text) for text in given if not is_url(text)]
    found, failed, nothing = _on_this_machine(paths, globs, None if is_url(output) else Path(output))
    for url in (text for text in given if is_url(text)):
        try:
            found += _beside(discover_remote(url, globs), found)
        except ConfigError as error:
            nothing.append(error)
            failed.append(_failed(url, error.message, error.hint))
    if not found and nothing:
        raise nothing[0]
    if not found:
        raise ConfigError(f"{', '.join(given)} does not exist", "Check the path of the video or folder.")
    return found, failed


def _on_this_machine(
    paths: Sequence[Path], globs: Sequence[str], exclude: Path | None
) -> tuple[list[FoundVideo], list[VideoStatus], list[ConfigError]]:
    """Videos, what gives none, and the error if there is not one video in all of it."""
    there = [path for path in paths if path.exists()]
    failed = [_failed(path, "does not exist", "Check the path.") for path in paths if path not in there]
    found: list[FoundVideo] = []
    nothing: list[ConfigError] = []

    def closed(folder: Path, why: str) -> None:
        failed.append(_failed(folder, f"cannot be searched ({why})", "Check your rights."))

    try:
        if there:
            found = discover(there, globs, exclude, closed)
    except ConfigError as error:
        nothing.append(error)
    # Only what no video is known of is searched again: a folder may hold but links to what was met before.
    told = {status.input for status in failed}
    bare = [path for path in there if not any(video.path.is_relative_to(path) for video in found)]
    for path in without_video([path for path in bare if str(path) not in told], globs, exclude):
        failed.append(_failed(path, "holds no video", "Take files of other kinds with --glob."))
    return found, failed, nothing


def _failed(given: Path | str, reason: str, hint: str) -> VideoStatus:
    return VideoStatus(str(given), "", "failed", reason, hint)


def _beside(more: list[FoundVideo], found: list[FoundVideo]) -> list[FoundVideo]:
    """Videos of a further address, in a numbered folder where their names are taken."""
    number, top = 2, {video.relative.parts[0].casefold() for video in found}
    if not any(video.relative.parts[0].casefold() in top for video in more):
        return more
    while f"input {number}" in top:
        number += 1
    return [replace(video, relative=f"input {number}" / video.relative) for video in more]
