"""Short clips, runs over them in this process or another, and comparison of what they wrote."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from engagement.batch.lock import LOCK
from engagement.batch.options import Crew
from engagement.batch.runner import run_batch
from engagement.batch.status import VideoStatus
from engagement.batch.tasks import Setup
from engagement.config import AnalysisConfig
from engagement.faces.options import MtcnnConfig
from engagement.inference import openvino_there
from engagement.video.discover import discover
from engagement.video.sampling import SamplingConfig

#: Not the GPU of a machine that has one: these tests compare bytes.
DEVICE = "openvino" if openvino_there() else "cpu"

#: Quick to analyse; the same for the command line and for :func:`run`.
OPTIONS = ("--sample-rate", "3", "--min-face", "40", "--device", DEVICE)
CONFIG = AnalysisConfig(sampling=SamplingConfig(3.0), detection=MtcnnConfig(min_face_px=40))

_PATIENCE_S = 240


def cut(source: Path, target: Path, seconds: float) -> Path:
    """The beginning of a video, half as large."""
    scale = ("-vf", "scale=480:-2", "-an", "-threads", "1")
    command = ["ffmpeg", "-v", "error", "-i", source, "-t", str(seconds), *scale, target]
    subprocess.run(list(map(str, command)), check=True)
    return target


class Silent:
    """A reporter that remembers, and does something when a video is under way.

    Args:
        when_under_way: called once, with the first report of a video.
    """

    def __init__(self, when_under_way: Callable[[], None] = lambda: None) -> None:
        self.seen: set[str] = set()
        self.notes: list[str] = []
        self._do: Callable[[], None] | None = when_under_way

    def video_at(self, name: str, time_s: float, duration_s: float | None) -> None:
        self.seen.add(name)
        if self._do is not None:
            do, self._do = self._do, None
            do()

    def video_ends(self, status: VideoStatus) -> None:
        pass

    def note(self, message: str) -> None:
        self.notes.append(message)


def run(
    inputs: Sequence[Path],
    out: Path | str,
    crew: Crew | None = None,
    config: AnalysisConfig = CONFIG,
    reporter: Silent | None = None,
) -> dict[str, VideoStatus]:
    """Analyse; the status of each video by its output folder."""
    statuses = run_batch(discover(inputs), Setup(str(out), config, DEVICE), reporter or Silent(), crew)
    return {status.output: status for status in statuses}


def start(*args: object) -> subprocess.Popen[bytes]:
    """``engagement …`` as a process of its own."""
    command = [sys.executable, "-m", "engagement", *map(str, args)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=Path(__file__).parents[2],
        # Tests that run in the background of a shell ignore Ctrl-C; what they start must not inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Return as soon as something is so while a process runs; fail when it ends first."""
    for _ in range(_PATIENCE_S * 50):
        if condition():
            return
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
        raise AssertionError(f"the process ended before: {process.stdout and process.stdout.read()!r}")
    raise AssertionError("it never happened")


def results(out: Path) -> dict[str, str]:
    """Hash of every file of every video, by its path: not of what belongs to the run as a whole."""
    shared = {"run.json", "index.html", LOCK}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        for path in sorted(out.rglob("*"))
        if path.is_file()
        and (name := path.relative_to(out).as_posix()) not in shared
        and not name.startswith("report_assets/")
    }


def finished(out: Path) -> set[str]:
    """Output folders of the videos that are through."""
    return {p.parent.name for p in out.glob("[!.]*/summary.json")}


def left_under_way(out: Path) -> list[Path]:
    return list(out.rglob(".engagement-partial-*"))
