"""Prints the deployed API's URL and how to try it."""

import json
from pathlib import Path

OUTPUTS = Path(__file__).parent.parent / "global-apigw/.outputs/global-apigw.json"

if __name__ == "__main__":
    print(f"deployed; try it: make smoke URL={json.loads(OUTPUTS.read_text())['global-apigw']['HttpApiEndpoint']}")
