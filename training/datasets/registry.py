"""Which reader a path needs."""

from __future__ import annotations

from pathlib import Path

from engagement.errors import DataError
from engagement.labels import LabelSet
from training.datasets import files, parquet
from training.samples import SampleTable

#: Name of a set of Parquet files -> its reader and the file that shows it is there.
PARQUET_SETS = {
    "rafdb": (parquet.rafdb, "rafdb_train.parquet"),
    "fer2013": (parquet.fer2013, "fer2013_train.parquet"),
    "daisee": (parquet.daisee, "daisee_faces.parquet"),
    "wacv2016": (parquet.wacv2016, "wacv2016_engagement.parquet"),
}


def load(reference: str, labels: LabelSet | None = None) -> SampleTable:
    """A data set by path.

    Args:
        reference: ``FOLDER:SET`` for a set of Parquet files (``data:rafdb``), RAF-DB's official
            folder, FER2013's CSV, or a folder of class folders.
        labels: class order that class folders must follow; by default what is found.

    Raises:
        DataError: nothing readable there.
    """
    folder, _, name = reference.rpartition(":")
    if folder and name in PARQUET_SETS:
        return PARQUET_SETS[name][0](Path(folder))
    path = Path(reference)
    if path.suffix.lower() == ".csv" and path.is_file():
        return files.fer2013_csv(path)
    if (path / "EmoLabel" / "list_patition_label.txt").is_file():
        return files.rafdb(path)
    present = [key for key, (_, marker) in PARQUET_SETS.items() if (path / marker).is_file()]
    if present:
        choices = ", ".join(f"{path}:{key}" for key in present)
        raise DataError(f"{path} holds several data sets", f"Name one: {choices}")
    if path.is_dir():
        return files.class_folders(path, labels)
    raise DataError(f"'{reference}' is no data set", "Give a folder of class folders, or FOLDER:SET.")
