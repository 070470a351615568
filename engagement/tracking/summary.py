"""What is kept of a track: numbers enough to compare it with others, no pictures, in memory only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from engagement.types import FloatArray, IndexArray

#: Samples in which two tracks are both seen, in order, and whether they are the same picture around each.
Alike = tuple[IndexArray, NDArray[np.bool_]]

_PIECE_SAMPLES = 10  # a piece is no longer than this, but for a short one that is given back to it
_PIECE_SHORTEST = 3
_PIECE_ALIKE = 0.75  # cosine with the piece so far below which a new one begins

#: Weight that a useless crop still has: a track of nothing but poor crops has an appearance, too.
_LEAST_WEIGHT = 0.02

#: Heads bowed or turned away may be sharp and frontal by their landmarks, and look like each other. The detector
#: doubts them: detection scores at which a crop says nothing of who it is, and at which it counts in full.
_DOUBTED = (0.5, 0.9)


@dataclass(slots=True, eq=False)
class Piece:
    """A second or two of a track that look alike.

    Attributes:
        start: which of the track's samples it begins with.
        samples: how many it has.
        first_box, last_box: (4,), where it begins and ends.
        weight, identity, colours: sums, as in :class:`TrackSummary`; float32.
    """

    start: int
    samples: int
    first_box: FloatArray
    last_box: FloatArray
    weight: float
    identity: FloatArray
    colours: FloatArray

    def take(self, later: Piece) -> None:
        """Add one that follows at once."""
        self.samples += later.samples
        self.last_box = later.last_box
        self.weight += later.weight
        self.identity += later.identity
        self.colours += later.colours


@dataclass(slots=True, eq=False)
class TrackSummary:
    """A track as it grows: enough to compare it, no pictures; embeddings stay in memory.

    Attributes:
        track_id, shot: id within the video, and the shot it lies in.
        samples: index of each sampled frame it was seen in, increasing.
        identity_sum: (d,) sum of face features, each times its quality; weight is the sum of qualities.
        colours_sum: (b,) sum of colour histograms.
        pieces: the track in short pieces, so that one that ran on with somebody else can be split.
        part_of: for a part of a track that was split, that track's id.
        fades: sample from which it may only be fading out: seen together from then on says nothing.
        alike: other tracks, as the tracker had them, that show the same picture -> when.
    """

    track_id: int
    shot: int
    samples: list[int] = field(default_factory=list)
    score_sum: float = 0.0
    weight: float = 0.0
    identity_sum: FloatArray | None = None
    colours_sum: FloatArray | None = None
    pieces: list[Piece] = field(default_factory=list)
    best_score: float = 0.0
    part_of: int | None = None
    fades: int | None = None
    alike: Mapping[int, Alike] = field(default_factory=dict)

    def add(
        self,
        sample: int,
        box: FloatArray,
        score: float,
        quality: float,
        identity: FloatArray,
        colours: FloatArray,
    ) -> None:
        """Take one more sight of the face into account."""
        weight = quality * float(np.interp(score, _DOUBTED, (0, 1))) + _LEAST_WEIGHT
        weighted = identity * weight
        self._into_piece(Piece(len(self.samples), 1, box, box, weight, weighted.copy(), colours.copy()))
        self.samples.append(sample)
        self.score_sum += score
        self.best_score = max(self.best_score, score)
        self.weight += weight
        self.identity_sum = weighted if self.identity_sum is None else self.identity_sum + weighted
        self.colours_sum = colours.copy() if self.colours_sum is None else self.colours_sum + colours

    def _into_piece(self, sight: Piece) -> None:
        last = self.pieces[-1] if self.pieces else None
        if last is not None:
            fits = last.samples < _PIECE_SAMPLES and _alike(last.identity, sight.identity)
            if fits or (last.samples < _PIECE_SHORTEST and not self._returns()):
                last.take(sight)
                return
        self.pieces.append(sight)

    def _returns(self) -> bool:
        """Give the last piece back to the one before, if that looks like it, and say whether it was: one too short to
        stand alone would else mix with whoever comes next, and the change between them lie within it."""
        if len(self.pieces) < 2:
            return False
        before, last = self.pieces[-2:]
        if before.samples > _PIECE_SAMPLES or not _alike(before.identity, last.identity):
            return False
        before.take(last)
        del self.pieces[-1]
        return True

    @property
    def first_box(self) -> FloatArray:
        """(4,) where it began."""
        return self.pieces[0].first_box

    @property
    def last_box(self) -> FloatArray:
        """(4,) where it ended."""
        return self.pieces[-1].last_box

    @property
    def origin(self) -> int:
        """The track as the tracker had it."""
        return self.track_id if self.part_of is None else self.part_of

    @property
    def mean_score(self) -> float:
        return self.score_sum / max(len(self.samples), 1)

    def moved(self, track_id: int, samples: int, shots: int) -> TrackSummary:
        """The same track in another numbering: a new id, samples and shots shifted."""
        return replace(
            self, track_id=track_id, shot=self.shot + shots, samples=[s + samples for s in self.samples]
        )

    def followed_by(self, later: TrackSummary) -> TrackSummary:
        """One track of this and another that is the same face, read from a later stretch of the video."""
        n = len(self.samples)
        return TrackSummary(
            self.track_id,
            self.shot,
            samples=self.samples + later.samples,
            score_sum=self.score_sum + later.score_sum,
            weight=self.weight + later.weight,
            identity_sum=_sum(self.identity_sum, later.identity_sum),
            colours_sum=_sum(self.colours_sum, later.colours_sum),
            pieces=[*self.pieces, *(replace(piece, start=piece.start + n) for piece in later.pieces)],
            best_score=max(self.best_score, later.best_score),
        )

    @property
    def side_px(self) -> float:
        """Longer side of the face's box, mean of where it began and ended."""
        return float(np.mean([(box[2:4] - box[:2]).max() for box in (self.first_box, self.last_box)]))

    def part(self, track_id: int, first: int, last: int) -> TrackSummary:
        """The track from piece ``first`` to before piece ``last``, as a track of its own."""
        pieces = self.pieces[first:last]
        start, stop = pieces[0].start, pieces[-1].start + pieces[-1].samples
        samples = self.samples[start:stop]
        return TrackSummary(
            track_id,
            self.shot,
            samples=samples,
            score_sum=self.mean_score * len(samples),
            weight=sum(p.weight for p in pieces),
            identity_sum=np.sum([p.identity for p in pieces], axis=0),
            colours_sum=np.sum([p.colours for p in pieces], axis=0),
            pieces=[replace(p, start=p.start - start) for p in pieces],
            best_score=self.best_score,
            part_of=self.track_id,
            alike=self.alike,
        )


def shown_twice(a: TrackSummary, b: TrackSummary) -> list[int]:
    """Samples that both are seen in, if they are the same picture in more than half of them; else none."""
    if b.origin not in a.alike:
        return []
    shared, same = a.alike[b.origin]
    first, end = max(a.samples[0], b.samples[0]), min(a.samples[-1], b.samples[-1]) + 1
    here = slice(*np.searchsorted(shared, [first, end]))
    return shared[here].tolist() if 2 * np.count_nonzero(same[here]) > len(shared[here]) else []


def _sum(a: FloatArray | None, b: FloatArray | None) -> FloatArray | None:
    return b if a is None else a if b is None else a + b


def _alike(a: FloatArray, b: FloatArray) -> bool:
    """Whether two sums of face features look so alike that they may be of one piece."""
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return length <= 0 or float(a @ b) >= _PIECE_ALIKE * length
