"""What a model says of labelled faces, and how good that is."""
