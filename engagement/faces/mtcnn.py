"""MTCNN (Zhang et al. 2016, "Joint Face Detection and Alignment Using Multitask Cascaded CNNs").

The three networks and their weights are facenet-pytorch's; the cascade around them is ours, because
the library's needs one picture size per call, converts whole pictures to float and offers no way to
ask "is there still a face here?". ``tests/contracts/test_detectors.py`` holds both to the same boxes.
"""

from __future__ import annotations

import numpy as np
import torch

from engagement.compat import load_torchvision
from engagement.faces.options import MtcnnConfig
from engagement.geometry import suppress
from engagement.types import ByteArray, FaceDetections, FloatArray, IndexArray

_CELL = 12  # side of what P-Net sees, pixels
_STRIDE = 2
_CHUNK = 256  # crops per forward pass: bounds memory, changes no result


class MtcnnDetector:
    """Detects faces with boxes, scores and five landmarks.

    Args:
        config: smallest face and thresholds.
        device: where the networks run.
    """

    name = "mtcnn"

    def __init__(self, config: MtcnnConfig | None = None, device: str | torch.device = "cpu") -> None:
        load_torchvision()
        from facenet_pytorch.models.mtcnn import ONet, PNet, RNet

        self.config = config or MtcnnConfig()
        self.device = torch.device(device)
        self._pnet, self._rnet, self._onet = (net().eval().to(self.device) for net in (PNet, RNet, ONet))

    @torch.inference_mode()
    def detect(self, rgb: ByteArray, frame_index: int = 0, time_s: float = 0.0) -> FaceDetections:
        boxes = self._propose(rgb)
        boxes = self._reject(rgb, boxes)
        return self._finish(rgb, boxes, frame_index, time_s)

    @torch.inference_mode()
    def refine(
        self, rgb: ByteArray, boxes_xyxy: FloatArray, frame_index: int = 0, time_s: float = 0.0
    ) -> FaceDetections:
        guesses = _square(np.asarray(boxes_xyxy, np.float32).reshape(-1, 4))
        return self._finish(rgb, guesses, frame_index, time_s)

    def _propose(self, rgb: ByteArray) -> FloatArray:
        """P-Net over the pyramid: candidate squares (n, 4)."""
        import cv2

        height, width = rgb.shape[:2]
        scale = _CELL / self.config.min_face_px
        found: list[FloatArray] = []
        while min(height, width) * scale >= _CELL:
            size = (int(width * scale + 1), int(height * scale + 1))
            small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
            offsets, prob = self._pnet(self._tensor(np.asarray(small, np.uint8)[None]))
            found.append(
                _cells(offsets[0].cpu().numpy(), prob[0, 1].cpu().numpy(), scale, self.config.thresholds[0])
            )
            scale *= self.config.factor
        candidates = np.concatenate(found) if found else np.zeros((0, 9), np.float32)
        candidates = candidates[suppress(candidates[:, :4], candidates[:, 4], 0.7)]
        size_wh = np.tile(candidates[:, 2:4] - candidates[:, :2], 2)
        return _square((candidates[:, :4] + candidates[:, 5:9] * size_wh).astype(np.float32))

    def _reject(self, rgb: ByteArray, boxes: FloatArray) -> FloatArray:
        """R-Net: most candidates are no faces."""
        crops, kept = self._crops(rgb, boxes, 24)
        if not len(kept):
            return np.zeros((0, 4), np.float32)
        offsets, prob = self._forward(self._rnet, crops)
        good = prob[:, 1] > self.config.thresholds[1]
        boxes, score, offsets = boxes[kept][good], prob[good, 1], offsets[good]
        pick = suppress(boxes, score, 0.7)
        return _square(_shift(boxes[pick], offsets[pick]))

    def _finish(self, rgb: ByteArray, boxes: FloatArray, frame_index: int, time_s: float) -> FaceDetections:
        """O-Net: final boxes, scores, landmarks."""
        crops, kept = self._crops(rgb, boxes, 48)
        if not len(kept):
            return FaceDetections.none(frame_index, time_s)
        offsets, points, prob = self._forward(self._onet, crops)
        good = prob[:, 1] > self.config.thresholds[2]
        boxes, score, offsets, points = boxes[kept][good], prob[good, 1], offsets[good], points[good]
        side = boxes[:, 2:4] - boxes[:, :2] + 1
        x = side[:, :1] * points[:, :5] + boxes[:, :1] - 1
        y = side[:, 1:] * points[:, 5:] + boxes[:, 1:2] - 1
        boxes = _shift(boxes, offsets)
        pick = suppress(boxes, score, 0.7, of_smaller=True)
        return FaceDetections(
            frame_index,
            time_s,
            boxes[pick].astype(np.float32),
            score[pick].astype(np.float32),
            np.stack([x, y], axis=2)[pick].astype(np.float32),
        )

    def _crops(self, rgb: ByteArray, boxes: FloatArray, size: int) -> tuple[ByteArray, IndexArray]:
        """Squares cut at the frame's edge, as the networks were run by their authors, and which they are."""
        import cv2

        height, width = rgb.shape[:2]
        corners = np.trunc(boxes).astype(int)
        x1, y1 = (np.maximum(corners[:, i], 1) - 1 for i in (0, 1))
        x2, y2 = np.minimum(corners[:, 2], width), np.minimum(corners[:, 3], height)
        kept = np.flatnonzero((x2 > x1) & (y2 > y1))
        crops = np.empty((len(kept), size, size, 3), np.uint8)
        for row, i in enumerate(kept):
            crops[row] = cv2.resize(
                rgb[y1[i] : y2[i], x1[i] : x2[i]], (size, size), interpolation=cv2.INTER_AREA
            )
        return crops, kept.astype(np.int64)

    def _forward(self, net: torch.nn.Module, crops: ByteArray) -> tuple[FloatArray, ...]:
        parts = [net(self._tensor(crops[i : i + _CHUNK])) for i in range(0, len(crops), _CHUNK)]
        return tuple(torch.cat(values).cpu().numpy() for values in zip(*parts, strict=True))

    def _tensor(self, pictures: ByteArray) -> torch.Tensor:
        batch = torch.from_numpy(np.ascontiguousarray(pictures)).to(self.device)
        return (batch.permute(0, 3, 1, 2).float() - 127.5) * 0.0078125


def _cells(offsets: FloatArray, prob: FloatArray, scale: float, threshold: float) -> FloatArray:
    """P-Net's output map as rows of x1, y1, x2, y2, score and four offsets, source pixels."""
    row, column = np.nonzero(prob >= threshold)
    if not len(row):
        return np.zeros((0, 9), np.float32)
    corner = np.stack([column, row], axis=1) * _STRIDE
    low = np.floor((corner + 1) / scale)
    high = np.floor((corner + _CELL) / scale)
    score = prob[row, column]
    cells = np.column_stack([low, high, score, offsets[:, row, column].T]).astype(np.float32)
    return cells[suppress(cells[:, :4], score, 0.5)]


def _square(boxes: FloatArray) -> FloatArray:
    """Boxes grown to squares about their centres."""
    centre = (boxes[:, :2] + boxes[:, 2:4]) / 2
    half = (boxes[:, 2:4] - boxes[:, :2]).max(axis=1, keepdims=True) / 2 if len(boxes) else np.zeros((0, 1))
    return np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)


def _shift(boxes: FloatArray, offsets: FloatArray) -> FloatArray:
    side = np.tile(boxes[:, 2:4] - boxes[:, :2] + 1, 2)
    return (boxes + offsets * side).astype(np.float32)


__all__ = ["MtcnnConfig", "MtcnnDetector"]
