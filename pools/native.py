"""The native build: the modules of the request path, compiled to machine code by mypyc.

Rules:
- It is optional: without it the same sources run as Python, only slower. `make native`
  makes it, in NATIVE_DIR, outside of the packages.
- It is used only where it was made of the very sources that are here, by this Python;
  otherwise the sources run, and `problem` says why.
- NATIVE=0 runs the sources in any case; NATIVE=1 starts only with the build in use.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
NATIVE_DIR = ROOT / "build" / "native"
MANIFEST = NATIVE_DIR / "manifest.json"

# What runs for each request, and what that looks at.
MODULES = (
    "pools.core.compiled",
    "pools.core.cookies",
    "pools.core.counters",
    "pools.core.engine",
    "pools.core.exchange",
    "pools.core.headers",
    "pools.core.hops",
    "pools.core.mending",
    "pools.core.names",
    "pools.core.passive",
    "pools.core.request",
    "pools.core.retry",
    "pools.core.routing",
    "pools.core.runtime",
    "pools.core.target",
    "pools.gateway.access_log",
    "pools.gateway.attempts",
    "pools.gateway.downstream",
    "pools.gateway.forwarding",
    "pools.gateway.gateway",
    "pools.gateway.heads",
    "pools.gateway.idle",
    "pools.gateway.queues",
    "pools.gateway.reader",
    "pools.gateway.records",
    "pools.gateway.requests",
    "pools.gateway.upload",
    "pools.gateway.upstream",
    "pools.wire.ids",
    "pools.wire.parser",
)

in_use = False
problem = ""  # why it is not, where there is one


class _Finder(MetaPathFinder):
    """Finds the compiled modules before Python finds their sources."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = files

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        file = self._files.get(name)
        return None if file is None else spec_from_file_location(name, NATIVE_DIR / file)


def source(module: str) -> Path:
    return ROOT / (module.replace(".", "/") + ".py")


def made_of() -> dict[str, str]:
    """What a build depends on: this Python and the sources, by their digests."""
    digests = {name: hashlib.sha256(source(name).read_bytes()).hexdigest() for name in MODULES}
    return {"python": str(sysconfig.get_config_var("EXT_SUFFIX")), **digests}


def unfit() -> str:
    """Why there is no build that can be used; "": there is one."""
    return _unfit(_read_manifest())


def use() -> None:
    """Has the modules imported from the build, where that can be. Called once, before any of
    them is. Raises SystemExit where NATIVE=1 asks for what is not there."""
    global in_use, problem
    wanted = os.environ.get("NATIVE", "")
    if wanted == "0":
        return
    manifest = _read_manifest()
    found = _unfit(manifest)
    if found and wanted == "1":
        raise SystemExit(f"NATIVE=1: {found}")
    if found:
        problem = found if manifest else ""
    elif manifest:
        sys.meta_path.insert(0, _Finder(manifest["files"]))
        in_use = True


def _read_manifest() -> Mapping[str, Mapping[str, str]]:
    """Empty: there is no build."""
    try:
        found: Mapping[str, Mapping[str, str]] = json.loads(MANIFEST.read_bytes())
        return found
    except FileNotFoundError:
        return {}


def _unfit(manifest: Mapping[str, Mapping[str, str]]) -> str:
    if not manifest:
        return "there is no native build: make native"
    if manifest["made_of"] != made_of():
        return "the native build is of other sources or another Python: make native"
    return ""
