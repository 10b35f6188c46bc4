"""What the comparison runs on: the Python peers, the Rust peers, seqfuse, and the machine."""

import os
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
VENV = HERE / ".venv"
REQUIREMENTS = HERE / "requirements.txt"


def python_of_peers():
    """The Python in which the peers are installed, which are installed where they are not."""
    python = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = VENV / "installed.txt"
    wanted = REQUIREMENTS.read_text(encoding="utf-8")
    if not done.is_file() or done.read_text(encoding="utf-8") != wanted:
        print(f"installing the Python peers into {VENV}", file=sys.stderr, flush=True)
        venv.create(VENV, with_pip=True)
        install = [python, "-m", "pip", "install", "--quiet", "--requirement", REQUIREMENTS]
        subprocess.run(list(map(str, install)), check=True)
        done.write_text(wanted, encoding="utf-8")
    return python


def _cargo(arguments, folder):
    print(f"building: cargo {' '.join(arguments)}", file=sys.stderr, flush=True)
    subprocess.run(["cargo", *arguments], cwd=folder, check=True)


def rust_peers():
    """The program that runs tract and rten, built where it is not."""
    _cargo(["build", "--release", "--quiet"], HERE / "peers")
    return HERE / "peers" / "target" / "release" / "seqfuse-bench-peers"


def seqfuse():
    """The seqfuse command, built."""
    _cargo(["build", "--release", "--quiet", "--bin", "seqfuse"], ROOT)
    return ROOT / "target" / "release" / "seqfuse"


def machine():
    """What can be said about the machine: its processor, its cores, how busy it is."""
    name, flags = "an unknown processor", set()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                name = value.strip()
            if key.strip() == "flags":
                flags = set(value.split())
    sets = [flag for flag in ("avx2", "fma", "avx512f") if flag in flags]
    return {"cpu": name, "cores": os.cpu_count(), "instruction_sets": sets, "load": load()}


def load():
    """The load average of the last minute; `None` where the system tells none."""
    try:
        return round(os.getloadavg()[0], 2)
    except OSError:
        return None


def revision():
    """The commit that is checked out, with `+` where files were changed since."""
    def git(*arguments):
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
