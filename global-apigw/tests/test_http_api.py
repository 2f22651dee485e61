"""The reader takes every property it needs from the template, and refuses what it does not know."""

import copy
import re
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.envoy import translate
from local.http_api import KNOWN_TYPES, HttpApi, read_http_api
from local.template import Template, TemplateError
from tests.conftest import FOLDER, SETTINGS

SHAPES = yaml.safe_load((FOLDER / "tests/shapes.yaml").read_text())


def read(document: dict[str, Any]) -> HttpApi:
    return read_http_api(Template(document))


def change(document: dict[str, Any], kind: str, properties: dict[str, Any]) -> dict[str, Any]:
    """A copy in which the first resource of a type that ends with `kind` has other `properties`; None removes one."""
    changed = copy.deepcopy(document)
    resource = next(body for body in changed["Resources"].values() if body["Type"].endswith(f"::{kind}"))
    merged = {**resource["Properties"], **properties}
    resource["Properties"] = {name: value for name, value in merged.items() if value is not None}
    return changed


def configure(document: dict[str, Any]) -> str:
    """Envoy's configuration, as text that a test searches."""
    return str(translate(read(document), {}, port=1, jwks="{}", authority=Path("a")))


def test_every_route_leads_to_its_service_within_its_limits(document: dict[str, Any]) -> None:
    expected = {}
    for service in SETTINGS.registry.services.values():
        for route in service.routes:
            limit = route.throttle or SETTINGS.registry.api.throttle
            name = SETTINGS.service_names[service.endpoint_service]
            throttle = {"ThrottlingRateLimit": limit.rate, "ThrottlingBurstLimit": limit.burst}
            expected[route.key] = (name, service.timeout_seconds, throttle)
    assert expected == {
        route.key: (route.integration.service_name, route.integration.timeout, route.throttle)
        for route in read(document).routes
    }


def names(value: Any, *path: Any) -> Iterator[tuple[Any, ...]]:
    """The path of every property below `value`, without the keys that are data."""
    for name, child in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        if isinstance(name, int):
            yield from names(child, *path, name)
        elif re.fullmatch("[A-Z][A-Za-z]+", name) and name not in ("Ref", "Key", "Value"):
            yield (*path, name)
            yield from names(child, *path, name)


@pytest.mark.parametrize("fixture", ["secured", "production", "over_tls"])
def test_fails_when_any_property_has_another_name(fixture: str, request: pytest.FixtureRequest) -> None:
    document = request.getfixturevalue(fixture)
    known = {name: body for name, body in document["Resources"].items() if body["Type"] in KNOWN_TYPES}
    paths = [path for name, body in known.items() for path in names(body["Properties"], name)]
    assert len(paths) > 130
    for logical_id, *path, name in paths:
        renamed = copy.deepcopy(document)
        table: Any = reduce(lambda at, step: at[step], path, renamed["Resources"][logical_id]["Properties"])
        table[f"{name}Renamed"] = table.pop(name)
        with pytest.raises(TemplateError, match=rf"{logical_id} \(.*\b{name}"):
            read(renamed)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape['type']}: {shape['error']}")
def test_fails_when_a_shape_is_unknown(document: dict[str, Any], shape: dict[str, Any]) -> None:
    with pytest.raises(TemplateError, match=re.escape(shape["error"])):
        configure(change(document, shape["type"], shape["properties"]))


def test_fails_when_a_transform_could_add_any_resource(document: dict[str, Any]) -> None:
    with pytest.raises(TemplateError, match="Transform: it could add any resource"):
        read({**document, "Transform": "AWS::LanguageExtensions"})


@pytest.mark.parametrize("type", ["AWS::ApiGatewayV2::Deployment", "AWS::ElasticLoadBalancingV2::ListenerRule"])
def test_fails_when_a_resource_type_is_unknown(document: dict[str, Any], type: str) -> None:
    with pytest.raises(TemplateError, match=f"Extra: resource type {type} is not known here"):
        read({**document, "Resources": {**document["Resources"], "Extra": {"Type": type, "Properties": {}}}})


def test_the_domain_is_a_name_of_the_api_only_if_it_is_mapped_to_it(production: dict[str, Any]) -> None:
    assert [*read(production).hosts] == ["api.example.com"]
    both = change(production, "Api", {"DisableExecuteApiEndpoint": False})
    plain = read(change(both, "DomainName", {"MutualTlsAuthentication": None}))
    assert [*plain.hosts][-2:] == ["[::1]", "api.example.com"]
    with pytest.raises(TemplateError, match=r"ask for different certificates, which one port cannot do"):
        read(both)
    with pytest.raises(TemplateError, match="expected AWS::ApiGatewayV2::Stage, found AWS::ApiGatewayV2::Api"):
        read(change(production, "ApiMapping", {"Stage": {"Ref": "ApiHttpApi2997B86B"}}))
    unmapped = change(production, "Api", {"DisableExecuteApiEndpoint": None})
    [mapping] = [name for name, body in unmapped["Resources"].items() if body["Type"].endswith("::ApiMapping")]
    del unmapped["Resources"][mapping]
    assert "api.example.com" not in read(unmapped).hosts
    with pytest.raises(TemplateError, match="no client could call the API"):
        read({**unmapped, **change(unmapped, "Api", {"DisableExecuteApiEndpoint": True})})


def test_a_service_is_told_which_certificate_is_wanted(over_tls: dict[str, Any], document: dict[str, Any]) -> None:
    assert configure(over_tls).count("'sni': 'internal.example.com'") == 2
    assert "'sni'" not in configure(document)


def test_fails_when_there_are_two_authorizers(secured: dict[str, Any]) -> None:
    [jwt] = [body for body in secured["Resources"].values() if body["Type"].endswith("::Authorizer")]
    with pytest.raises(TemplateError, match="expected one AWS::ApiGatewayV2::Authorizer, found"):
        read({**secured, "Resources": {**secured["Resources"], "Second": jwt}})


def test_a_further_service_is_found_at_its_listener_port(joined: dict[str, Any]) -> None:
    assert "'port_value': 65000" in configure(joined)


@pytest.mark.parametrize(
    ("rate", "tokens", "interval"), [(0.5, 1, "2.000"), (1, 1, "1.000"), (50, 3, "0.060"), (1000, 50, "0.050")]
)
def test_a_bucket_is_filled_at_the_rate_but_not_more_than_every_50_ms(
    document: dict[str, Any], rate: float, tokens: int, interval: str
) -> None:
    throttle = {"ThrottlingRateLimit": rate, "ThrottlingBurstLimit": 7}
    expected = {"max_tokens": 7, "tokens_per_fill": tokens, "fill_interval": f"{interval}000000s"}
    assert str(expected) in configure(change(document, "Stage", {"DefaultRouteSettings": throttle}))


def test_any_origin_may_be_allowed(secured: dict[str, Any]) -> None:
    cors = {"AllowOrigins": ["*"], "AllowMethods": [], "AllowHeaders": [], "ExposeHeaders": [], "MaxAge": 0}
    config = configure(change(secured, "Api", {"CorsConfiguration": cors}))
    assert "'allow_origin_string_match': [{'safe_regex': {'regex': '.*'}}]" in config


def test_without_a_mapping_no_request_id_reaches_the_backend(document: dict[str, Any]) -> None:
    removed = "'x-forwarded-proto', 'x-envoy-external-address', 'x-request-id']"
    assert removed not in configure(document)
    assert removed in configure(change(document, "Integration", {"RequestParameters": None}))
