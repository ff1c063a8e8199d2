"""The OpenAPI documents are valid, without foreign parts, true to their schemas, and equal to docs/openapi."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import OpenAPIV31SpecValidator

from mailsettings.bootstrap.use_cases import APIS
from mailsettings.web.errors import ProblemDetails

from support.databases import LocalStore
from support.fakes import ScriptedProber
from support.service import BASE_URL, TOKEN, Caller, build_service

COMMITTED = Path(__file__).parents[2] / "docs" / "openapi"
EVERYTHING = "openapi"
ORACLE = "openapi/oracle-analytics"
CHECKMARX = "openapi/checkmarx"
METRICS = "openapi/metrics"
V1 = "openapi/v1"
NAMES = (EVERYTHING, *(f"openapi/{api.name}" for api in APIS))
STYLES = {f"openapi/{api.name}": api.errors for api in APIS}
METHODS = {"get", "put", "post", "patch", "delete"}
GENERATED = {
    *("getMailServer", "putMailServer", "deleteMailServer", "testMailServer", "rollBackMailServer"),
    *("listSmtpSettings", "createSmtpSettings", "getSmtpSettings", "updateSmtpSettings", "deleteSmtpSettings"),
    *("testSmtpConnection", "requestToken", "getOpenIdConfiguration", "getJsonWebKeySet"),
    *("listAuditEntries", "getMetrics"),
    *("get_token", "get_version", "list_mail_servers", "create_mail_server", "get_mail_server"),
    *("replace_mail_server", "update_mail_server", "delete_mail_server", "get_default_mail_server"),
    *("set_default_mail_server", "clear_default_mail_server", "enable_mail_server", "disable_mail_server"),
    *("list_mail_server_versions", "diff_mail_server_version", "restore_mail_server_version"),
    *("set_secret_expiry", "clear_secret_expiry", "test_mail_server", "test_mail_servers", "test_settings"),
}

Json = Mapping[str, Any]

every_document = pytest.mark.parametrize("name", NAMES)
every_vendor = pytest.mark.parametrize("name", sorted(STYLES))


_SERVED: dict[str, Json] = {}
"""Each document as it was served first: making it takes a tenth of a second, and it depends on the code alone."""


async def served(api: Caller, name: str) -> Json:
    if name not in _SERVED:
        _SERVED[name] = (await api(None).send("GET", f"/{name}.json")).json()
    return _SERVED[name]


def parameters(of: Json) -> Iterator[tuple[str, Json]]:
    """Every parameter of every operation, with a word on where it is."""
    for where, operation in operations(of):
        for parameter in operation.get("parameters", ()):
            yield f"{where} {parameter['name']}", parameter


def properties(of: Json) -> Iterator[tuple[str, Json]]:
    """Every member of every schema, with its name."""
    for name, schema in of["components"]["schemas"].items():
        for member, found in schema.get("properties", {}).items():
            yield f"{name}.{member}", found


def branches(of: Json) -> Iterator[tuple[str, str, Json]]:
    """Every variant of every union: the discriminator, its value, and the variant's schema."""
    for node in nodes(of):
        if "discriminator" in node:
            for value, ref in node["discriminator"]["mapping"].items():
                variant = of["components"]["schemas"][ref.rpartition("/")[2]]
                yield node["discriminator"]["propertyName"], value, variant


def operations(of: Json) -> Iterator[tuple[str, Json]]:
    for path, item in of["paths"].items():
        for method, operation in item.items():
            if method in METHODS:
                yield f"{method} {path}", operation


def without_ids(paths: Json) -> Json:
    """The operations of *paths* without their ids."""
    return {
        path: {method: {**operation, "operationId": None} for method, operation in item.items()}
        for path, item in paths.items()
    }


