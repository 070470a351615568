"""``engagement report``: pages again from saved tables, without video or model; corrections applied."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from engagement.calibration.store import Calibration
    from engagement.corrections.file import NamesFile
    from engagement.corrections.plan import Plan


@click.command()
@click.argument("output", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--names",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Names, merges, splits, opt-outs; becomes OUTPUT/names.txt.  [default: OUTPUT/names.txt, if any]",
)
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    metavar="FILE|FOLDER",
    help="Personal calibration that `engagement calibrate` wrote.  [default: the one that lies with each session]",
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
    P02 and P09`, `hide P07`. They can be taken back by changing the file and calling this again. `opt out
    P08` cannot: it deletes everything about that person. Without a names file everybody is as analysed.
    A session's calibration.json is applied, too; take it away to have the scores as analysed. Given a folder
    within OUTPUT, such as that of one session, it does the same for the whole of OUTPUT.
    """
    from engagement.batch.results import require_results, root_of
    from engagement.corrections.calibrated import described
    from engagement.corrections.file import read_names
    from engagement.corrections.folder import correct_folder
    from engagement.corrections.names import adopt, names_of
    from engagement.reports.render import render_index, write_assets
    from engagement.reports.theme import count
    from engagement.timelines.presence import parse_presence

    presence = parse_presence(min_presence) if min_presence else None
    given_folder, output = output, root_of(output)
    if output != given_folder:
        click.echo(f"{given_folder} lies within the results of {output}: all of these are written again")
    folders = require_results(output, click.echo)
    given = read_names(names) if names else names_of(output)
    plans = _plans(given, folders, output)
    calibrations = _calibrations(calibration, plans, output)
    if names:
        adopt(names, output)
    write_assets(output)
    for folder, (plan, state) in plans.items():
        summary = correct_folder(
            folder,
            output,
            plan,
            presence,
            state,
            pictures=thumbnails,
            calibration=calibrations[folder],
        )
        for note in (_note(plan), *described(summary)):
            if note:
                click.echo(f"{folder.relative_to(output)}: {note}")
    written = render_index(output) if (output / "run.json").is_file() else output
    click.echo(f"{count(len(folders), 'session')} written again: {written}")


def _plans(names: NamesFile, folders: list[Path], output: Path) -> dict[Path, tuple[Plan, str]]:
    """What the file means for each result, before anything is written.

    Raises:
        ConfigError: naming every mistake of the file.
        DataError: a result is damaged, or too old to be corrected like this.
    """
    from engagement.corrections.file import raise_mistakes
    from engagement.corrections.folder import plan_folder, state_of
    from engagement.corrections.names import video_of

    videos = {video_of(folder, output): folder for folder in folders}
    lines, mistakes = names.lines_of(list(videos))
    plans: dict[Path, tuple[Plan, str]] = {}
    for video, folder in videos.items():
        plan, wrong = plan_folder(folder, lines[video])
        plans[folder] = plan, state_of(lines[video])
        mistakes += wrong
    raise_mistakes(names.path, mistakes)
    return plans


def _calibrations(
    path: Path | None, plans: Mapping[Path, tuple[Plan, str]], output: Path
) -> dict[Path, Calibration | None]:
    """The calibration of each session, given or there already, read before anything is written.

    Raises:
        ConfigError: what is given is for none of these sessions.
        DataError: a file is damaged, or a result too old to be calibrated.
    """
    from engagement.calibration.find import find_calibrations
    from engagement.corrections.calibrated import stored
    from engagement.corrections.folder import require_samples
    from engagement.corrections.names import video_of

    relative = {folder: video_of(folder, output) for folder in plans}
    found = (
        find_calibrations(path, {video.relative: video.file for video in relative.values()}) if path else {}
    )
    calibrations = {folder: found.get(video.relative) or stored(folder) for folder, video in relative.items()}
    for folder, (plan, _) in plans.items():
        require_samples(folder, plan, calibrated=calibrations[folder] is not None)
    return calibrations


def _note(plan: Plan) -> str:
    """What was done to one session, in a line; empty for nothing."""
    from engagement.reports.theme import count

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
