"""Moments to label: which are proposed, shown, answered, and what the answers make of a person's calibration."""
