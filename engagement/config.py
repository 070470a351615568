"""One frozen section per stage, resolved once; a stage receives its own section, never the whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from engagement.classification.options import ClassifierConfig
from engagement.errors import ConfigError
from engagement.faces.options import DetectorConfig, MtcnnConfig, SearchConfig
from engagement.faces.quality import QualityConfig
from engagement.smoothing import SmoothingConfig
from engagement.timelines.episodes import EpisodesConfig
from engagement.timelines.presence import PresenceConfig
from engagement.tracking.persons import PersonsConfig
from engagement.tracking.tracker import TrackingConfig
from engagement.video.sampling import SamplingConfig


@dataclass(frozen=True, slots=True)
class AnalysisConfig:
    """All that decides the results of an analysis; written to run.json."""

    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    detector: DetectorConfig = field(default_factory=DetectorConfig)
    detection: MtcnnConfig = field(default_factory=MtcnnConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    persons: PersonsConfig = field(default_factory=PersonsConfig)
    classifier: ClassifierConfig = field(default_factory=ClassifierConfig)
    quality: QualityConfig = field(default_factory=QualityConfig)
    smoothing: SmoothingConfig = field(default_factory=SmoothingConfig)
    episodes: EpisodesConfig = field(default_factory=EpisodesConfig)
    backend: str = "auto"
    thumbnails: bool = True
    #: Longer videos are analysed in ranges of about so many seconds (engagement.segments); 0: never.
    split_s: float = 0.0
    #: Who is shown. Decides no figure of a person, so a change redoes the pages, not the analysis; None: as before.
    presence: PresenceConfig | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def resolve(sections: Mapping[str, tuple[type, Mapping[str, Any]]], **plain: Any) -> AnalysisConfig:
    """Build every section, gather all complaints, and raise them together.

    Args:
        sections: name -> (section class, values given by the user; None means the default).
        plain: options that belong to no section.

    Raises:
        ConfigError: naming every wrong option, its value and the remedy.
    """
    built: dict[str, Any] = {}
    wrong: list[ConfigError] = []
    for name, (kind, values) in sections.items():
        try:
            built[name] = kind(**{key: value for key, value in values.items() if value is not None})
        except ConfigError as error:
            wrong.append(error)
    if len(wrong) == 1:
        raise wrong[0]
    if wrong:
        raise ConfigError("; ".join(str(error).rstrip(".") for error in wrong))
    return AnalysisConfig(**built, **plain)
