"""Labelled faces: their table, how they are varied and cut, in which order and batches a network gets them."""
