"""Weight files: safetensors that carry their own record, and the manifest of the shipped ones."""

#: Name of the shipped network that fills every documented column; ``default`` stands for it.
DEFAULT_WEIGHTS = "face_state"
