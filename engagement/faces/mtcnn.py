"""MTCNN (Zhang et al. 2016, "Joint Face Detection and Alignment Using Multitask Cascaded CNNs").

The three networks and their weights are facenet-pytorch's; the cascade around them is ours, because
the library's needs one picture size per call, converts whole pictures to float and offers no way to
ask "is there still a face here?". ``tests/contracts/test_detectors.py`` holds both to the same boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit, logit

from engagement.compat import load_torchvision
from engagement.device import is_cpu
from engagement.faces.options import MtcnnConfig
from engagement.geometry import suppress
from engagement.inference import Run, runner
from engagement.types import ByteArray, FaceDetections, FloatArray, IndexArray

_CELL = 12  # side of what P-Net sees, pixels
_STRIDE = 2
# Pictures per forward pass: more are hardly faster on a CPU, where OpenVINO keeps kernels for each number it meets.
_CHUNK, _CHUNK_GPU = 16, 256
# Rows of P-Net's output per forward pass: what a processor's cache holds is soonest done.
_ROWS = 64
#: An expected face that O-Net is this sure of needs no search.
_SURE = 0.9
#: Beyond the picture is what the networks take for nothing (their pixels go from -1 to 1). Of all fillings tried it
#: leaves boxes and face features most like those of the whole face (docs/tried.md).
_BEYOND = (127, 127, 127)
#: Share of a square that must lie in the picture: of less than a quarter of a face nothing is ever claimed.
_LEAST_INSIDE = 0.25
#: Where a face was expected, less is asked of it than where none was: the caller knows what else speaks for it.
_EXPECTED = 0.4
#: Window searched around an expected face, in its sides, and the face sizes looked for, in expected ones.
_WINDOW, _SIZES = 5.0, (0.71, 1.0, 1.41)


class MtcnnDetector:
    """Detects faces with boxes, scores and five landmarks.

    Args:
        config: smallest face and thresholds.
        device: where the networks run (see ``engagement.device``).
    """

    name = "mtcnn"

    def __init__(self, config: MtcnnConfig | None = None, device: str = "cpu") -> None:
        load_torchvision()
        from facenet_pytorch.models.mtcnn import ONet, PNet, RNet

        self.config = config or MtcnnConfig()
        self._chunk = _CHUNK if is_cpu(device) else _CHUNK_GPU

        def ready(network: torch.nn.Module, side: int, free: tuple[int, ...]) -> Run:
            example = np.zeros((2, side, side, 3), np.uint8)
            return runner(_OfPictures(network).eval(), example, free, device)

        self._pnet = ready(_Proposals(PNet()), 64, (0, 1, 2))
        self._rnet, self._onet = ready(RNet(), 24, (0,)), ready(ONet(), 48, (0,))

    def detect(self, rgb: ByteArray, frame_index: int = 0, time_s: float = 0.0) -> FaceDetections:
        boxes = self._propose(rgb)
        boxes = self._reject(rgb, boxes)
        return _best([self._output(rgb, boxes)], self.config.thresholds[2], frame_index, time_s)

    def refine(
        self, rgb: ByteArray, boxes_xyxy: FloatArray, frame_index: int = 0, time_s: float = 0.0
    ) -> FaceDetections:
        guesses = _square(np.asarray(boxes_xyxy, np.float32).reshape(-1, 4))
        # O-Net where the face should be; once more where it says the face is; P-Net around what is left.
        direct = self._output(rgb, guesses)
        unsure = direct.take(direct.score < _SURE)
        again = self._output(rgb, _square(unsure.box))
        lost = np.delete(unsure.guess, again.row[again.score >= _SURE], axis=0)
        searched = self._output(rgb, self._reject(rgb, self._propose_near(rgb, lost)))
        return _best([direct, again, searched], _EXPECTED, frame_index, time_s)

    def _propose(self, rgb: ByteArray) -> FloatArray:
        """P-Net over the pyramid: candidate squares (n, 4)."""
        import cv2

        height, width = rgb.shape[:2]
        scale = _CELL / self.config.min_face_px
        found: list[FloatArray] = []
        halves = _Halves(rgb)
        while min(height, width) * scale >= _CELL:
            size = (round(width * scale), round(height * scale))
            picture = halves.of(int(np.log2(width / (2 * size[0]))))[0]
            small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
            found.append(
                _cells(self._map(np.asarray(small, np.uint8)), [scale], self.config.thresholds[0])[0]
            )
            scale *= self.config.factor
        return _candidates(found)

    def _map(self, picture: ByteArray) -> FloatArray:
        """P-Net over one picture in strips: four offsets and a face's log-odds, (1, 5, rows, columns)."""
        height = picture.shape[0]
        # Two convolutions before the pooling take a row each way, two after it two rows of its output.
        rows = -(-(height - 2) // _STRIDE) - 4
        parts = []
        for first in range(0, rows, _ROWS):
            last = min(first + _ROWS, rows)
            bottom = height if last == rows else _STRIDE * (last - 1) + _CELL
            parts.append(self._pnet(picture[None, _STRIDE * first : bottom])[0])
        return np.concatenate(parts, axis=2)

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

    def _propose_near(self, rgb: ByteArray, guesses: FloatArray) -> FloatArray:
        """P-Net on a window around each guess at three sizes of the face: candidate squares (n, 4)."""
        import cv2

        if not len(guesses):
            return np.zeros((0, 4), np.float32)
        sides_px = [round(_WINDOW * _CELL / size) for size in _SIZES]
        halves = _Halves(rgb)
        windows: list[ByteArray] = []
        corners: list[list[float]] = []  # source pixels
        sides: list[float] = []
        for x1, y1, x2, y2 in guesses.tolist():
            side = (x2 - x1) * _WINDOW
            # No more pixels than the largest of the pictures made of them needs.
            picture, shrunk = halves.of(int(np.log2(max(side / max(sides_px), 1))))
            reach = max(int(np.ceil(side / shrunk / 2)), _CELL // 2)
            x, y = (round((low + high) / 2 / shrunk) - reach for low, high in ((x1, x2), (y1, y2)))
            windows.append(_window(picture, x, y, 2 * reach))
            corners.append([x * shrunk, y * shrunk] * 2)
            sides.append(2.0 * reach * shrunk)
        found: list[FloatArray] = []
        for px in sides_px:
            small = [cv2.resize(window, (px, px), interpolation=cv2.INTER_AREA) for window in windows]
            maps = self._pnet(np.stack(small).astype(np.uint8))[0]
            cells, window = _cells(maps, [px / side for side in sides], self.config.thresholds[0])
            cells[:, :4] += np.array(corners, np.float32)[window]
            found.append(cells)
        return _candidates(found)

    def _output(self, rgb: ByteArray, boxes: FloatArray) -> _Output:
        """O-Net on squares: its say on each that lies in the picture."""
        crops, kept = self._crops(rgb, boxes, 48)
        if not len(kept):
            none = np.zeros((0, 4), np.float32)
            return _Output(kept, none, none, np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32))
        offsets, points, prob = self._forward(self._onet, crops)
        boxes = boxes[kept]
        side = boxes[:, 2:4] - boxes[:, :2] + 1
        x = side[:, :1] * points[:, :5] + boxes[:, :1] - 1
        y = side[:, 1:] * points[:, 5:] + boxes[:, 1:2] - 1
        landmarks = np.stack([x, y], axis=2).astype(np.float32)
        return _Output(kept, boxes, _shift(boxes, offsets), prob[:, 1].astype(np.float32), landmarks)

    def _crops(self, rgb: ByteArray, boxes: FloatArray, size: int) -> tuple[ByteArray, IndexArray]:
        """Squares of the picture as a network wants them, and which of those given lie in it.

        A square larger than ``size`` is cut at whole pixels, as the networks were run by their authors. A smaller
        one is drawn from its exact place: rounded to whole pixels a face of 20 of them is off by a tenth of its
        eyes' distance, and many are missed for it (docs/results.md).

        What lies beyond the picture is grey. facenet-pytorch stretches what is left of such a square to the
        whole of it: a face that the edge cuts is then read as one that goes on far outside, and its crop and its
        feature are another's than those of the same face a little further in.
        """
        import cv2

        height, width = rgb.shape[:2]
        crops = np.empty((len(boxes), size, size, 3), np.uint8)
        kept: list[int] = []
        for i, box in enumerate(boxes.tolist()):
            left, top, right, bottom = map(int, box)
            x1, y1, x2, y2 = max(left, 1) - 1, max(top, 1) - 1, min(right, width), min(bottom, height)
            if x2 <= x1 or y2 <= y1 or (x2 - x1) * (y2 - y1) < _LEAST_INSIDE * (box[2] - box[0]) ** 2:
                continue
            crop = crops[len(kept)]
            step = (box[2] - box[0] + 1) / size
            if step > 1:
                beyond = (y1 + 1 - top, bottom - y2, x1 + 1 - left, right - x2)
                square = rgb[y1:y2, x1:x2]
                if any(beyond):
                    square = cv2.copyMakeBorder(square, *beyond, cv2.BORDER_CONSTANT, value=_BEYOND)
                cv2.resize(square, (size, size), dst=crop, interpolation=cv2.INTER_AREA)
            else:
                corner = [edge - 1 + (step - 1) / 2 for edge in box[:2]]
                where = np.array([[step, 0, corner[0]], [0, step, corner[1]]], np.float32)
                flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
                border = {"borderMode": cv2.BORDER_CONSTANT, "borderValue": _BEYOND}
                cv2.warpAffine(rgb, where, (size, size), dst=crop, flags=flags, **border)
            kept.append(i)
        return crops[: len(kept)], np.array(kept, np.int64)

    def _forward(self, run: Run, crops: ByteArray) -> tuple[FloatArray, ...]:
        parts = [run(crops[i : i + self._chunk]) for i in range(0, len(crops), self._chunk)]
        return tuple(np.concatenate(values) for values in zip(*parts, strict=True))


class _Proposals(torch.nn.Module):
    """P-Net's four offsets and the log-odds of a face, (n, 5, rows, columns).

    Its own forward pass with both 1x1 convolutions in one. What the softmax of two makes of them is a sigmoid of
    their difference, which is left to the few cells above the threshold.
    """

    def __init__(self, pnet: torch.nn.Module) -> None:
        super().__init__()
        self.net: Any = pnet
        self.conv1 = self.net.conv1
        face, offsets = self.net.conv4_1, self.net.conv4_2

        def together(of_face: torch.Tensor, of_offsets: torch.Tensor) -> torch.Tensor:
            return torch.cat([of_offsets, of_face[1:] - of_face[:1]]).detach()

        self.register_buffer("weight", together(face.weight, offsets.weight))
        self.register_buffer("bias", together(face.bias, offsets.bias))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        net = self.net
        x = net.pool1(net.prelu1(net.conv1(x)))
        x = net.prelu3(net.conv3(net.prelu2(net.conv2(x))))
        return torch.nn.functional.conv2d(x, self.weight, self.bias)  # type: ignore[arg-type]


class _OfPictures(torch.nn.Module):
    """A network of the cascade, given uint8 pictures (n, height, width, 3).

    That the networks want pixels from -1 to 1 is put into the weights of their first convolution.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network
        first = network.conv1  # without padding: every pixel it sees is one of the picture
        with torch.no_grad():
            first.weight *= 0.0078125
            first.bias -= 127.5 * first.weight.sum((1, 2, 3))

    def forward(self, pictures: torch.Tensor) -> Any:
        # A view of pictures in rows of pixels is in channels-last order already.
        return self.network(pictures.permute(0, 3, 1, 2).float())


@dataclass(frozen=True, slots=True, eq=False)
class _Output:
    """O-Net's say on n squares: which of those given (those outside the picture are left out), the square
    itself, the face's box in it, its score and landmarks.
    """

    row: IndexArray
    guess: FloatArray
    box: FloatArray
    score: FloatArray
    landmarks: FloatArray

    def take(self, rows: NDArray[np.bool_]) -> _Output:
        return _Output(
            self.row[rows], self.guess[rows], self.box[rows], self.score[rows], self.landmarks[rows]
        )


def _best(outputs: list[_Output], threshold: float, frame_index: int, time_s: float) -> FaceDetections:
    """Faces among the outputs, each once, best first."""
    boxes, score, landmarks = (
        np.concatenate([getattr(part, name) for part in outputs]) for name in ("box", "score", "landmarks")
    )
    good = score > threshold
    boxes, score, landmarks = boxes[good], score[good], landmarks[good]
    pick = suppress(boxes, score, 0.7, of_smaller=True)
    return FaceDetections(frame_index, time_s, boxes[pick], score[pick], landmarks[pick])


class _Halves:
    """One picture at its size, at half of it, and so on, each made when first asked for.

    A mean of means of four pixels is their mean, so nothing is lost for what is reduced further anyway.
    """

    def __init__(self, rgb: ByteArray) -> None:
        self._pictures = [rgb]

    def of(self, times: int) -> tuple[ByteArray, int]:
        """The picture halved so many times, or as often as its sides are even; and by what it is smaller."""
        import cv2

        while len(self._pictures) <= times:
            last = self._pictures[-1]
            height, width = last.shape[:2]
            if height % 2 or width % 2:
                break
            half = cv2.resize(last, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
            self._pictures.append(np.asarray(half, np.uint8))
        done = max(min(times, len(self._pictures) - 1), 0)
        return self._pictures[done], 2**done


def _window(rgb: ByteArray, x: int, y: int, side: int) -> ByteArray:
    """A square of the picture; what lies outside repeats the edge."""
    height, width = rgb.shape[:2]
    rows = np.clip(np.arange(y, y + side), 0, height - 1)
    columns = np.clip(np.arange(x, x + side), 0, width - 1)
    if rows[0] == y and rows[-1] == y + side - 1 and columns[0] == x and columns[-1] == x + side - 1:
        return rgb[y : y + side, x : x + side]
    return np.ascontiguousarray(rgb[rows][:, columns])


def _candidates(found: list[FloatArray]) -> FloatArray:
    """P-Net's cells of all scales as squares (n, 4), overlapping ones removed."""
    cells = np.concatenate(found) if found else np.zeros((0, 9), np.float32)
    cells = cells[suppress(cells[:, :4], cells[:, 4], 0.7)]
    size_wh = np.tile(cells[:, 2:4] - cells[:, :2], 2)
    return _square((cells[:, :4] + cells[:, 5:9] * size_wh).astype(np.float32))


def _cells(maps: FloatArray, scales: Sequence[float], threshold: float) -> tuple[FloatArray, IndexArray]:
    """P-Net's cells with a face, overlapping ones of the same picture removed.

    Args:
        maps: (pictures, 5, rows, columns) offsets and log-odds. scales: of each picture.
        threshold: least probability.

    Returns:
        rows of x1, y1, x2, y2, score and four offsets, in source pixels from the picture's corner; and the
        picture of each, ascending.
    """
    picture, row, column = np.nonzero(maps[:, 4] >= logit(threshold))
    corner = np.stack([column, row], axis=1) * _STRIDE
    scale = np.asarray(scales)[picture, None]
    low, high = np.floor((corner + 1) / scale), np.floor((corner + _CELL) / scale)
    found = maps[picture, :, row, column]
    cells = np.column_stack([low, high, expit(found[:, 4]), found[:, :4]]).astype(np.float32)
    # Side by side, pictures do not overlap. Whole numbers, so nothing is lost.
    apart = picture[:, None] * (float(cells[:, 2:4].max(initial=0)) + 1)
    pick = suppress((cells[:, :4] + apart).astype(np.float32), cells[:, 4], 0.5)
    pick = pick[np.argsort(picture[pick], kind="stable")]
    return cells[pick], picture[pick]


def _square(boxes: FloatArray) -> FloatArray:
    """Boxes grown to squares about their centres."""
    centre = (boxes[:, :2] + boxes[:, 2:4]) / 2
    half = (boxes[:, 2:4] - boxes[:, :2]).max(axis=1, keepdims=True) / 2 if len(boxes) else np.zeros((0, 1))
    return np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)


def _shift(boxes: FloatArray, offsets: FloatArray) -> FloatArray:
    side = np.tile(boxes[:, 2:4] - boxes[:, :2] + 1, 2)
    return (boxes + offsets * side).astype(np.float32)
