"""The model card beside a temporal weight file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from engagement import drafts
from engagement.weights.store import WeightRecord

_WHAT = {
    "lstm": "A bidirectional LSTM over the frame model's scores, the time between them and their validity.",
    "cnn3d": "A 3D convolution over clips of small grey faces, together with the frame model's scores.",
}


#: Head of the frame model -> what it says.
_SAYS = {"expression": "expressions", "state": "states"}


def _known(learned: Mapping[str, Sequence[str]]) -> str:
    if not learned:
        return "The frame model had not been trained on these pictures."
    return " ".join(
        f"**The frame model's {head} head had learned from {' and '.join(faces)}**: its scores of them are truer than of "
        f"anybody else, so what is said of {_SAYS[head]} here does not hold for other people."
        for head, faces in learned.items()
    )


def write_card(path: Path, record: WeightRecord, sha256: str, parameters: int) -> Path:
    """Write ``<kind>.md``; every figure in it comes from the record."""
    origin, network = record.origin, record.network
    figures = "\n".join(f"| {k} | {v} |" for k, v in sorted(record.metrics.items()))
    data = "\n".join(f"- {d}" for d in origin.get("data", []))
    text = f"""# {record.kind}

{_WHAT[record.kind]}
It corrects box-smoothed logits by at most {network["bound"]} each, so it cannot turn over what the window is
sure of. {parameters} parameters. Chosen with `--temporal {record.kind}`.

- sha256: `{sha256}`
- frame model: `{origin.get("frame_weights", "")}`, sha256 `{origin.get("frame_weights_sha256", "")}`,
  with the expressions of sha256 `{origin.get("frame_weights_base_sha256", "")}`; scores of another network have another
  meaning: train again
- made by: `{origin.get("command", "")}`
- licence: {record.licence}
- network: `{dict(network)}`

## Trained on

{data}

{_known(origin.get("frame_weights_learned") or {})} No set of ours labels a face frame by frame:
sequences are drawn from semi-Markov chains (`training/temporal/semi_markov.py`) whose durations and transitions are
assumptions, varied from sequence to sequence, and put together from single pictures. WACV-2016 gives
ordered frames of real people; its interval is not published, and one second is assumed.

## Measured on validation pictures and people

Sequences at 5 Hz; `score` is the mean of expression macro-F1, expression event-F1 and state AUC. The test
figures stand in `docs/temporal.md`.

| figure | value |
|---|---|
{figures}

## Limits

A network that beats the box on made-up sequences has partly learned how they were made. The engagement
scores of the frame model rest on crowd labels of ten seconds; smoothing does not make them more true. It
must not be used to judge a single person.
"""
    drafts.write(path, text)
    return path
