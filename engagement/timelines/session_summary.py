"""summary.json: what the result of one video says of itself, of this version or an earlier one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engagement.errors import ConfigError
from engagement.labels import LabelSet
from engagement.timelines.presence import PresenceConfig


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """The video that a result is of.

    Attributes:
        file: its name; empty where nothing says. width, height: pixels as shown. duration_s: as the container declares.
        frames_decoded: how many pictures were read. complete: whether the video could be read to its end; if not, ``reason``.
        source, content: tell the file from others (``batch.places``).
    """

    file: str
    width: float | None
    height: float | None
    duration_s: float | None
    frames_decoded: float | None
    complete: bool
    reason: str
    source: str
    content: str

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> VideoFacts:
        """The ``video`` part."""
        width, height, duration_s, frames = (
            number(data.get(key)) for key in ("width", "height", "duration_s", "frames_decoded")
        )
        file, reason, source, content = (
            str(data.get(key) or "") for key in ("file", "reason", "source", "content")
        )
        complete = data.get("complete") is not False
        return cls(file, width, height, duration_s, frames, complete, reason, source, content)


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which pictures were looked at; None for what an earlier version did not tell.

    Attributes:
        rate_hz: as asked for. step_s: between samples, as the video allowed. n_samples: in all.
        last_s: time of the last one. end_s: where the video ends.
    """

    rate_hz: float | None
    step_s: float | None
    n_samples: float | None
    last_s: float | None
    end_s: float | None

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Sampling:
        """The ``sampling`` part."""
        return cls(*(number(data.get(key)) for key in ("rate_hz", "step_s", "n_samples", "last_s", "end_s")))

    @property
    def until_s(self) -> float | None:
        """Where the session ends: the video's end, or that of the last sample's step where no end was told."""
        if self.end_s is not None or self.last_s is None or self.step_s is None:
            return self.end_s
        return self.last_s + self.step_s

    @property
    def slow(self) -> bool:
        """Whether the video has fewer pictures than were asked for."""
        return (self.rate_hz or 0.0) * (self.step_s or 0.0) > 1.05


