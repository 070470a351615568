"""Where networks run."""

from __future__ import annotations

import os
import sys
import threading

from engagement.errors import ConfigError

#: Niceness of threads that give way; 19 is the most.
_GIVING_WAY = 15
CHOICES = ("auto", "cuda", "mps", "openvino", "cpu")


def choose(name: str) -> str:
    """A device that is there: ``auto`` takes a GPU if one works, else the CPU, by OpenVINO where it is installed.

    Raises:
        ConfigError: the named device is unknown or not available.
    """
    require_known(name)
    if name == "auto":
        return next(device for device in CHOICES[1:] if _works(device))
    if _works(name):
        return name
    if name == "openvino":
        raise ConfigError(
            "--device openvino: OpenVINO is not installed or does not load here",
            "pip install openvino, or use --device auto.",
        )
    raise ConfigError(f"--device {name}: this machine has none", "Use --device auto.")


def require_known(name: str) -> None:
    """Raise ConfigError unless a device has that name, on whatever machine it may be."""
    if name not in CHOICES:
        raise ConfigError(f"--device '{name}' is unknown", f"Choose one of: {', '.join(CHOICES)}")


def cores() -> int:
    """Those that this process may use: a scheduler may grant fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def for_torch() -> str:
    """The device for what torch alone runs: a GPU if one works, else the CPU."""
    return next(device for device in ("cuda", "mps", "cpu") if _works(device))


def _works(device: str) -> bool:
    if device == "cpu":
        return True
    if device == "openvino":
        from engagement.inference import openvino_there

        return openvino_there()
    import torch

    return torch.cuda.is_available() if device == "cuda" else torch.backends.mps.is_available()


def of_torch(device: str) -> str:
    """What torch calls it: OpenVINO's is the CPU."""
    return "cpu" if device == "openvino" else device


def is_cpu(device: str) -> bool:
    """Whether networks run on the processor, by whatever library."""
    return of_torch(device) == "cpu"


def one_thread_each() -> None:
    """One thread per call of torch and OpenCV.

    The stages of an analysis run beside each other and keep the cores busy; threads inside the small
    operations would cost more than they bring, and sums would depend on their number.
    """
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def wait_asleep() -> None:
    """Have the threads within an operation sleep while they wait for each other, unless the environment says otherwise.

    GNU's OpenMP lets them spin. Where something else keeps the cores busy, a thread then spins while the one that it
    waits for is kept from running, for each of thousands of small operations: two evaluations at once took four and a half times
    as long as one (``python -m benchmarks.side_by_side``). Read when torch is loaded, and by child
    processes: to be called before.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def give_way() -> None:
    """Let this thread yield the processor to those that have not called this, whenever both could run.

    All other stages wait for decoding; a decoder that shares the cores evenly with five threads makes them wait
    longer. Only where priority is a thread's (Linux), elsewhere it would be the process's.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        # Never up: that is not allowed, and the user may have put the whole process lower.
        os.setpriority(os.PRIO_PROCESS, thread, max(os.getpriority(os.PRIO_PROCESS, thread), _GIVING_WAY))
