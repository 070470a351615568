"""The identity head: imitates a face embedding on unlabelled crops, on top of a frozen backbone.

Knowledge distillation on embeddings (as in Duong et al. 2019, "ShrinkTeaNet"): the student's unit
vector should point where the teacher's does, and pairs of faces should be as alike as the teacher
finds them. The teacher sees the clean crop; the student sees it varied and reduced, as it will meet
faces in the back row. No identity labels are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from engagement.classification.classifier import build_network, chip_of
from engagement.classification.network import FaceStateNet
from engagement.errors import DataError
from engagement.faces.chips import cut_chips, normalize_chips
from engagement.types import ChipSpec, FloatArray
from engagement.weights.store import load_weights, save_weights
from engagement.wording import count
from training import Say
from training.datasets.terms import licence_text
from training.fitting.initial import refuse_replacing
from training.fitting.teacher import TEACHER_CHIP, Teacher, embed, load_teacher, teacher_box
from training.report.cards import write_card
from training.samples.augment import Augmentation
from training.samples.chip_dataset import pixel_box
from training.samples.table import SampleTable, read_rgb

#: What the student's crops go through: mostly loss of resolution and light.
_VARIED = Augmentation(
    flip=0.0, shift=0.05, scale=0.1, roll_deg=6, tight=0.2, light=0.25, grey=0.1, low_resolution=0.5, jpeg=0.3
)

#: Length of the feature: that of the teacher's.
_DIM = 256

#: Of pictures, below which a head would be little better than a random one.
_FEWEST = 100


@dataclass(frozen=True, slots=True)
class IdentityOptions:
    """Options of the distillation.

    Attributes:
        per_set: at most this many pictures of each data set.
        epochs, batch_size, learning_rate: of the head's fit.
    """

    per_set: int = 6000
    epochs: int = 30
    batch_size: int = 512
    learning_rate: float = 2e-3
    seed: int = 1


def train_identity(
    teacher_file: Path,
    tables: Sequence[SampleTable],
    base: str,
    folder: Path,
    options: IdentityOptions | None = None,
    say: Say = lambda _: None,
) -> tuple[Path, dict[str, float]]:
    """Add an identity head to a base network, whose other heads stay as they are; writes weights and card.

    Args:
        teacher_file: weights of the teacher (see training.fitting.teacher).
        tables: pictures of faces; labels are ignored. Only train splits are used.
        base: shipped name or file of a FaceStateNet.

    Returns:
        the weight file, and figures on held-out pictures: mean cosine to the teacher.

    Raises:
        WeightsError: the teacher's file is missing or another network's.
        DataError: the pictures are too few.
        ConfigError: the file would replace the base.
    """
    refuse_replacing(folder / "model.safetensors", base)
    options = options or IdentityOptions()
    torch.manual_seed(options.seed)
    teacher = load_teacher(teacher_file)
    loaded = load_weights(base, "face_state")
    source = build_network(loaded)
    network = FaceStateNet(replace(source.spec, identity_dim=_DIM))
    kept = {k: v for k, v in source.state_dict().items() if not k.startswith("identity.")}
    network.load_state_dict(kept, strict=False)
    network.eval()
    spec = chip_of(loaded)
    pictures = sum(min(options.per_set, int((t.split == "train").sum())) for t in tables)
    if pictures < _FEWEST:
        raise DataError(
            f"{count(pictures, 'face is', 'faces are')} too few to learn who is who from, at least {_FEWEST} are wanted",
            "Give more --data, or a higher --limit; thousands are usual.",
        )
    taps, wanted = _collect(network, teacher, tables, spec, options, say)
    head, figures = _fit(taps, wanted, network, options, say)
    assert network.identity is not None
    network.identity.load_state_dict(head.state_dict())
    made_from = {
        "teacher": "face-reidentification-retail-0095 (Open Model Zoo, Apache-2.0)",
        "data": [t.name for t in tables],
        "pictures": len(wanted),
    }
    record = replace(
        loaded.record,
        network=network.spec.to_dict(),
        metrics={**loaded.record.metrics, **figures},
        licence=licence_text("+".join(t.name for t in reversed(tables)), loaded.record.licence),
        origin={**loaded.record.origin, "identity": made_from},
    )
    path = folder / "model.safetensors"
    digest = save_weights(path, record, network.state_dict())
    write_card(folder / "model_card.md", record, path.name, digest)
    return path, figures


@torch.inference_mode()
def _collect(
    network: FaceStateNet,
    teacher: Teacher,
    tables: Sequence[SampleTable],
    spec: ChipSpec,
    options: IdentityOptions,
    say: Say,
) -> tuple[Tensor, Tensor]:
    """Pooled taps (n, t) of varied crops, and the teacher's embedding (n, 256), of unit length, of the clean ones."""
    taps: list[Tensor] = []
    wanted: list[FloatArray] = []
    for table in tables:
        part = table.part("train").limited(options.per_set, options.seed)
        say(f"{table.name}: {len(part)} faces")
        for start in range(0, len(part), 64):
            clean, varied = [], []
            for row in range(start, min(start + 64, len(part))):
                rng = np.random.default_rng((options.seed, row))
                rgb = read_rgb(part.images[row])
                box = pixel_box(part.box[row], rgb)
                clean.append(cut_chips(rgb, teacher_box(box[None]), np.zeros(1, np.float32), TEACHER_CHIP)[0])
                moved, roll = _VARIED.place(box, rng)
                shown = _VARIED.crop_tight(rgb, box, rng)
                chip = cut_chips(shown, moved[None], np.array([roll], np.float32), spec)[0]
                varied.append(_VARIED.vary(chip, rng))
            inputs = torch.from_numpy(normalize_chips(np.stack(varied), spec))
            taps.append(network.trunk(inputs).taps.half())
            wanted.append(embed(teacher, np.stack(clean)))
    return torch.cat(taps), torch.from_numpy(np.concatenate(wanted))


