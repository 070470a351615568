"""Which calibration is meant for which video of a run: ``analyze --calibration`` and ``report --calibration``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from engagement.calibration.apply import named, same_moment
from engagement.calibration.store import (
    FILE,
    Calibration,
    Label,
    fits_scores,
    read_calibration,
    score_weights,
)
from engagement.errors import ConfigError, DataError
from engagement.results import under_way
from engagement.wording import count


def find_calibrations(path: Path, videos: Mapping[str, str]) -> dict[str, Calibration]:
    """Calibrations by the folder of the results that they are for.

    Args:
        path: a calibration.json, or a folder of results: all that lie within.
        videos: folder of a video's results, within the output folder -> name of its file.

    Raises:
        ConfigError: there is none; one is for a video that is not among these, or for several of them.
        DataError: a file is damaged.
    """
    files = [path]
    if path.is_dir():  # without results that are being written
        files = sorted(p for p in path.rglob(FILE) if not under_way(p, path))
    if not files:
        raise ConfigError(
            f"--calibration {path} holds no {FILE}", "Label moments first: `engagement calibrate RESULTS`."
        )
    if not path.exists():
        raise ConfigError(f"--calibration {path} does not exist", f"Give a {FILE} or a folder of results.")
    out: dict[str, Calibration] = {}
    origin: dict[str, Path] = {}
    for file in files:
        calibration = read_calibration(file)
        relative = _video_of(file, calibration, videos, strict=file == path)
        if relative in out:
            raise ConfigError(
                f"{origin[relative]} and {file} are both for {relative}",
                "Give one of them with --calibration.",
            )
        if relative:
            out[relative], origin[relative] = calibration, file
    if not out:
        raise ConfigError(
            f"--calibration {path}: none of {count(len(files), 'file')} is for a video given here",
            f"Given: {', '.join(sorted(set(videos.values())))}.",
        )
    return out


def _video_of(file: Path, calibration: Calibration, videos: Mapping[str, str], strict: bool) -> str:
    """The folder of the video's results; empty when it is not among these (unless that is an error)."""
    same = [relative for relative, name in videos.items() if name == calibration.video]
    if calibration.folder in same:
        return calibration.folder
    if len(same) == 1:
        return same[0]
    if not strict:
        return ""
    if same:
        raise ConfigError(
            f"{file} is for {calibration.video} of {calibration.folder}, and {len(same)} videos have that name: "
            f"{', '.join(same)}",
            "Analyse the video that is meant by itself.",
        )
    raise ConfigError(
        f"{file} is for the video {calibration.video}, which is not among those given",
        f"Given: {', '.join(sorted(set(videos.values()))) or 'none'}. A calibration holds for the people of one "
        "session.",
    )


def require_scores(calibration: Calibration, models: Mapping[str, Any], video: str) -> None:
    """Raise where the scores of a result come from other weights than a calibration belongs to.

    Args:
        models: of the result's summary.

    Raises:
        DataError: naming both.
    """
    if not fits_scores(calibration, models):
        raise DataError(
            f"the calibration given for {video} belongs to the weights {named(calibration.weights)}; its scores come "
            f"from {named(score_weights(models))}",
            "Copy the file to the session and give `engagement calibrate --refit`, or label again.",
        )


def require_nothing_lost(given: Calibration, own: Calibration | None, file: Path | str) -> None:
    """Raise where a calibration that is given would replace labels that it does not have.

    Args:
        own: what lies in ``file``, a path or an address, if anything.

    Raises:
        ConfigError: naming the file.
    """
    has = _labels(given)
    lost = [one for one in _labels(own) if not any(same_moment(one, other) for other in has)]
    if lost:
        raise ConfigError(
            f"{file} has {count(len(lost), 'label')} that --calibration would replace",
            "Move it away first if it is to be replaced; otherwise leave out --calibration.",
        )


def _labels(calibration: Calibration | None) -> list[Label]:
    return [one for own in calibration.persons.values() for one in own.labels] if calibration else []


def require_weights(calibrations: Collection[Calibration], checkpoint: str) -> None:
    """Raise before hours of work when the scores will come from other weights.

    Raises:
        DataError: naming both. WeightsError: there are no such weights.
    """
    from engagement.weights import DEFAULT_WEIGHTS
    from engagement.weights.store import locate, read_record, sha256_of

    def named_hash(reference: str) -> tuple[str, str]:
        name, path, known = locate(reference)
        return name, known or sha256_of(path)

    own, shipped = named_hash(checkpoint), named_hash(DEFAULT_WEIGHTS)
    tells = "state" in read_record(locate(checkpoint)[1]).network.get("heads", {})
    name, used = own if tells else shipped
    for calibration in calibrations:
        theirs = set(calibration.weights.values())
        # Earlier versions wrote down all weights that scored faces, the shipped ones beside others.
        if theirs not in ({used}, {own[1], shipped[1]}):
            raise DataError(
                f"the calibration of {calibration.video} belongs to the weights {named(calibration.weights)}; with "
                f"the weights {checkpoint} learner states come from {name} {used[:12]}",
                "Analyse without --calibration, then `engagement calibrate RESULTS --refit` with the labels there are.",
            )
