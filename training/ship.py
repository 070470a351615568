"""Put trained weights into the package: ``python -m training.ship NAME=RUN_FOLDER/model.safetensors …``.

Copies each file and the card beside it, and writes ``manifest.json``: file, kind, sha256, labels, chip
geometry, licence, measured figures.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from engagement.errors import DataError
from engagement.provenance import headline
from engagement.weights.store import folder, locate, read_record, sha256_of


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
    card = cards[0].read_text(encoding="utf-8").replace(source.name, target.name)
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


def main(pairs: list[str]) -> None:
    """Ship each NAME=FILE; entries of other names stay."""
    path = folder() / "manifest.json"
    entries: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    for pair in pairs:
        name, _, file = pair.partition("=")
        entries[name] = ship(name, Path(file))
    path.write_text(json.dumps(entries, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    for name in entries:
        locate(name)


if __name__ == "__main__":
    main(sys.argv[1:])
