"""Label lists: the one place that names classes and fixes their order.

A label set travels with the weights it was trained for; the loader refuses weights whose labels
differ from what the caller expects.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from engagement.errors import DataError

Kind = Literal["exclusive", "independent"]


@dataclass(frozen=True, slots=True)
class LabelSet:
    """Class names in the order of a model's outputs.

    Attributes:
        name: what the classes describe.
        classes: class names, in output order, unique.
        kind: ``exclusive`` (softmax, one class at a time) or ``independent`` (sigmoid each).
    """

    name: str
    classes: tuple[str, ...]
    kind: Kind

    def __post_init__(self) -> None:
        if len(set(self.classes)) != len(self.classes) or not self.classes:
            raise DataError(f"label set '{self.name}' has no classes or repeats one: {self.classes}")

    def __len__(self) -> int:
        return len(self.classes)

    def index(self, label: str) -> int:
        """Position of a class; raises DataError naming the classes there are."""
        try:
            return self.classes.index(label)
        except ValueError:
            known = ", ".join(self.classes)
            raise DataError(f"'{label}' is not a class of '{self.name}'", f"Known classes: {known}") from None

    def to_dict(self) -> dict[str, object]:
        return {"name": self.name, "classes": list(self.classes), "kind": self.kind}

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> LabelSet:
        classes = data["classes"]
        assert isinstance(classes, Iterable)
        kind = str(data["kind"])
        if kind not in ("exclusive", "independent"):
            raise DataError(f"unknown kind of label set: '{kind}'")
        return cls(str(data["name"]), tuple(str(c) for c in classes), kind)  # type: ignore[arg-type]


EXPRESSIONS = LabelSet(
    "expression", ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"), "exclusive"
)
#: AffectNet's eight: the seven in the same order, then contempt. It is a label set of its own: of such sets a model of
#: the seven is measured without the pictures of contempt, and one of the eight has a head beside ``expression``.
EXPRESSIONS_8 = LabelSet("expression8", (*EXPRESSIONS.classes, "contempt"), "exclusive")
LEARNER_STATES = LabelSet("learner_state", ("boredom", "engagement", "confusion"), "independent")

#: What an event says when no learner state leads by the margin.
UNCERTAIN = "uncertain"

#: Area under the ROC curve, of unseen people, below which a state is called little better than chance; such a state
#: must lead by so many times the margin before it is claimed.
WEAK_AUC, WIDE_MARGIN = 0.65, 2.0

#: Names that other data sets use for our expressions, contempt included.
SYNONYMS: Mapping[str, str] = {
    "afraid": "fear",
    "anger": "angry",
    "angry": "angry",
    "contempt": "contempt",
    "contemptuous": "contempt",
    "disgust": "disgust",
    "disgusted": "disgust",
    "fear": "fear",
    "fearful": "fear",
    "scared": "fear",
    "happiness": "happy",
    "happy": "happy",
    "joy": "happy",
    "neutral": "neutral",
    "neutrality": "neutral",
    "sad": "sad",
    "sadness": "sad",
    "surprise": "surprise",
    "surprised": "surprise",
}

#: What sets of expressions call pictures of contempt, which the seven lack, and those that nobody could name (FERPlus:
#: unknown, NF; AffectNet: uncertain, non-face). They are no misspelling of one of the seven.
BESIDE_THE_SEVEN = frozenset(
    {"contempt", "contemptuous", "nf", "no-face", "non-face", "uncertain", "unknown"}
)


def perhaps(names: Iterable[str], known: Iterable[str] = tuple(SYNONYMS)) -> dict[str, str]:
    """Names that may be misspelled -> the known one that they resemble; those that resemble none are left out."""
    # More than the usual 0.6, by which "angst" would be "angry".
    near = {name: get_close_matches(name.lower(), known, 1, 0.61) for name in names}
    return {name: found[0] for name, found in near.items() if found}
