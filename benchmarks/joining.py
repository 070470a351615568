"""Time and memory of joining the tracks of a long session: how both grow with the number of tracks.

    python benchmarks/joining.py 4000 [--people 20]

Made-up tracks: people who keep their seats are seen for eight samples, then lost for six, over and over. Everybody's
tracks are joined at the end of a video, when all of them are known. Run it once for each number: the peak is that of
the process.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time

import numpy as np

from engagement.tracking.persons import PersonsConfig
from engagement.tracking.splitting import find_persons
from engagement.tracking.summary import TrackSummary

_FEATURES, _COLOURS = 128, 84
_SEEN, _LOST = 8, 6  # samples
_NOISE = 0.4  # of features, which have a variance of 1 among people


def made_up(n: int, people: int, rng: np.random.Generator) -> list[TrackSummary]:
    """``n`` tracks of ``people``, each of whom goes on and off in a seat of their own."""
    faces = rng.normal(size=(people, _FEATURES))
    colours = np.full(_COLOURS, 1 / _COLOURS, np.float32)
    tracks: list[TrackSummary] = []
    for number in range(n):
        turn, person = divmod(number, people)
        track = TrackSummary(number, 0)
        feature = faces[person] + rng.normal(size=_FEATURES) * _NOISE
        feature = (feature / np.linalg.norm(feature)).astype(np.float32)
        box = np.array([person * 60, 100, person * 60 + 40, 150], np.float32)
        begin = person + turn * (_SEEN + _LOST)
        for sample in range(begin, begin + _SEEN):
            track.add(sample, box, 0.99, 0.8, feature, colours)
        tracks.append(track)
    return tracks


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tracks", type=int)
    parser.add_argument("--people", type=int, default=20)
    options = parser.parse_args()
    tracks = made_up(options.tracks, options.people, np.random.default_rng(0))
    before = _peak_mb()
    begun = time.monotonic()
    found = find_persons(tracks, PersonsConfig())
    took = time.monotonic() - begun
    persons = len(set(found.person.values()))
    print("| tracks | persons | seconds | peak memory, MB | of that before joining |\n|---|---|---|---|---|")
    print(f"| {len(tracks):,} | {persons} | {took:.1f} | {_peak_mb():.0f} | {before:.0f} |")


def _peak_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


if __name__ == "__main__":
    main()
