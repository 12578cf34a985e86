"""What is printed is safe to print, and fits."""

import io
import sys

import pytest

from cli import output


def test_characters_that_steer_a_terminal_are_replaced() -> None:
    assert output.clean("a\x1b[2Jb\rc\x07") == "a�[2Jb�c�"


def test_characters_that_turn_or_hide_text_are_replaced() -> None:
    assert output.clean("\u202etxt.exe\u200b") == "�txt.exe�"


def test_ordinary_text_of_any_script_stays() -> None:
    text = "公安局 → Tax Service, “é”\n"
    assert output.clean(text) == text


def test_tables_do_not_interpret_markup(capsys: pytest.CaptureFixture[str]) -> None:
    output.show(output.table("name", rows=[("[red]x[/red]",)]))
    assert "[red]x[/red]" in capsys.readouterr().out


def test_what_no_terminal_shows_is_neither_wrapped_nor_padded(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    value, row = "f" * 200, [("name", "x" * 150), ("longer name", "")]
    output.show(output.heading("x"), output.pairs([("a", value), ("bcd", "")]), output.table("p", "q", rows=row))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines[0]) == 80  # a line is drawn, not a value
    assert lines[1:3] == [f"a    {value}", "bcd"]
    assert any(line.endswith("x" * 150) for line in lines)
    assert all(line == line.rstrip() for line in lines)


def test_what_a_width_is_asked_for_is_wrapped_to_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    output.show(output.pairs([("a", "word " * 40)]))
    assert max(len(line) for line in capsys.readouterr().out.splitlines()) <= 60


def test_a_terminal_without_unicode_gets_escapes_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    monkeypatch.setattr(sys, "stdout", stream)
    output.prepare_streams()
    output.data("公安局")
    output.emit({"name": "公安局"})
    written = stream.buffer.getvalue().decode()
    assert written == '\\u516c\\u5b89\\u5c40\n{\n  "name": "\\u516c\\u5b89\\u5c40"\n}\n'


def test_progress_is_silent_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    with output.progress("working") as advance:
        advance(1, 2)
    assert capsys.readouterr() == ("", "")
