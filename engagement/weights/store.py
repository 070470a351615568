"""Reading and writing weight files.

A weight file is a safetensors file whose header holds a JSON record: what network it is for, label
order, chip geometry, calibration, measured figures, licence. Nothing is unpickled, so a file from a
stranger cannot run code. ``manifest.json`` beside the shipped files adds a sha256 for each.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engagement.drafts import placed
from engagement.errors import ConfigError, WeightsError
from engagement.given import no_file
from engagement.weights import DEFAULT_WEIGHTS

if TYPE_CHECKING:
    from torch import Tensor

_RECORD_KEY = "engagement"
RECORD_VERSION = 1


@dataclass(frozen=True, slots=True)
class WeightRecord:
    """What travels with weights.

    Attributes:
        kind: ``face_state``, ``ensemble`` (of those), ``lstm`` or ``cnn3d``.
        network: how to build the network; keys depend on the kind.
        chip: geometry and normalisation of face chips; empty when the network sees none.
        calibration: temperatures and biases that turn logits into probabilities.
        metrics: measured figures, name -> value.
        licence: under what terms the weights may be used.
        origin: command, data and initial weights they came from.
    """

    kind: str
    network: Mapping[str, Any]
    chip: Mapping[str, Any] = field(default_factory=dict)
    calibration: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    licence: str = ""
    origin: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        body = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return json.dumps({"version": RECORD_VERSION, **body}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> WeightRecord:
        data = json.loads(text)
        if data.pop("version", None) != RECORD_VERSION:
            raise ValueError("unknown version of the record")
        return cls(**data)


@dataclass(frozen=True, slots=True, eq=False)
class LoadedWeights:
    """A weight file in memory: float32 tensors and their record."""

    name: str
    sha256: str
    record: WeightRecord
    tensors: Mapping[str, Tensor]

    def __repr__(self) -> str:
        return f"LoadedWeights({self.name}, {self.record.kind}, {len(self.tensors)} tensors)"


def sha256_of(path: Path) -> str:
    """Hex digest of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def short_digest(option: str, file: str) -> str:
    """First 16 digits of the sha256 of a file that an option names: results tell what they were made with.

    Raises:
        ConfigError: it cannot be read; ``option`` is what it was given with.
    """
    remedy = "Give the path of the model's file."
    if what := no_file(Path(file)):
        raise ConfigError(f"{option} {file} is {what}", remedy)
    try:
        return sha256_of(Path(file))[:16]
    except OSError as error:
        raise ConfigError(f"{option} {file} cannot be read ({error.strerror})", remedy) from error


def folder() -> Path:
    """Where the shipped weights lie."""
    return Path(str(resources.files("engagement.weights")))


def manifest() -> dict[str, dict[str, Any]]:
    """Shipped weights: name -> file, sha256, licence, card, metrics."""
    path = folder() / "manifest.json"
    if not path.is_file():
        raise WeightsError(
            "no weights are installed with this package", "Reinstall it, or give a file with --checkpoint."
        )
    return json.loads(path.read_text(encoding="utf-8"))


def locate(reference: str, kinds: tuple[str, ...] = ()) -> tuple[str, Path, str | None]:
    """Name, path and expected sha256 of a shipped name, of the one that ``default`` stands for, or of a file.

    Args:
        reference: any of these.
        kinds: those that will do, so that an error names no others; any, where none is given.

    Raises:
        WeightsError: it is neither.
    """
    shipped = _entries()
    if reference == "default":
        reference = DEFAULT_WEIGHTS
    if reference in shipped:
        entry = shipped[reference]
        return reference, folder() / entry["file"], entry["sha256"]
    path = Path(reference)
    if path.is_file():
        return path.stem, path, None
    if path.is_dir():
        inside = ", ".join(str(file) for file in sorted(path.glob("*.safetensors"))) or "it holds none"
        raise WeightsError(f"'{reference}' is a folder", f"Give a file of weights: {inside}")
    raise WeightsError(f"'{reference}' is neither a file nor shipped weights", _shipped(kinds))


def _entries() -> dict[str, dict[str, Any]]:
    return manifest() if (folder() / "manifest.json").is_file() else {}


def _shipped(kinds: tuple[str, ...]) -> str:
    """Which of the shipped weights would do."""
    fitting = [name for name, entry in _entries().items() if not kinds or entry["kind"] in kinds]
    if DEFAULT_WEIGHTS in fitting:
        fitting.insert(0, f"default ({DEFAULT_WEIGHTS})")
        fitting.remove(DEFAULT_WEIGHTS)
    return f"Shipped: {', '.join(fitting) or 'none'}"


