"""What each found face looks like and shows: crops, pose, quality, colours, scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from engagement.classification.classifier import FaceClassifier
from engagement.faces.chips import cut_chips
from engagement.faces.pose import head_pose
from engagement.faces.quality import assess
from engagement.faces.search import Sighting
from engagement.tracking.appearance import head_colours
from engagement.types import ByteArray, FaceScores, FloatArray

#: From a picture and boxes (n, 4) to face features (n, d) of unit length.
Embed = Callable[[ByteArray, FloatArray], FloatArray]

#: Frames whose faces are scored together, unless this many faces are there sooner: enough to keep the
#: network busy, few enough to hold in memory. Grouped by what the frames show alone, so
#: that neither threads nor processes change a result.
_FRAMES, _FACES = 8, 32


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """A sighting with what its n faces look like.

    Attributes:
        pose: float32 (n, 3) degrees: yaw, pitch, roll.
        quality: float32 (n,), 0-1.
        colours: float32 (n, b), see ``tracking.appearance``.
        chips: uint8 (n, S, S, 3) as the classifier's first network sees them.
        scores: n rows; its identity feature is the evidence of the face.
    """

    sighting: Sighting
    pose: FloatArray
    quality: FloatArray
    colours: FloatArray
    chips: ByteArray
    scores: FaceScores


class FaceDescriber:
    """Describes faces; keeps no state between calls.

    Args:
        classifier: says which crops it needs, and scores them.
        embed: another face feature in place of the classifier's own.
    """

    def __init__(self, classifier: FaceClassifier, embed: Embed | None = None) -> None:
        self.classifier = classifier
        self.embed = embed

    def describe(self, sightings: Iterable[Sighting]) -> Iterator[Described]:
        """Every sighting described, in order."""
        group: list[Sighting] = []
        for sighting in sightings:
            group.append(sighting)
            if len(group) >= _FRAMES or sum(len(s.faces) for s in group) >= _FACES:
                yield from self._group(group)
                group = []
        yield from self._group(group)

    def _group(self, group: list[Sighting]) -> Iterator[Described]:
        specs = self.classifier.chip_specs
        poses = [head_pose(s.faces.landmarks_xy) for s in group]
        chips = [
            [
                cut_chips(s.frame.rgb, s.faces.boxes_xyxy, pose[:, 2], spec)
                for s, pose in zip(group, poses, strict=True)
            ]
            for spec in specs
        ]
        scores = self.classifier.score([np.concatenate(own) for own in chips]) if group else None
        start = 0
        for i, sighting in enumerate(group):
            assert scores is not None
            rows = np.arange(start, start + len(sighting.faces), dtype=np.int64)
            start += len(sighting.faces)
            rgb, boxes = sighting.frame.rgb, sighting.faces.boxes_xyxy
            own = scores.take(rows)
            if self.embed is not None:
                own = replace(own, identity=self.embed(rgb, boxes))
            yield Described(
                sighting,
                poses[i],
                assess(chips[0][i], boxes, poses[i], (rgb.shape[0], rgb.shape[1])),
                head_colours(rgb, boxes),
                chips[0][i],
                own,
            )
