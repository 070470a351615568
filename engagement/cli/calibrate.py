"""``engagement calibrate``: a few labels per person that shift this session's estimates of learner states."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from engagement.errors import ConfigError
from engagement.labels import LEARNER_STATES

if TYPE_CHECKING:
    from engagement.labelling.session import Answer, Proposal, Session

_STATES = LEARNER_STATES.classes


@click.command()
@click.argument("output", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--moments", type=int, default=6, show_default=True, help="Moments of each person, at most.")
@click.option(
    "--state",
    "states",
    type=click.Choice(_STATES),
    multiple=True,
    help="Ask about this state alone; repeatable.",
)
@click.option(
    "--person", "persons", multiple=True, metavar="P01", help="Ask about this person alone; repeatable."
)
@click.option(
    "--labels",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="CSV",
    help="Take labels from a file (video,person,time_s,state,present) instead of a page.",
)
@click.option("--list", "listing", is_flag=True, help="Print the moments as such a CSV, to fill in, and end.")
@click.option(
    "--refit", is_flag=True, help="Fit the labels there are again: after other weights, or with other priors."
)
@click.option(
    "--prior",
    type=float,
    help="How far labels may move one person from the session, logits.  [default: as before, else 0.75]",
)
@click.option(
    "--session-prior",
    type=float,
    help="How far they may move the session as a whole, logits.  [default: as before, else 0.5]",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port of the page.  [default: any free one]"
)
@click.option(
    "--browser/--no-browser",
    default=True,
    show_default=True,
    help="Open the page, or print its address only.",
)
def calibrate(
    output: Path,
    moments: int,
    states: tuple[str, ...],
    persons: tuple[str, ...],
    labels: Path | None,
    listing: bool,
    refit: bool,
    prior: float | None,
    session_prior: float | None,
    port: int,
    browser: bool,
) -> None:
    """Label a few moments per person of OUTPUT (a folder that `engagement analyze` wrote), and fit to them.

    A page on this computer shows the moments that tell most: uncertain ones, spread over time. Answer yes, no
    or cannot say. Each session keeps what was fitted in its calibration.json; `engagement report OUTPUT`
    applies it, and so does `engagement analyze --calibration` on the same video. All estimates of a person are
    shifted alike: when they rise and fall does not change.
    """
    ways = {"--list": listing, "--labels": labels is not None, "--refit": refit}
    instead = [option for option, given in ways.items() if given]
    if len(instead) > 1:
        raise ConfigError("--list, --labels and --refit exclude one another", "Give one of them.")
    if instead:
        _refuse_idle(instead[0])
    from engagement.calibration.fit import PriorConfig
    from engagement.labelling.labels import listed, read_labels
    from engagement.labelling.proposals import ProposalConfig
    from engagement.labelling.session import open_sessions, proposals_of

    said = {"person_sd": prior, "session_sd": session_prior}
    priors = {name: value for name, value in said.items() if value is not None}
    PriorConfig(**priors)  # a wrong one is said before anything is labelled
    config = ProposalConfig(moments)
    sessions = open_sessions(output, partial(click.echo, err=True))
    asked = [s for s in _STATES if s in states] or list(_STATES)
    if labels is not None:
        _store(sessions, read_labels(labels, sessions), priors)
        return
    if refit:
        _store(sessions, {s.folder: [] for s in sessions if s.earlier}, priors)
        return
    wanted = _wanted(persons, sessions)
    found = [
        (session, [m for m in proposals_of(session, config, asked) if not wanted or m.person in wanted])
        for session in sessions
    ]
    if listing:
        click.echo(listed([(s, m) for s, own in found for m in own], asked), nl=False)
        return
    found = [part for part in found if part[1]]
    if not found:
        hidden = any(session.everybody and not session.people for session in sessions)
        raise ConfigError(
            "there is no moment to label: "
            + ("everybody is hidden" if hidden else "nobody has a usable picture"),
            "`engagement report --min-presence 0` shows everybody." if hidden else "Try another recording.",
        )
    _store(sessions, _ask(found, asked, port, browser), priors)


def _refuse_idle(instead: str) -> None:
    """Options that choose moments mean nothing where no moment is chosen, nor those of a page or fit without one.

    Args:
        instead: --list, --labels or --refit, of which one is given.

    Raises:
        ConfigError: naming them.
    """
    if instead == "--list":
        named = {"--prior": "prior", "--session-prior": "session_prior"}
    else:
        named = {"--moments": "moments", "--state": "states", "--person": "persons"}
    named |= {"--port": "port", "--browser": "browser"}
    source = click.get_current_context().get_parameter_source
    idle = [option for option, name in named.items() if source(name) is not ParameterSource.DEFAULT]
    if idle:
        nothing = "nothing is fitted or shown" if instead == "--list" else "nothing is asked"
        raise ConfigError(
            f"{', '.join(idle)} cannot be used with {instead}: {nothing}",
            f"Leave out {' and '.join(idle)}, or {instead}.",
        )


def _wanted(persons: tuple[str, ...], sessions: list[Session]) -> set[str]:
    from engagement.corrections.notation import person_id

    known = {person for session in sessions for person in session.people}
    wanted: set[str] = set()
    for text in persons:
        try:
            person = person_id(text)
        except ValueError:
            person = text
        if person not in known:
            raise ConfigError(
                f"--person {text} is not in these sessions", f"Known: {', '.join(sorted(known)) or 'nobody'}."
            )
        wanted.add(person)
    return wanted


def _ask(
    found: list[tuple[Session, list[Proposal]]], states: list[str], port: int, browser: bool
) -> dict[Path, list[Answer]]:
    """Show the page until it is done."""
    import threading
    import webbrowser

    from engagement.batch.processes import interrupted_when_terminated
    from engagement.labelling.pictures import pictures_of
    from engagement.labelling.serve import LabelServer
    from engagement.results import RIGHTS, writable

    for session, _ in found:
        writable(session.folder, RIGHTS)  # or it would be said when all is answered
    shown = []
    for session, moments in found:
        pictures, reason = pictures_of(session, moments)
        if reason:
            click.echo(f"{session.video}: no pictures, {reason}", err=True)
        shown.append((session, moments, pictures, reason))
    server = LabelServer(shown, states, port)
    click.echo(f"Label the moments at {server.url} (Ctrl-C ends, and keeps what was answered)")
    if browser:
        # In a thread: one for the terminal returns when it is left, and waits for a page that is not yet served.
        threading.Thread(target=webbrowser.open, args=(server.url,), daemon=True).start()
    try:
        with interrupted_when_terminated():
            server.run()
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
    answers: dict[Path, list[Answer]] = {}
    for session, answer in server.answers():
        answers.setdefault(session.folder, []).append(answer)
    return answers


def _store(sessions: list[Session], answers: dict[Path, list[Answer]], prior: Mapping[str, float]) -> None:
    """:func:`engagement.labelling.storing.store`, and what to do next."""
    from engagement.labelling.storing import store

    if not store(sessions, answers, prior, say=click.echo, warn=partial(click.echo, err=True)):
        click.echo("No label, nothing was written.")
        return
    command = shlex.join(["engagement", "report", str(sessions[0].root)])
    click.echo(f"Put this into effect: {command}")
