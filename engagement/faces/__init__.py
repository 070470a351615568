"""Finding faces in a frame and cutting them out."""
