"""The machine-readable description: valid, and true of what the node answers to whatever is thrown at it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from jsonschema_rs import Draft202012Validator, validator_for
from node_helpers import Town, open_log, parties, receipt, share
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from structlog.testing import capture_logs

from node.submission import prepare

if TYPE_CHECKING:
    from conftest import Office

A, B, C, D = parties(4)


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def resolve(document: Any, reference: str) -> Any:
    assert reference.startswith("#/")
    for part in reference.removeprefix("#/").split("/"):
        document = document[part]
    return document


@pytest.fixture
async def document(office: "Office") -> dict[str, Any]:
    answer = await office.nobody.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    described: dict[str, Any] = answer.json()
    return described


async def test_it_is_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    assert document["info"].keys() >= {"title", "version"}
    assert all(path.startswith("/") for path in document["paths"])


async def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for reference in set(references(document)):
        assert resolve(document, reference)


async def test_every_operation_has_its_own_id_words_and_answers(document: dict[str, Any]) -> None:
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for operation in operations:
        assert operation["summary"]
        assert operation["description"]
        assert operation["responses"]


async def test_every_path_parameter_is_declared(document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        names = {part[1:-1].partition(":")[0] for part in path.split("/") if part.startswith("{")}
        for operation in item.values():
            declared = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"}
            assert declared == names


async def test_every_schema_is_a_json_schema(document: dict[str, Any]) -> None:
    for schema in document["components"]["schemas"].values():
        whole = {**schema, "components": document["components"]}
        Draft202012Validator(whole)


async def test_what_the_node_takes_is_what_the_description_says(document: dict[str, Any]) -> None:
    schema = document["paths"]["/v1/events"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    validator = validator_for({**schema, "components": document["components"]})
    good = [share(1, B), receipt(2, {"hash": "A" * 43 + "=", "index": 1, "log": B.origin})]
    assert all(validator.is_valid(value) for value in good)
    bad = [
        {},
        {**good[0], "colour": 1},
        {**good[0], "rows": "1"},
        {**good[0], "method": "pigeon"},
        {**good[0], "id": 7},
    ]
    assert not any(validator.is_valid(value) for value in bad)


EXAMPLES_MAX = 8  # of each operation, good and bad ones: the whole takes some seconds


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_generated_request_makes_a_server_error_or_an_undocumented_answer(tmp_path: Path) -> None:
    """Schemathesis, in this process and always with the same examples."""
    with asyncio.Runner() as runner:
        town = Town(tmp_path, parties(4))
        with capture_logs():
            runner.run(_open(town))
            described = runner.run(_ask(town, {"method": "GET", "url": "/openapi.json"})).json()
            schema = schemathesis.openapi.from_dict(described)
            for result in schema.get_all_operations():
                assert isinstance(result, Ok), result
                operation = result.ok()
                _try_out(operation, GenerationMode.POSITIVE, runner, town)
                if operation.body or operation.query or operation.path_parameters:
                    _try_out(operation, GenerationMode.NEGATIVE, runner, town)
            runner.run(town.__aexit__(None, None, None))


async def _open(town: Town) -> None:
    node = town.open(A)
    await node.recovery.once()
    open_log(node)
    await node.submit((prepare(share(1, B), origin=A.origin),), wait_confirmed=False)


async def _ask(town: Town, request: dict[str, Any]) -> httpx.Response:
    async with town.client(A) as client:
        return await client.request(**request)


def _try_out(operation: Any, mode: GenerationMode, runner: asyncio.Runner, town: Town) -> None:
    asked = 0

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES_MAX,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Any) -> None:
        nonlocal asked
        asked += 1
        request = case.as_transport_kwargs(base_url=A.url)
        cookies = request.pop("cookies", None)
        assert not cookies
        headers = {str(name): str(value).encode() for name, value in (request.pop("headers", None) or {}).items()}
        content = request.pop("data", None)
        answer = runner.run(_ask(town, {**request, "headers": headers, "content": _bytes(content)}))
        _check(operation, case, answer)

    ask()
    assert asked >= 1


def _bytes(content: Any) -> bytes | None:
    return content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content


def _check(operation: Any, case: Any, answer: httpx.Response) -> None:
    assert answer.status_code < 500, (case, answer.text)
    responses = operation.definition.raw["responses"]
    described = responses.get(str(answer.status_code)) or responses["default"]
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if answer.content or kind:
        assert kind in described.get("content", {}), (case, answer.status_code, kind)
    if kind == "application/problem+json":
        assert answer.json().keys() == {"type", "title", "status", "detail", "code", "field", "limit", "hint"}
