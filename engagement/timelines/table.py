"""Tables in and out: column order, types, Parquet and CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engagement.errors import DataError
from engagement.timelines.columns import Column, further_classes, names
from engagement.timelines.columns import further as further_names

if TYPE_CHECKING:
    import pandas as pd

_PANDAS = {"str": "string", "float": "float64", "int": "int64", "bool": "bool"}
#: Decimals in CSV: a thousandth of a second, of a pixel, of a probability is more than is known.
_CSV_FLOAT = "%.4f"
#: What to do about a damaged result; without the option a finished video is skipped.
REDO = "Analyse the video again with --overwrite."


def conform(frame: pd.DataFrame, columns: tuple[Column, ...]) -> pd.DataFrame:
    """The table with exactly the documented columns, in order and of their types.

    Raises:
        DataError: a column is missing, or one that must be filled is empty.
    """
    missing = [c.name for c in columns if c.name not in frame.columns]
    if missing:
        raise DataError(f"table lacks the columns {', '.join(missing)}")
    out: Any = frame[names(columns)].copy()
    for column in columns:
        if not column.nullable and bool(out[column.name].isna().any()):
            raise DataError(f"column '{column.name}' has empty values")
        out[column.name] = out[column.name].astype(_PANDAS[column.dtype])
    return out.reset_index(drop=True)


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """UTF-8 CSV; unobserved values are empty."""
    frame.to_csv(path, index=False, float_format=_CSV_FLOAT, lineterminator="\n")


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Texts as whoever reads it has them: a dtype that is asked for fits no other table's in ``merge_asof``."""
    import pyarrow as pa

    texts = {c: "object" for c in frame.columns if frame[c].dtype == _PANDAS["str"]}
    frame = frame.astype(texts)
    schema = pa.Schema.from_pandas(frame, preserve_index=False)
    for name in texts:  # of a table without rows there is nothing to tell the type by
        schema = schema.set(schema.get_field_index(name), pa.field(name, pa.string()))
    if _named_in_utf8(path):
        frame.to_parquet(path, index=False, compression="zstd", schema=schema)
        return
    with path.open("wb") as file:
        frame.to_parquet(file, index=False, compression="zstd", schema=schema)


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Some columns of a Parquet file as they are, whatever it is called."""
    import pandas as pd
    import pyarrow as pa

    wanted = None if columns is None else list(columns)
    if _named_in_utf8(path):
        return pd.read_parquet(path, columns=wanted)
    # Bytes, not an open file: one that a thread of pyarrow's lets go last, at the very end, takes the process along.
    return pd.read_parquet(pa.BufferReader(path.read_bytes()), columns=wanted)  # type: ignore[arg-type]


def _named_in_utf8(path: Path) -> bool:
    """Whether pyarrow can open a file by its name."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def read(path: Path, columns: tuple[Column, ...], further: bool = False) -> pd.DataFrame:
    """A table written by this package, Parquet or CSV.

    Args:
        further: keep what the table has of further heads behind the documented columns.

    Raises:
        DataError: the file is missing or damaged, or has other columns or types.
    """
    if not path.is_file():
        raise DataError(f"{path} does not exist", REDO)
    try:
        found = read_all(path, columns)
        table: Any = conform(found, columns)
        for name in further_names(columns, further_classes(columns, found.columns)) if further else ():
            table[name] = found[name].to_numpy("float64") if name in found else float("nan")
        return table
    except DataError as error:
        raise DataError(f"{path}: {error.message}", REDO) from error
    except (OSError, ValueError, TypeError) as error:  # among them what pandas and pyarrow raise
        raise DataError(f"{path} cannot be read ({str(error).partition(chr(10))[0]})", REDO) from error


def read_all(path: Path, columns: tuple[Column, ...]) -> pd.DataFrame:
    """The file as it is, further columns included, with defaults for those that earlier versions did not write."""
    import pandas as pd

    if path.suffix == ".parquet":
        frame = read_parquet(path)
    else:
        # Nobody called "Null" or "NA" loses the name, and "007" stays what it is.
        text = {c.name: str for c in columns if c.dtype == "str"}
        frame = pd.read_csv(path, dtype=text, keep_default_na=False, na_values=[""])  # type: ignore[arg-type]
    for column in columns:
        if column.name not in frame.columns and column.default is not None:
            empty = column.nullable and column.dtype == "str"
            frame[column.name] = pd.NA if empty else column.default
    return frame
