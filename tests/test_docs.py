"""The documentation says what there is."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
DOCS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


def variables():
    source = (ROOT / "proxysite" / "environment.py").read_text()
    return set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', source))


def test_every_environment_variable_has_its_heading_and_no_other_has():
    text = (ROOT / "docs" / "settings.md").read_text().partition("## Environment variables")[2]
    assert set(re.findall(r"^### (\w+)$", text, re.MULTILINE)) == variables()


def test_tests_run_without_the_environments_variables():
    """Whatever a developer has set."""
    source = (ROOT / "tests" / "settings.py").read_text()
    assert variables() <= set(re.findall(r'"([A-Z_]+)"', source))


def test_every_option_of_serve_and_gateway_is_told():
    folder = ROOT / "pools" / "management"
    source = "".join(
        file.read_text() for file in (folder / "options.py", folder / "commands" / "serve.py")
    )
    text = (ROOT / "docs" / "deployment.md").read_text()
    options = re.findall(r'"(--[a-z-]+)"', source)
    assert options
    assert [option for option in options if f"| `{option}" not in text] == []


@pytest.mark.parametrize("file", DOCS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(file):
    for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", file.read_text()):
        assert (file.parent / target).exists(), f"{file.name} links to {target}"


def test_compose_passes_variables_that_there_are():
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    passed = set(compose["x-app"]["environment"]) - {"PGPASSWORD"}
    assert passed < variables()


def test_compose_builds_the_image_once():
    """Builds of one tag side by side race for it; the others must not look for it in a
    registry instead."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    ours = [service for service in services.values() if service["image"] == "proxysite"]
    (builder,) = [service for service in ours if "build" in service]
    assert builder["pull_policy"] == "build"
    others = [service for service in ours if service is not builder]
    assert {service["pull_policy"] for service in others} == {"never"}


def test_compose_has_no_default_for_a_secret():
    text = (ROOT / "docker-compose.yml").read_text()
    for name in ("SECRET_KEY", "POSTGRES_PASSWORD"):
        uses = re.findall(rf"\$\{{{name}[^}}]*\}}", text)
        assert uses
        assert all(use.startswith(f"${{{name}:?") for use in uses)
