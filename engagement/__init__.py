"""Apparent expression and learner states of every person in a recorded session.

The data flow, one way::

    video.open_video        container -> frames at true times
    faces.mtcnn             frame -> boxes, scores, landmarks
    tracking.tracker        detections -> tracks within a shot
    tracking.frozen         faces whose picture stands still: nothing is claimed of them
    tracking.copies         faces that a frame shows twice, large and small
    tracking.following      heads whose face is not found for a moment -> where they are
    tracking.persons        tracks -> persons of the session
    classification          chips -> expression and state scores, identity feature
    smoothing (temporal)    scores on true time -> smoothed scores, never across gaps
    timelines               tables, events, figures of the session
    reports                 tables -> offline pages

``pipeline.Analyzer`` is the only place that joins them. Importing this package loads nothing.
"""

__version__ = "0.1.0"

#: Bumped when a change alters results; part of what decides whether a finished video is redone.
RESULTS_VERSION = 17