def load_weights(reference: str, kind: str | tuple[str, ...]) -> LoadedWeights:
    """Load weights by shipped name or path.

    Args:
        reference: a name of the manifest, or a path of a file written by ``engagement train``.
        kind: the kind that is needed here, or those that will do.

    Raises:
        WeightsError: missing, damaged, of another kind, or altered since the manifest was written.
    """
    kinds = (kind,) if isinstance(kind, str) else kind
    name, path, expected = _found(reference, kinds)
    digest = sha256_of(path)
    if expected is not None and digest != expected:
        raise WeightsError(f"{path.name} differs from the manifest (sha256 {digest[:12]}…)", "Reinstall.")
    record, tensors = _read(path)
    _require_kind(path, record, kinds)
    floats = {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}
    return LoadedWeights(name, digest, record, floats)


def require_kind(reference: str, kinds: tuple[str, ...]) -> None:
    """Raise what :func:`load_weights` would, as far as the header tells: in no time, and without torch.

    Raises:
        WeightsError: missing, damaged, or of another kind.
    """
    path = _found(reference, kinds)[1]
    _require_kind(path, read_record(path), kinds)


def _found(reference: str, kinds: tuple[str, ...]) -> tuple[str, Path, str | None]:
    name, path, expected = locate(reference, kinds)
    if not path.is_file():
        raise WeightsError(f"the shipped weights {path.name} are missing", "Reinstall the package.")
    return name, path, expected


def _require_kind(path: Path, record: WeightRecord, kinds: tuple[str, ...]) -> None:
    if record.kind in kinds:
        return
    if record.kind == "ensemble" and "face_state" in kinds:
        raise WeightsError(
            f"{path} is an ensemble of several networks, but one is needed here",
            "Give the weight files that it was made from.",
        )
    wanted = " or ".join(f"'{k}'" for k in kinds)
    raise WeightsError(
        f"{path} holds a network of kind '{record.kind}', but {wanted} is needed here", _shipped(kinds)
    )


def read_record(path: Path) -> WeightRecord:
    """The record in a weight file's header; errors as in :func:`load_weights`."""
    return _read(path, tensors=False)[0]


def _read(path: Path, tensors: bool = True) -> tuple[WeightRecord, dict[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt" if tensors else "np") as file:
            metadata = file.metadata() or {}
            values = {key: file.get_tensor(key) for key in file.keys()} if tensors else {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        if path.suffix == ".safetensors":
            raise WeightsError(f"{path} is not a readable safetensors file ({error})") from error
        raise WeightsError(f"{path} is no safetensors file", _instead(path)) from error
    if _RECORD_KEY not in metadata:
        raise WeightsError(f"{path} carries no record of its labels", "Use a file `engagement train` wrote.")
    try:
        return WeightRecord.from_json(metadata[_RECORD_KEY]), values
    except (ValueError, TypeError) as error:
        raise WeightsError(f"{path}: the record in the header cannot be read ({error})") from error


def _instead(path: Path) -> str:
    """What to give instead of a checkpoint of Lightning or an exported network."""
    beside = ", ".join(str(file) for file in sorted(path.parent.glob("*.safetensors")))
    return (
        f"Give the weights beside it: {beside}" if beside else "Give the model.safetensors of its training."
    )


def save_weights(path: Path, record: WeightRecord, tensors: Mapping[str, Tensor]) -> str:
    """Write a weight file; matrices and kernels as float16, the rest as it is.

    Half precision halves the file; figures are always measured on the file read back.

    Returns:
        sha256 of the file.

    Raises:
        WeightsError: a tensor holds values that are no finite numbers, or get none in half precision.
        OutputError: the file cannot be written; an earlier one is as it was.
    """
    import torch
    from safetensors.torch import save

    packed = {
        key: value.detach()
        .cpu()
        .to(torch.float16 if value.is_floating_point() and value.ndim >= 2 else value.dtype)
        .contiguous()
        for key, value in tensors.items()
        if not key.endswith("num_batches_tracked")
    }
    broken = [key for key, value in packed.items() if not value.isfinite().all()]
    if broken:
        more = f" and {len(broken) - 1} more tensors" if len(broken) > 1 else ""
        raise WeightsError(
            f"{path} is not written: '{broken[0]}'{more} would hold values that are not finite in half precision",
            "The training has diverged, or began with damaged weights: lower the learning rate "
            "(--set learning_rate=…), or give other initial weights.",
        )
    with placed(path) as draft:
        draft.write_bytes(save(packed, metadata={_RECORD_KEY: record.to_json()}))
    return sha256_of(path)
