"""Which reader a path needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engagement.errors import ConfigError, DataError
from engagement.labels import LabelSet
from training.datasets import daisee, files, parquet
from training.samples import SampleTable

#: Name of a set of Parquet files -> its reader and the file that shows it is there.
PARQUET_SETS = {
    "rafdb": (parquet.rafdb, "rafdb_train.parquet"),
    "fer2013": (parquet.fer2013, "fer2013_train.parquet"),
    "ferplus": (parquet.ferplus, "fer2013_train.parquet"),
    "daisee": (parquet.daisee, "daisee_faces.parquet"),
    "wacv2016": (parquet.wacv2016, "wacv2016_engagement.parquet"),
}


def load(reference: str, labels: LabelSet | None = None) -> SampleTable:
    """A data set by path.

    Args:
        reference: ``FOLDER:SET`` for a set of Parquet files (``data:rafdb``) or for class folders framed
            as that set's pictures are; RAF-DB's or DAiSEE's official folder; FER2013's CSV; a CSV with
            columns file and label; a folder of class folders.
        labels: class order that class folders must follow; by default what is found.

    Raises:
        DataError: nothing readable there.
    """
    folder, _, name = reference.rpartition(":")
    if folder and name in PARQUET_SETS:
        reader, marker = PARQUET_SETS[name]
        if (Path(folder) / marker).is_file() or not Path(folder).is_dir():
            return reader(Path(folder))
        return _folder(Path(folder), labels, name)
    path = Path(reference)
    if path.suffix.lower() == ".csv" and path.is_file():
        with path.open(encoding="utf-8-sig") as file:
            header = file.readline().strip().replace(" ", "").lower().split(",")
        return files.fer2013_csv(path) if "pixels" in header else files.labelled_csv(path, labels)
    present = [key for key, (_, marker) in PARQUET_SETS.items() if (path / marker).is_file()]
    if present:
        choices = ", ".join(f"{path}:{key}" for key in present)
        raise DataError(f"{path} holds several data sets", f"Name one: {choices}")
    if path.is_dir():
        return _folder(path, labels, None)
    raise DataError(
        f"'{reference}' is no data set",
        f"Give a folder of class folders, a CSV, or FOLDER:SET with SET one of {', '.join(PARQUET_SETS)}.",
    )


def _folder(path: Path, labels: LabelSet | None, name: str | None) -> SampleTable:
    if (path / "EmoLabel" / "list_patition_label.txt").is_file():
        return files.rafdb(path)
    if (path / "Labels" / "TrainLabels.csv").is_file():
        return daisee.official(path)
    return files.class_folders(path, labels, name)


def prepared(data: str, limit: int | None, skip_bad: bool, say: Callable[[str], None]) -> SampleTable:
    """A data set, reduced for a trial where asked, with every picture known to be readable.

    Raises:
        ConfigError: the limit is below 1.
        DataError: no such set, or a damaged picture.
    """
    if limit is not None and limit < 1:
        raise ConfigError(
            f"--limit {limit} is below 1", "Give the number of pictures per split, or leave it out."
        )
    table = load(data)
    return (table if limit is None else table.limited(limit)).readable(skip_bad, say)
