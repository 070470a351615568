"""Who is who over a session, measured on sessions composed of single-person clips.

    pip install "trackeval>=1.3" --no-deps
    python -m benchmarks.sessions CLIP... --cache FOLDER                      composed detections
    python -m benchmarks.sessions CLIP... --cache FOLDER --evidence           each kind of evidence alone
    python -m benchmarks.sessions CLIP... --cache FOLDER --render --people 9  drawn videos, whole pipeline

Every clip shows one known person. Scenarios (benchmarks/sessions_scenarios.py) put them into a gallery of 4, 9
and 16: fixed seats with absences of 10-60 s, joining late, light that goes down, seats changed with and without
an absence, coarse coding, tiles laid out anew whenever somebody joins or leaves, tiles that cut faces, walking past
each other, hard cuts between speakers in the same place, a large speaker above small pictures of the others, or (drawn
only) of all.
Thresholds were chosen on the first, third, … clip of the list ("tuned"), the second, fourth, … ("held out") were scored
afterwards; "all" is both together.
TrackEval is installed without its dependencies, since its opencv-python would replace the headless build.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from zlib import crc32

import numpy as np

from benchmarks.sessions_composed import Session, render
from benchmarks.sessions_scenarios import DRAWN, SCENARIOS
from benchmarks.sessions_scores import Rows, Scores, score
from benchmarks.sessions_streams import Library, Sight, follow, stream
from engagement.config import AnalysisConfig
from engagement.pipeline import Analyzer
from engagement.tracking.persons import PersonsConfig
from engagement.types import FloatArray

KINDS = {
    "face": ("face",),
    "colours": ("colours",),
    "seat": ("seat",),
    "face + colours": ("face", "colours"),
    "face + seat": ("face", "seat"),
    "face + colours + seat": ("face", "colours", "seat"),
    "colours + seat + session (--identity appearance)": ("colours", "seat", "session"),
    "face + colours + seat + session (default)": None,
}


def casts(
    clips: Sequence[Path], counts: Sequence[int], scenario: str, seeds: int, seconds: float
) -> Iterator[tuple[str, int, list[Path], Session]]:
    """(pool, number of people, their clips, session) of a scenario; the same every time."""
    tuned, held_out = clips[0::2], clips[1::2]
    for pool, members in {"tuned": tuned, "held out": held_out, "all": clips}.items():
        for count in counts:
            for seed in range(seeds):
                # Half of the people are enough for small sessions.
                if count <= len(members) and (members is not clips or count > len(tuned)):
                    rng = np.random.default_rng((seed, count, crc32(scenario.encode())))
                    people = [members[i] for i in rng.permutation(len(members))[:count]]
                    yield pool, count, people, {**SCENARIOS, **DRAWN}[scenario](count, seconds, rng)


def true_rows(sights: Sequence[Sight]) -> Rows:
    """True faces of a stream; of who is in two places for a moment, the one that was drawn first."""
    kept: dict[tuple[int, int], FloatArray] = {}
    for sample, sight in enumerate(sights):
        for name, box in zip(sight.true.tolist(), sight.faces.boxes_xyxy, strict=True):
            if name >= 0:
                kept.setdefault((sample, name), box)
    return Rows(
        np.array([s for s, _ in kept], np.int64),
        np.array([n for _, n in kept], np.int64),
        np.array(list(kept.values()), np.float32).reshape(-1, 4),
    )


def composed(sights: Sequence[Sight], config: PersonsConfig, evidence: Sequence[str] | None = None) -> Scores:
    """Tracker and joining on composed detections."""
    found = follow(sights, persons=config, evidence=evidence)
    named = found.person >= 0
    rows = Rows(found.sample[named], found.person[named], found.box[named])
    return score(true_rows(sights), rows, len(sights))


def rendered(session: Session, sights: Sequence[Sight], people: Sequence[Path], analyzer: Analyzer) -> Scores:
    """The whole pipeline on a drawn video; faces that it does not find count as missed."""
    with tempfile.TemporaryDirectory() as folder:
        video = render(session, people, Path(folder) / "session.mp4", crf=23)
        result = analyzer.analyze_video(video)
    rows, named = result.records.rows, result.person >= 0
    found = Rows(rows["sample"][named], result.person[named], rows["box"][named])
    return score(true_rows(sights), found, len(sights))


def row(name: str, scores: Sequence[Scores]) -> str:
    """A line of the table: means, the worst IDF1, and in how many sessions the count is exact."""
    mean = {k: float(np.mean([getattr(s, k) for s in scores])) for k in Scores.__dataclass_fields__}
    exact = sum(s.count_error == 0 for s in scores)
    return (
        f"| {name} | {mean['idf1']:.3f} | {min(s.idf1 for s in scores):.3f} | {mean['hota']:.3f} "
        f"| {exact} of {len(scores)} | {np.mean([s.count_error for s in scores]):.2f} "
        f"| {mean['bcubed_precision']:.3f} / {mean['bcubed_recall']:.3f} |"
    )


HEAD = "IDF1 | worst | HOTA | count exact | count error | B-cubed P / R |\n|" + "---|" * 7


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--cache", type=Path, required=True, help="folder for descriptions of the clips")
    parser.add_argument("--people", type=int, nargs="+", default=[4, 8, 9, 16])
    parser.add_argument("--seeds", type=int, default=2, help="sessions of each kind")
    parser.add_argument("--seconds", type=float, default=150)
    parser.add_argument("--scenarios", nargs="+", default=list(SCENARIOS), choices=[*SCENARIOS, *DRAWN])
    parser.add_argument("--identity", default="auto")
    parser.add_argument("--evidence", action="store_true", help="each kind of evidence alone")
    parser.add_argument("--render", action="store_true", help="draw the sessions and analyse the videos")
    options = parser.parse_args()
    if not options.render and (drawn := DRAWN.keys() & set(options.scenarios)):
        parser.error(f"{', '.join(sorted(drawn))}: only with --render")
    config = PersonsConfig(identity=options.identity)
    library = Library(options.clips, options.cache)
    judges: dict[str, Callable[[Session, list[Sight], list[Path]], Scores]]
    if options.evidence:
        judges = {
            name: lambda _session, sights, _people, kinds=kinds: composed(sights, config, kinds)
            for name, kinds in KINDS.items()
        }
    elif options.render:
        analyzer = Analyzer(AnalysisConfig(persons=config, thumbnails=False))
        judges = {"": lambda session, sights, people: rendered(session, sights, people, analyzer)}
    else:
        judges = {"": lambda _session, sights, _people: composed(sights, config)}
    results = []
    print(f"| {'evidence' if options.evidence else 'scenario, people'} | {HEAD}", flush=True)
    for scenario in options.scenarios:
        cells = casts(options.clips, options.people, scenario, options.seeds, options.seconds)
        for pool, count, people, session in cells:
            sights = stream(session, people, library)
            for name, judge in judges.items():
                results.append((scenario, pool, count, name, judge(session, sights, people)))
        if not options.evidence:
            groups = dict.fromkeys((pool, count) for name, pool, count, *_ in results if name == scenario)
            for key in groups:
                own = [r[-1] for r in results if r[0] == scenario and r[1:3] == key]
                print(row(f"{scenario}, {key[1]} ({key[0]})", own), flush=True)
    for name in judges if options.evidence else ():
        print(row(name, [v for *_, kind, v in results if kind == name]))
    if not options.evidence:
        print(row("every session", [v for *_, v in results]))


if __name__ == "__main__":
    main()
