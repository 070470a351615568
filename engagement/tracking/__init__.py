"""Detections to tracks within a shot, tracks to persons of the session."""
