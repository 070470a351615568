"""Which device networks run on, and threads that give way to decoding."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from engagement.device import choose, for_torch, give_way, of_torch


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere priority belongs to the process")
def test_giving_way_concerns_the_calling_thread_alone_and_never_raises_it() -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    seen: list[int] = []

    def work() -> None:
        give_way()
        seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
        give_way()  # raising it again needs rights that a user has not
        seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [max(before, 15), 19]
    assert os.getpriority(os.PRIO_PROCESS, 0) == before


@pytest.mark.parametrize(("said", "policy"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_the_command_has_waiting_threads_sleep_before_torch_is_there(said: str | None, policy: str) -> None:
    asked = (
        "import atexit, os, sys\n"
        "from engagement.cli import main\n"
        "atexit.register(lambda: print(os.environ.get('OMP_WAIT_POLICY'), 'torch' in sys.modules))\n"
        "sys.argv = ['engagement', '--version']\n"
        "main()\n"
    )
    own = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    own |= {"OMP_WAIT_POLICY": said} if said else {}
    done = subprocess.run([sys.executable, "-c", asked], env=own, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == f"{policy} False"


@pytest.mark.parametrize(
    ("cuda", "mps", "found"), [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_torch_alone_takes_a_gpu_where_one_works(
    cuda: bool, mps: bool, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: cuda)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: mps)
    assert for_torch() == found
    assert of_torch(choose("auto")) == found


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only some systems grant cores by process")
def test_only_cores_that_were_granted_are_counted() -> None:
    code = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); "
    code += "from engagement.batch.processes import decode_threads; print(decode_threads(1))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "1\n"
