"""Weight files: safetensors that carry their own record, and the manifest of the shipped ones."""
