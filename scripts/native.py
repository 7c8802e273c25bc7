#!/usr/bin/env python
"""Makes the native build: scripts/native.py; `pools.native` says what it is.

Wants a C compiler, the headers of Python, and requirements-native.txt installed.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ["NATIVE"] = "0"

from pools import native  # noqa: E402 - the path had to be set

# Calls among the modules are direct ones then, and some are inlined: a tenth less time.
LINKED_AS_ONE = "-fno-semantic-interposition -fno-plt -flto=auto"


def main() -> None:
    if shutil.which(os.environ.get("CC") or "cc") is None:
        sys.exit("there is no C compiler: on Debian and Ubuntu, apt install gcc libc6-dev")
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        version = sysconfig.get_python_version()
        sys.exit(
            "the headers of Python are missing: "
            f"on Debian and Ubuntu, apt install python{version}-dev"
        )
    if sys.platform == "linux":
        os.environ["CFLAGS"] = f"{LINKED_AS_ONE} {os.environ.get('CFLAGS', '')}"
    os.chdir(ROOT)
    # Made of what is there now: what changes meanwhile makes the build unfit.
    made_of = native.made_of()
    native.NATIVE_DIR.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=native.NATIVE_DIR.parent) as scratch:
        built = Path(scratch) / "built"
        _compile(built, Path(scratch) / "work")
        files = {
            _module(path.relative_to(built)): str(path.relative_to(built))
            for path in built.rglob("*.so")
        }
        (built / native.MANIFEST.name).write_text(
            json.dumps({"made_of": made_of, "files": files})
        )
        shutil.rmtree(native.NATIVE_DIR, ignore_errors=True)
        built.rename(native.NATIVE_DIR)
    print(f"compiled {len(native.MODULES)} modules into {native.NATIVE_DIR.relative_to(ROOT)}")


def _compile(into: Path, work: Path) -> None:
    from mypyc.build import mypycify
    from setuptools import Distribution

    work.mkdir()
    config = work / "mypy.ini"
    config.write_text("[mypy]\nfollow_imports = silent\nignore_missing_imports = true\n")
    extensions = mypycify(
        [
            f"--config-file={config}",
            *(str(native.source(name).relative_to(ROOT)) for name in native.MODULES),
        ],
        opt_level="3",
        debug_level="0",
        group_name="proxysite",
        target_dir=str(work / "c"),
    )
    distribution = Distribution({"name": "proxysite", "ext_modules": extensions})
    command = distribution.get_command_obj("build_ext")
    command.build_lib, command.build_temp = str(into), str(work / "objects")
    command.ensure_finalized()
    command.run()


def _module(file: Path) -> str:
    return ".".join([*file.parts[:-1], file.name.partition(".")[0]])


if __name__ == "__main__":
    main()
