"""scripts/make_weights.py: every command fits the script it calls and what the ones before it leave."""

from __future__ import annotations

import itertools
import shlex
import subprocess
import sys
from pathlib import Path

from plugin_tests.paths import SCRIPTS
from vsdslnet.training.config.run import available_schedules

SCRIPT = SCRIPTS / "make_weights.py"

READ_OPTIONS = ("--data", "--pool", "--tone-pool", "--start", "--of")


def make_weights(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False)


def value(command: list[str], option: str) -> str:
    return command[command.index(option) + 1]


def test_every_command_reads_what_was_made_before(tmp_path: Path) -> None:
    listed = make_weights("--data", "material", "--out", tmp_path, "--list")
    assert listed.returncode == 0, listed.stderr
    made = {"material"}
    commands = [shlex.split(line) for line in listed.stdout.splitlines()]
    for command in commands:
        assert Path(command[1]).is_file()
        read = {given for name, given in itertools.pairwise(command) if name in READ_OPTIONS}
        assert read <= made, command
        if "--schedule" in command:
            assert value(command, "--schedule") in available_schedules()
            made.add(value(command, "--run") + "/ema.safetensors")
        else:
            made.add(value(command, "--out"))
    assert value(commands[-1], "--out") == str(tmp_path / "dslnet.safetensors")
    assert not list(tmp_path.iterdir())


def test_shares_of_every_average_sum_to_one(tmp_path: Path) -> None:
    listed = make_weights("--data", "material", "--out", tmp_path, "--list")
    blends = [shlex.split(line) for line in listed.stdout.splitlines() if "blend.py" in line]
    assert len(blends) == 2
    for command in blends:
        shares = [float(command[at + 2]) for at, word in enumerate(command) if word == "--of"]
        assert abs(sum(shares) - 1) < 1e-9


def test_it_ends_with_the_command_that_failed(tmp_path: Path) -> None:
    done = make_weights("--data", tmp_path / "nothing", "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "build_dataset.py failed" in done.stderr.splitlines()[-1]
    assert "train.py" not in done.stdout
