"""Options of the classifier, apart from the network so that reading them imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from engagement.weights import DEFAULT_WEIGHTS


@dataclass(frozen=True, slots=True)
class ClassifierConfig:
    """Options of the classifier.

    Attributes:
        checkpoint: ``default``, a shipped name, or a file; heads it lacks come from the default.
        mirror: average what the network says of a face and of its mirror image: steadier scores, and a face feature
            that knows a person again more surely, for twice the network's time.
    """

    checkpoint: str = DEFAULT_WEIGHTS
    mirror: bool = True
