"""One suite over every video backend and every clip.

Where a backend is known to fall short, FAULTS says how, and the suite holds it to exactly that: a fault
that is gone, or a new one, fails a test.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterable
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest

from engagement.errors import VideoError
from engagement.types import Frame
from engagement.video import BACKENDS, open_video
from engagement.video.reader import UNFINISHED
from tests import faulty_media, media
from tests.media import Clip

REFUSED, TURN_UNKNOWN, STAMPS_IGNORED, OPENED = "refused", "turn unknown", "stamps ignored", "opened"

FAULTS: dict[tuple[str, str], str] = {
    # Containers in which decord finds wrong pictures or nonsensical times.
    ("decord", "avi_without_pts"): REFUSED,
    ("decord", "program_stream"): REFUSED,
    ("decord", "transport_stream"): REFUSED,
    ("decord", "windows_media"): REFUSED,
    ("decord", "cut_mp4"): REFUSED,
    ("decord", "repeated_stamps"): REFUSED,
    ("decord", "restarted_clock"): REFUSED,
    # It turns the picture but does not say by how much.
    ("decord", "rotated_90"): TURN_UNKNOWN,
    ("decord", "rotated_180"): TURN_UNKNOWN,
    ("decord", "rotated_270"): TURN_UNKNOWN,
    # OpenCV times these by the mean rate, so that it gives the repeated frames too.
    ("opencv", "repeated_stamps"): STAMPS_IGNORED,
    # ... and takes a cover picture for a video.
    ("opencv", "sound_with_cover"): OPENED,
}

TIME_TOLERANCE_S: dict[str, float] = {"pyav": 1e-9, "opencv": 1e-6, "decord": 1e-6}

Shelf = Callable[[str], Clip]

ALL_CLIPS: dict[str, Callable[[Path], Clip]] = {
    **media.WHOLE_CLIPS,
    **faulty_media.CUT_CLIPS,
    "damaged": faulty_media.damaged,
    "repeated_stamps": faulty_media.repeated_stamps,
    "restarted_clock": faulty_media.restarted_clock,
    "changing_size": faulty_media.changing_size,
}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """Clips by name, each made once."""
    folder, made = tmp_path_factory.mktemp("clips"), dict[str, Clip]()

    def take(name: str) -> Clip:
        if name not in made:
            made[name] = ALL_CLIPS[name](folder)
        return made[name]

    return take


def fault(backend: str, name: str) -> str:
    return FAULTS.get((backend, name), "")


def over(names: Iterable[str]) -> pytest.MarkDecorator:
    """Every backend with every clip that it is not known to refuse."""
    pairs = [(b, n) for b in BACKENDS for n in names if fault(b, n) != REFUSED]
    return pytest.mark.parametrize(("backend", "name"), pairs, indirect=["backend"])


@pytest.mark.parametrize(
    ("backend", "name"), [pair for pair, how in FAULTS.items() if how == REFUSED], indirect=["backend"]
)
def test_what_a_backend_reads_wrongly_it_refuses(backend: str, name: str, shelf: Shelf) -> None:
    path = shelf(name).path
    with pytest.raises(VideoError) as caught:
        open_video(path, backend)
    assert str(path) in caught.value.message
    assert caught.value.hint


@over(media.WHOLE_CLIPS)
def test_index_picture_time_and_orientation_belong_together(backend: str, name: str, shelf: Shelf) -> None:
    clip = shelf(name)
    with open_video(clip.path, backend) as reader:
        frames = [ticket.frame() for ticket in reader.tickets()]
        assert [frame.index for frame in frames] == list(range(len(clip.times_s)))
        assert [media.read_code(frame.rgb) for frame in frames] == list(clip.codes)
        np.testing.assert_allclose(
            [frame.time_s for frame in frames], clip.times_s, atol=TIME_TOLERANCE_S[backend], rtol=0
        )
        assert frames[0].time_s == 0
        assert all(a.time_s < b.time_s for a, b in pairwise(frames))
        assert {frame.rgb.shape for frame in frames} == {(clip.height, clip.width, 3)}
        assert all(frame.rgb.flags.c_contiguous for frame in frames)
        if clip.upright:
            assert media.corner_colours(frames[0].rgb) == tuple(media.CORNERS)
        assert reader.outcome.complete, reader.outcome.reason
        assert reader.outcome.frames_decoded == len(frames)
        assert reader.outcome.last_time_s == frames[-1].time_s
        longest_s = max([*np.diff(clip.times_s), 0.04]) + 2 * TIME_TOLERANCE_S[backend]
        assert 0 < reader.outcome.end_s - frames[-1].time_s <= longest_s
        assert not reader.outcome.frames_dropped


@over(media.WHOLE_CLIPS)
def test_info_states_the_displayed_picture(backend: str, name: str, shelf: Shelf) -> None:
    clip = shelf(name)
    with open_video(clip.path, backend) as reader:
        info = reader.info
        assert (info.width, info.height) == (clip.width, clip.height)
        assert info.rotation_deg == (0 if fault(backend, name) == TURN_UNKNOWN else clip.rotation_deg)
        assert info.path == clip.path
        assert info.backend == backend
        if backend == "pyav":
            assert info.duration_s is not None
            # A program stream's end is only estimated by FFmpeg.
            assert name == "program_stream" or info.duration_s >= clip.times_s[-1]


@pytest.mark.parametrize("read_first", [False, True], ids=["at_once", "after_reading"])
@over(media.WHOLE_CLIPS)
def test_random_access_gives_the_frame_on_display(
    backend: str, name: str, shelf: Shelf, read_first: bool
) -> None:
    clip = shelf(name)
    with open_video(clip.path, backend) as reader:
        if read_first:
            for _ in reader.tickets():
                pass
        # Between two frames the earlier one is on display; outside the clip the first and the last.
        wanted = [(t, k) for k, t in enumerate(clip.times_s)]
        wanted += [((a + b) / 2, k) for k, (a, b) in enumerate(pairwise(clip.times_s))]
        wanted += [(-1.0, 0), (clip.times_s[-1] + 100.0, len(clip.times_s) - 1)]
        random.Random(4).shuffle(wanted)
        for time_s, index in wanted[:25]:
            frame = reader.frame_at(time_s)
            assert (frame.index, media.read_code(frame.rgb)) == (index, clip.codes[index]), f"at {time_s}"
            assert frame.time_s == pytest.approx(clip.times_s[index], abs=TIME_TOLERANCE_S[backend])
            assert frame.rgb.shape == (clip.height, clip.width, 3)


@over(["b_frames", "uneven_mkv", "rotated_90"])
def test_random_access_does_not_disturb_a_running_pass(backend: str, name: str, shelf: Shelf) -> None:
    clip = shelf(name)
    with open_video(clip.path, backend) as reader:
        codes = []
        for ticket in reader.tickets():
            if ticket.index in (0, 3, len(clip.times_s) - 1):
                reader.frame_at(clip.times_s[5])
            codes.append(media.read_code(ticket.load()))
        assert codes == list(clip.codes)


def test_a_pass_can_be_repeated_and_left_early(backend: str, shelf: Shelf) -> None:
    clip = shelf("b_frames")
    with open_video(clip.path, backend) as reader:
        assert reader.outcome == UNFINISHED
        assert not reader.outcome.complete
        beginning = list(islice(reader.tickets(), 5))
        assert len(beginning) == 5
        assert reader.outcome == UNFINISHED
        for _ in range(2):
            assert [media.read_code(t.load()) for t in reader.tickets()] == list(clip.codes)
            assert reader.outcome.complete


@over(["b_frames", "avi_without_pts", "restarted_clock"])
def test_random_access_leaves_the_outcome_alone(backend: str, name: str, shelf: Shelf) -> None:
    clip = shelf(name)
    with open_video(clip.path, backend) as reader:
        reader.frame_at(clip.times_s[-1])
        assert reader.outcome == UNFINISHED
        for _ in reader.tickets():
            pass
        outcome = reader.outcome
        reader.frame_at(clip.times_s[-1])
        assert reader.outcome == outcome
        assert outcome.complete


@pytest.mark.parametrize("name", [*media.WHOLE_CLIPS, *faulty_media.CUT_CLIPS, "damaged", "restarted_clock"])
def test_reading_from_the_middle_gives_the_frames_of_the_whole(backend: str, name: str, shelf: Shelf) -> None:
    """Same times, pictures and outcome; the index counts from the first frame given."""
    if fault(backend, name) == REFUSED:
        return
    clip = shelf(name)
    with open_video(clip.path, backend) as reader:
        until_s = reader.splittable_until()
        if until_s is None:
            unsought = ("avi_without_pts", "avi_mpeg4", "program_stream", "restarted_clock")
            assert backend != "pyav" or name in unsought
            return
        whole = [(t.time_s, media.read_code(t.load())) for t in reader.tickets()]
        outcome = reader.outcome
    last_s = whole[-1][0]
    assert until_s >= last_s
    for start_s in {min(start, last_s) for start in (0.0, 0.001, 0.5, 0.77, 1.2, last_s)}:
        with open_video(clip.path, backend, threads=1) as reader:
            part = [(t.index, t.time_s, media.read_code(t.load())) for t in reader.tickets_from(start_s)]
            assert [p[1:] for p in part] == [w for w in whole if w[0] >= start_s]
            assert [p[0] for p in part] == list(range(len(part)))
            if name != "damaged" or start_s == 0:  # what is damaged may lie before
                found = reader.outcome
                assert (found.complete, found.reason) == (outcome.complete, outcome.reason)


def test_reading_left_in_the_middle_is_whole_as_far_as_it_went(shelf: Shelf) -> None:
    with open_video(shelf("b_frames").path, "pyav") as reader:
        tickets = reader.tickets_from(0.4)
        assert [t.index for t in islice(tickets, 5)] == [0, 1, 2, 3, 4]
        assert not reader.outcome.complete
        tickets.close()
        assert reader.outcome.complete


def test_closing_twice_is_harmless(backend: str, shelf: Shelf) -> None:
    reader = open_video(shelf("steady").path, backend)
    reader.frame_at(0.1)
    reader.close()
    reader.close()


@over(faulty_media.CUT_CLIPS)
def test_a_cut_file_gives_what_is_there_and_says_so(backend: str, name: str, shelf: Shelf) -> None:
    clip = shelf(name)
    with open_video(clip.path, backend) as reader:
        frames = [ticket.frame() for ticket in reader.tickets()]
        count = len(frames)
        assert 0.3 * len(clip.times_s) < count < 0.8 * len(clip.times_s)
        assert [media.read_code(frame.rgb) for frame in frames] == list(clip.codes[:count])
        np.testing.assert_allclose([f.time_s for f in frames], clip.times_s[:count], atol=1e-6)
        assert reader.outcome.frames_decoded == count
        if reader.detects_truncation:
            assert not reader.outcome.complete
            assert f"{frames[-1].time_s:.2f} s of 8.00 s" in reader.outcome.reason
        assert reader.frame_at(100.0).index == count - 1


def test_a_damaged_middle_keeps_both_ends(backend: str, shelf: Shelf) -> None:
    """The default reader goes on behind the damage with right times; others may stop, but only cleanly."""
    clip = shelf("damaged")
    frames: list[Frame] = []
    with open_video(clip.path, backend) as reader:
        try:
            for ticket in reader.tickets():
                frames.append(ticket.frame())
        except VideoError:
            assert backend == "decord"
    assert all(a.time_s < b.time_s for a, b in pairwise(frames))
    if backend == "decord":
        return  # where it stops, and which neighbours it shows instead, changes from run to run
    codes = [media.read_code(frame.rgb) for frame in frames]
    np.testing.assert_allclose([f.time_s for f in frames], [clip.times_s[c] for c in codes], atol=1e-6)
    assert len(codes) > 80
    if reader.detects_truncation:
        assert codes[-1] == clip.codes[-1]
        assert not reader.outcome.complete
        assert reader.outcome.packets_damaged >= 1
        assert "damaged" in reader.outcome.reason


@over(["repeated_stamps", "restarted_clock"])
def test_times_increase_whatever_the_stamps_do(backend: str, name: str, shelf: Shelf) -> None:
    clip = shelf(name)
    with open_video(clip.path, backend) as reader:
        frames = [ticket.frame() for ticket in reader.tickets()]
        assert all(a.time_s < b.time_s for a, b in pairwise(frames))
        if fault(backend, name) == STAMPS_IGNORED:
            assert not reader.exact_times
            return
        assert [media.read_code(frame.rgb) for frame in frames] == list(clip.codes)
        np.testing.assert_allclose([frame.time_s for frame in frames], clip.times_s, atol=1e-6)
        assert reader.outcome.frames_dropped == (3 if name == "repeated_stamps" else 0)
        assert ("time stamp" if name == "repeated_stamps" else "anew") in reader.outcome.reason
        for index in (len(frames) - 1, len(frames) // 2, 0):
            frame = reader.frame_at(clip.times_s[index])
            assert (frame.index, media.read_code(frame.rgb)) == (index, clip.codes[index])


@over(["changing_size"])
def test_a_changing_picture_size_is_scaled_to_the_first(backend: str, name: str, shelf: Shelf) -> None:
    clip = shelf(name)
    with open_video(clip.path, backend) as reader:
        frames = [ticket.frame() for ticket in reader.tickets()]
        assert {frame.rgb.shape for frame in frames} == {(clip.height, clip.width, 3)}
        assert [media.read_code(frame.rgb) for frame in frames] == list(clip.codes)
        larger = reader.outcome.shrunk_from
        assert larger == ((2 * clip.width, 2 * clip.height) if backend == "pyav" else (0, 0))
        assert reader.frame_at(clip.times_s[-1]).rgb.shape == (clip.height, clip.width, 3)


@pytest.mark.parametrize("name", faulty_media.NO_VIDEOS)
def test_what_is_no_video_is_refused_in_one_clear_line(backend: str, name: str, tmp_path: Path) -> None:
    path = faulty_media.NO_VIDEOS[name](tmp_path)
    if fault(backend, name) == OPENED:
        with open_video(path, backend) as reader:
            assert len(list(reader.tickets())) == 1
        return
    with pytest.raises(VideoError) as caught:
        open_video(path, backend)
    assert str(path) in caught.value.message
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    if backend == "pyav" and name.startswith("sound"):
        assert "no video stream" in caught.value.message
    if name.startswith("photograph"):
        assert "is a picture" in caught.value.message


def test_an_unreadable_file_is_named(backend: str, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    path = shelf("steady").path
    opened = Path.open

    def refuse(self: Path, mode: str = "r") -> object:
        if self == path:
            raise PermissionError(13, "Permission denied", str(self))
        return opened(self, mode)

    # Not chmod: the superuser of a build machine may read everything.
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(VideoError, match="Permission denied") as caught:
        open_video(path, backend)
    assert str(path) in caught.value.message
    assert "permissions" in caught.value.hint


def test_relative_names_are_no_protocols_or_options(
    backend: str, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("-i.mp4", "12.30 http:x.mp4"):
        Path(name).write_bytes(shelf("steady").path.read_bytes())
        with open_video(name, backend) as reader:
            assert next(iter(reader.tickets())).index == 0


def test_nothing_is_printed_by_the_libraries(backend: str, shelf: Shelf, tmp_path: Path) -> None:
    """In a process of its own: the libraries write to the descriptor, past what Python can catch."""
    names = ["cut_mp4", "cut_mkv", "damaged", "transport_stream", "repeated_stamps"]
    paths = [shelf(name).path for name in names]
    paths += [faulty_media.text(tmp_path), faulty_media.no_index(tmp_path), faulty_media.sound_only(tmp_path)]
    code = """
import json, sys
from engagement.errors import VideoError
from engagement.video import open_video
for path in json.loads(sys.argv[2]):
    try:
        with open_video(path, sys.argv[1]) as reader:
            for ticket in reader.tickets():
                ticket.load()
            reader.frame_at(1.0)
    except VideoError:
        pass
"""
    result = subprocess.run(
        [sys.executable, "-c", code, backend, json.dumps([str(path) for path in paths])],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_only_the_asked_for_pictures_are_converted(backend: str, shelf: Shelf) -> None:
    with open_video(shelf("steady").path, backend) as reader:
        wanted = [t.load() for t in reader.tickets() if t.index % 10 == 7]
        assert [media.read_code(rgb) for rgb in wanted] == [7, 17, 27, 37]
