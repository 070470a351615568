"""Learner states calibrated to a person: a small shift per state, where it is kept, and to whom it applies."""
