"""The project can be installed, with all that is not Python too."""

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
UV = Path(sys.executable).with_name("uv")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    # Offline: uv brings its own build backend, which is the one that pyproject.toml names.
    command = [UV, "build", "--wheel", "--offline", "--quiet", "--out-dir", folder, ROOT]
    subprocess.run(command, check=True)
    (built,) = folder.glob("*.whl")
    return built


def test_a_wheel_holds_every_file_of_the_packages(wheel):
    source = {
        str(path.relative_to(ROOT))
        for package in ("pools", "proxysite")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    for folder in ("migrations", "templates", "static"):
        assert any(name.startswith(f"pools/{folder}/") for name in source)
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if not name.endswith("/")}
    assert {name for name in held if ".dist-info/" not in name} == source


def test_an_installed_wheel_works_without_the_clone(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    for command in (["check", "--fail-level", "WARNING"], ["migrate", "--verbosity", "0"]):
        subprocess.run(
            [sys.executable, "-m", "django", *command],
            env={
                **os.environ,
                "PYTHONPATH": str(tmp_path / "site"),
                "DJANGO_SETTINGS_MODULE": "proxysite.settings",
                "DATA_DIR": str(tmp_path / "data"),
            },
            cwd=tmp_path,
            check=True,
        )


def test_its_version_is_the_projects(wheel):
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert wheel.name.startswith(f"proxysite-{version}-")
