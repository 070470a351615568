"""facenet-pytorch's face embedding as evidence of who is who, when its weights are at hand.

Nothing is ever downloaded: the file is the one a user names, or the one that facenet-pytorch itself left in
its cache. The network is InceptionResnetV1 (Schroff et al. 2015, trained on VGGFace2).
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from engagement.device import of_torch
from engagement.errors import WeightsError
from engagement.types import ByteArray, FloatArray

#: Name under which facenet-pytorch publishes and caches its weights.
FILE_NAME = "20180402-114759-vggface2.pt"
_SIDE = 160  # pixels the network was trained with
_BATCH = 64  # bounds memory, changes no result

#: Length of the embedding.
EMBEDDING = 512


def cached_file() -> Path:
    """Where facenet-pytorch keeps its weights on this machine (torch's cache folder)."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = Path(os.environ.get("TORCH_HOME", str(Path(cache) / "torch")))
    return home.expanduser() / "checkpoints" / FILE_NAME


def weights_file(weights: str | Path | None) -> Path:
    """The file that is named, or else facenet-pytorch's in the cache.

    Raises:
        WeightsError: there is no such file.
    """
    path = Path(weights) if weights is not None else cached_file()
    if not path.is_file():
        raise WeightsError(
            f"--identity facenet needs the file {path}, which is not there",
            f"Put facenet-pytorch's {FILE_NAME} there, or name it with --identity-weights FILE; "
            "--identity auto needs no such file.",
        )
    return path


class FacenetEmbedder:
    """Face embeddings; stateless after construction.

    Args:
        weights: file of a state dict of InceptionResnetV1; None for facenet-pytorch's cache.
        device: where the network runs.

    Raises:
        WeightsError: there is no such file, or it holds another network.
    """

    def __init__(self, weights: str | Path | None = None, device: str = "cpu") -> None:
        import torch

        from engagement.compat import load_torchvision

        path = weights_file(weights)
        load_torchvision()
        from facenet_pytorch.models.inception_resnet_v1 import InceptionResnetV1

        self.path = path
        self.device = torch.device(of_torch(device))
        network = InceptionResnetV1(pretrained=None, classify=False)
        try:
            # Tensors alone: a file from a stranger runs no code.
            tensors = torch.load(path, map_location="cpu", weights_only=True)
            tensors = {k: v for k, v in tensors.items() if not k.startswith("logits.")}
            network.load_state_dict(tensors)
        except Exception as error:
            raise WeightsError(
                f"{path} holds no weights of facenet-pytorch's InceptionResnetV1",
                f"Give its {FILE_NAME}.",
            ) from error
        self._network = network.eval().to(self.device)

    def embed(self, rgb: ByteArray, boxes_xyxy: FloatArray) -> FloatArray:
        """Embeddings of the faces of a picture.

        Args:
            rgb: uint8 (height, width, 3).
            boxes_xyxy: float32 (n, 4), pixels; what lies outside the picture is cut off.

        Returns:
            float32 (n, 512), rows of unit length.
        """
        import torch

        crops = _crops(rgb, boxes_xyxy)
        out = [np.zeros((0, EMBEDDING), np.float32)]
        with torch.inference_mode():
            for start in range(0, len(crops), _BATCH):
                batch = torch.from_numpy(crops[start : start + _BATCH]).to(self.device)
                # The library's own normalisation, "fixed image standardization".
                out.append(self._network((batch.permute(0, 3, 1, 2).float() - 127.5) / 128).cpu().numpy())
        return np.concatenate(out)


def _crops(rgb: ByteArray, boxes: FloatArray) -> ByteArray:
    """(n, 160, 160, 3): boxes cut at the picture's edge and stretched, as facenet-pytorch does."""
    import cv2

    height, width = rgb.shape[:2]
    out = np.zeros((len(boxes), _SIDE, _SIDE, 3), np.uint8)
    for i, box in enumerate(boxes):
        x1, x2 = (int(v) for v in np.clip(box[[0, 2]], 0, width))
        y1, y2 = (int(v) for v in np.clip(box[[1, 3]], 0, height))
        if x2 > x1 and y2 > y1:
            out[i] = cv2.resize(rgb[y1:y2, x1:x2], (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return out
