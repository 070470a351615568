"""Figures and sentences of an inspection: what the terminal, the page and the JSON file say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engagement.types import IndexArray
from engagement.wording import count
from training.datasets.files import original_of
from training.inspection.leaks import KINDS, Leak, Relations
from training.inspection.pictures import NO_STATE, SPLITS, STATES_BETWEEN, Pictures

#: What to do about a leak, by kind.
_REMEDIES = {
    KINDS[0]: "Leave the copies out (FOLDER:fer2013_clean does for FER2013), or say how many there are.",
    KINDS[1]: "A model may know them by heart; --json lists them.",
    KINDS[2]: "Other frames of one video look like that as well: validate on another video or person.",
    KINDS[3]: "Split by recording or person, not by frame.",
    KINDS[4]: "Figures then hold for people already seen; for new people, split by person.",
}
_WARNING = "warning: "
#: The same where one of the pictures is called as an augmented copy.
_AUGMENTED = "Split first and augment afterwards, and only the train split."


@dataclass(frozen=True, slots=True, eq=False)
class Conflict:
    """Copies that carry different labels.

    Attributes:
        kind: ``exact copy`` or ``near copy``.
        rows: int64, two or more.
    """

    kind: str
    rows: IndexArray


def conflicts(pictures: Pictures, found: Relations) -> list[Conflict]:
    """Exact copies (whole groups) and near copies (pairs) of one data set that are labelled differently."""
    out: list[Conflict] = []
    for rows in found.exact:
        for k in np.unique(pictures.set_index[rows]):
            own = rows[pictures.set_index[rows] == k]
            if len(set(pictures.label[own].tolist())) > 1:
                out.append(Conflict(KINDS[0], own))
    a, b = found.near.a, found.near.b
    different = (pictures.set_index[a] == pictures.set_index[b]) & (pictures.label[a] != pictures.label[b])
    return out + [Conflict(KINDS[1], np.array(pair)) for pair in zip(a[different], b[different], strict=True)]


def summary(pictures: Pictures, found: Relations, said: Sequence[Sequence[str]] = ()) -> dict[str, Any]:
    """Everything as plain values.

    Args:
        said: of each set, what is to be known of how it was read; sentences that begin with "warning: " are warnings.

    Returns:
        ``sets`` (counts per split and class, sizes, notes), ``damaged``, ``copies`` within and across splits,
        ``conflicts``, ``leaks`` with the pictures, ``affected`` per split, ``shared_groups``, ``warnings``.
    """
    differing = conflicts(pictures, found)
    result: dict[str, Any] = {
        "sets": [_of_set(pictures, k) for k in range(len(pictures.sets))],
        "pictures": len(pictures),
        "damaged": list(pictures.damaged),
        "copies": _copies(pictures, found),
        "conflicts": {
            "groups_of_exact_copies": sum(c.kind == KINDS[0] for c in differing),
            "pairs_of_near_copies": sum(c.kind == KINDS[1] for c in differing),
            "exact": [_named(pictures, c.rows) for c in differing if c.kind == KINDS[0]],
        },
        "shared_groups": found.shared,
        "leaks": [_leak(pictures, leak) for leak in found.leaks],
        "affected": {
            split: {
                "pictures": len(found.affected(split)),
                "of": int((pictures.split == split).sum()),
                "share": len(found.affected(split)) / int((pictures.split == split).sum()),
            }
            for split in ("test", "val")
            if (pictures.split == split).any()
        },
    }
    sentences = said or [()] * len(pictures.sets)
    for entry, own in zip(result["sets"], sentences, strict=True):
        entry["notes"] = [text for text in own if not text.startswith(_WARNING)]
    result["warnings"] = _warnings(pictures, found, result)
    result["warnings"] += [
        text.removeprefix(_WARNING) for own in sentences for text in own if text.startswith(_WARNING)
    ]
    return result


def _shown_of(word: str, classes: Sequence[str]) -> list[str]:
    """The classes that a picture shows: one, whatever its name holds, or several states."""
    return [word] if word in classes else word.split(STATES_BETWEEN)


def _of_set(pictures: Pictures, k: int) -> dict[str, Any]:
    own = pictures.set_index == k
    counts: dict[str, dict[str, int]] = {}
    for split in (s for s in SPLITS if (pictures.split[own] == s).any()):
        # A picture that shows several states counts for each of them.
        words = pictures.label[own & (pictures.split == split)].tolist()
        counted = Counter(c for word in words for c in _shown_of(word, pictures.classes[k]))
        counts[split] = {c: counted[c] for c in pictures.classes[k]}
        if counted[NO_STATE]:
            counts[split][NO_STATE] = counted[NO_STATE]
    for of_split in counts.values():
        for name in {c for other in counts.values() for c in other}:
            of_split.setdefault(name, 0)
    sizes = Counter(map(tuple, pictures.size[own].tolist()))
    groups = {g for g in pictures.group[own].tolist() if g}
    return {
        "name": pictures.sets[k],
        "pictures": int(own.sum()),
        "groups": len(groups) or None,
        "counts": counts,
        "totals": {split: int((own & (pictures.split == split)).sum()) for split in counts},
        "sizes": [{"width": w, "height": h, "pictures": n} for (w, h), n in sizes.most_common(8)],
        "different_sizes": len(sizes),
        "smallest": [int(v) for v in pictures.size[own].min(axis=0)],
        "largest": [int(v) for v in pictures.size[own].max(axis=0)],
    }


def _copies(pictures: Pictures, found: Relations) -> dict[str, Any]:
    within = dict.fromkeys(SPLITS, 0)
    across = 0
    for rows in found.exact:
        splits = pictures.split[rows].tolist()
        across += len(set(splits)) > 1
        for split, n in Counter(splits).items():
            within[split] += n - 1
    near_within = {s: _in_pairs(pictures, found, s) for s in SPLITS}
    return {
        "groups_of_exact_copies": len(found.exact),
        "groups_across_splits": across,
        "exact_surplus_within": {k: v for k, v in within.items() if v},
        "near_copies_within": {k: v for k, v in near_within.items() if v},
    }


def _in_pairs(pictures: Pictures, found: Relations, split: str) -> int:
    both = (pictures.split[found.near.a] == split) & (pictures.split[found.near.b] == split)
    return len(np.unique(np.concatenate([found.near.a[both], found.near.b[both]])))


def _named(pictures: Pictures, rows: IndexArray) -> list[dict[str, str]]:
    return [
        {
            "set": pictures.sets[pictures.set_index[row]],
            "picture": str(pictures.sample_id[row]),
            "split": str(pictures.split[row]),
            "label": str(pictures.label[row]),
        }
        for row in rows
    ]


def _leak(pictures: Pictures, leak: Leak) -> dict[str, Any]:
    pairs = [
        {
            "picture": str(pictures.sample_id[row]),
            "in_train": str(pictures.sample_id[partner]),
            "labels": [str(pictures.label[row]), str(pictures.label[partner])],
            "likeness": None if np.isnan(likeness) else round(float(likeness), 4),
        }
        for row, partner, likeness in zip(leak.affected, leak.partner, leak.likeness, strict=True)
    ]
    return {
        "kind": leak.kind,
        "split": leak.split,
        "affected": len(leak.affected),
        "of": leak.of,
        "share": len(leak.affected) / leak.of,
        "pairs": pairs,
    }


def percent(share: float) -> str:
    """0.1234 as 12.3 %"""
    return f"{100 * share:.1f} %"


def _remedy(pictures: Pictures, leak: Leak) -> str:
    names = pictures.sample_id[np.concatenate([leak.affected, leak.partner])].tolist()
    augmented = leak.kind == KINDS[2] and any(original_of(name) for name in names)
    return _AUGMENTED if augmented else _REMEDIES[leak.kind]


def _warnings(pictures: Pictures, found: Relations, result: dict[str, Any]) -> list[str]:
    out: list[str] = []
    for split, entry in result["affected"].items():
        if entry["pictures"]:
            out.append(
                f"Leakage: train has a copy or a neighbouring frame of {entry['pictures']} of {entry['of']} {split} pictures "
                f"({percent(entry['share'])}), so figures on them flatter."
            )
    for leak in found.leaks:
        out.append(
            f"{len(leak.affected)} of {leak.of} {leak.split} pictures ({percent(len(leak.affected) / leak.of)}): "
            f"{leak.kind} in train. {_remedy(pictures, leak)}"
        )
    if found.shared:
        named = ", ".join(found.shared[:5]) + (" …" if len(found.shared) > 5 else "")
        out.append(
            f"{count(len(found.shared), 'person or source lies', 'persons or sources lie')} in more than one split: {named}"
        )
    if groups := result["conflicts"]["groups_of_exact_copies"]:
        out.append(f"Labelled differently: {count(groups, 'group')} of identical pictures.")
    for entry in result["sets"]:
        for split, counts in entry["counts"].items():
            lacking = [name for name, n in counts.items() if not n and name != NO_STATE]
            if lacking:
                out.append(f"{entry['name']}: the {split} split has no picture of {', '.join(lacking)}.")
    if pictures.damaged:
        named = ", ".join(pictures.damaged[:5]) + (" …" if len(pictures.damaged) > 5 else "")
        out.append(
            f"{count(len(pictures.damaged), 'picture')} cannot be decoded; training stops at them unless it is given "
            f"--skip-bad: {named}"
        )
    return out
