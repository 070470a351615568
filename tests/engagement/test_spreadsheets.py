"""CSV files as people make them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engagement.errors import DataError
from engagement.spreadsheets import Row, columns_of, read_sheet

ROWS = 'file{0} label \na.png{0}x\n{0}\n\n b.png {0} "say {0} so"\nc.png{0}y{0}{0}z\n'


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_every_way_to_save_it_says_the_same(
    tmp_path: Path, separator: str, encoding: str, newline: str
) -> None:
    path = tmp_path / "sheet.csv"
    path.write_bytes(ROWS.format(separator).replace("\n", newline).encode(encoding))
    assert columns_of(path) == ("file", "label")
    sheet = read_sheet(path)
    assert sheet.columns == ("file", "label")
    assert sheet.rows == (
        Row(2, {"file": "a.png", "label": "x"}, ()),
        Row(5, {"file": "b.png", "label": f"say {separator} so"}, ()),
        Row(6, {"file": "c.png", "label": "y"}, ("z",)),
    )


def test_lines_that_are_too_short_have_empty_cells(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("a,b,c\n1\n")
    assert read_sheet(tmp_path / "s.csv").rows == (Row(2, {"a": "1", "b": "", "c": ""}, ()),)


def test_an_empty_file_has_no_columns(tmp_path: Path) -> None:
    (tmp_path / "s.csv").touch()
    assert read_sheet(tmp_path / "s.csv").columns == columns_of(tmp_path / "s.csv") == ()


@given(st.binary(max_size=200))
def test_whatever_the_file_holds_it_is_read_or_named(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(data)
    for read in (read_sheet, columns_of):
        named = True
        try:
            read(path)
        except DataError as error:
            named = str(path) in error.message and bool(error.hint)
        assert named


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no\.csv cannot be read"):
        read_sheet(tmp_path / "no.csv")
    (tmp_path / "s.csv").write_text("é", encoding="latin-1")
    with pytest.raises(DataError, match=r"s\.csv is not UTF-8 text\. Save it again in UTF-8"):
        read_sheet(tmp_path / "s.csv")


def test_known_columns_may_be_written_in_capitals(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("File,Split ,split,Note\na,b,c,d\n")
    sheet = read_sheet(tmp_path / "s.csv", ("file", "split"))
    # The one that is written right is meant; the other is the user's own.
    assert sheet.rows == (Row(2, {"file": "a", "Split": "b", "split": "c", "Note": "d"}, ()),)
    assert read_sheet(tmp_path / "s.csv").columns == ("File", "Split", "split", "Note")


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "faces.csv"
    path.write_text("file,Label,label,Label,,\na.png,x,y,z,,\n")
    with pytest.raises(DataError, match="two columns 'Label'"):
        read_sheet(path, ("label",))
