"""Synthesizes once for all template tests."""

import pytest
from aws_cdk import Stack
from aws_cdk.assertions import Template

from app import build
from infra.settings import EcsSettings

ENVIRON = {
    "AWS_ACCOUNT": "222222222222",
    "AWS_REGION": "us-west-2",
    "API_GATEWAY_ACCOUNT_ARN": "arn:aws:iam::111111111111:root",
    "IMAGE_TAG": "001",
}


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    app = build(ENVIRON, outdir=str(tmp_path_factory.mktemp("cdk.out")))
    stack = app.node.find_child(EcsSettings.stack)
    assert isinstance(stack, Stack)
    return Template.from_stack(stack)
