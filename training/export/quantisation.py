"""Static 8-bit quantisation of an exported graph: ranges from real faces, weights per channel."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engagement.types import ByteArray

_DENSE = ("Conv", "Gemm", "MatMul")
#: Operators between a pooled map and what is computed from it.
_SQUEEZED = ("GlobalAveragePool", "ReduceMean")


def quantise(source: Path, target: Path, batches: Iterator[dict[str, ByteArray]]) -> None:
    """Write an 8-bit version of a graph.

    Args:
        source: float graph. target: where the other goes.
        batches: inputs whose activations set the ranges.
    """
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType, quantize_static

    class Faces(CalibrationDataReader):
        def get_next(self) -> dict[str, ByteArray] | None:  # type: ignore[override]
            return next(batches, None)

    with _without_advice():
        quantize_static(
            str(source),
            str(target),
            Faces(),
            op_types_to_quantize=list(_DENSE),
            nodes_to_exclude=exact_nodes(source),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={"CalibMovingAverage": True},
        )


def exact_nodes(path: Path) -> list[str]:
    """Names of the nodes that stay in float: the first and the last, depthwise ones, and squeeze-excitation.

    They are a small part of the work, and 256 levels do them most harm: a depthwise kernel has a range of
    its own in every channel, of which activations have one for all.
    """
    import onnx

    graph: Any = onnx.load(str(path)).graph
    dense = [node for node in graph.node if node.op_type in _DENSE]
    made_by = {output: node for node in graph.node for output in node.output}
    used_by: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            used_by.setdefault(name, []).append(node)

    def nearest(names: list[str], onwards: Callable[[str], list[Any]], ends: str) -> set[str]:
        """The dense nodes that are met first from these tensors, on every path: of every member and head."""
        met: set[str] = set()
        seen: set[str] = set()
        while names:
            name = names.pop()
            if name in seen:
                continue
            seen.add(name)
            for node in onwards(name):
                if node.op_type in _DENSE:
                    met.add(node.name)
                else:
                    names += list(getattr(node, ends))
        return met

    def maker(name: str) -> list[Any]:
        return [made_by[name]] if name in made_by else []

    given = {tensor.name for tensor in graph.initializer}
    first = nearest(
        [i.name for i in graph.input if i.name not in given], lambda n: used_by.get(n, []), "output"
    )
    last = nearest([o.name for o in graph.output], maker, "input")

    def after_pooling(node: Any, steps: int = 4) -> bool:
        before = made_by.get(node.input[0]) if node.input else None  # a constant is made of nothing
        if before is None or not steps:
            return False
        return before.op_type in _SQUEEZED or after_pooling(before, steps - 1)

    def grouped(node: Any) -> bool:
        return any(a.name == "group" and a.i > 1 for a in node.attribute)

    return [
        node.name
        for node in dense
        if node.name in first or node.name in last or grouped(node) or after_pooling(node)
    ]


@contextmanager
def _without_advice() -> Iterator[None]:
    """The quantiser logs how it would like its graphs prepared, which torch's exporter has done."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
