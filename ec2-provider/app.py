"""CDK entry point of ec2-provider: environment → settings → stack, without a call to anybody."""

from functools import partial

from common import app
from infra.settings import Ec2Settings
from infra.stack import Ec2ProviderStack

build = partial(app.build, Ec2Settings, Ec2ProviderStack)

if __name__ == "__main__":
    app.synthesize(build)