def _fit(
    taps: Tensor, wanted: Tensor, network: FaceStateNet, options: IdentityOptions, say: Say
) -> tuple[nn.Module, dict[str, float]]:
    """Fit the head on cached taps; a twentieth of the pictures is held out."""
    assert network.identity is not None
    head = network.identity
    order = torch.from_numpy(np.random.default_rng(options.seed).permutation(len(taps)))
    few = max(1, len(taps) // 20)
    held, rows = order[:few], order[few:]
    optimizer = torch.optim.AdamW(head.parameters(), lr=options.learning_rate, weight_decay=1e-3)
    size = min(options.batch_size, len(rows))
    total = options.epochs * (len(rows) // size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.learning_rate, total_steps=total)
    generator = torch.Generator().manual_seed(options.seed)
    figures: dict[str, float] = {}
    step = 0
    for epoch in range(options.epochs):
        head.train()
        shuffled = rows[torch.randperm(len(rows), generator=generator)]
        for start in range(0, len(shuffled) - size + 1, size):
            batch = shuffled[start : start + size]
            target = wanted[batch]
            out = nn.functional.normalize(head(taps[batch].float()), dim=1)
            direct = 1 - (out * target).sum(dim=1).mean()
            pairs = ((out @ out.T) - (target @ target.T)).square().mean()
            loss = direct + 10 * pairs
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step < total - 1:
                schedule.step()
            step += 1
        if epoch % 5 == 4 or epoch == options.epochs - 1:
            head.eval()
            with torch.inference_mode():
                out = nn.functional.normalize(head(taps[held].float()), dim=1)
                cosine = float((out * wanted[held]).sum(dim=1).mean())
            figures = {"identity_teacher_cosine": round(cosine, 4)}
            say(f"epoch {epoch + 1}: mean cosine to the teacher on held-out faces {cosine:.3f}")
    head.eval()
    return head, figures
