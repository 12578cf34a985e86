"""Reading transfers from CSV: what is carried along, what is refused, and with which line."""

from pathlib import Path

import pytest
from shared_vectors import shared_file

from cli.sources import transfers
from cli.sources.transfers import TransferFileError, by_record, departments_of, read_table, read_transfers
from node.errors import ConfigError

HEAD = "record,provider,consumer,occurred_at"
AT = "2026-11-21T08:15:30.123Z"


def write(folder: Path, *lines: str) -> Path:
    path = folder / "rows.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def refusal(folder: Path, *lines: str) -> TransferFileError:
    with pytest.raises(TransferFileError) as caught:
        read_table(write(folder, *lines))
    return caught.value


def test_the_four_columns_alone_make_a_share_with_default_resource_and_purpose(tmp_path: Path) -> None:
    [row] = read_transfers(write(tmp_path, HEAD, f"case-1,police,tax,{AT}"))
    assert (row.line, row.record, row.provider, row.consumer) == (2, "case-1", "police", "tax")
    assert row.members == {"occurred_at": AT, "method": "manual", "resource": "record", "purpose": "record handed over"}


def test_columns_become_members_of_the_share_or_labels(tmp_path: Path) -> None:
    table = read_table(
        write(
            tmp_path,
            f"{HEAD},purpose,rows,Channel,备注,2nd,resource",
            f"case-1,police,tax,{AT},tax relief,7,Internet,急,x,register",
        )
    )
    assert table.labels == {"Channel": "channel", "备注": "column_8", "2nd": "column_2nd"}
    [row] = table.transfers
    assert row.members["purpose"] == "tax relief"
    assert row.members["rows"] == 7
    assert row.members["resource"] == "register"
    assert row.members["labels"] == {"channel": "Internet", "column_8": "急", "column_2nd": "x"}


def test_an_activity_is_the_purpose_where_there_is_no_purpose(tmp_path: Path) -> None:
    [row] = read_transfers(write(tmp_path, f"{HEAD},activity", f"case-1,police,tax,{AT},check"))
    assert row.members["purpose"] == "check"


def test_empty_cells_say_nothing(tmp_path: Path) -> None:
    [row] = read_transfers(write(tmp_path, f"{HEAD},rows,channel", f"case-1,police,tax,{AT},,"))
    assert not {"rows", "labels"} & row.members.keys()


def test_text_is_taken_in_normal_form_without_space_around_it(tmp_path: Path) -> None:
    [row] = read_transfers(write(tmp_path, f"{HEAD},purpose", f" case-1 ,Amt für Bu\u0308rger,tax,{AT}, pru\u0308fen "))
    assert row.record == "case-1"
    assert row.provider == "Amt für B\u00fcrger"
    assert row.members["purpose"] == "pr\u00fcfen"


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"\xef\xbb\xbf" + f"{HEAD}\ncase-1,a,b,{AT}\n".encode())
    assert len(read_transfers(path)) == 1


@pytest.mark.parametrize("column", ["record", "provider", "consumer", "occurred_at"])
def test_a_file_without_one_of_the_four_columns_is_refused(tmp_path: Path, column: str) -> None:
    error = refusal(tmp_path, HEAD.replace(column, "other"), f"case-1,police,tax,{AT}")
    assert f"the column {column} is missing" in str(error)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (f",police,tax,{AT}", "record is empty"),
        (f"case-1,,tax,{AT}", "provider is empty"),
        (f"case-1,police, ,{AT}", "consumer is empty"),
        ("case-1,police,tax,", "occurred_at is empty"),
        (f"case-1,police,police,{AT}", "the same"),
        ("case-1,police,tax,2026-11-21 08:15", "occurred_at"),
        ("case-1,police,tax,2026-02-30T08:15:30.123Z", "occurred_at"),
        ("case-1,police,tax", "fewer"),
        (f"case-1,police,tax,{AT},more", "more"),
    ],
    ids=["record", "provider", "consumer", "no-time", "same", "other-time", "no-day", "fewer", "more"],
)
def test_a_row_whose_first_four_columns_cannot_be_read_refuses_the_file(tmp_path: Path, row: str, problem: str) -> None:
    error = refusal(tmp_path, HEAD, f"case-0,police,tax,{AT}", row)
    assert error.field == "line 3"
    assert problem in error.message


def test_all_illegible_rows_are_named_up_to_a_number(tmp_path: Path) -> None:
    error = refusal(tmp_path, HEAD, *["case-1,police,tax,never"] * 30)
    assert error.field == "line 2"
    assert error.message.count("line ") == transfers.ILLEGIBLE_SHOWN_MAX - 1


def test_a_row_with_a_bad_number_is_kept_with_its_problem(tmp_path: Path) -> None:
    path = write(tmp_path, f"{HEAD},rows", f"case-1,police,tax,{AT},many", f"case-1,tax,police,{AT},1")
    bad, good = read_table(path).transfers
    assert bad.problem is not None
    assert str(bad.problem) == "line 2: rows is not a whole number"
    assert good.problem is None
    with pytest.raises(TransferFileError, match="line 2"):
        read_transfers(path)


@pytest.mark.parametrize("number", ["-1", "1.5", "01", "1_000", "٣", "99999999999999999"])
def test_only_plain_whole_numbers_are_numbers(tmp_path: Path, number: str) -> None:
    [row] = read_table(write(tmp_path, f"{HEAD},bytes", f"case-1,police,tax,{AT},{number}")).transfers
    assert row.problem is not None


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    assert "twice" in str(refusal(tmp_path, f"{HEAD},purpose,purpose", f"case-1,a,b,{AT},x,y"))


def test_two_columns_that_would_be_one_label_are_refused(tmp_path: Path) -> None:
    assert "the same label note_1" in str(refusal(tmp_path, f"{HEAD},note 1,Note_1", f"case-1,a,b,{AT},x,y"))


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    assert "no row" in str(refusal(tmp_path, HEAD))


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    assert "missing" in str(refusal(tmp_path, ""))


def test_a_stray_quote_refuses_the_file(tmp_path: Path) -> None:
    assert "not CSV" in str(refusal(tmp_path, HEAD, f'"case"-1,a,b,{AT}'))


def test_bytes_that_are_no_utf8_refuse_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(f"{HEAD}\n".encode() + "案件,公安局,税务局".encode("gb18030"))
    with pytest.raises(TransferFileError, match="UTF-8"):
        read_table(path)


def test_a_file_that_is_not_there_is_a_matter_of_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_table(tmp_path / "none.csv")


def test_too_many_rows_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "ROWS_MAX", 2)
    assert refusal(tmp_path, HEAD, *[f"case-1,a,b,{AT}"] * 3).limit == 2


def test_too_large_a_file_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "FILE_BYTES_MAX", 20)
    assert refusal(tmp_path, HEAD, f"case-1,a,b,{AT}").limit == 20


def test_real_handovers_are_read_whole() -> None:
    rows = read_transfers(shared_file("permit-handovers.csv"))
    assert len(rows) == 5440
    assert len(by_record(rows)) == 1318
    assert len(departments_of(rows)) == 10
