"""Words for people: one function, ``_``, that says an English sentence in the reader's language.

    _("{count} entries of {log}", count=7, log="police.ordos.example/log")

The English sentence is the key, as with gettext; the catalogue of a language is a package of this one (``cli/zh``),
read only when that language is spoken. What a program reads (JSON, codes, the names of options) is never translated.

Ledger and node word their errors in English, with the values in them: ``detail`` finds the sentence again by its form.

The language is ``--lang``, else SUYUAN_LANG, else that of LC_ALL, LC_MESSAGES or LANG, else English.
"""

import gettext
import importlib
import pkgutil
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, Protocol

LANGUAGES: Final = ("en", "zh")
DETAILS: Final = "details"  # the module of a language that has the sentences of errors and alarms
DETAIL_CHARACTERS_MAX: Final = 2000
SENTENCES: Final = frozenset({"alarms", "holder", "problem", "silent", "status", "stories", "words"})
BESIDE: Final = "; "  # between two sentences
PLACED: Final = ": "  # between a place and what is wrong there
PLACES_MAX: Final = 3  # before a sentence: a file, a line, a log
VARIABLES: Final = ("SUYUAN_LANG", "LC_ALL", "LC_MESSAGES", "LANG")  # the first that is set decides


class Catalogue(gettext.NullTranslations):
    """A language as a dictionary; what it lacks is said in English."""

    def __init__(self, language: str, messages: Mapping[str, str], details: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.language = language
        self._messages = messages
        self._details = details or {}

    @cached_property
    def forms(self) -> list[tuple[re.Pattern[str], str]]:
        """The sentences of errors and alarms, each as the pattern of its English form and in this language."""
        return [(re.compile(_pattern(form), re.DOTALL), said) for form, said in self._details.items()]

    def gettext(self, message: str) -> str:
        """Return the sentence in this language."""
        return self._messages.get(message, message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        """Return the sentence for ``n`` things; a catalogue knows it by its singular, as Chinese has no plural."""
        return self._messages.get(msgid1, msgid1 if n == 1 else msgid2)


class _Names(Protocol):
    @property
    def zh(self) -> str: ...
    @property
    def en(self) -> str: ...


class _Entry(Protocol):
    @property
    def names(self) -> _Names: ...


class _Member(Protocol):
    @property
    def entry(self) -> _Entry: ...


class _Network(Protocol):
    @property
    def members(self) -> Mapping[str, _Member]: ...


class _Spoken:
    catalogue = Catalogue("en", {})


class Words:
    """A sentence that is kept to be said later: in English to a program, in the reader's language to a person.

    ``one`` is how English says it where the value ``count`` is 1.
    """

    __slots__ = ("one", "text", "values")

    def __init__(self, text: str, *, one: str | None = None, **values: Any) -> None:
        self.text = text
        self.one = one if one is not None and values["count"] == 1 else text
        self.values = values

    @property
    def english(self) -> str:
        """The sentence as programs get it."""
        return self.one.format(**self.values)

    def __str__(self) -> str:
        said = _Spoken.catalogue.gettext(self.text)
        return (self.one if said == self.text else said).format(**_said(self.values))


def _(text: str, **values: Any) -> str:
    """Return ``text`` in the reader's language, its ``{names}`` replaced by ``values``.

    Those of the names ``SENTENCES`` are sentences of an error or alarm, or of the system: :func:`detail` says them.
    """
    said = _Spoken.catalogue.gettext(text)
    return said.format(**_said(values)) if values else said


def plural(count: int, one: str, many: str, **values: Any) -> str:
    """Return ``one`` or ``many``, as ``count`` has it, in the reader's language; ``{count}`` is the number."""
    return _Spoken.catalogue.ngettext(one, many, count).format(count=count, **values)


def listed(items: Iterable[str]) -> str:
    """Return several things in one line."""
    return _(", ").join(items)


def noted(text: str) -> str:
    """Mark a sentence that is translated where it is shown; return it as it is."""
    return text


def title_of(code: str) -> str:
    """Return what an error code means, for readers of another language than the error's message; empty in English."""
    said = _Spoken.catalogue.gettext(code)
    return "" if said == code else said


def detail(text: str, *, places: int = PLACES_MAX) -> str:
    """Return what an error or alarm says of the case at hand in the reader's language, where that is known.

    A sentence may stand behind a few places (``"suyuan.toml: …"``), beside others (``"…; …"``), or within another one.
    """
    if not _Spoken.catalogue.forms or len(text) > DETAIL_CHARACTERS_MAX:  # nobody's but a hostile node's is so long
        return text
    for form, said in _Spoken.catalogue.forms:
        match = form.fullmatch(text)
        if match is not None:
            return said.format(**{name: detail(value) for name, value in match.groupdict().items()})
    if BESIDE in text:
        return "；".join(map(detail, text.split(BESIDE)))
    place, colon, rest = text.partition(PLACED)
    known = detail(rest, places=places - 1) if colon and places else rest
    return text if known == rest else f"{place}：{known}"


def name_of(names: _Names) -> str:
    """Return a member's name in the reader's language."""
    return names.zh if speaks() == "zh" else names.en


def names_of(network: _Network) -> dict[str, str]:
    """Return the members' names in the reader's language, by log."""
    return {origin: name_of(member.entry.names) for origin, member in network.members.items()}


def speaks() -> str:
    """Return the language that is spoken now."""
    return _Spoken.catalogue.language


def speak(language: str) -> None:
    """Speak one of ``LANGUAGES`` from now on."""
    _Spoken.catalogue = Catalogue(language, load(language), load_details(language))


def load(language: str) -> dict[str, str]:
    """Return all messages of a language: those of every module of its package."""
    if language == "en":
        return {}
    package = importlib.import_module(f"cli.{language}")
    messages: dict[str, str] = {}
    for module in pkgutil.iter_modules(package.__path__):
        messages |= importlib.import_module(f"{package.__name__}.{module.name}").MESSAGES
    return messages


def load_details(language: str) -> dict[str, str]:
    """Return the sentences of errors and alarms in a language, by their English form."""
    if language == "en":
        return {}
    module = importlib.import_module(f"cli.{language}.{DETAILS}")
    return {**module.DETAILS, **module.FOREIGN}


def choose(arguments: Sequence[str], environ: Mapping[str, str]) -> str:
    """Return the language that the command line or the environment asks for."""
    asked = _option(arguments) or next((environ[name] for name in VARIABLES if environ.get(name)), "")
    return "zh" if asked.lower().startswith("zh") else "en"


def _option(arguments: Sequence[str]) -> str | None:
    """Return the value of ``--lang``, wherever it stands: a page of help is said in it too."""
    for number, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument == "--lang":
            return arguments[number + 1] if number + 1 < len(arguments) else None
        if argument.startswith("--lang="):
            return argument.removeprefix("--lang=")
    return None


def _said(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: detail(value) if name in SENTENCES and isinstance(value, str) else value for name, value in values.items()
    }


def _pattern(form: str) -> str:
    """Return the pattern of a sentence: its ``{names}`` are groups, the rest stands for itself.

    Another sentence, behind a place or not, is in ``{error}`` alone.
    """
    parts = re.split(r"\{(\w+)\}", form)
    return "".join(_group(part) if number % 2 else re.escape(part) for number, part in enumerate(parts))


def _group(name: str) -> str:
    beyond = BESIDE if name == "error" else f"{BESIDE}|{PLACED}"
    return rf"(?P<{name}>(?:(?!{beyond}).)*?)"
