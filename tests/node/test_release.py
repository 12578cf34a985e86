"""The version is that of the installed package, else that of the source tree, and never nothing."""

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from node import release
from node.service import software


@pytest.fixture
def uninstalled(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(release, "version", absent)


def test_an_installed_package_says_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "version", lambda name: f"9.8.7 of {name}")
    assert release.release() == "9.8.7 of suyuan"
    assert software() == "suyuan 9.8.7 of suyuan"


@pytest.mark.usefixtures("uninstalled")
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[project]\nname = "suyuan"\nversion = "1.2.3"\n', "1.2.3+source"),
        ('[project]\nname = "another"\nversion = "1.2.3"\n', "source"),
        ('[project]\nname = "suyuan"\n', "source"),
        ("project = 1\n", "source"),
        ("not toml", "source"),
        (None, "source"),
    ],
    ids=["ours", "another project's", "without a version", "another form", "damaged", "not there"],
)
def test_a_source_tree_says_so(tmp_path: Path, text: str | None, told: str) -> None:
    path = tmp_path / "pyproject.toml"
    if text is not None:
        path.write_text(text)
    assert release.release(path) == told
