"""What we depend on, and that nothing is fetched at run time."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib

from plugin_tests.encode.media import make_clip
from plugin_tests.reliability.children import ROOT, how_it_ended
from plugin_tests.reliability.figures import Figure, Options, exactly, none_of
from plugin_tests.small_network import save_small_network

__all__ = ["measure"]

# Distributions whose module has another name.
MODULES = {
    "accelerate": "accelerate",
    "opencv-python-headless": "cv2",
    "openexr": "OpenEXR",
    "pillow": "PIL",
    "vapoursynth-bestsource": "bs",
    "vapoursynth-scenechange": "scd",
}
# Plugins of VapourSynth are not imported: the core loads them under these names.
BROUGHT = {"triton"}
"""Comes with PyTorch where there is CUDA, and is asked for nowhere else."""
NAMESPACES = {"bs", "scd"}

# Python calls this in every process that finds it: sockets are noted and refused.
OFFLINE = """
import os, sys
def refuse(event, arguments):
    if event in ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        with open(os.environ["OFFLINE_LOG"], "a") as log:
            log.write(f"{event} {arguments!r:.100}\\n")
        raise OSError("sockets are disabled")
sys.addaudithook(refuse)
"""

SCRIPT = """
import socket, sys
import vapoursynth as vs
try:
    socket.create_connection(("127.0.0.1", 9))
except OSError:
    print("refused")
clip = vs.core.std.BlankClip(format=vs.YUV420P8, width=32, height=32, length=3)
for frame in vs.core.dslnet.Convert(clip, model=sys.argv[1], scene_cuts="detect").frames(close=True):
    print(frame.props["_Transfer"])
from vsdslnet.cli import main
main(sys.argv[2:])
"""


def measure(options: Options) -> list[Figure]:
    """Declared and used alike, every one with a floor and a reason; no socket in a script or an encode."""
    lines = dependency_lines()
    loose = [line for line in lines if not re.search(r'>=[\d.]+[";]', line) or "#" not in line]
    undeclared, unused = imports_against_declarations()
    return [
        none_of("dependencies have a floor and a reason", loose, len(lines), "dependencies"),
        exactly("run-time dependencies that are never imported", ", ".join(unused) or 0, 0),
        exactly("modules imported that no dependency brings", ", ".join(undeclared) or 0, 0),
        offline(options),
        *audit(),
    ]


def dependency_lines() -> list[str]:
    """The lines of pyproject.toml that ask for a distribution by version, tools of development aside."""
    text = (ROOT / "pyproject.toml").read_text()
    wanted = text[text.index("\ndependencies") : text.index("\ndev = ")]
    return [line.strip() for line in wanted.splitlines() if re.search(r'"[\w\[\]-]+[><=]', line)]


def imports_against_declarations() -> tuple[list[str], list[str]]:
    """Modules without a declaration; distributions of the run time that the package never imports."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    everything = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    declared = {_module(each) for each in everything}
    used: set[str] = set()
    sources = list((ROOT / "vsdslnet").rglob("*.py"))
    for source in sources:
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Import):
                used |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                used.add(node.module.partition(".")[0])
    text = "\n".join(source.read_text() for source in sources)
    used |= {name for name in NAMESPACES if re.search(rf"\bcore\.{name}\b", text)}
    foreign = used - set(sys.stdlib_module_names) - {"vsdslnet"} - NAMESPACES - BROUGHT
    unused = {_module(each) for each in project["dependencies"]} - used
    return sorted(foreign - declared), sorted(unused)


def _module(requirement: str) -> str:
    name = re.match(r"[\w-]+", requirement)
    assert name is not None
    return MODULES.get(name[0].lower(), name[0].lower().replace("-", "_"))


def offline(options: Options) -> Figure:
    """A script and then a whole encode, with its worker, in processes that can't open a socket."""
    folder = options.folder
    (folder / "sitecustomize.py").write_text(OFFLINE)
    log = folder / "sockets.log"
    paths = [str(folder), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OFFLINE_LOG": str(log)}
    model = save_small_network(folder / "offline.safetensors", cheapest=True)
    source = make_clip(folder / "in.mkv", frames=10, width=64, height=48)
    encode = [
        "encode",
        source,
        "-o",
        folder / "out.mkv",
        "--model",
        model,
        "--preset",
        "draft",
        "--encoder",
        "av",
        "-q",
    ]
    command = [sys.executable, "-c", SCRIPT, *map(str, [model, *encode])]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=600)
    failures = [how_it_ended(done)] if done.returncode else []
    asked = log.read_text().splitlines() if log.exists() else []
    if len(asked) < 1:
        failures.append("the guard did not see the socket that the script opened on purpose")
    return none_of("a script and an encode run with sockets disabled", failures + asked[1:], 2, "runs")


def audit() -> list[Figure]:
    """pip-audit's word on the installed distributions, where it is installed and can ask."""
    program = shutil.which("pip-audit")
    if program is None:
        return []
    done = subprocess.run(
        [program, "--progress-spinner", "off", "--local", "--strict"],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    found = [line for line in done.stdout.splitlines() if re.match(r"\S+\s+[\d.]+\s+(PYSEC|GHSA|CVE)", line)]
    if done.returncode and not found:
        return []  # it can't reach its database, or does not know all of them
    return [exactly("known vulnerabilities of installed distributions (pip-audit)", "; ".join(found) or 0, 0)]
