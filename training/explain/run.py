"""Find faces, ask the model, draw where it looked: overlays, a sheet per class, one page."""

from __future__ import annotations

import csv
import itertools
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engagement.errors import ConfigError, DataError, OutputError
from engagement.faces.chips import normalize_chips
from engagement.reports.page import write_page
from engagement.types import ByteArray, FloatArray, IndexArray
from training import Say
from training.explain.faces import Face, faces_of, listed
from training.explain.gradcam import chosen_stage, grad_cam, map_sides, require_captum
from training.measuring.opened import Opened, OpenedEnsemble, open_model
from training.report.gallery import picture

#: Side of the smallest face that is looked for, pixels.
_SMALLEST = 24
#: Pixels of an overlay's side, and of a picture on the page.
_SIDE, _SHOWN = 224, 160
#: Faces of a class on its sheet and on the page, the surest first; pairs in a row of a sheet.
_ON_SHEET, _PER_ROW = 24, 4
#: The table of all faces, and how one begins.
_TABLE, _BEGINS = "faces.csv", b"source,time_s,face,class,"


@dataclass(frozen=True, slots=True)
class ExplainRun:
    """What the command was asked to do.

    Attributes:
        inputs: pictures, videos, folders of them.
        out: folder of the results.
        checkpoint: of one network, not of an ensemble.
        head: ``expression`` if there is one and nothing is said, else the first.
        stage: of the backbone whose map is shown; None chooses.
        cropped: the pictures are faces already.
        min_face_px, every_s: smallest face; seconds between pictures of a video.
        max_faces: how many faces are explained at most.
        mirror: look twice, as `analyze` does.
        skip_bad: name files that cannot be read, and go on without them.

    Raises:
        ConfigError: a number is out of range, or says nothing. BackendUnavailable: captum is not installed.
    """

    inputs: tuple[Path, ...]
    out: Path
    checkpoint: str = "default"
    head: str | None = None
    stage: int | None = None
    cropped: bool = False
    min_face_px: int = _SMALLEST
    every_s: float = 2.0
    max_faces: int = 200
    mirror: bool = True
    skip_bad: bool = False

    def __post_init__(self) -> None:
        if not 0.01 <= self.every_s <= 3600:
            raise ConfigError(f"--every {self.every_s} is not within 0.01-3600 seconds")
        if self.max_faces < 1:
            raise ConfigError(f"--max-faces {self.max_faces} is below 1")
        if self.cropped and self.min_face_px != _SMALLEST:
            raise ConfigError("--min-face says nothing with --cropped", "Leave one of the two out.")
        require_captum()


def explain(run: ExplainRun, say: Say = lambda _: None) -> dict[str, int]:
    """Write ``explain.html``, ``faces.csv``, ``overlays/<class>/…png`` and ``sheets/<class>.jpg``.

    Returns:
        class -> how many faces were called so, most frequent first.

    Raises:
        DataError: no face was found, or a file cannot be read.
        ConfigError: an ensemble, an unknown head or stage, or what would be replaced is no earlier call's.
    """
    _require_free(run.out)
    model = _model(run)
    head = run.head or ("expression" if "expression" in model.heads else next(iter(model.heads)))
    labels = model.head(head).labels
    stage = chosen_stage(model.network, model.chip, run.stage, model.head(head).stages)
    faces = _faces(run, model, say)
    chips = np.stack([face.chip for face in faces])
    prob = _probabilities(model, head, chips)
    said = prob.argmax(axis=1)
    maps = grad_cam(model.network, head, stage, chips, model.chip, said)
    overlays = [overlay(chip, heat) for chip, heat in zip(chips, maps, strict=True)]
    _write(run.out, faces, labels.classes, prob, overlays)
    named = _files(labels.classes)
    sections = []
    for k in sorted(set(said.tolist()), key=lambda k: -int((said == k).sum())):
        rows = np.flatnonzero(said == k)
        rows = rows[np.argsort(-prob[rows, k], kind="stable")]
        mean = overlay(
            np.asarray(chips[rows].mean(axis=0).round(), np.uint8),
            _stretched(maps[rows].mean(axis=0)),
        )
        shown = rows[:_ON_SHEET]
        _write_sheet(run.out / "sheets" / f"{named[k]}.jpg", chips, overlays, mean, shown)
        sections.append(
            {
                "name": labels.classes[k],
                "file": named[k],
                "n": len(rows),
                "mean": picture(mean, _SHOWN),
                "faces": [_shown(faces[i], chips[i], overlays[i], prob[i], labels.classes) for i in shown],
            }
        )
    side = map_sides(model.network, model.chip)[stage]
    write_page(
        run.out / "explain.html",
        "explain.html",
        model=model.name,
        sha256=model.sha256,
        head=head,
        stage=stage,
        side=side,
        size=model.chip.size,
        faces=len(faces),
        sections=sections,
        independent=labels.kind == "independent",
    )
    say(f"written: {run.out / 'explain.html'}")
    return {section["name"]: section["n"] for section in sections}


def _model(run: ExplainRun) -> Opened:
    """The network to explain; ConfigError for an ensemble."""
    model = open_model(run.checkpoint)
    if isinstance(model, OpenedEnsemble):
        names = ", ".join(member.name for member, _ in model.members)
        raise ConfigError(
            f"{model.name} is an ensemble, whose members see different chips",
            f"Explain one of the files it was made from: {names}",
        )
    if run.mirror:
        model.look_twice()
    return model


