"""``engagement explain``: where in a face a model looked for the class that it says."""
