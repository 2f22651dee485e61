"""The todo app over moto's DynamoDB, spoken to by a client that holds every answer against openapi.yaml."""

import re
from collections.abc import Iterator
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import boto3
import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml
from flask import Flask
from flask.testing import FlaskClient
from moto import mock_aws
from werkzeug.test import TestResponse

from todo import create_app
from todo.settings import Settings

FOLDER = Path(__file__).parent.parent
OPENAPI = yaml.safe_load((FOLDER / "openapi.yaml").read_text())
ENVIRON = {
    "AWS_ACCOUNT": "333333333333",
    "AWS_REGION": "us-west-2",
    "API_GATEWAY_ACCOUNT_ARN": "arn:aws:iam::111111111111:root",
}
SETTINGS = Settings.read({"TABLE_NAME": "todo", "AWS_REGION": "us-west-2"})


def resolve(node: dict[str, Any]) -> dict[str, Any]:
    """The node itself, or what its $ref names."""
    names = node["$ref"].split("/")[1:] if "$ref" in node else []
    return dict(reduce(getitem, names, OPENAPI)) if names else node


def table_with_key(name: str) -> Any:
    """The properties of a table."""
    key = {"AttributeName": name}
    attributes, schema = [{**key, "AttributeType": "S"}], [{**key, "KeyType": "HASH"}]
    return {"KeySchema": schema, "AttributeDefinitions": attributes, "BillingMode": "PAY_PER_REQUEST"}


class ContractClient(FlaskClient):
    """Fails on an answer that openapi.yaml does not document."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        response = super().open(*args, **kwargs)
        path, method, status = response.request.path, response.request.method.lower(), response.status_code
        patterns = {name: re.sub(r"{\w+}", "[^/]+", name) for name in OPENAPI["paths"]}
        operations = [OPENAPI["paths"][name] for name in patterns if re.fullmatch(patterns[name], path)]
        if operations and method in operations[0]:
            documented = resolve(operations[0][method]["responses"][str(status)])
        else:
            documented = resolve({"$ref": "#/components/responses/Error"})
            assert (status, "Allow" in response.headers) == ((405, True) if operations else (404, False))
        for name, header in documented.get("headers", {}).items():
            if header.get("required") or name in response.headers:
                assert re.search(header["schema"].get("pattern", ""), response.headers[name])
        assert response.content_type == "application/json"
        schema = documented["content"]["application/json"]["schema"]
        jsonschema.validate(response.json, {**schema, "components": OPENAPI["components"]})
        return response


@pytest.fixture(scope="session", autouse=True)
def no_account() -> Iterator[None]:
    """Nothing here can reach an account of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            patch.setenv(name, "testing")
        for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def app(no_account: None) -> Flask:
    return create_app(SETTINGS)


@pytest.fixture(scope="session")
def dynamodb(no_account: None) -> Any:
    return boto3.resource("dynamodb", region_name=SETTINGS.aws_region)


@pytest.fixture
def table(dynamodb: Any) -> Iterator[Any]:
    """An empty one, for each test."""
    with mock_aws():
        yield dynamodb.create_table(TableName=SETTINGS.table_name, **table_with_key("id"))


@pytest.fixture
def client(app: Flask, table: Any) -> ContractClient:
    return ContractClient(app, app.response_class)
