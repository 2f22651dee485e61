"""The pictures are those of the templates."""

from collections.abc import Callable
from typing import Any

import pytest

from tools import pictures, synth
from tools.pictures import API, BALANCING, EC2
from tools.template import Template


def test_the_pictures_are_current() -> None:
    for path, text in pictures.files().items():
        assert path.read_text() == text, "run: make docs"


@pytest.mark.parametrize(
    ("folder", "type", "properties", "draw", "shown"),
    [
        ("ec2-provider", "AWS::AutoScaling::AutoScalingGroup", {"MaxSize": "9"}, pictures.architecture, "2 to 9 t4g.micro"),
        ("ec2-provider", f"{BALANCING}Listener", {"Port": 8090}, pictures.architecture, "TCP 8090"),
        ("ec2-provider", f"{EC2}VPCEndpointServicePermissions", {"AllowedPrincipals": ["*"]}, pictures.request, "admits *"),
        ("global-apigw", f"{API}Integration", {"TimeoutInMillis": 2500}, pictures.request, "waits 2.5 s, else 503"),
        ("global-apigw", f"{API}Stage", {"RouteSettings": {}}, pictures.request, "50 requests/s and 100 at once"),
        ("global-apigw", f"{API}Route", {"AuthorizationType": "JWT"}, pictures.request, "admits tokens of the issuer"),
        ("global-apigw", f"{API}VpcLink", {"SubnetIds": ["a"]}, pictures.architecture, "in 1 zones"),
    ],
)  # fmt: skip
def test_a_change_of_a_template_changes_the_picture(
    monkeypatch: pytest.MonkeyPatch,
    folder: str,
    type: str,
    properties: dict[str, Any],
    draw: Callable[[Template], str],
    shown: str,
) -> None:
    assert shown not in draw(Template(synth.local("global-apigw")))
    document = synth.local(folder)
    for resource in document["Resources"].values():
        if resource["Type"] == type:
            resource["Properties"] |= properties
    local = synth.local
    monkeypatch.setattr(synth, "local", lambda name: document if name == folder else local(name))
    assert shown in draw(Template(synth.local("global-apigw")))
