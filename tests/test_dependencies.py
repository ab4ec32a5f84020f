"""No dependency may change under a user's feet: bounds in pyproject.toml, exact versions in the requirements."""

import re
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.numpy_only
ROOT = Path(__file__).resolve().parents[1]


def bounds() -> dict:
    """{package: its bounds} of pyproject.toml, all extras included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = [*project["dependencies"], *(line for lines in project["optional-dependencies"].values() for line in lines)]
    split = [re.fullmatch(r"([\w.-]+)(?:\[[\w,]+\])?(.*)", line) for line in found]
    return {match[1]: match[2] for match in split if match[1] != project["name"]}


def pins() -> dict:
    """{package: its pin} of both requirements files."""
    lines = (ROOT / "requirements.txt").read_text() + (ROOT / "requirements-dev.txt").read_text()
    lines = [line.partition("#")[0].strip() for line in lines.splitlines()]
    return dict(re.fullmatch(r"([\w.-]+)(.*)", line).groups() for line in lines if line and line[0] != "-")


def test_every_dependency_has_a_lower_and_an_upper_bound():
    assert len(bounds()) > 20
    for name, bound in bounds().items():
        assert re.fullmatch(r">=[\d.]+,<[\d.]+", bound), f"{name}{bound}"


def test_every_requirement_is_an_exact_version_within_its_bounds():
    for name, pin in pins().items():
        assert re.fullmatch(r"==[\d.]+(\.post\d+)?", pin), f"{name}{pin}"
        assert name in bounds(), f"{name} has no bounds in pyproject.toml"
        low, high = ([int(n) for n in bound.split(".")] for bound in bounds()[name][2:].split(",<"))
        version = [int(n) for n in re.findall(r"\d+", pin)]
        assert low <= version < high, f"{name}{pin}: outside of {bounds()[name]}"
