"""Faces labelled with engagement alone (WACV-2016), for a learner-state head that learns from DAiSEE as well.

DAiSEE has few people who were seen as not engaged; WACV-2016 has many, in other rooms and light.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from engagement.errors import ConfigError, DataError
from engagement.labels import LEARNER_STATES
from engagement.types import FloatArray
from training.datasets.wacv2016 import LEVELS
from training.samples.table import SampleTable

#: How much each of WACV-2016's levels counts as engaged: "nominally engaged" is more yes than no.
_ENGAGED = (0.0, 0.7, 1.0)
_ENGAGEMENT = LEARNER_STATES.index("engagement")


def engagement_only(table: SampleTable, leave_out: Sequence[str] = ()) -> SampleTable:
    """WACV-2016 as learner states, of which engagement alone is known.

    Args:
        leave_out: people who also stand in the other set: a head must not know who it is measured on.

    Raises:
        DataError: the faces have other labels. ConfigError: one of those people is not there.
    """
    if table.labels != LEVELS:
        raise DataError(
            f"'{table.name}' is labelled with {table.labels.name}, not with levels of engagement",
            "Give WACV-2016 with --more: its folder, or FOLDER:wacv2016.",
        )
    people = set(table.group.tolist())
    unknown = [name for name in leave_out if name not in people]
    if unknown:
        raise ConfigError(
            f"--leave-out {','.join(unknown)}: nobody of '{table.name}' is called so",
            f"Its people: {', '.join(sorted(people, key=lambda name: (len(name), name)))}.",
        )
    rows = table.rows(np.flatnonzero(~np.isin(table.group, list(leave_out))))
    level = rows.target.argmax(axis=1)
    target = np.full((len(rows), len(LEARNER_STATES)), np.nan, np.float32)
    levels = np.zeros(target.shape, np.int64)
    target[:, _ENGAGEMENT], levels[:, _ENGAGEMENT] = np.asarray(_ENGAGED)[level], level
    return replace(rows, labels=LEARNER_STATES, target=target, levels=levels)


def engagement_figures(logits: FloatArray, table: SampleTable) -> dict[str, Any]:
    """How the engagement score of unseen people orders their faces.

    Args:
        logits: (n, states) by heads that did not learn from the person. table: of :func:`engagement_only`.

    Returns:
        ``people``, ``faces``, and with 95 % intervals over people: AUC of engaged at all and of very engaged, Spearman's
        correlation with the level.
    """
    from training.states_evaluation.figures import figure, people_weights, weighted_auc, weighted_spearman

    assert table.levels is not None
    level, score = table.levels[:, _ENGAGEMENT], logits[:, _ENGAGEMENT]
    weights = people_weights(table.group)
    return {
        "people": len(set(table.group.tolist())),
        "faces": len(table),
        "auc_engaged": figure(weighted_auc(score, level >= 1, weights)),
        "auc_very_engaged": figure(weighted_auc(score, level >= 2, weights)),
        "spearman": figure(weighted_spearman(score, level, weights)),
    }
