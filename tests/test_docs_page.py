"""The page of the API in a real browser: from a file, and as the local run serves it. PICTURE=1 renews docs/pictures/api.png."""

import json
import os
import re
import shutil
import tomllib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By

from tests.conftest import ROOT
from tests.processes import LocalRun, running, wait_for
from tools.openapi import REGISTRY, Part, contracts, document, operations
from tools.page.__main__ import page

pytestmark = pytest.mark.slow
MISSING = "needs chromium and chromedriver: apt-get install chromium chromium-driver"
OPEN, SECURED = REGISTRY, REGISTRY.parent / "examples/secured.toml"
# Tall enough that nothing waits for a scroll; a picture has the second size.
TALL, PICTURE = (1280, 9000), (1440, 800)


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    chromium, driver = shutil.which("google-chrome") or shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.fail(MISSING) if os.environ.get("CI") else pytest.skip(MISSING)
    options = ChromeOptions()
    options.binary_location = str(chromium)
    # No name has an address: a request to another host is seen, and reaches nobody.
    for argument in ("headless", "hide-scrollbars", "host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"):
        options.add_argument(f"--{argument}")
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # which Chromium does not start as root
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    with Chrome(options, ChromeService(driver)) as found:
        yield found


def api_of(registry: Path) -> Part:
    return document(tomllib.loads(registry.read_text()), contracts())


def hosts(browser: Chrome) -> set[str | None]:
    """The hosts that the page has asked since the last call; a file has none."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]  # type: ignore[no-untyped-call] # selenium has no type here
    sent = [each["params"]["request"]["url"] for each in events if each["method"] == "Network.requestWillBeSent"]
    assert sent
    return {urlsplit(url).hostname for url in sent}


def shows_every_route(browser: Chrome, address: str, api: Part, server: str) -> None:
    """In the list at the side, and with its curl."""
    browser.set_window_size(*TALL)
    browser.get(address)
    for route, operation in operations(api).items():
        (method, path), [tag] = route.split(), operation["tags"]
        [curl] = wait_for(partial(curls, browser, place := f"tag/{tag}/{method}{path}"))
        assert f"{server}{path.partition('{')[0]}" in curl
        assert ("--request POST" in curl) == (method == "POST")
        assert browser.find_elements(By.CSS_SELECTOR, f"aside a[href='#{place}']")
    # These would ask Scalar's hosts at a click.
    assert not re.search("Ask AI|Open API Client|Developer Tools", browser.find_element(By.TAG_NAME, "body").text)


def curls(browser: Chrome, place: str) -> list[str]:
    """The curls of an operation; none before it is rendered."""
    text = browser.execute_script("return document.getElementById(arguments[0])?.innerText ?? ''", f"api-1/{place}")
    return re.findall(r"^curl (?:.*\\\n)*.*", text, re.MULTILINE)


@pytest.mark.parametrize("registry", [OPEN, SECURED], ids=["open", "secured"])
def test_the_page_renders_from_a_file_and_asks_nobody(browser: Chrome, tmp_path: Path, registry: Path) -> None:
    shutil.copy(ROOT / ".local/docs/scalar.js", tmp_path)
    (tmp_path / "index.html").write_text(page(api := api_of(registry)))
    shows_every_route(browser, f"file://{tmp_path}/index.html", api, "http://127.0.0.1:8080")
    assert hosts(browser) == {None}
    if os.environ.get("PICTURE") and registry == OPEN:
        browser.set_window_size(*PICTURE)
        browser.find_element(By.CSS_SELECTOR, "aside a[href='#tag/todo/POST/todo']").click()
        browser.save_screenshot(str(ROOT / "docs/pictures/api.png"))


def test_the_local_run_serves_the_page_and_a_call_from_it_succeeds(browser: Chrome, tmp_path: Path) -> None:
    with running(run := LocalRun(tmp_path / "log")):
        server = f"http://127.0.0.1:{run.ports['DOCS_PORT']}"
        wait_for(lambda: f"try it in a browser: {server}/\n" in run.log.read_text())
        shows_every_route(browser, f"{server}/", api_of(OPEN), server)
        browser.find_element(By.XPATH, "//button[contains(., '(get /dogs)')]").click()
        wait_for(lambda: browser.find_elements(By.XPATH, "//*[@role='dialog']//button[starts-with(., 'Send')]"))[
            0
        ].click()
        dialog = browser.find_element(By.XPATH, "//*[@role='dialog']")
        wait_for(lambda: re.search(r'200 OK(?s:.)*"name": "[A-Z][a-z]+"', dialog.text))
        assert hosts(browser) == {"127.0.0.1"}
