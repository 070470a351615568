"""How good is the learner-state head? Cross-validation by subject, baselines, framing, inputs compared.

``python -m training.states_evaluation --help`` is the command behind the section of ``docs/results.md``.
"""
