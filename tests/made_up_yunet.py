"""A model file in YuNet's form that takes every red square for a face: for tests without the real one.

OpenCV reads twelve outputs: for each stride of 8, 16 and 32 pixels a class and an object score, a box and five points
per cell. Here a cell of stride 8 that is red throughout is a face of 48 x 56 pixels about the cell's centre.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

FACE_PX = (48, 56)
#: Points in cells from the cell's corner: eye left in the image, right eye, nose, corners of the mouth.
POINTS = (-1.0, -1.0, 2.0, -1.0, 0.5, 0.5, -0.5, 2.0, 1.5, 2.0)


def write_model(path: Path) -> Path:
    """Write the file (ONNX) and return its path."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes, constants = [], {}

    def constant(name: str, values: object, dtype: type = np.float32) -> str:
        constants[name] = numpy_helper.from_array(np.array(values, dtype), name)
        return name

    def node(kind: str, inputs: list[str], output: str, **attributes: object) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    nodes.append(helper.make_node("Split", ["input"], ["b", "g", "r"], axis=1))
    red = node("Sub", ["r", node("Max", ["b", "g"], "other")], "red")
    box = (0.5, 0.5, float(np.log(FACE_PX[0] / 8)), float(np.log(FACE_PX[1] / 8)))
    outputs: dict[str, list[str]] = {"cls": [], "obj": [], "bbox": [], "kps": []}
    for stride in (8, 16, 32):
        cell = node(
            "AveragePool", [red], f"mean{stride}", kernel_shape=[stride, stride], strides=[stride, stride]
        )
        over = node("Sub", [cell, constant("threshold", 150)], f"over{stride}")
        share = node("Mul", [over, constant(f"gain{stride}", 0.01 if stride == 8 else 0)], f"share{stride}")
        score = node("Clip", [share, constant("zero", 0), constant("one", 1)], f"score{stride}")
        flat = node("Reshape", [score, constant("rows", [1, -1, 1], np.int64)], f"cls_{stride}")
        outputs["cls"].append(flat)
        outputs["obj"].append(node("Identity", [flat], f"obj_{stride}"))
        for kind, values in (("bbox", box), ("kps", POINTS)):
            nothing = node(
                "Mul", [flat, constant(f"none_{kind}", np.zeros((1, 1, len(values))))], f"n{kind}{stride}"
            )
            whole = constant(f"all_{kind}", np.reshape(values, (1, 1, -1)))
            outputs[kind].append(node("Add", [nothing, whole], f"{kind}_{stride}"))
    values_per_cell = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, f"cells_{name}", values_per_cell[kind]])
        for kind, names in outputs.items()
        for name in names
    ]
    graph = helper.make_graph(
        nodes,
        "made_up_yunet",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, "h", "w"])],
        ends,
        list(constants.values()),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=8)
    onnx.save(model, str(path))
    return path