def contents(of: Json) -> Iterator[tuple[str, Json]]:
    """Every body of every request and response, with a word on where it is."""
    for where, operation in operations(of):
        bodies = {"request": operation.get("requestBody", {}), **operation["responses"]}
        for role, body in bodies.items():
            for content in body.get("content", {}).values():
                yield f"{where} {role}", content


def nodes(node: Any) -> Iterator[Json]:
    """Every object inside *node*, itself included."""
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from nodes(child)


def examples(content: Json) -> list[Any]:
    named = [example["value"] for example in content.get("examples", {}).values()]
    return [*named, content["example"]] if "example" in content else named


def problems(of: Json, schema: Json, example: Any) -> list[str]:
    """What keeps *example* from being what *schema* asks for."""
    validator = Draft202012Validator({**schema, "components": of["components"]}, format_checker=FormatChecker())
    return [error.message for error in validator.iter_errors(example)]


@every_document
async def test_the_committed_document_is_the_served_one(
    api: Caller, name: str, request: pytest.FixtureRequest
) -> None:
    text = json.dumps(await served(api, name), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    file = COMMITTED / f"{name.removeprefix('openapi/')}.json"
    if request.config.getoption("renew_openapi", default=False):
        file.write_text(text, encoding="utf-8")

    assert text == file.read_text(encoding="utf-8"), (
        f"The API has changed and docs/openapi/{file.name} has not. If the change is meant, run "
        "`python -m pytest tests/site --renew-openapi` and commit what it writes."
    )


@every_document
async def test_the_document_is_valid_openapi_3_1(api: Caller, name: str) -> None:
    document = await served(api, name)

    assert document["openapi"] == "3.1.0"
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


@every_document
async def test_nothing_of_the_frameworks_own_errors_is_left(api: Caller, name: str) -> None:
    text = json.dumps(await served(api, name))

    assert [word for word in ('"422"', "HTTPValidationError", "ValidationError") if word in text] == []


@every_vendor
async def test_every_refusal_has_the_shape_of_its_vendor(api: Caller, name: str) -> None:
    document = await served(api, name)
    refusals = [
        (f"{where} {status}", STYLES[name].at(where.partition(" ")[2]), content["schema"])
        for where, operation in operations(document)
        for status, response in operation["responses"].items()
        if not status.startswith(("2", "304"))
        for content in response["content"].values()
    ]
    wrong = [
        (where, problem)
        for where, style, schema in refusals
        for problem in problems(document, schema, style.body(ProblemDetails(400, "Code", "A sentence.")))
    ]

    assert refusals
    assert wrong == []


@every_document
async def test_every_operation_documents_its_errors_with_the_default_last(api: Caller, name: str) -> None:
    statuses = [list(op["responses"]) for _, op in operations(await served(api, name))]

    assert [[*sorted(found[:-1]), "default"] for found in statuses] == statuses


@every_document
async def test_every_example_is_valid_by_its_own_schema(api: Caller, name: str) -> None:
    document = await served(api, name)
    wrong = [
        (where, problem)
        for where, content in contents(document)
        for example in examples(content)
        for problem in problems(document, content["schema"], example)
    ]

    assert wrong == []


@every_document
async def test_every_example_of_parameter_member_or_header_is_valid(api: Caller, name: str) -> None:
    document = await served(api, name)
    schemas = [
        *(parameter["schema"] for _, parameter in parameters(document)),
        *(member for _, member in properties(document)),
    ]
    shown = [(schema, example) for schema in schemas for example in schema.get("examples", ())]
    headers = [
        (found["schema"], found["example"]) for found in nodes(document) if {"schema", "example"} <= set(found)
    ]
    wrong = [problem for schema, example in [*shown, *headers] for problem in problems(document, schema, example)]

    assert shown or name == METRICS
    assert headers
    assert wrong == []


@every_vendor
async def test_every_json_request_and_every_answer_has_an_example(api: Caller, name: str) -> None:
    bodies = [
        (where, content)
        for where, content in contents(await served(api, name))
        if where.endswith((" request", " 200")) and not where.endswith("/token request")
    ]

    assert [where for where, content in bodies if not examples(content)] == []


async def test_every_variant_of_every_union_has_an_example(api: Caller) -> None:
    document = await served(api, ORACLE)
    unions = [node["discriminator"] for node in nodes(document) if "discriminator" in node]
    expected = {(union["propertyName"], value) for union in unions for value in union["mapping"]}
    shown = {
        item
        for _, content in contents(document)
        for example in examples(content)
        for node in nodes(example)
        for item in node.items()
        if isinstance(item[1], str)
    }

    assert expected
    assert set() == expected - shown


async def test_every_encryption_type_has_an_example(api: Caller) -> None:
    document = await served(api, CHECKMARX)
    types = document["components"]["schemas"]["CreateSMTPSettingsModel"]["properties"]["encryptionType"]
    content = document["paths"]["/cxrestapi/auth/SMTPSettings"]["post"]["requestBody"]["content"]

    assert set(types["enum"]) == {ex["encryptionType"] for ex in examples(content["application/json"])}


@pytest.mark.parametrize(
    "schema", ["MailServer", "CreateSMTPSettingsModel", "UpdateSMTPSettingsModel", "TestConnectionModel"]
)
async def test_the_schema_of_a_port_has_its_bounds(api: Caller, schema: str) -> None:
    port = (await served(api, EVERYTHING))["components"]["schemas"][schema]["properties"]["port"]

    assert {"type": "integer", "minimum": 1, "maximum": 65535}.items() <= port.items()
    assert (int, int) == (type(port["minimum"]), type(port["maximum"]))


async def test_the_schema_of_an_id_has_its_bounds(api: Caller) -> None:
    by_id = (await served(api, CHECKMARX))["paths"]["/cxrestapi/auth/SMTPSettings/{id}"]
    schemas = [operation["parameters"][0]["schema"] for operation in by_id.values()]
    expected = {"type": "integer", "minimum": 1, "maximum": 2**31 - 1}

    assert len(schemas) == 3
    assert [schema for schema in schemas if not expected.items() <= schema.items()] == []


@every_document
async def test_every_operation_accepts_tokens_including_those_of_a_password(api: Caller, name: str) -> None:
    document = await served(api, name)
    schemes = document["components"]["securitySchemes"]

    assert {"type": "http", "scheme": "bearer"}.items() <= schemes["token"].items()
    own = "/v1/token" if name == V1 else TOKEN
    assert schemes["account"]["flows"]["password"]["tokenUrl"] == own
    assert document["security"] == [{"account": []}, {"token": []}]


async def test_only_the_token_endpoint_and_key_documents_are_public(api: Caller) -> None:
    document = await served(api, EVERYTHING)
    discovery = "/cxrestapi/auth/identity/.well-known/openid-configuration"

    opened = {where for where, op in operations(document) if op.get("security") == []}
    assert opened == {"post /v1/token", f"post {TOKEN}", f"get {discovery}", f"get {discovery}/jwks"}


REPEATABLE = {
    *("create_device", "create_device_secret", "disable_device", "enable_device"),
    *("unlock_account", "unlock_client", "verify_audit_log", "reseal_secrets"),  # the same effect again
    *("enable_mail_server", "disable_mail_server"),
    *("create_account", "create_client"),  # the name identifies them: a repetition is a 409
    # One more key or secret does no harm; a stored response would be a stored secret.
    *("create_client_secret", "rotate_signing_keys"),
    "test_device",  # it sends another mail, to show the way of this mail
}
"""Operations that need no idempotency key (docs/v1.md)."""


async def test_every_authenticated_post_accepts_an_idempotency_key(api: Caller) -> None:
    found = list(operations(await served(api, EVERYTHING)))
    posts = [
        op
        for where, op in found
        if where.startswith("post ") and op.get("security") != [] and op["operationId"] not in REPEATABLE
    ]
    names = [[parameter["name"] for parameter in op.get("parameters", ())] for op in posts]

    assert len(posts) >= 3
    assert [each for each in names if "Idempotency-Key" not in each] == []
    assert [op["operationId"] for op in posts if "409" not in op["responses"]] == []


async def test_generated_clients_keep_their_method_names(api: Caller) -> None:
    """Who renames an operation breaks every client that was generated before."""
    parts = [operations(await served(api, name)) for name in STYLES]
    names = {operation["operationId"] for part in parts for _, operation in part}

    assert GENERATED - names == set()


async def test_method_names_of_all_apis_differ_in_every_style(api: Caller) -> None:
    """Generators turn `getServer` and `get_server` into one name: then the client does not compile."""
    names = [operation["operationId"] for _, operation in operations(await served(api, EVERYTHING))]
    plain = [name.replace("_", "").lower() for name in names]

    assert [name for name, key in zip(names, plain, strict=True) if plain.count(key) > 1] == []
    assert {name for name in GENERATED if "_" not in name} - {*names} == set()


@every_document
async def test_no_parameter_body_or_form_offers_an_impossible_null(api: Caller, name: str) -> None:
    document = await served(api, name)
    forms = [document["components"]["schemas"].get("TokenRequest", {})]
    # In a merge patch null means something (RFC 7396).
    bodies = [content for where, content in contents(document) if where.endswith(" request")]
    sent = [*forms, *bodies, *(parameter for _, parameter in parameters(document))]

    assert [node for each in sent for node in nodes(each) if {"type": "null"} in node.get("anyOf", ())] == []


async def test_only_members_that_can_be_null_say_so(api: Caller) -> None:
    """Conversely, a member that may be absent is never null. In `/v1` every member is in an answer, or is null."""
    document = await served(api, EVERYTHING)
    own = dict(properties(await served(api, V1)))
    others = [(where, member) for where, member in properties(document) if where not in own]
    with_null = {where for where, member in others if {"type": "null"} in member.get("anyOf", ())}
    read_leniently = {
        *(
            f"{model}.{member}"
            for model in ("CreateSMTPSettingsModel", "UpdateSMTPSettingsModel", "TestConnectionModel")
            for member in ("username", "password", "displayName")
        ),
        *("TestConnectionModel.receiverEmail", "TestConnectionModel.recieverEmail", "MailServerTest.recipient"),
    }
    shown = {
        *("SMTPSettingsViewModel.username", "SMTPSettingsViewModel.displayName", "AuditPage.next_after"),
        *(f"AuditEntryModel.{member}" for member in ("actor", "address", "request_id", "target")),
    }

    assert read_leniently | shown == with_null


@every_document
async def test_the_schema_of_a_parameter_names_its_type_alone(api: Caller, name: str) -> None:
    """openapi-generator makes `Any` of a reference with a description next to it."""
    found = dict(parameters(await served(api, name)))

    assert [where for where, each in found.items() if "$ref" in each["schema"] and len(each["schema"]) > 1] == []


@every_document
async def test_no_default_is_an_object(api: Caller, name: str) -> None:
    """openapi-generator writes such a default into Go as text that does not compile."""
    document = await served(api, name)

    assert [where for where, member in properties(document) if isinstance(member.get("default"), dict)] == []


async def test_each_member_has_one_type_or_null(api: Caller) -> None:
    """openapi-generator has no type for null alone in Python and Go, and none for a list of several types."""
    members = dict(properties(await served(api, V1)))
    several = {where: member["type"] for where, member in members.items() if isinstance(member.get("type"), list)}

    assert [where for where, types in several.items() if len({*types} - {"null"}) != 1] == []
    assert [where for where, member in members.items() if member.get("type") == "null"] == []


async def test_each_set_of_values_has_one_name(api: Caller) -> None:
    """Without it generated clients have a type for each member, and the values of two such types differ."""
    document = await served(api, V1)
    schemas = [*document["components"]["schemas"].values(), *(member for _, member in properties(document))]
    choices = [tuple(schema["enum"]) for schema in schemas if len(schema.get("enum", ())) > 1]

    assert len(choices) == len({*choices})


@every_document
async def test_each_variant_of_a_union_has_its_own_discriminator(api: Caller, name: str) -> None:
    """With all values in each variant, `oneOf` would match twice."""
    document = await served(api, name)
    wrong = [
        (value, member)
        for member, value, variant in branches(document)
        if not {"enum": [value], "default": value}.items() <= variant["properties"][member].items()
        or member not in variant["required"]
    ]

    assert wrong == []


async def test_the_unions_are_those_of_the_vendor(api: Caller) -> None:
    found = {(member, value) for member, value, _ in branches(await served(api, ORACLE))}
    expected = {
        "authType": ("NO_AUTH", "USERNAME_PASSWORD_AUTH", "OAUTH2_AUTH"),
        "oAuth2Provider": ("MS_OAUTH2",),
        "connectionSecurityType": (
            *("NO_CONNECTION_SECURITY", "SSL_TLS_CONNECTION_SECURITY", "START_TLS_CONNECTION_SECURITY"),
        ),
        "certificateType": ("DEFAULT_TLS_CERTIFICATE", "CUSTOM_TLS_CERTIFICATE"),
    }

    assert {(member, value) for member, values in expected.items() for value in values} == found


@every_document
async def test_everything_that_clients_see_is_described(api: Caller, name: str) -> None:
    document = await served(api, name)
    tags = [(tag["name"], tag) for tag in document["tags"]]
    described = [*tags, *properties(document), *parameters(document), *document["components"]["headers"].items()]

    assert [where for where, found in described if not found.get("description")] == []
    assert [
        where for where, op in operations(document) if not op.get("summary") or not op.get("description")
    ] == []


@every_document
async def test_every_whole_number_has_a_width(api: Caller, name: str) -> None:
    document = await served(api, name)
    numbers = [node for node in nodes(document) if node.get("type") == "integer"]
    # A setting's value, of which nothing is known.
    without = [node for node in numbers if node.get("format") not in {"int32", "int64"} and set(node) != {"type"}]

    assert without == []


@every_document
async def test_the_licence_is_that_of_the_project(api: Caller, name: str) -> None:
    assert (await served(api, name))["info"]["license"]["identifier"] == "Apache-2.0"


@every_document
async def test_only_methods_that_clients_need_are_listed(api: Caller, name: str) -> None:
    """HEAD is GET without the body and gets no function of its own in a generated client."""
    listed = {method for item in (await served(api, name))["paths"].values() for method in item}

    assert listed <= METHODS


@every_document
async def test_without_a_public_url_the_server_is_documents_host(api: Caller, name: str) -> None:
    document = await served(api, name)

    assert [server["url"] for server in document["servers"]] == ["/"]


@pytest.mark.parametrize("public_url", ["https://mail.example.org/settings", "https://mail.example.org/settings/"])
async def test_public_url_is_the_server_above_the_token_endpoint(public_url: str, local_store: LocalStore) -> None:
    service = build_service(local_store, ScriptedProber(), public_url=public_url)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(service)) as http:
        found = (await http.get(f"{BASE_URL}/openapi.json")).json()

    assert [server["url"] for server in found["servers"]] == ["https://mail.example.org/settings"]
    flow = found["components"]["securitySchemes"]["account"]["flows"]["password"]
    assert flow["tokenUrl"] == f"https://mail.example.org/settings{TOKEN}"


async def test_the_whole_document_is_all_of_its_parts(api: Caller) -> None:
    whole = await served(api, EVERYTHING)
    parts = [(await served(api, name))["paths"] for name in STYLES]
    found = {path: item for part in parts for path, item in part.items()}

    assert without_ids(found) == without_ids(whole["paths"])
