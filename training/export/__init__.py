"""``engagement export``: a model as ONNX, checked against the original before the file gets its name."""
