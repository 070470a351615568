"""``engagement doctor``: is everything here that an analysis needs?"""

from __future__ import annotations

import click

from engagement.errors import EngagementError

#: Modules without which no analysis ends.
_NEEDED = (
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "torch",
    "cv2",
    "safetensors",
    "jinja2",
    "plotly",
    "rich",
    "filelock",
)


@click.command()
def doctor() -> int:
    """Check packages, weights and devices; exit status 1 when something is wrong."""
    from engagement.provenance import versions

    good = True
    for name, version in versions().items():
        click.echo(f"{name:26}{version}")
    for title, check in (
        ("needed packages", _packages),
        ("torchvision operators", _operators),
        ("video readers", _readers),
        ("detectors", _detectors),
        ("weights", _weights),
        ("packages of our own", _siblings),
        ("device", _device),
    ):
        try:
            click.echo(f"{title:26}{check()}")
        except Exception as error:  # a broken package may raise anything
            good = False
            click.echo(f"{title:26}PROBLEM: {error}")
    return 0 if good else 1


def _operators() -> str:
    from engagement.compat import load_torchvision, operators_load

    own = operators_load()
    load_torchvision()
    if own:
        return "load"
    return (
        "do not load: this torch and torchvision are different builds (often a CPU torch beside a CUDA "
        "torchvision). engagement stands in for the one it needs and works; to mend it, reinstall both "
        "from one index, for example pip install --force-reinstall torch torchvision"
    )


def _readers() -> str:
    import importlib

    from engagement.video import AUTO_BACKEND, LIBRARIES

    found: list[str] = []
    for name, module in LIBRARIES.items():
        try:
            importlib.import_module(module)
            found.append(name)
        except Exception:
            found.append(f"{name} (not installed, optional)" if name == "decord" else f"{name} (missing)")
    told = f"{', '.join(found)}; auto is {AUTO_BACKEND}"
    if AUTO_BACKEND not in found:
        raise EngagementError(told, "Reinstall engagement with its dependencies.")
    return told


def _packages() -> str:
    """Whether what every analysis needs can be imported: a version in the list above says no more than that it is there."""
    import importlib

    from engagement.compat import load_torchvision

    broken: list[str] = []
    for module in (*_NEEDED, "facenet_pytorch"):
        try:
            if module == "facenet_pytorch":  # it imports torchvision
                load_torchvision()
            importlib.import_module(module)
        except Exception as error:
            broken.append(f"{module} ({error})")
    if broken:
        raise EngagementError(
            f"{', '.join(broken)} cannot be imported", "Reinstall engagement with its dependencies."
        )
    return "import"


def _detectors() -> str:
    from engagement.faces.plugins import describe

    return describe()


def _weights() -> str:
    from engagement.weights.store import load_weights, manifest

    entries = manifest()
    for name, entry in entries.items():
        load_weights(name, entry["kind"])
    return f"{', '.join(entries)}: present and unaltered"


def _siblings() -> str:
    from engagement.siblings import check_sibling

    for name in ("temporal", "training", "reports_templates"):
        check_sibling(name)
    return "temporal, training, reports_templates are ours"


def _device() -> str:
    from engagement.device import choose

    chosen = choose("auto")
    if chosen == "cpu":
        return "cpu (OpenVINO is not installed or does not load; pip install openvino: an analysis takes less time)"
    return chosen
