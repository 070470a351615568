"""Training of the smoothers: what a frame model says of sequences, made-up sequences, fitting, and what it is worth.

``python -m training.temporal.evaluation --help`` is the command behind ``docs/temporal.md``.
"""
