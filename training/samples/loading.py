"""Batches of faces for training and measuring, and how many processes prepare them."""

from __future__ import annotations

import multiprocessing
from typing import Any

import torch
from torch.utils.data import DataLoader

from engagement.device import cores, one_thread_each
from training.samples.chip_dataset import ChipDataset
from training.samples.sampling import EpochSampler, ShareSampler

#: A machine has other work too.
_MOST = 8


def fitting_loaders(device: torch.device, processes: int = 1) -> int:
    """How many processes prepare faces for a network on a device.

    None beside a CPU, whose cores compute; a GPU would wait for a single one.

    Args:
        device: where the network runs.
        processes: that train together on this machine and share its cores.
    """
    if device.type == "cpu":
        return 0
    return max(1, min(_MOST, cores() // processes - 1))


def training_batches(
    dataset: ChipDataset, batch_size: int, sampler: EpochSampler, loaders: int = 0
) -> DataLoader[Any]:
    """Batches for training, in the sampler's order.

    The last short batch is dropped, because BatchNorm needs pictures to average over.

    Args:
        batch_size: faces of each; fewer where the sampler has fewer.
        loaders: processes that prepare them; the batches are the same for any number.
    """
    if loaders:
        dataset.share_epoch()
    short = len(sampler) < batch_size
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=sampler,
        drop_last=not short,
        num_workers=loaders,
        persistent_workers=loaders > 0,
        **_apart(loaders),
        pin_memory=torch.cuda.is_available(),
    )


def measuring_batches(
    dataset: ChipDataset, processes: int = 1, loaders: int = 0, again: bool = False
) -> DataLoader[Any]:
    """Batches of every row once, shared out among processes.

    Args:
        processes: that share the rows.
        loaders: processes that prepare the batches of each.
        again: the same batches will be wanted many times, so that loaders are worth keeping.
    """
    return DataLoader(
        dataset,
        batch_size=128,
        sampler=ShareSampler(len(dataset), processes),
        num_workers=loaders,
        persistent_workers=again and loaders > 0,
        **_apart(loaders),
        pin_memory=torch.cuda.is_available(),
    )


def _apart(loaders: int) -> dict[str, Any]:
    """How processes begin: not as copies of this one, whose threads (OpenCV's, OpenVINO's) a fork does not survive."""
    if not loaders:
        return {}
    clean = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if clean else "spawn")
    if clean:
        context.set_forkserver_preload(["training.samples.chip_dataset"])
    return {"multiprocessing_context": context, "worker_init_fn": _begin}


def _begin(_: int) -> None:
    one_thread_each()
