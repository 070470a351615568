"""The inputs that were tried for the learner-state head."""

from __future__ import annotations

from dataclasses import replace

from training.states_evaluation.designs import Design


def compared() -> tuple[Design, ...]:
    """Designs of ``--inputs``, in the order of their table."""
    single = tuple(Design(block, {block: 1}, components=0) for block in ("pose", "light", "logits")) + tuple(
        Design(block, {block: 1})
        for block in (
            "hog",
            "features",
            *(f"stage{i}_{how}" for i in range(3, 8) for how in ("mean", "std")),
            *(f"stage{i}_grid" for i in range(3, 7)),
        )
    )
    mean, grid = {"stage6_mean": 1.0}, {"stage6_grid": 1.0}
    joined = (
        Design("stage6 mean + grid", {**mean, **grid}),
        Design("stage6 mean + grid + pose", {**mean, **grid, "pose": 0.25}),
        Design("stage6 mean + stage5 mean", {**mean, "stage5_mean": 1}, components=0),
        Design("stage6 mean + stages 5, 7", {**mean, "stage5_mean": 1, "stage7_mean": 1}),
        Design("stage6 mean + std", {**mean, "stage6_std": 1}),
        Design("stage6 mean + pose", {**mean, "pose": 0.25}, components=0),
        Design("stage6 mean + light", {**mean, "light": 0.25}, components=0),
        Design("stage6 mean + expression", {**mean, "logits": 0.25}, components=0),
        Design("stage6 mean + histograms", {**mean, "hog": 1}),
        Design("stage6 mean + features", {**mean, "features": 1}),
    )
    whole = Design("stage6 mean, all components", mean, components=0)
    fits = (
        whole,
        *(replace(whole, name=f"{whole.name}, strength {s}", strength=s) for s in (0.03, 0.1, 1.0, 3.0)),
        replace(whole, name=f"{whole.name}, graded target", graded=True),
        replace(whole, name=f"{whole.name}, people weighed alike", weighting="people"),
    )
    return single + joined + fits
