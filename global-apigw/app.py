"""CDK entry point of global-apigw: environment → settings → stack, without a call to anybody."""

from functools import partial

from common import app
from infra.settings import GatewaySettings
from infra.stack import GlobalApigwStack

build = partial(app.build, GatewaySettings, GlobalApigwStack)

if __name__ == "__main__":
    app.synthesize(build)
