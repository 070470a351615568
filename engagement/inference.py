"""A network, run as fast as the machine can: by torch, or on a CPU by OpenVINO.

OpenVINO (Apache-2.0) fuses what torch runs one operation after another, which small networks on a few faces gain
from. Both reckon in 32-bit floats and agree but for the last bits (tests/contracts/test_inference.py).
"""

from __future__ import annotations

import sys
import threading
import warnings
from collections import deque
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from engagement.types import FloatArray

if TYPE_CHECKING:
    from torch import Tensor, nn

Network = TypeVar("Network", bound="nn.Module")

#: One thread, the caller's own: the stages of an analysis are threads already, and sums would depend on their
#: number. Not pinned, or all of them would share one core. No 16-bit floats, which some processors have.
_ONE_THREAD = {
    "INFERENCE_NUM_THREADS": 1,
    "NUM_STREAMS": 1,
    "ENABLE_CPU_PINNING": False,
    "INFERENCE_PRECISION_HINT": "f32",
}

#: torch traces one network at a time: two at once come out wrong, as in a worker of several threads.
_TRACING = threading.Lock()


class Run(Protocol):
    """A network that runs. May be called from several threads at once."""

    def __call__(self, batch: NDArray[Any]) -> tuple[FloatArray, ...]:
        """Its outputs for a batch, as float32 arrays of the caller's own."""
        ...


def runner(network: nn.Module, example: NDArray[Any], free: Sequence[int], device: str) -> Run:
    """Make a network ready to run.

    Args:
        network: takes one tensor, gives one or a tuple; in evaluation mode.
        example: a batch such as it will be given. Its values do not matter.
        free: dimensions of the batch whose length may change from call to call.
        device: ``openvino``, or what torch calls it.
    """
    if device == "openvino":
        return _OpenvinoRun(network, example, free)
    return _TorchRun(network, device)


def channels_last(network: Network) -> Network:
    """The network with its weights in that order: much faster on a CPU, same numbers but for the last bit."""
    import torch

    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def openvino_there() -> bool:
    """Whether OpenVINO is installed and loads: its libraries need not suit the machine."""
    try:
        _load()
    except (ImportError, OSError):
        return False
    return True


class _TorchRun:
    def __init__(self, network: nn.Module, device: str) -> None:
        import torch

        self._network = channels_last(network.to(torch.device(device)))
        self._device = torch.device(device)

    def __call__(self, batch: NDArray[Any]) -> tuple[FloatArray, ...]:
        import torch

        with torch.inference_mode():
            inputs = torch.from_numpy(np.ascontiguousarray(batch)).to(self._device)
            return tuple(part.float().cpu().numpy() for part in _parts(self._network(inputs)))


class _OpenvinoRun:
    """A graph, compiled once for every thread that is in it at the same time."""

    def __init__(self, network: nn.Module, example: NDArray[Any], free: Sequence[int]) -> None:
        import torch

        openvino = _load()
        from openvino.frontend import FrontEndManager
        from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

        for parameter in network.parameters():
            parameter.requires_grad_(False)
        with _TRACING:
            with torch.no_grad(), warnings.catch_warnings():
                # Of lengths taken for constants (those that may change are ``free``), and that tracing will go one day.
                warnings.simplefilter("ignore")
                decoder = TorchScriptPythonDecoder(network, example_input=torch.from_numpy(example))
            # The reader itself: openvino.convert_model around it would tell its makers that it was called.
            reader = FrontEndManager().load_by_framework("pytorch")
            try:
                self._graph = reader.convert(reader.load(decoder))
            except RuntimeError as error:
                if "KeyboardInterrupt" in str(error):  # Ctrl-C in the midst of it
                    raise KeyboardInterrupt from error
                raise
        lengths = [-1 if i in free else length for i, length in enumerate(example.shape)]
        self._graph.reshape({self._graph.inputs[0]: openvino.PartialShape(lengths)})
        self._core = openvino.Core()
        self._idle: deque[Any] = deque([self._request()])

    def __call__(self, batch: NDArray[Any]) -> tuple[FloatArray, ...]:
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._request()
        request.infer({0: np.ascontiguousarray(batch)}, share_inputs=True)
        # Copies: the next batch is written where these lie.
        outputs = tuple(np.array(tensor.data, np.float32) for tensor in request.output_tensors)
        self._idle.append(request)
        return outputs

    def _request(self) -> Any:
        return self._core.compile_model(self._graph, "CPU", _ONE_THREAD).create_infer_request()


def _load() -> ModuleType:
    """Import openvino without its reports of use: nothing leaves the machine."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def _parts(outputs: Tensor | Sequence[Tensor]) -> Sequence[Tensor]:
    return outputs if isinstance(outputs, tuple | list) else (outputs,)  # type: ignore[return-value]
