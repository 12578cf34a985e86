"""Files of X-Road records: the forms that they come in, and what is said of damaged ones."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared_vectors import shared_file

from cli.sources import xroad_files
from cli.sources.xroad_files import XRoadFiles, read_files


def record(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "securityServerType": "Client",
        "requestInTs": 1_671_066_024_379,
        "responseOutTs": 1_671_066_024_400,
        "clientXRoadInstance": "LTT",
        "clientMemberClass": "TEST",
        "clientMemberCode": "TEST1",
        "serviceXRoadInstance": "LTT",
        "serviceMemberClass": "TEST",
        "serviceMemberCode": "TEST2",
        "serviceCode": "payloadgen",
        "messageId": f"m-{number}",
        "succeeded": True,
        "insertTime": 1671090130.54086,
        **changes,
    }


def read(folder: Path, *texts: str | bytes) -> XRoadFiles:
    paths = []
    for number, text in enumerate(texts):
        path = folder / f"{number}.json"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        paths.append(path)
    return read_files(paths)


def ids(found: XRoadFiles) -> list[str | None]:
    return [sighting.message_id for sighting in found.sightings]


@pytest.mark.parametrize(
    ("name", "count"),
    [("batch_1", 17), ("batch_2", 2), ("case_insensitive_enums", 2), ("duplicates", 4)],
    ids=["batch-1", "batch-2", "enums", "duplicates"],
)
def test_real_files_are_read_whole(name: str, count: int) -> None:
    found = read_files([shared_file(f"xroad-opmon/raw_messages_{name}.json")])
    assert (found.read, len(found.sightings), found.problems, found.damaged) == (count, count, [], [])


THREE = [record(1), record(2), record(3)]
FORMS = {
    "list": json.dumps(THREE),
    "indented": json.dumps(THREE, indent=4) + "\n\n",
    "answer": json.dumps({"records": THREE}),
    "spaced-answer": '\n{ "records" :\t' + json.dumps(THREE) + " }\r\n",
    "lines": "".join(json.dumps(one) + "\n" for one in THREE),
    "dos-lines": "\r\n".join(json.dumps(one) for one in THREE),
    "spaced-lines": "\n \n" + " \n\n".join(json.dumps(one) for one in THREE) + " ",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "byte-order-mark"])
def test_all_forms_say_the_same(tmp_path: Path, form: str, mark: str) -> None:
    found = read(tmp_path, mark + FORMS[form])
    assert ids(found) == ["m-1", "m-2", "m-3"]
    assert [sighting.place for sighting in found.sightings] == [f"0.json record {n}" for n in (1, 2, 3)]
    assert not found.damaged


def test_an_empty_list_holds_no_record(tmp_path: Path) -> None:
    found = read(tmp_path, "[]", '{"records":[]}', "[ \n]")
    assert (found.read, found.damaged) == (0, [])


@pytest.mark.parametrize(
    ("text", "place", "before"),
    [
        ("", "0.json", 0),
        ("  \n", "0.json", 0),
        ("[", "record 1", 0),
        ("[nonsense]", "record 1", 0),
        (json.dumps(THREE)[:-1], "record 4", 3),
        (json.dumps(THREE)[:-30], "record 3", 2),
        (json.dumps(THREE) + "]", "record 4", 3),
        (json.dumps(THREE) + "{}", "record 4", 3),
        (json.dumps(THREE)[:-1] + ",]", "record 4", 3),
        ('{"records":' + json.dumps(THREE), "record 4", 3),
        ('{"records":' + json.dumps(THREE) + ', "more": 1}', "record 4", 3),
        ("[" + "[" * 100_000, "record 1", 0),
        ("[" + "9" * 5000 + "]", "record 1", 0),
        (b"[\xff]", "0.json", 0),
    ],
    ids=[
        "empty", "blank", "open", "nonsense", "no-end", "cut", "second-end", "behind", "comma", "answer-open",
        "answer-more", "deep", "digits", "latin",
    ],
)  # fmt: skip
def test_what_stands_before_the_damage_is_read_and_the_damage_named(
    tmp_path: Path, text: str | bytes, place: str, before: int
) -> None:
    found = read(tmp_path, text)
    [error] = found.damaged
    assert place in str(error.field)
    assert len(found.sightings) == before


def test_a_damaged_line_does_not_lose_the_lines_behind_it(tmp_path: Path) -> None:
    lines = [json.dumps(record(1)), '{"securityServerType": ', json.dumps(record(3)), "{} {}", json.dumps(record(5))]
    found = read(tmp_path, "\n".join(lines))
    assert ids(found) == ["m-1", "m-3", "m-5"]
    assert [error.field for error in found.damaged] == ["0.json record 2", "0.json record 4"]


def test_a_damaged_file_does_not_lose_the_others(tmp_path: Path) -> None:
    found = read(tmp_path, json.dumps(THREE), "[{", json.dumps([record(9)]))
    assert ids(found) == ["m-1", "m-2", "m-3", "m-9"]
    [error] = found.damaged
    assert error.field == "1.json record 1"


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    paths = [tmp_path / folder / "monday.json" for folder in ("ss1", "ss2")]
    for path in paths:
        path.parent.mkdir()
        path.write_text(json.dumps([record(), 7]), "utf-8")
    found = read_files(paths)
    assert [sighting.place for sighting in found.sightings] == [f"{path} record 1" for path in paths]
    assert [error.field for error in found.problems] == [f"{path} record 2" for path in paths]


def test_a_file_that_cannot_be_opened_is_damaged(tmp_path: Path) -> None:
    found = read_files([tmp_path / "none.json"])
    assert "cannot be read" in str(found.damaged[0])


def test_a_record_that_cannot_be_used_is_no_damage(tmp_path: Path) -> None:
    found = read(tmp_path, json.dumps([record(1), record(2, succeeded="yes"), 7, record(4)]))
    assert ids(found) == ["m-1", "m-4"]
    assert [error.field for error in found.problems] == ["0.json record 2", "0.json record 3"]
    assert (found.read, found.damaged) == (4, [])


def test_too_large_a_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xroad_files, "FILE_BYTES_MAX", 100)
    [error] = read(tmp_path, json.dumps(THREE)).damaged
    assert error.limit == 100


def test_too_many_records_are_refused_over_all_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xroad_files, "RECORDS_MAX", 4)
    found = read(tmp_path, json.dumps(THREE), json.dumps(THREE))
    assert len(found.sightings) == 4
    assert found.damaged[0].limit == 4


@pytest.mark.parametrize("bad", ["7\n", "}\n"], ids=["no-record", "no-json"])
def test_a_file_of_another_kind_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: str) -> None:
    monkeypatch.setattr(xroad_files, "RECORD_PROBLEMS_MAX", 5)
    found = read(tmp_path, bad * 50)
    assert found.damaged[-1].limit == 5
    assert len(found.problems) + len(found.damaged) < 10


@given(
    st.binary(max_size=60)
    | st.text(max_size=60).map(str.encode)
    | st.sampled_from(sorted(FORMS.values())).map(str.encode)
)
def test_no_bytes_raise_anything_but_what_is_reported(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_bytes(data)
    found = read_files([path])
    assert found.read == len(found.sightings) + len(found.problems)
