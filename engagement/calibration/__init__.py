"""Personal calibration of learner states: moments to label, a small correction per person, its application."""
