"""CDK entry point of ecs-provider: environment → settings → stack, without a call to anybody."""

from functools import partial

from common import app
from infra.settings import EcsSettings
from infra.stack import EcsProviderStack

build = partial(app.build, EcsSettings, EcsProviderStack)

if __name__ == "__main__":
    app.synthesize(build)
