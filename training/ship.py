"""Put trained weights into the package: ``python -m training.ship NAME=RUN_FOLDER/model.safetensors … [--test DATA …]``.

Copies each file and the card beside it, and writes ``manifest.json``: file, kind, sha256, labels, chip
geometry, licence, measured figures. ``--test`` first measures networks of faces on the test split of a data set and writes
the figures into file and card: once, when nothing is left to choose.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from engagement.errors import DataError
from engagement.provenance import headline
from engagement.weights.store import folder, load_weights, locate, read_record, save_weights, sha256_of


def measure(source: Path, data: Sequence[str]) -> None:
    """Measure the test split of each data set with the head that knows its classes; rewrites file and card.

    The first set of a head is its ``test``; further ones are called after the set.

    Raises:
        DataError: a set has no test split, or no head for it is there.
    """
    from training.cards import write_card
    from training.datasets.registry import load
    from training.evaluate import DRAWS, Outcome, head_for
    from training.opened import open_network
    from training.plain import plain
    from training.report.cost import cost

    loaded, opened = load_weights(str(source), "face_state"), open_network(str(source))
    metrics = dict(loaded.record.metrics)
    measured: set[str] = set()
    for reference in data:
        table = load(reference).part("test")
        head = head_for(opened, table)
        found = Outcome.of(opened, head, table).figures(DRAWS)
        split = f"{table.name} test" if head in measured else "test"
        metrics[head] = {**metrics.get(head, {}), split: plain(found)}
        measured.add(head)
    record = replace(loaded.record, metrics=metrics)
    digest = save_weights(source, record, loaded.tensors)
    write_card(source.parent / "model_card.md", record, source.name, digest, cost(opened))


def ship(name: str, source: Path) -> dict[str, Any]:
    """Copy one weight file and its card into the package; returns its entry of the manifest.

    Raises:
        DataError: there is no card beside the file.
    """
    cards = [p for p in (source.with_suffix(".md"), source.parent / "model_card.md") if p.is_file()]
    if not cards:
        raise DataError(f"{source} has no model card beside it", "Train it with `engagement train`.")
    record = read_record(source)
    target = folder() / f"{name}.safetensors"
    shutil.copyfile(source, target)
    card = cards[0].read_text(encoding="utf-8").replace(source.name, target.name, 1)
    (folder() / f"{name}.md").write_text(card, encoding="utf-8")
    return {
        "file": target.name,
        "card": f"{name}.md",
        "kind": record.kind,
        "sha256": sha256_of(target),
        "labels": {k: v["labels"] for k, v in record.network.get("heads", {}).items()},
        "chip": dict(record.chip),
        "licence": record.licence,
        "metrics": headline(record.metrics),
    }


def main() -> None:
    """Ship each NAME=FILE; entries of other names stay."""
    parser = argparse.ArgumentParser(prog="python -m training.ship", description=__doc__)
    parser.add_argument("pairs", nargs="+", metavar="NAME=FILE")
    parser.add_argument("--test", action="append", default=[], metavar="DATA", help="FOLDER:SET; repeatable.")
    options = parser.parse_args()
    path = folder() / "manifest.json"
    entries: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    for pair in options.pairs:
        name, _, file = pair.partition("=")
        if not Path(file).is_file():
            parser.error(f"'{pair}' is no NAME=FILE of a file that is there")
        if options.test and read_record(Path(file)).kind == "face_state":
            measure(Path(file), options.test)
        entries[name] = ship(name, Path(file))
    path.write_text(json.dumps(entries, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    for name in entries:
        locate(name)


if __name__ == "__main__":
    main()
