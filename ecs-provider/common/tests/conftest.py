"""What costs the tests the most time, done once for all of them."""

import gc
import os
from functools import cache

from botocore.loaders import JSONFileLoader

gc.set_threshold(50_000, 20, 100)  # each full collection walks the whole CDK and moto
os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"  # hundreds for each mock, and none is used
# Each session parses the models of its services anew, EC2's in 0.2 s.
load = cache(JSONFileLoader().load_file)
JSONFileLoader.load_file = lambda _, path: load(path)  # type: ignore[method-assign,assignment]
