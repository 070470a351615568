"""``calibration.json``: the labels of a session and what was fitted to them. Numbers and answers, no picture.

It lies beside the tables of the session. A label keeps the time and the face box that it is about: with them
it is recognised whether a person of that id is still the same one, after another analysis or a correction.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from engagement import __version__
from engagement.calibration.fit import PriorConfig
from engagement.errors import ConfigError, DataError, OutputError
from engagement.given import no_file
from engagement.labels import LEARNER_STATES
from engagement.results import CALIBRATION, RIGHTS, write_json

FILE = CALIBRATION
SCHEMA = 1
_AGAIN = "Give a calibration.json that `engagement calibrate` wrote, or remove it and label again."


@dataclass(frozen=True, slots=True)
class Label:
    """What somebody said of a moment.

    Attributes:
        time_s: presentation time of the sample. box: corners of the face then, source pixels.
        state: learner state. score: the raw score there, 0-1. present: whether it appeared to be there.
    """

    time_s: float
    box: tuple[float, float, float, float]
    state: str
    score: float
    present: bool


@dataclass(frozen=True, slots=True)
class PersonCalibration:
    """Labels of one person, and for each labelled state the shift of its logit."""

    labels: tuple[Label, ...]
    shift: Mapping[str, float]

    def count(self, state: str) -> int:
        """Labels of a state."""
        return sum(label.state == state for label in self.labels)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Everything that ``calibration.json`` holds.

    Attributes:
        video: file name. folder: of its results, within the output folder.
        weights: name -> sha256 of the weights whose scores of learner states were labelled; earlier versions wrote down
            all that scored faces.
        prior: with which it was fitted. persons: by id.
    """

    video: str
    folder: str
    weights: Mapping[str, str]
    prior: PriorConfig = field(default_factory=PriorConfig)
    persons: Mapping[str, PersonCalibration] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """Short hash of all that decides what becomes of scores."""
        return hashlib.sha256(json.dumps(_to_dict(self), sort_keys=True).encode()).hexdigest()[:16]

    def only(self, persons: Sequence[str]) -> Calibration:
        """Without everybody else."""
        kept = {name: own for name, own in self.persons.items() if name in persons}
        return Calibration(self.video, self.folder, self.weights, self.prior, kept)


def score_weights(models: Mapping[str, Any]) -> dict[str, str]:
    """Name -> sha256 of the weights that tell learner states, from the ``models`` of a summary.

    Of all that scored faces, where an earlier version did not say which.
    """
    return _hashes(models, "states") or _hashes(models, "kind")


def _hashes(models: Mapping[str, Any], key: str) -> dict[str, str]:
    """Of the models that score faces and of which something is said under a key."""
    return {
        str(name): str(model.get("sha256"))
        for name, model in models.items()
        if isinstance(model, Mapping) and model.get("kind") in ("face_state", "ensemble") and model.get(key)
    }


def fits_scores(calibration: Calibration, models: Mapping[str, Any]) -> bool:
    """Whether a calibration belongs to the weights of a result's scores; their files may be called otherwise by now."""
    known = (score_weights(models), _hashes(models, "kind"))
    return set(calibration.weights.values()) in [set(weights.values()) for weights in known]


def write_calibration(calibration: Calibration, path: Path) -> None:
    """Write the file whole.

    Raises:
        OutputError: the place cannot be written.
    """
    try:
        write_json(path, _to_dict(calibration))
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror})", RIGHTS) from error


