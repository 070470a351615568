"""Initial weights of a backbone: a local file, torchvision's hub, or none."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import torch
from torch import Tensor

from engagement.classification.backbones import BACKBONES
from engagement.classification.network import FaceStateNet
from engagement.compat import load_torchvision
from engagement.errors import ConfigError, WeightsError
from engagement.types import ChipSpec
from engagement.weights.store import locate, read_record, sha256_of
from training.recipes.recipe import Recipe

#: What a torchvision state dict calls its classifier; a backbone has none.
_CLASSIFIERS = ("classifier.", "fc.")


def initial_file(init: str) -> Path | None:
    """The file of initial weights that are a path, a shipped name or ``default``; None where there is none."""
    try:
        return locate(init)[1]
    except WeightsError:
        return None


def refuse_replacing(path: Path, *references: str) -> None:
    """Raise ConfigError where a file to be written is one that is begun with: it would be lost."""
    for reference in references:
        given = initial_file(reference) if reference else None
        if given is not None and given.resolve() == path.resolve():
            raise ConfigError(
                f"-o {path.parent} is the folder of {reference}, which would be replaced",
                "Choose another folder.",
            )


def weights_digest(reference: str) -> str:
    """What is in a file of weights, as 16 digits; empty for none, and for what is no file here (``hub``)."""
    path = initial_file(reference) if reference else None
    return sha256_of(path)[:16] if path is not None else ""


def chip_of(recipe: Recipe) -> ChipSpec:
    """The recipe's chip, normalised as its initial weights are used to: ours say how in their header."""
    chip, path = recipe.chip, initial_file(recipe.init)
    if recipe.normalization != "auto" or path is None or path.suffix != ".safetensors":
        return chip
    try:
        known = ChipSpec.from_dict(dict(read_record(path).chip))
    except (WeightsError, KeyError):  # a stranger's file, which initialise judges
        return chip
    return replace(chip, mean=known.mean, std=known.std)


def initialise(network: FaceStateNet, init: str) -> str:
    """Fill the backbone (and heads that fit) and say from where.

    Args:
        network: changed in place.
        init: empty (random), ``hub``, a shipped name or ``default``, or a file (safetensors, or a state dict saved by torch) with
            torchvision's names (``features.0.0.weight``, ``layer1.…``) or a FaceStateNet's own
            (``backbone.…``, heads included). A grey backbone takes the weights of its sibling in colour: on
            a grey picture the kernels of the three channels act as their sum.

    Returns:
        a description for the model card.

    Raises:
        WeightsError: the hub cannot be reached or has none for this backbone, the file is damaged, or it
            lacks backbone tensors.
    """
    if not init:
        return "random"
    if init == "hub":
        name = BACKBONES[network.spec.backbone].hub
        if not name:
            raise WeightsError(
                f"torchvision has no weights for '{network.spec.backbone}'",
                "Start from random ones: --init ''.",
            )
        weights = getattr(load_torchvision().models, name).DEFAULT
        _fill(network, _from_hub(network, weights), str(weights))
        return f"torchvision {weights}"
    path = initial_file(init)
    if path is None:
        raise WeightsError(
            f"initial weights '{init}' not found",
            "Give a file, 'hub', shipped weights such as 'default', or leave it empty.",
        )
    _fill(network, _read(path), str(path))
    return path.name


def _fill(network: FaceStateNet, state: Mapping[str, Tensor], source: str) -> None:
    own = network.state_dict()
    renamed = {_own_name(k): v.float() if v.is_floating_point() else v for k, v in state.items()}
    if network.grey:
        first = next(k for k, v in own.items() if v.ndim == 4)
        if first in renamed and renamed[first].shape[1:2] == (3,):
            renamed[first] = renamed[first].sum(dim=1, keepdim=True)
    fitting = {k: v for k, v in renamed.items() if k in own and own[k].shape == v.shape}
    needed = [k for k in own if k.startswith("backbone.") and not k.endswith("num_batches_tracked")]
    lacking = [k for k in needed if k not in fitting]
    if lacking:
        raise WeightsError(
            f"{source} does not fit the backbone '{network.spec.backbone}': {len(lacking)} of {len(needed)} "
            f"tensors are missing, first '{lacking[0]}'",
            "Choose the --backbone that the file was made for, or another file.",
        )
    network.load_state_dict(fitting, strict=False)


def _own_name(key: str) -> str:
    if key.startswith(("backbone.", "heads.", "identity.", *_CLASSIFIERS)):
        return key
    return "backbone." + key.removeprefix("features.")


def _read(path: Path) -> Mapping[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        # A stranger's file: tensors alone, no code.
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # what torch says advises to run the stranger's code
        raise WeightsError(f"{path} holds something else than tensors", "Give a state dict.") from error
    except (SafetensorError, OSError, RuntimeError, EOFError) as error:
        first = str(error).splitlines()[0]
        raise WeightsError(f"{path} is not a readable file of tensors ({first})") from error
    found = found.get("state_dict", found) if isinstance(found, dict) else {}
    return {str(k): v for k, v in found.items() if isinstance(v, Tensor)}


def _from_hub(network: FaceStateNet, weights: object) -> Mapping[str, Tensor]:
    try:
        return weights.get_state_dict(progress=False)  # type: ignore[attr-defined]
    except (URLError, OSError) as error:
        raise WeightsError(
            f"torchvision's weights for '{network.spec.backbone}' cannot be downloaded ({error})",
            "Give a local file with --init FILE, or --init '' to start from random weights.",
        ) from error