def _faces(run: ExplainRun, model: Opened, say: Say) -> list[Face]:
    """The faces of the inputs, as many as are asked for; DataError where there is none."""
    found = faces_of(
        listed(run.inputs, _drawn(run.out)),
        model.chip,
        cropped=run.cropped,
        min_face_px=run.min_face_px,
        every_s=run.every_s,
        skip_bad=run.skip_bad,
        say=say,
    )
    faces = list(itertools.islice(found, run.max_faces))
    if not faces:
        raise DataError(
            "no face was found in any of the files",
            "Try a smaller --min-face, or --cropped if the pictures are faces already.",
        )
    if len(faces) == run.max_faces and next(found, None) is not None:
        say(f"explained are the first {run.max_faces} faces (--max-faces); there are more")
    return faces


def _drawn(out: Path) -> list[Path]:
    """Folders of pictures that an earlier call wrote into this folder."""
    return [out / "overlays", out / "sheets"] if (out / _TABLE).is_file() else []


def _probabilities(model: Opened, head: str, chips: ByteArray) -> FloatArray:
    import torch

    with torch.inference_mode():
        parts = [
            model.network(torch.from_numpy(normalize_chips(chips[i : i + 64], model.chip)))
            .logits[head]
            .numpy()
            for i in range(0, len(chips), 64)
        ]
    return model.calibrated(head, np.concatenate(parts))


def _stretched(heat: FloatArray) -> FloatArray:
    return np.asarray(heat / max(float(heat.max()), 1e-9), np.float32)


def overlay(chip: ByteArray, heat: FloatArray) -> ByteArray:
    """A face with its map over it: uint8 (224, 224, 3); the stronger, the more colour.

    Args:
        chip: uint8 (S, S, 3). heat: (S, S), 0-1.
    """
    import cv2

    large = cv2.resize(chip, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    strength = np.clip(cv2.resize(heat, (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR), 0, 1)
    # Even in lightness, and told apart by the colour-blind.
    colours = cv2.applyColorMap(np.asarray(strength * 255, np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    alpha = (0.75 * strength)[..., None]
    grey = large.mean(axis=2, keepdims=True)
    return np.asarray(np.clip((1 - alpha) * grey + alpha * colours, 0, 255), np.uint8)


def _require_free(out: Path) -> None:
    """Raise ConfigError where a folder has what is written or removed here, but not the table of an earlier call."""
    found = [name for name in (_TABLE, "explain.html", "overlays", "sheets") if (out / name).exists()]
    earlier = False
    if _TABLE in found:
        with (out / _TABLE).open("rb") as file:
            earlier = file.read(len(_BEGINS)) == _BEGINS
    if found and not earlier:
        raise ConfigError(
            f"{out} holds {', '.join(found)}, which may be somebody else's and would be replaced",
            "Choose another folder with -o, or move it away.",
        )


def _write(
    out: Path, faces: Sequence[Face], classes: Sequence[str], prob: FloatArray, overlays: Sequence[ByteArray]
) -> None:
    for folder in _drawn(out):  # what an earlier call drew must not pass for this one's
        shutil.rmtree(folder, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    named, taken = _files(classes), set[str]()
    with (out / _TABLE).open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["source", "time_s", "face", "class", "overlay", *(f"prob_{c}" for c in classes)])
        for face, row, drawn in zip(faces, prob, overlays, strict=True):
            said = int(row.argmax())
            place = _free(f"overlays/{named[said]}/{face.name}", taken) + ".png"
            _save(out / place, drawn)
            time_s = "" if face.time_s is None else f"{face.time_s:.3f}"
            table.writerow(
                [face.source, time_s, face.number, classes[said], place, *(f"{p:.4f}" for p in row)]
            )


def _files(classes: Sequence[str]) -> list[str]:
    """What each class's files are called: names come from a CSV or a stranger's weights, and may hold a slash."""
    taken: set[str] = set()
    return [_free(re.sub(r"[^\w.+ -]", "_", name).strip(". ") or "_", taken) for name in classes]


def _free(name: str, taken: set[str]) -> str:
    """A name that no other has yet, which is then taken: files of several folders may be called alike."""
    tries = itertools.chain([name], (f"{name}_{i}" for i in itertools.count(2)))
    found = next(each for each in tries if each.casefold() not in taken)
    taken.add(found.casefold())
    return found


def _write_sheet(
    path: Path, chips: ByteArray, overlays: Sequence[ByteArray], mean: ByteArray, rows: IndexArray
) -> None:
    """Pairs of face and overlay, after the mean of the class."""
    import cv2

    pairs = [np.hstack([mean, mean * 0 + 255])]
    for i in rows:
        face = cv2.resize(chips[i], (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC)
        pairs.append(np.hstack([np.asarray(face, np.uint8), overlays[i]]))
    blank = np.full_like(pairs[0], 255)
    pairs += [blank] * (-len(pairs) % min(_PER_ROW, len(pairs)))
    across = min(_PER_ROW, len(pairs))
    lines = [np.hstack(pairs[i : i + across]) for i in range(0, len(pairs), across)]
    _save(path, np.vstack(lines))


def _save(path: Path, rgb: ByteArray) -> None:
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)):
        raise OutputError(f"{path} cannot be written", "Is there space, and may you write there?")


def _shown(
    face: Face, chip: ByteArray, drawn: ByteArray, prob: FloatArray, classes: Sequence[str]
) -> dict[str, Any]:
    order = np.argsort(-prob)[:2]
    at = "" if face.time_s is None else f", {face.time_s:.1f} s"
    return {
        "face": picture(chip, _SHOWN),
        "overlay": picture(drawn, _SHOWN),
        "name": f"{face.source}{at}" + (f", face {face.number}" if face.number > 1 else ""),
        "prob": float(prob[order[0]]),
        "next": f"{classes[order[1]]} {prob[order[1]]:.2f}" if len(order) > 1 else "",
    }
