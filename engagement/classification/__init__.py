"""Face chips to apparent expression, learner states and an identity feature."""
