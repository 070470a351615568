"""The face embedding that our identity head learns to imitate (never shipped; see docs/training.md).

face-reidentification-retail-0095 of the Open Model Zoo: a MobileFaceNet with squeeze-excite, 256
numbers per face, compared by cosine. The file is given by path.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from engagement.device import for_torch
from engagement.errors import WeightsError
from engagement.faces.chips import cut_chips
from engagement.types import ByteArray, ChipSpec, FloatArray
from training.samples.chip_dataset import pixel_box
from training.samples.table import SampleTable, read_rgb

#: (in, expanded, out, stride, residual) of each block.
_BLOCKS = (
    (64, 128, 64, 2, 0),
    *((64, 128, 64, 1, 1),) * 4,
    (64, 256, 128, 2, 0),
    *((128, 256, 128, 1, 1),) * 6,
    (128, 512, 128, 2, 0),
    *((128, 256, 128, 1, 1),) * 2,
)
_MUL = (0.014373779296875, 0.0213623046875, 0.018646240234375)  # per channel B, G, R of 0-255
_ADD = (-0.92626953125, -1.4453125, -1.5302734375)

#: Its crop: the square on the face box. Its eyes stand a little lower than in the box, see teacher_box.
TEACHER_CHIP = ChipSpec(128, 1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
_RAISED = 0.04


def teacher_box(box_xyxy: FloatArray) -> FloatArray:
    """The box (n, 4) moved up so that eyes and mouth stand where the teacher expects them."""
    lift = (box_xyxy[:, 3] - box_xyxy[:, 1]) * _RAISED
    return (box_xyxy - np.stack([np.zeros_like(lift), lift] * 2, axis=1)).astype(np.float32)


class _Block(nn.Module):
    def __init__(self, inside: int, wide: int, outside: int, stride: int, residual: int) -> None:
        super().__init__()
        squeezed = outside // 8
        self.residual = bool(residual)
        self.expand, self.expand_act = nn.Conv2d(inside, wide, 1), nn.PReLU()
        self.dw, self.dw_act = nn.Conv2d(wide, wide, 3, stride, 1, groups=wide), nn.PReLU()
        self.project = nn.Conv2d(wide, outside, 1)
        self.se_fc1, self.se_act = nn.Conv2d(outside, squeezed, 1), nn.PReLU()
        self.se_fc2 = nn.Conv2d(squeezed, outside, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.dw_act(self.dw(self.expand_act(self.expand(x)))))
        gate = self.se_fc2(self.se_act(self.se_fc1(y.mean(dim=(2, 3), keepdim=True))))
        y = y * torch.sigmoid(gate)
        return x + y if self.residual else y


class _ConvAct(nn.Module):
    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv, self.act = conv, nn.PReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.conv(x))


class Teacher(nn.Module):
    """Embeds faces; see :func:`load_teacher`."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _ConvAct(nn.Conv2d(3, 64, 3, 2, 1))
        self.stem_dw = _ConvAct(nn.Conv2d(64, 64, 3, 1, 1, groups=64))
        self.blocks = nn.ModuleList(_Block(*block) for block in _BLOCKS)
        self.head = _ConvAct(nn.Conv2d(128, 512, 1))
        self.gdc = nn.Conv2d(512, 512, 8, groups=512)
        self.embed = nn.Conv2d(512, 256, 1, bias=False)

    def forward(self, chips: Tensor) -> Tensor:
        """uint8 (n, 128, 128, 3) RGB to float32 (n, 256), unit length."""
        bgr = chips.flip(3).permute(0, 3, 1, 2).float()
        mul, add = (torch.tensor(c, device=bgr.device).view(1, 3, 1, 1) for c in (_MUL, _ADD))
        x = bgr * mul + add
        x = self.stem_dw(self.stem(x))
        for block in self.blocks:
            x = block(x)
        return nn.functional.normalize(self.embed(self.gdc(self.head(x))).flatten(1), dim=1)


def load_teacher(path: Path) -> Teacher:
    """The teacher with its weights, on a GPU where there is one.

    Raises:
        WeightsError: missing, or not this network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise WeightsError(
            f"teacher weights '{path}' not found", "Give the file with --teacher, or --set teacher=FILE."
        )
    teacher = Teacher()
    try:
        state = {key: value.float() for key, value in load_file(path).items()}
    except SafetensorError as error:
        raise WeightsError(f"{path} is not a readable safetensors file ({error})") from error
    shapes = teacher.state_dict()
    try:
        teacher.load_state_dict({k: v.reshape(shapes[k].shape) for k, v in state.items() if k in shapes})
    except (RuntimeError, KeyError) as error:
        raise WeightsError(f"{path} is not the teacher network ({str(error).splitlines()[0]})") from error
    return teacher.eval().to(for_torch())


def embed_table(teacher: Teacher, table: SampleTable, batch: int = 64) -> FloatArray:
    """The teacher's view of every picture, unvaried; float32 (n, 256)."""
    parts = []
    for start in range(0, len(table), batch):
        chips = []
        for row in range(start, min(start + batch, len(table))):
            rgb = read_rgb(table.images[row])
            box = teacher_box(pixel_box(table.box[row], rgb)[None])
            chips.append(cut_chips(rgb, box, np.zeros(1, np.float32), TEACHER_CHIP)[0])
        parts.append(embed(teacher, np.stack(chips), batch))
    return np.concatenate(parts)


@torch.inference_mode()
def embed(teacher: Teacher, chips: ByteArray, batch: int = 64) -> FloatArray:
    """(n, 256) float32, unit length."""
    device = next(teacher.parameters()).device
    parts = [
        teacher(torch.from_numpy(chips[i : i + batch]).to(device)).cpu().numpy()
        for i in range(0, len(chips), batch)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, 256), np.float32)
