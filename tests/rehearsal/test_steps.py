"""`make -n deploy`: the steps of a deploy of all three, in order, printed and not run."""

import os
import re
import socket
import sys
from pathlib import Path

import pytest

from tests.conftest import FOLDERS

from .environment import Checkout, exported, shell

STEPS = """\
PYTHON tools/service_names.py
dogs: .venv/bin/python preflight.py preflight broadening
todo: .venv/bin/python preflight.py preflight broadening
platform: .venv/bin/python preflight.py preflight broadening DOGNAME_SERVICE_NAME TODO_SERVICE_NAME
dogs: .venv/bin/python preflight.py deploy broadening
dogs: .venv/bin/python preflight.py push broadening
pushed=$(dogs: .venv/bin/python -m infra.repository --region us-west-2 has --tag TAG) && \\
if [ "$pushed" = yes ]; then echo "dog-names:TAG is in ECR already"; else \\
	dogs: .venv/bin/python -m infra.repository --region us-west-2 ensure && \
docker build --platform linux/arm64 -t dog-names:TAG image && \
dogs: .venv/bin/python -m infra.repository --region us-west-2 password | \
docker login --username AWS --password-stdin 222222222222.dkr.ecr.us-west-2.amazonaws.com && \
docker tag dog-names:TAG 222222222222.dkr.ecr.us-west-2.amazonaws.com/dog-names:TAG && \
docker push 222222222222.dkr.ecr.us-west-2.amazonaws.com/dog-names:TAG; fi
mkdir -p .outputs
dogs: node_modules/.bin/cdk deploy --all --require-approval broadening --outputs-file .outputs/ecs-provider.json || \\
	{ dogs: .venv/bin/python preflight.py failed broadening; exit 1; }
todo: .venv/bin/python preflight.py deploy broadening
.venv/bin/python -m infra.bundle --out .build/bundle.tar.gz
mkdir -p .outputs
todo: node_modules/.bin/cdk deploy --all --require-approval broadening --outputs-file .outputs/ec2-provider.json || \\
	{ todo: .venv/bin/python preflight.py failed broadening; exit 1; }
PYTHON tools/service_names.py make --silent -C global-apigw deploy AWS_ACCOUNT=111111111111 PROFILE=platform \
API_GATEWAY_ACCOUNT_ARN=arn:aws:iam::111111111111:root
sed -n 's|.*"HttpApiEndpoint": "\\(.*\\)".*|deployed; try it: make smoke URL=\\1|p' global-apigw/.outputs/global-apigw.json
"""
AS = re.compile(r"env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY -u AWS_SESSION_TOKEN AWS_PROFILE=(\w+)")


def test_a_dry_run_prints_the_steps_in_order_and_calls_nobody(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path / "checkout")
    for folder in FOLDERS:  # as after `npm ci`
        installed = checkout.root / folder / "node_modules"
        installed.unlink()
        (installed / ".bin").mkdir(parents=True)
        (installed / ".bin/cdk").touch()
    with socket.create_server(("127.0.0.1", 0)) as aws:
        aws.setblocking(False)
        endpoint = f"http://127.0.0.1:{aws.getsockname()[1]}"
        environ = shell(tmp_path, endpoint) | exported("222222222222") | {
            "AWS_REGION": "us-west-2", "IMAGE_TAG": "TAG", "UV": sys.executable,
            "ECS_ACCOUNT": "222222222222", "EC2_ACCOUNT": "333333333333", "GATEWAY_ACCOUNT": "111111111111",
            "ECS_PROFILE": "dogs", "EC2_PROFILE": "todo", "GATEWAY_PROFILE": "platform",
        }  # fmt: skip
        done = checkout.run("make -n deploy DOCKER=docker", environ)
        with pytest.raises(BlockingIOError):
            aws.accept()
    assert done.returncode == 0, done.stderr
    steps = AS.sub(r"\1:", re.sub(r"^make .*\n", "", done.stdout, flags=re.MULTILINE))
    assert steps == STEPS.replace("PYTHON", os.environ.get("PYTHON", "python3"))
    assert checkout.docker.read_text() == ""
    assert not list(checkout.root.glob("*/.outputs"))
