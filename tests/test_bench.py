"""The benchmark: its page has what was measured, and a wrong answer never counts as a fast one."""

import json

import pytest

from bench.load import parse
from bench.report import README, RESULTS, Figure, table
from bench.servers import Failed
from tools import pages

WRK = """Running 1s test @ http://127.0.0.1:8081/dogs
  Latency Distribution
     50%  310.00us
     99%    {p99}
  54000 requests in 1.00s, 8.10MB read
{more}Requests/sec:  53871.22
Transfer/sec:      8.06MB
"""


def test_the_readme_shows_the_results() -> None:
    shown = pages.page(README, "bench", table(json.loads(RESULTS.read_text())))
    assert README.read_text() == shown, "run: make bench"


def test_results_are_of_five_rounds_or_more() -> None:
    results = json.loads(RESULTS.read_text())
    assert results["figures"]
    once = ("`make test`", "`make rehearse`")
    assert all(figure["rounds"] >= 5 for figure in results["figures"] if figure["name"] not in once)


@pytest.mark.parametrize(("shown", "ms"), [("930.00us", 0.93), ("4.51ms", 4.51), ("1.20s", 1200.0)])
def test_a_rate_and_a_percentile_are_read_from_wrk(shown: str, ms: float) -> None:
    assert parse(WRK.format(p99=shown, more="")) == pytest.approx((53871.22, ms))


@pytest.mark.parametrize(
    "more", ["  Non-2xx or 3xx responses: 3\n", "  Socket errors: connect 0, read 5, write 0, timeout 0\n"]
)
def test_fails_when_an_answer_was_an_error_or_missing(more: str) -> None:
    with pytest.raises(Failed, match=more.strip()):
        parse(WRK.format(p99="4.51ms", more=more))


def test_a_goal_is_for_the_median() -> None:
    figure = Figure("todo: memory", [1.0, 290.0, 400.0], "MB", "≤ 300").as_json()
    assert (figure["median"], figure["min"], figure["max"], figure["holds"]) == (290, 1, 400, True)
    assert not Figure("dog-names", [1.2, 1.1, 1.0], "MB", "≥ 1.15").as_json()["holds"]
