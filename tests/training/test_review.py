"""Review of captured faces: what is answered is done once, and nothing of the user's is lost."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from engagement.errors import ConfigError, DataError
from engagement.faces.capture import CaptureConfig, FaceCapture, Scene
from engagement.faces.manifest import read_manifest, write_manifest
from tests.training.captured import Videos, write_captured
from tests.training.test_capture import Placed, frames
from training.collection import review as review_module
from training.collection.review import FORMAT, apply_review, write_review
from training.collection.split import SplitOptions, split_faces
from training.datasets.registry import load

TWO: Videos = {"happy": {"h1.mp4": 8, "h2.mp4": 8}, "sad": {"s1.mp4": 8, "s2.mp4": 8, "s3.mp4": 8}}


def answer(path: Path, changes: dict[str, object]) -> Path:
    path.write_text(json.dumps({"format": FORMAT, "folder": "f", "changes": changes}))
    return path


def test_a_review_moves_drops_and_can_be_applied_again(tmp_path: Path) -> None:
    folder = write_captured(tmp_path / "f", TWO)
    split_faces(folder, SplitOptions())
    moved, gone = "happy/h1.mp4_000015_0.png", "sad/s1.mp4_000000_0.png"
    picture = (folder / gone).read_bytes()
    review = answer(tmp_path / "review.json", {moved: {"label": "away"}, gone: {"drop": True}})
    assert apply_review(folder, review) == {"relabelled": 1, "dropped": 1}
    rows = {row["file"]: row for row in read_manifest(folder)}
    row = rows["away/h1.mp4_000015_0.png"]
    assert (row["label"], row["captured_label"], row["source"], row["split"]) == (
        "away", "happy", "h1.mp4", rows["happy/h1.mp4_000000_0.png"]["split"],
    )  # fmt: skip
    assert gone not in rows and moved not in rows and len(rows) == 39
    assert (folder / ".dropped" / gone).read_bytes() == picture
    assert [r["file"] for r in read_manifest(folder / ".dropped")] == [gone]
    assert len(load(str(folder))) == 39
    assert apply_review(folder, review) == {"done before": 2}
    back = answer(tmp_path / "back.json", {"away/h1.mp4_000015_0.png": {"label": "happy"}})
    assert apply_review(folder, back) == {"relabelled": 1}
    assert not (folder / "away").exists()  # an empty class would stop the readers
    assert {r["captured_label"] for r in read_manifest(folder)} == {""}


def data_of(page: Path) -> dict[str, Any]:
    return json.loads(page.read_text(encoding="utf-8").split('id="data">')[1].split("</script>")[0])


def test_a_page_shows_what_is_there_after_a_review(tmp_path: Path) -> None:
    folder = write_captured(tmp_path / "f", {"happy": {"h.mp4": 2}, "sad": {"s.mp4": 1}})
    happy, other, sad = (row["file"] for row in read_manifest(folder))
    review = answer(tmp_path / "r.json", {happy: {"label": "sad"}})
    apply_review(folder, review)
    assert not (folder / "review.html").exists()  # nobody asked for one
    before = data_of(write_review(folder, ["away"]))
    said: list[str] = []
    apply_review(
        folder, answer(tmp_path / "r.json", {other: {"label": "tired"}, sad: {"drop": True}}), said.append
    )
    assert said == [f"written anew: {folder / 'review.html'}"]
    now = data_of(folder / "review.html")
    moved = other.replace("happy", "tired")
    assert [face["file"] for face in now["faces"]] == [happy.replace("happy", "sad"), moved]
    assert set(now["labels"]) >= {"sad", "tired", "away"}
    assert (now["earlier"], now["fresh"]) == ([before["state"]], [moved])
    text = (folder / "review.html").read_text(encoding="utf-8")
    apply_review(folder, tmp_path / "r.json")
    assert (folder / "review.html").read_text(encoding="utf-8") == text
    apply_review(
        folder, answer(tmp_path / "r.json", {f["file"]: {"drop": True} for f in now["faces"]}), said.append
    )
    assert not (folder / "review.html").exists() and "no face is left" in said[-1]
    (folder / "review.html").write_text("mine")
    apply_review(
        write_captured(folder, {"happy": {"h.mp4": 2}}),
        answer(tmp_path / "r.json", {happy: {"label": "sad"}}),
    )
    assert (folder / "review.html").read_text() == "mine"


def test_capturing_again_does_not_undo_a_review(tmp_path: Path) -> None:
    def run() -> FaceCapture:
        work = FaceCapture(tmp_path / "f", CaptureConfig(), Placed([[100, 100, 180, 200]], [0.99]))
        work.add("v.mp4", [Scene("happy")], frames(3))
        return work

    run()
    names = sorted(row["file"] for row in read_manifest(tmp_path / "f"))
    review = {names[0]: {"drop": True}, names[1]: {"label": "sad"}}
    apply_review(tmp_path / "f", answer(tmp_path / "r.json", review))
    assert run().counts["faces dropped or moved by an earlier review"] == 2
    left = sorted(row["file"] for row in read_manifest(tmp_path / "f"))
    assert left == [names[2], names[1].replace("happy", "sad")]


def test_two_faces_never_become_one(tmp_path: Path) -> None:
    folder = write_captured(
        tmp_path / "f", {"happy": {"v.mp4": 2}, "neutral": {"v.mp4": 2}, "sad": {"s.mp4": 1}}
    )
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    one, other = "happy/v.mp4_000000_0.png", "neutral/v.mp4_000000_0.png"
    review = answer(tmp_path / "r.json", {one: {"label": "sad"}, other: {"label": "sad"}})
    with pytest.raises(DataError, match=f"{one} and {other} would both become sad/v.mp4_000000_0.png"):
        apply_review(folder, review)
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
    review = answer(tmp_path / "r.json", {one: {"label": "sad"}, other: {"drop": True}})
    assert apply_review(folder, review) == {"relabelled": 1, "dropped": 1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nonsense", "is no review"),
        ('{"changes": {}}', "is no review"),
        ('{"format": "FORMAT", "changes": {"happy/h1.mp4_000000_0.png": {}}}', "nothing is decided"),
        (
            '{"format": "FORMAT", "changes": {"happy/h1.mp4_000000_0.png": {"label": "../up"}}}',
            "'../up'",
        ),
        (
            '{"format": "FORMAT", "changes": {"../secret.png": {"drop": true}}}',
            "does not hold: ../secret.png",
        ),
        (
            '{"format": "FORMAT", "changes": {"happy/gone.png": {"label": "sad"}}}',
            "does not hold: happy/gone",
        ),
    ],
)
def test_a_wrong_answer_changes_nothing(tmp_path: Path, text: str, said: str) -> None:
    folder = write_captured(tmp_path / "f", TWO)
    (tmp_path / "review.json").write_text(text.replace("FORMAT", FORMAT))
    before = sorted(p.relative_to(folder) for p in folder.rglob("*"))
    with pytest.raises(DataError) as caught:
        apply_review(folder, tmp_path / "review.json")
    assert said in str(caught.value)
    assert sorted(p.relative_to(folder) for p in folder.rglob("*")) == before


def test_rows_of_deleted_pictures_are_said_and_left_out(tmp_path: Path) -> None:
    folder = write_captured(tmp_path / "f", TWO)
    (folder / "happy" / "h1.mp4_000000_0.png").unlink()
    said: list[str] = []
    split_faces(folder, SplitOptions(), said.append)
    assert "1 picture of the manifest is no longer there, first happy/h1.mp4_000000_0.png" in said
    assert len(read_manifest(folder)) == 39


def test_columns_of_the_user_s_own_survive(tmp_path: Path) -> None:
    folder = write_captured(tmp_path / "f", TWO)
    rows = [{**row, "room": "B 12"} for row in read_manifest(folder)]
    write_manifest(folder, rows, list(rows[0]))
    split_faces(folder, SplitOptions())
    with (folder / "manifest.csv").open(newline="") as file:
        assert {row["room"] for row in csv.DictReader(file)} == {"B 12"}


def test_the_page_escapes_what_is_hostile(tmp_path: Path) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    folder = write_captured(tmp_path / "a #1 50%</script>", {"a": {"v.mp4": 2}, "b": {"w.mp4": 2}})
    rows = [
        {**row, "person": hostile, "source": "</script><script>alert(2)</script>"}
        for row in read_manifest(folder)
    ]
    write_manifest(folder, rows)
    page = write_review(folder, ["c&d"]).read_text(encoding="utf-8")
    assert hostile not in page
    assert "alert(2)</script>" not in page
    assert page.count("</script>") == 2
    with pytest.raises(ConfigError, match="--add"):
        write_review(folder, ["a/b"])


def test_a_picture_dropped_before_is_not_lost_to_another_of_its_name(tmp_path: Path) -> None:
    folder = write_captured(tmp_path / "f", TWO)
    name = "sad/s1.mp4_000000_0.png"
    old = folder / ".dropped" / name
    old.parent.mkdir(parents=True)
    old.write_bytes(b"another face")
    review = answer(tmp_path / "r.json", {name: {"drop": True}})
    with pytest.raises(DataError, match="another picture"):
        apply_review(folder, review)
    assert old.read_bytes() == b"another face" and (folder / name).is_file()
    old.write_bytes((folder / name).read_bytes())  # captured again and dropped again
    assert apply_review(folder, review) == {"dropped": 1}


def test_a_review_that_was_killed_can_be_applied_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, killed = (write_captured(tmp_path / name / "f", TWO) for name in ("whole", "killed"))
    names = sorted(row["file"] for row in read_manifest(whole))
    changes: dict[str, object] = {
        names[0]: {"label": "away"},
        names[1]: {"drop": True},
        names[2]: {"label": "away"},
    }
    review = answer(tmp_path / "review.json", changes)
    apply_review(whole, review)
    move, moves = review_module._move, list[object]()

    def until_the_second(*words: Any) -> None:
        if len(moves) == 2:
            monkeypatch.setattr(review_module, "_write", lambda *_: None)  # nothing is written after a kill
            raise KeyboardInterrupt
        moves.append(words)
        move(*words)

    monkeypatch.setattr(review_module, "_move", until_the_second)
    with pytest.raises(KeyboardInterrupt):
        apply_review(killed, review)
    monkeypatch.undo()
    assert apply_review(killed, review) == {"done before": 2, "relabelled": 1}
    for place in (Path(), Path(".dropped")):
        assert read_manifest(killed / place) == read_manifest(whole / place)
