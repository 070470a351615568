"""``engagement report``: pages again from saved tables, without video or model; corrections applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engagement.errors import EngagementError, OutputError
from engagement.given import GivenPath

if TYPE_CHECKING:
    from engagement.calibration.store import Calibration
    from engagement.corrections.file import NamesFile
    from engagement.corrections.plan import Plan
    from engagement.timelines.presence import PresenceConfig


@click.command()
@click.argument("output", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--names",
    type=GivenPath(path_type=Path),
    metavar="FILE",
    help="Names, merges, splits, opt-outs; becomes OUTPUT/names.txt.  [default: OUTPUT/names.txt, if any]",
)
@click.option(
    "--calibration",
    type=GivenPath(path_type=Path),
    metavar="FILE|FOLDER",
    help="Personal calibration that `engagement calibrate` wrote.  [default: the one beside each session's tables]",
)
@click.option(
    "--min-presence",
    metavar="SECONDS|PERCENT",
    help="Leave people seen for less out of pages and class curves: 10s, 5%; 0 shows everyone.  [default: as before]",
)
@click.option(
    "--thumbnails/--no-thumbnails",
    default=True,
    help="Keep the pictures that the pages hold, or remove them.  [default: keep]",
)
def report(
    output: Path, names: Path | None, calibration: Path | None, min_presence: str | None, thumbnails: bool
) -> None:
    """Write the pages of OUTPUT (a folder that `engagement analyze` wrote) again from its tables.

    Corrections in OUTPUT/names.txt are applied: `P03: Ana`, `merge P05 into P03`, `split P02 at 12:30 into
    P02 and P09`, `hide P07`. To undo them, change the file and run this again. `opt out P08` cannot be
    undone: it deletes everything about that person. A session's calibration.json is applied, too; delete it
    to get the scores as analysed. Given a folder within OUTPUT, such as that of one session, it does the same
    for the whole of OUTPUT.
    """
    from engagement.batch.lock import alone_in
    from engagement.batch.processes import interrupted_when_terminated
    from engagement.results import RIGHTS, RUN, require_results, root_of, sweep, writable
    from engagement.timelines.presence import parse_presence

    presence = None if min_presence is None else parse_presence(min_presence)
    given, output = output, root_of(output)
    if output != given:
        click.echo(f"{given} lies within the results of {output}: all of these are written again")
    if not (output / RUN).is_file():
        require_results(output)  # before a lock is put into somebody else's folder
    writable(output, RIGHTS)
    with interrupted_when_terminated(), alone_in(output):
        sweep(output)  # what was left behind may be about somebody who opts out
        _write_again(output, names, calibration, presence, thumbnails)


def _write_again(
    output: Path,
    names: Path | None,
    calibration: Path | None,
    presence: PresenceConfig | None,
    thumbnails: bool,
) -> None:
    """Correct every session and write the index; one that cannot be written keeps none of the others.

    Raises:
        OutputError: naming the sessions that were not written.
    """
    from engagement.batch.index import take_up
    from engagement.corrections.calibrated import described
    from engagement.corrections.file import read_names
    from engagement.corrections.folder import correct_folder
    from engagement.corrections.names import adopt, names_written
    from engagement.reports.render import render_index, write_assets
    from engagement.results import require_results
    from engagement.wording import count

    folders = require_results(output, click.echo)
    plans = _plans(read_names(names) if names else names_written(output), folders, output)
    calibrations = _calibrations(calibration, plans, output)
    if names:
        adopt(names, output)
    write_assets(output)
    failed: list[str] = []
    for folder, (plan, state) in plans.items():
        name = folder.relative_to(output).as_posix()
        try:
            summary = correct_folder(
                folder, output, plan, presence, state, pictures=thumbnails, calibration=calibrations[folder]
            )
        except EngagementError as error:
            click.echo(f"{name}: {error}", err=True)
            failed.append(name)
            continue
        for note in (_note(plan), *described(summary)):
            if note:
                click.echo(f"{name}: {note}")
    take_up(output)
    page = render_index(output) if (output / "run.json").is_file() else output
    click.echo(f"{count(len(folders) - len(failed), 'session')} written again: {page}")
    if failed:
        raise OutputError(
            f"not written again, and as before: {', '.join(failed)}",
            "What they need is said above; then give this command again.",
        )


def _plans(names: NamesFile, folders: list[Path], output: Path) -> dict[Path, tuple[Plan, str]]:
    """What the file means for each result, before anything is written.

    Raises:
        ConfigError: naming every mistake of the file.
        DataError: a result is damaged, or too old to be corrected like this.
    """
    from engagement.corrections.file import matching, meant
    from engagement.corrections.folder import plan_folder, state_of
    from engagement.corrections.mistakes import raise_mistakes
    from engagement.corrections.names import listed_videos, video_of

    videos = {video_of(folder, output): folder for folder in folders}
    lines, mistakes = names.lines_of(list(videos))
    # Of a video that failed there is nothing to be corrected yet.
    waiting = listed_videos(output)
    for section in names.sections:
        if section.title and not matching(section.title, list(videos)) and matching(section.title, waiting):
            mistakes = [m for m in mistakes if m.line != section.line]
            click.echo(f"{names.path}, line {section.line}: [{section.title}] has no results yet")
        elif section.lines and (video := meant(section.title, list(videos))):
            # A mistake already, so nothing will be applied; what else is wrong below is told at once.
            _, wrong = plan_folder(videos[video], [*lines[video], *section.lines])
            below = {line.line for line in section.lines}
            mistakes += [
                replace(m, remedy=f"{m.remedy} This is so if line {section.line} means {video}.".lstrip())
                for m in wrong
                if m.line in below
            ]
    plans: dict[Path, tuple[Plan, str]] = {}
    for video, folder in videos.items():
        plan, wrong = plan_folder(folder, lines[video])
        plans[folder] = plan, state_of(lines[video])
        mistakes += wrong
    raise_mistakes(names.path, names.mistakes(mistakes))
    return plans


def _calibrations(
    path: Path | None, plans: Mapping[Path, tuple[Plan, str]], output: Path
) -> dict[Path, Calibration | None]:
    """The calibration that is given for each session, checked before anything is written; None for the one that it has.

    Raises:
        ConfigError: what is given is for none of these sessions, or would replace other labels.
        DataError: a file is damaged or belongs to other weights, or a result is too old to be calibrated.
    """
    from engagement.calibration.find import find_calibrations, require_nothing_lost, require_scores
    from engagement.calibration.store import FILE
    from engagement.corrections.calibrated import stored
    from engagement.corrections.folder import require_samples
    from engagement.corrections.names import video_of
    from engagement.results import read_summary
    from engagement.timelines.session_summary import NOTHING

    relative = {folder: video_of(folder, output) for folder in plans}
    found = (
        find_calibrations(path, {video.relative: video.file for video in relative.values()}) if path else {}
    )
    calibrations = {folder: found.get(video.relative) for folder, video in relative.items()}
    for folder, (plan, _) in plans.items():
        given, own = calibrations[folder], stored(folder)
        if given is not None:
            require_scores(given, (read_summary(folder) or NOTHING).models, str(relative[folder]))
            require_nothing_lost(given, own, folder / FILE)
        require_samples(folder, plan, calibrated=(given or own) is not None)
    return calibrations


def _note(plan: Plan) -> str:
    """What was done to one session, in a line; empty for nothing."""
    from engagement.wording import count

    parts = [
        count(len(plan.names), "name") if plan.names else "",
        f"{len(plan.merged)} merged" if plan.merged else "",
        f"{len(plan.splits)} split" if plan.splits else "",
        f"{len(plan.hidden)} hidden (still in the tables)" if plan.hidden else "",
        "everything about who opted out was deleted" if plan.erases.any() else "",
    ]
    if plan.taken_back:
        back = ", ".join(sorted(plan.taken_back))
        parts.append(f"{back} opted out earlier and was deleted: `engagement analyze` brings them back")
    return ", ".join(part for part in parts if part)
