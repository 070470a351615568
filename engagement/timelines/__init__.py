"""Scores over time per person: tables, episodes, figures of a session."""
