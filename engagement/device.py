"""Where networks run."""

from __future__ import annotations

from engagement.errors import ConfigError

CHOICES = ("auto", "cpu", "cuda", "mps")


def choose(name: str) -> str:
    """A device that is there: ``auto`` takes a GPU if one works, else the CPU.

    Raises:
        ConfigError: the named device is unknown or not available.
    """
    import torch

    if name not in CHOICES:
        raise ConfigError(f"--device '{name}' is unknown", f"Choose one of: {', '.join(CHOICES)}")
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next(device for device in ("cuda", "mps", "cpu") if there[device])
    if not there[name]:
        raise ConfigError(f"--device {name}: this machine has none", "Use --device auto.")
    return name


def one_thread_each() -> None:
    """One thread per call of torch and OpenCV.

    The stages of an analysis run beside each other and keep the cores busy; threads inside the small
    operations would cost more than they bring, and sums would depend on their number.
    """
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
