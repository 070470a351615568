"""Options of the classifier, apart from the network so that reading them imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from engagement.errors import ConfigError

#: Name of the shipped network that fills every documented column.
DEFAULT_WEIGHTS = "face_state"


@dataclass(frozen=True, slots=True)
class ClassifierConfig:
    """Options of the classifier.

    Attributes:
        checkpoint: ``default``, a shipped name, or a file; heads it lacks come from the default.
        batch_size: chips per forward pass; changes speed, not results.
    """

    checkpoint: str = DEFAULT_WEIGHTS
    batch_size: int = 32

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ConfigError(f"--batch-size {self.batch_size} is below 1")
