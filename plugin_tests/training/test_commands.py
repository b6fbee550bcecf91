"""``python -m vsdslnet.training``: its commands, and that those of ``weights`` fit what the ones before them leave."""

from __future__ import annotations

import itertools
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from plugin_tests.command_line import run_python
from plugin_tests.paths import SCRIPTS
from vsdslnet.training.__main__ import COMMANDS, main
from vsdslnet.training.config.run import available_schedules

READ_OPTIONS = ("--data", "--dataset", "--tone-dataset", "--start", "--teacher", "--of")


def make_weights(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return run_python("-m", "vsdslnet.training", "weights", *arguments)


def value(command: list[str], option: str) -> str:
    return command[command.index(option) + 1]


def test_every_command_reads_what_was_made_before(tmp_path: Path) -> None:
    listed = make_weights("--data", "material", "--out", tmp_path, "--list")
    assert listed.returncode == 0, listed.stderr
    made = {"material"}
    commands = [shlex.split(line) for line in listed.stdout.splitlines()]
    for command in commands:
        assert command[:3] == ["python", "-m", "vsdslnet.training"]
        assert command[3] in COMMANDS
        read = {given for name, given in itertools.pairwise(command) if name in READ_OPTIONS}
        assert read <= made, command
        if "--schedule" in command:
            assert value(command, "--schedule") in available_schedules()
            made.add(value(command, "--run") + "/ema.safetensors")
        else:
            made.add(value(command, "--out"))
    assert value(commands[-1], "--out") == str(tmp_path / "dslnet-fast.safetensors")
    assert str(tmp_path / "dslnet.safetensors") in made
    assert not list(tmp_path.iterdir())


def test_shares_of_every_average_sum_to_one(tmp_path: Path) -> None:
    listed = make_weights("--data", "material", "--out", tmp_path, "--list")
    blends = [shlex.split(line) for line in listed.stdout.splitlines() if "vsdslnet.training blend" in line]
    assert len(blends) == 4
    for command in blends:
        shares = [float(command[at + 2]) for at, word in enumerate(command) if word == "--of"]
        assert abs(sum(shares) - 1) < 1e-9


def test_it_ends_with_the_command_that_failed(tmp_path: Path) -> None:
    done = make_weights("--data", tmp_path / "nothing", "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "build failed" in done.stderr.splitlines()[-1]
    assert "vsdslnet.training train" not in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_tells_how_to_use_it(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert not ended.value.code
    assert f"python -m vsdslnet.training {name}" in " ".join(capsys.readouterr().out.split())


def test_a_wrong_command_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    told = capsys.readouterr().out
    assert all(f"    {name} " in told for name in COMMANDS)
    with pytest.raises(SystemExit, match="'bild' is no command: build, train"):
        main(["bild"])


def test_what_is_not_installed_is_named_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    for name in [name for name in sys.modules if name.startswith("vsdslnet.training.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(SystemExit, match=r"cv2 is not installed; pip install 'vsdslnet\[train\]'"):
        main(["build", "--help"])


@pytest.mark.parametrize("script", ["train", "build_dataset", "evaluate", "blend", "make_weights", "ablate"])
def test_scripts_are_doors(script: str) -> None:
    """Nothing is written in a script but which command it opens."""
    assert len((SCRIPTS / f"{script}.py").read_text().splitlines()) < 10
