"""Put trained weights into the package: ``python -m training.ship NAME=RUN_FOLDER/model.safetensors … [--test DATA …]``.

Copies each file and the card beside it, and writes ``manifest.json``: file, kind, sha256, labels, chip
geometry, licence, measured figures. ``--test`` first measures networks of faces on the test split of a data set and writes
the figures into file and card: once, when nothing is left to choose. Nothing in the package changes before everything
that is given was found to serve.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from engagement.errors import ConfigError, DataError, EngagementError
from engagement.provenance import headline
from engagement.weights.store import folder, load_weights, read_record, save_weights, sha256_of


def measure(source: Path, data: Sequence[str]) -> None:
    """Measure the test split of each data set with the head that knows its classes; rewrites file and card.

    The first set of a head is its ``test``; further ones are called after the set.

    Raises:
        DataError: a set has no test split, or no head for it is there.
    """
    from training.datasets.registry import load
    from training.figure_text import plain
    from training.measuring.opened import open_network
    from training.measuring.outcome import DRAWS, Outcome, head_for
    from training.report.cards import write_card
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
    write_card(card_of(source), record, source.name, digest, cost(opened))


def card_of(source: Path) -> Path:
    """The card beside a weight file.

    Raises:
        DataError: there is none.
    """
    for card in (source.with_suffix(".md"), source.parent / "model_card.md"):
        if card.is_file():
            return card
    raise DataError(f"{source} has no model card beside it", "Train it with `engagement train`.")


def sources_of(pairs: Sequence[str], test: bool) -> dict[str, Path]:
    """Name -> file of each NAME=FILE, all of which can be shipped.

    Args:
        test: they are to be measured first.

    Raises:
        ConfigError, DataError, WeightsError: one cannot.
    """
    out: dict[str, Path] = {}
    for pair in pairs:
        name, _, file = pair.partition("=")
        source = Path(file)
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or not source.is_file():
            raise ConfigError(
                f"'{pair}' is no NAME=FILE of a file that is there",
                "Names have small letters, digits and _, for example face_state=runs/states/model.safetensors.",
            )
        if name in out or name == "default":
            why = "is given twice" if name in out else "stands for one of the shipped names"
            raise ConfigError(f"'{pair}': the name '{name}' {why}", "Choose another name.")
        if source.resolve() == (folder() / f"{name}.safetensors").resolve():
            raise ConfigError(f"'{pair}': {source} is the shipped file itself", "Give the file of a run.")
        kind = read_record(source).kind
        if test and kind != "face_state":
            raise ConfigError(
                f"--test measures networks of faces, and {source} is of kind '{kind}'",
                "Ship it without --test.",
            )
        card_of(source)
        out[name] = source
    return out


def ship(sources: Mapping[str, Path]) -> None:
    """Copy weight files and their cards into the package and enter them into its manifest; other entries stay.

    Args:
        sources: name -> weight file, as :func:`sources_of` checked them.
    """
    manifest = folder() / "manifest.json"
    entries: dict[str, Any] = json.loads(manifest.read_text(encoding="utf-8")) if manifest.is_file() else {}
    drafts: dict[Path, Path] = {}

    def draft(file: str) -> Path:
        target = folder() / file
        drafts[target] = target.with_name(f".{file}.part")
        return drafts[target]

    try:
        for name, source in sources.items():
            weights, card = draft(f"{name}.safetensors"), draft(f"{name}.md")
            shutil.copyfile(source, weights)
            text = card_of(source).read_text(encoding="utf-8")
            card.write_text(text.replace(source.name, f"{name}.safetensors", 1), encoding="utf-8")
            entries[name] = _entry(name, weights)
        text = json.dumps(entries, indent=1, sort_keys=True) + "\n"
        draft(manifest.name).write_text(text, encoding="utf-8")
        for target, made in drafts.items():  # the manifest comes last
            made.replace(target)
    finally:
        for made in drafts.values():
            made.unlink(missing_ok=True)


def _entry(name: str, weights: Path) -> dict[str, Any]:
    record = read_record(weights)
    return {
        "file": f"{name}.safetensors",
        "card": f"{name}.md",
        "kind": record.kind,
        "sha256": sha256_of(weights),
        "labels": {k: v["labels"] for k, v in record.network.get("heads", {}).items()},
        "chip": dict(record.chip),
        "licence": record.licence,
        "metrics": headline(record.metrics),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Ship each NAME=FILE; entries of other names stay."""
    parser = argparse.ArgumentParser(prog="python -m training.ship", description=__doc__)
    parser.add_argument("pairs", nargs="+", metavar="NAME=FILE")
    parser.add_argument("--test", action="append", default=[], metavar="DATA", help="FOLDER:SET; repeatable.")
    options = parser.parse_args(arguments)
    try:
        sources = sources_of(options.pairs, bool(options.test))
        for source in sources.values() if options.test else ():
            measure(source, options.test)
        ship(sources)
    except EngagementError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(2 if isinstance(error, ConfigError) else 1)


if __name__ == "__main__":
    main()