def read_calibration(path: Path) -> Calibration:
    """Read and check a file.

    Raises:
        DataError: it cannot be read, or what stands in it is none; names the place and the value.
    """
    if what := no_file(path):
        raise DataError(f"{path} is {what}, not a file", _AGAIN)
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})", _AGAIN) from error
    except ValueError as error:
        raise DataError(f"{path} is not JSON ({error})", _AGAIN) from error
    if not isinstance(data, dict) or "persons" not in data:
        raise DataError(f"{path} is no calibration: it has no 'persons'", _AGAIN)
    if data.get("schema") != SCHEMA:
        raise DataError(
            f"{path}: schema {data.get('schema')!r} is not known here, {SCHEMA} is", "Update engagement."
        )
    reader = _Reader(path)
    prior = reader.part(data, "prior", "prior")
    try:
        chosen = PriorConfig(
            reader.number(prior, "person_sd", "prior"), reader.number(prior, "session_sd", "prior")
        )
    except ConfigError as error:
        raise DataError(f"{path}: prior: {error.message}", _AGAIN) from error
    return Calibration(
        reader.text(data, "video", ""),
        reader.text(data, "folder", ""),
        {str(name): str(sha) for name, sha in reader.part(data, "weights", "weights").items()},
        chosen,
        {
            str(name): reader.person(own, name)
            for name, own in reader.part(data, "persons", "persons").items()
        },
    )


def _to_dict(calibration: Calibration) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "engagement_version": __version__,
        "video": calibration.video,
        "folder": calibration.folder,
        "weights": dict(calibration.weights),
        "method": "logit shift per person and state, Gaussian prior around the session's shift",
        "prior": asdict(calibration.prior),
        "persons": {
            name: {
                "n_labels": {state: own.count(state) for state in own.shift},
                "shift": dict(own.shift),
                "labels": [asdict(label) | {"box": list(label.box)} for label in own.labels],
            }
            for name, own in calibration.persons.items()
        },
    }


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


class _Reader:
    """Takes values out of JSON and says which one is wrong."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def wrong(self, place: str, value: object, wanted: str) -> DataError:
        return DataError(f"{self.path}: {place} is {value!r}, not {wanted}", _AGAIN)

    def part(self, data: Mapping[str, Any], key: str, place: str) -> Mapping[str, Any]:
        value = data.get(key)
        if not isinstance(value, Mapping):
            raise self.wrong(place, value, "an object")
        return value

    def text(self, data: Mapping[str, Any], key: str, place: str) -> str:
        value = data.get(key)
        if not isinstance(value, str):
            raise self.wrong(f"{place}{key}", value, "a text")
        return value

    def number(
        self, data: Mapping[str, Any], key: str, place: str, low: float = -1e9, high: float = 1e9
    ) -> float:
        value = data.get(key)
        if not (_is_number(value) and low <= value <= high):
            raise self.wrong(f"{place}, {key}", value, f"a number within {low:g} to {high:g}")
        return float(value)

    def person(self, data: Any, name: str) -> PersonCalibration:
        if not isinstance(data, Mapping):
            raise self.wrong(f"persons, {name}", data, "an object")
        shifts = self.part(data, "shift", f"{name}, shift")
        for state in shifts:
            self.known(state, f"{name}, shift")
        listed = data.get("labels")
        if not isinstance(listed, list):
            raise self.wrong(f"{name}, labels", listed, "a list")
        labels = tuple(self.label(one, f"{name}, label {i}") for i, one in enumerate(listed, 1))
        return PersonCalibration(
            labels, {s: self.number(shifts, s, f"{name}, shift", -100, 100) for s in shifts}
        )

    def label(self, data: Any, place: str) -> Label:
        if not isinstance(data, Mapping):
            raise self.wrong(place, data, "an object")
        box = data.get("box")
        if not (isinstance(box, list) and len(box) == 4 and all(map(_is_number, box))):
            raise self.wrong(f"{place}, box", box, "four numbers")
        if not isinstance(data.get("present"), bool):
            raise self.wrong(f"{place}, present", data.get("present"), "true or false")
        x1, y1, x2, y2 = (float(v) for v in box)
        return Label(
            self.number(data, "time_s", place, 0.0),
            (x1, y1, x2, y2),
            self.known(data.get("state"), place),
            self.number(data, "score", place, 0.0, 1.0),
            data["present"],
        )

    def known(self, state: Any, place: str) -> str:
        if state not in LEARNER_STATES.classes:
            raise self.wrong(f"{place}, state", state, f"one of {', '.join(LEARNER_STATES.classes)}")
        return str(state)
