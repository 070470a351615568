"""From a trained network to the files a user gets: weights, figures, card.

The tensors are written first and read back: calibration and figures belong to the file (half
precision), not to the network that training held in memory.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from engagement.classification.network import FaceStateNet
from engagement.types import ChipSpec
from training.cards import write_card
from training.evaluate import DRAWS, measure
from training.opened import Opened, kept, open_network
from training.run import calibration_of, export
from training.samples import SampleTable

Say = Callable[[str], None]


def deliver(
    path: Path,
    network: FaceStateNet,
    head: str,
    chip: ChipSpec,
    measured_on: Mapping[str, SampleTable],
    origin: Mapping[str, Any],
    licence: str,
    *,
    base: Opened | None = None,
    say: Say = lambda _: None,
) -> dict[str, Any]:
    """Write the weight file, ``metrics.json`` and ``model_card.md`` beside it.

    Args:
        path: of the weight file.
        network: in memory; what is written is half precision.
        head: the head that was trained.
        chip: geometry and normalisation it was trained with.
        measured_on: split name -> table; ``val`` is there and calibrates.
        origin: command, data, settings, initial weights.
        licence: terms of the data and of the base.
        base: whose other heads (with their calibration and figures) are in the network.
        say: gets one line.

    Returns:
        the figures of the head: split -> figures.
    """
    calibrations = kept(base.record.calibration, head) if base else {}
    metrics = kept(base.record.metrics, head) if base else {}
    # A file that is not ready must not look like one that is.
    draft = path.with_name(path.stem + ".draft.safetensors")
    try:
        export(draft, network, chip, calibrations, metrics, origin, licence)
        halved = open_network(str(draft))
        calibrations |= calibration_of(halved.network, head, measured_on["val"], chip)
        export(draft, halved.network, chip, calibrations, metrics, origin, licence)
        halved = open_network(str(draft))
        found = {split: measure(halved, head, table, DRAWS) for split, table in measured_on.items()}
    finally:
        draft.unlink(missing_ok=True)
    metrics[head] = plain(found)
    digest = export(path, halved.network, chip, calibrations, metrics, origin, licence)
    (path.parent / "metrics.json").write_text(to_json(metrics[head]), encoding="utf-8")
    write_card(path.parent / "model_card.md", open_network(str(path)).record, path.name, digest)
    say(f"{path} written, sha256 {digest[:12]}…")
    return metrics[head]


def plain(value: Any) -> Any:
    """The value with floats rounded to six places and NaN as None: JSON that every reader takes."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value


def to_json(value: Any) -> str:
    """Indented JSON of figures."""
    return json.dumps(plain(value), indent=1, allow_nan=False) + "\n"
