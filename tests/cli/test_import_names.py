"""Whose log a name means: maps, and what the network document says by itself."""

from pathlib import Path

import pytest
from node_helpers import Party, entry_of, paper

from cli.sources import names
from cli.sources.names import MapError, Members, NameMap, read_map
from ledger.network import Network
from node.errors import ConfigError

POLICE, TAX = Party("police"), Party("tax")


def network(police: tuple[str, str] = ("公安局", "Police"), tax: tuple[str, str] = ("税务局", "Tax office")) -> Network:
    def named(party: Party, said: tuple[str, str]) -> dict[str, object]:
        return entry_of(party, names={"zh": said[0], "en": said[1]})

    return paper([named(POLICE, police), named(TAX, tax)]).network


def write(folder: Path, text: str, name: str = "map.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path) -> MapError:
    with pytest.raises(MapError) as caught:
        read_map(path)
    return caught.value


@pytest.mark.parametrize("name", ["police.test/log", "公安局", "Police"])
def test_a_member_is_known_by_its_origin_and_both_its_names(name: str) -> None:
    assert Members(network(), NameMap()).origin(name) == POLICE.origin


@pytest.mark.parametrize("name", ["police", "POLICE", "Police ", "", "d9.test/log"])
def test_nothing_else_is_guessed(name: str) -> None:
    assert Members(network(), NameMap()).origin(name) is None


def test_a_name_of_two_members_means_neither() -> None:
    members = Members(network(tax=("公安局", "Tax office")), NameMap())
    assert members.origin("公安局") is None
    assert members.origin("Tax office") == TAX.origin


def test_a_member_with_one_name_in_both_languages_is_known_by_it() -> None:
    assert Members(network(police=("P", "P")), NameMap()).origin("P") == POLICE.origin


def test_the_map_wins_over_the_network_document() -> None:
    assert Members(network(), NameMap({"Police": TAX.origin})).origin("Police") == TAX.origin


def test_a_map_to_somebody_who_is_no_member_is_refused() -> None:
    with pytest.raises(MapError, match=r"members\.front-desk: 'd9.test/log' is no member"):
        Members(network(), NameMap({"front-desk": "d9.test/log"}))


def test_toml_maps_members_and_purposes(tmp_path: Path) -> None:
    found = read_map(
        write(tmp_path, '[members]\n"LTT/TEST/TEST1" = "police.test/log"\n[purposes]\n"LTT" = " relief "\n')
    )
    assert found == NameMap({"LTT/TEST/TEST1": "police.test/log"}, {"LTT": "relief"})


def test_csv_maps_members(tmp_path: Path) -> None:
    found = read_map(
        write(tmp_path, '\ufeffname,origin\n"front, desk",police.test/log\n\n税务局,tax.test/log\n', "map.CSV")
    )
    assert found == NameMap({"front, desk": "police.test/log", "税务局": "tax.test/log"})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[member]\n", "no table"),
        ("members = 3\n", "expected a table"),
        ('[members]\n"a" = 3\n', "expected text"),
        ('[members]\n"a" = " "\n', "expected text"),
        ('[members]\n"a" = "x"\n" a" = "y"\n', "twice"),
        ('[members]\na = "x"\na = "y"\n', "cannot be read"),
        ('[purposes]\n"a" = "' + "x" * 501 + '"\n', "too long"),
        ("not toml", "cannot be read"),
    ],
    ids=["table", "no-table", "number", "empty", "twice", "twice-toml", "long", "garbage"],
)
def test_a_toml_map_that_says_something_else_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    assert problem in str(refusal(write(tmp_path, text)))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "name,origin"),
        ("origin,name\nx,y\n", "name,origin"),
        ("name,origin\nx\n", "line 2"),
        ("name,origin\nx,\n", "line 2"),
        ("name,origin\nx,y\nx,z\n", "line 3: this name is there twice"),
        ('name,origin\n"x"y,z\n', "cannot be read"),
    ],
    ids=["empty", "head", "short", "blank", "twice", "quote"],
)
def test_a_csv_map_that_says_something_else_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    assert problem in str(refusal(write(tmp_path, text, "map.csv")))


def test_too_large_a_map_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "MAP_BYTES_MAX", 10)
    assert refusal(write(tmp_path, "[members]\n\n")).limit == 10


def test_a_map_that_is_not_there_is_a_matter_of_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_map(tmp_path / "none.toml")