@dataclass(frozen=True, slots=True)
class Limits:
    """What had to hold before anything was claimed.

    Attributes:
        min_face_px: the smallest face looked for. min_quality: the least that counts, 0-1.
        state_margin: by how much a state must lead, 0-1. wide_margin: states told little better than chance, which
            must lead by more.
    """

    min_face_px: float | None = None
    min_quality: float | None = None
    state_margin: float | None = None
    wide_margin: tuple[str, ...] = ()

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Limits:
        """The ``limits`` part."""
        least = (number(data.get(key)) for key in ("min_face_px", "min_quality", "state_margin"))
        return cls(*least, wide_margin=texts(data.get("wide_margin")))


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """The summary of one result.

    Attributes:
        data: the JSON object as it stands. What has an owner of its own is handed out as it lies there
            (:attr:`corrections`, :attr:`calibration`, :attr:`models` …); what is missing or of another form reads
            as nothing.
    """

    data: Mapping[str, Any]

    @property
    def video(self) -> VideoFacts:
        return VideoFacts.of(part(self.data, "video"))

    @property
    def sampling(self) -> Sampling:
        return Sampling.of(part(self.data, "sampling"))

    @property
    def limits(self) -> Limits:
        return Limits.of(part(self.data, "limits"))

    @property
    def length_s(self) -> float:
        """Seconds of the session, to where the analysis found its end. 0 where nothing is known.

        Earlier versions did not say where that is. Of theirs: what the container declares or what was sampled,
        whichever is longer; of a video that could not be read as a whole what was sampled, since nothing is known of the rest.
        """
        video, sampling = self.video, self.sampling
        if sampling.end_s is not None:
            return sampling.end_s
        sampled = (sampling.last_s or 0.0) + (sampling.step_s or 0.0)
        declared = video.duration_s or 0.0
        return max(declared if video.complete else 0.0, sampled)

    @property
    def n_persons(self) -> int:
        """How many people were told apart."""
        return int(number(self.data.get("n_persons")) or 0)

    @property
    def n_shown(self) -> int:
        """How many of them the pages show."""
        return int(number(self.data.get("n_shown", self.n_persons)) or 0)

    @property
    def n_behind(self) -> int:
        """How many people the curves are of: those who could be read for long of all who are shown, or these where nobody could.

        A photograph beside somebody has no part in them, and a face that a slide shows hardly any. Results of earlier
        versions do not tell who was read.
        """
        return int(number(self.data.get("n_read")) or 0) or self.n_shown

    @property
    def coverage(self) -> float | None:
        """Share of the samples with a face, 0-1."""
        return number(self.data.get("coverage"))

    @property
    def mean_visible(self) -> float | None:
        """People per sample."""
        return number(self.data.get("mean_visible"))

    @property
    def scraps(self) -> int:
        """Pictures of faces that belong to nobody."""
        return int(number(part(self.data, "left_out").get("samples")) or 0)

    @property
    def curves(self) -> dict[str, Any]:
        """Of the class: see :func:`engagement.timelines.curves.class_curves`."""
        return part(self.data, "class")

    @property
    def expressions(self) -> tuple[str, ...]:
        """That the classifier can name; empty where nothing says."""
        return texts(self.data.get("expressions"))

    @property
    def heads(self) -> dict[str, Any]:
        """Further heads of the checkpoint: see :func:`engagement.timelines.curves.further_heads`."""
        return part(self.data, "heads")

    @property
    def head_labels(self) -> dict[str, LabelSet]:
        """Further head -> its classes."""
        return {str(name): LabelSet.from_dict(head) for name, head in self.heads.items()}

    @property
    def smoothed(self) -> bool:
        """Whether estimates were smoothed over time."""
        return part(self.data, "temporal").get("method") != "none"

    @property
    def models(self) -> dict[str, Any]:
        """Name -> record of the weights in use: see :func:`engagement.provenance.weights_record`."""
        return part(self.data, "models")

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What decided the result: see :func:`engagement.provenance.fingerprint`."""
        return part(self.data, "fingerprint")

    @property
    def warnings(self) -> tuple[str, ...]:
        """Of the analysis itself; the pages warn of more (``reports.sentences``)."""
        return texts(self.data.get("warnings"))

    @property
    def corrections(self) -> dict[str, Any]:
        """What the names file did: see :meth:`engagement.corrections.plan.Plan.record`."""
        return part(self.data, "corrections")

    @property
    def numbering(self) -> list[str | None]:
        """Id of each person of the analysis, where these are not its own: see ``corrections.carry``."""
        before = self.data.get("numbering")
        return list(before) if isinstance(before, list) else []

    @property
    def presence(self) -> PresenceConfig:
        """Who is shown."""
        asked = part(self.data, "presence")
        try:
            return PresenceConfig(number(asked.get("min_s")) or 0.0, number(asked.get("min_share")) or 0.0)
        except ConfigError:
            return PresenceConfig()

    @property
    def calibration(self) -> dict[str, Any]:
        """What became of a calibration: see :meth:`engagement.calibration.apply.Applied.record`."""
        return part(self.data, "calibration")

    @property
    def calibrated(self) -> dict[str, dict[str, dict[str, float]]]:
        """Person -> state -> ``labels`` and ``shift``, of those whose scores were calibrated."""
        return {
            str(person): {str(state): dict(own) for state, own in states.items() if isinstance(own, Mapping)}
            for person, states in part(self.calibration, "persons").items()
            if isinstance(states, Mapping)
        }


#: Of a result that says nothing, or is not there.
NOTHING = SessionSummary({})


def number(value: object) -> float | None:
    """A finite number or None, whatever another version wrote."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def part(data: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A nested part, empty when another version wrote none."""
    value = data.get(key)
    return dict(value) if isinstance(value, Mapping) else {}


def texts(value: object) -> tuple[str, ...]:
    """Of a list; none where another version wrote something else."""
    return tuple(map(str, value)) if isinstance(value, list | tuple) else ()
