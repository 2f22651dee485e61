"""The environment becomes settings, or every problem at once."""

import re
from dataclasses import astuple, dataclass

import pytest

from common.settings import ZONES, Settings, SettingsError, cross_region_problems, switch, variable

COMMON = {"AWS_ACCOUNT": "222222222222", "AWS_REGION": "us-west-2"}


@dataclass(frozen=True, kw_only=True)
class Painted(Settings):
    stack: str = "painted"
    colour: str = variable("COLOUR", "red|blue", "red")
    size: str = variable("SIZE", r"\d", "3", default="1")
    glossy: bool = switch("GLOSSY")


def read(**environ: str) -> Settings:
    return Settings.read({**COMMON, **environ}, stack="a-stack")


# The topic may be another account's. A default stands for a missing and for an empty value.
TOPIC = "arn:aws:sns:us-west-2:999999999999:alarms"
GIVEN = {"COLOUR": "blue", "SIZE": "2", "GLOSSY": "1", "AZ_IDS": "usw2-az3,usw2-az4", "ALARM_TOPIC_ARN": TOPIC}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (GIVEN, ["222222222222", "us-west-2", ("usw2-az3", "usw2-az4"), TOPIC, "blue", "2", True]),
        ({"COLOUR": "red", "SIZE": ""}, ["222222222222", "us-west-2", ("usw2-az1", "usw2-az2"), "", "red", "1", False]),
    ],
)
def test_fields_are_read_from_their_variables(environ: dict[str, str], expected: list[object]) -> None:
    assert astuple(Painted.read({**COMMON, **environ})) == ("painted", *expected)


def test_a_stack_remembers_the_optional_variables_that_are_not_at_their_defaults() -> None:
    everything = Painted.read({**COMMON, **GIVEN}).remembered
    assert everything == {name: value for name, value in GIVEN.items() if name != "COLOUR"}
    assert Painted.read({**COMMON, "COLOUR": "red", "SIZE": "1", "AZ_IDS": "usw2-az1,usw2-az2"}).remembered == {}


def test_fails_when_anything_is_missing_and_names_all_of_it() -> None:
    with pytest.raises(SettingsError) as error:
        Painted.read({"AWS_REGION": ""})
    assert str(error.value).splitlines() == [
        "error: AWS_ACCOUNT is missing, for example AWS_ACCOUNT=222222222222",
        "error: AWS_REGION is missing, for example AWS_REGION=us-west-2",
        "error: COLOUR is missing, for example COLOUR=red",
    ]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("AWS_ACCOUNT", "22222222222", "AWS_ACCOUNT is '22222222222', expected something like 222222222222"),
        ("AWS_ACCOUNT", "222222222222\n", r"AWS_ACCOUNT is '222222222222\n'"),
        ("AWS_REGION", "Oregon", "AWS_REGION is 'Oregon'"),
        ("AWS_REGION", "xx-west-9", "AZ_IDS is missing: no zones are known for xx-west-9"),
        ("AZ_IDS", "usw2-az1", "AZ_IDS is 'usw2-az1', expected something like usw2-az1,usw2-az2"),
        ("AZ_IDS", "us-west-2a,us-west-2b", "AZ_IDS is 'us-west-2a,us-west-2b'"),
        ("AZ_IDS", "usw2-az1,usw2-az1", "AZ_IDS names usw2-az1 twice"),
        (
            "ALARM_TOPIC_ARN",
            "arn:aws:sns:us-east-1:222222222222:alarms",
            "ALARM_TOPIC_ARN is a topic in us-east-1, AWS_REGION is us-west-2: CloudWatch sends alarms only to topics of "
            "their own region; name a topic in us-west-2",
        ),
    ],
)
def test_fails_when_a_value_is_malformed(name: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)):
        read(**{name: value})


def test_every_known_region_has_two_zones_of_its_own() -> None:
    for region, zones in ZONES["regions"].items():
        # us-west-2 → usw2, ap-northeast-1 → apne1
        area, *direction, number = region.split("-")
        words = re.findall("north|south|east|west|central", direction[0])
        prefix = area + "".join(word[0] for word in words) + number
        assert all(re.fullmatch(rf"{prefix}-az[1-6]", zone) for zone in zones), region
        assert read(AWS_REGION=region).zone_ids == tuple(zones)
        assert len(set(zones)) == 2


@pytest.mark.parametrize("zone", ZONES["without_cross_region"])
def test_a_zone_that_no_other_region_reaches_is_a_problem(zone: str) -> None:
    [problem] = cross_region_problems(("use1-az1", zone))
    assert problem.startswith(f"PrivateLink connects no other region to zone {zone}; choose two others of the region")


def test_other_zones_are_reached_from_other_regions() -> None:
    assert [*cross_region_problems(ZONES["regions"]["us-west-2"])] == []


@pytest.mark.parametrize("zone", ZONES["without_vpc_links"])
def test_fails_when_a_zone_has_no_vpc_links(zone: str) -> None:
    # The gateway would roll back at its VPC link, after both providers were deployed. Every folder refuses it.
    other = f"{zone.partition('-')[0]}-az9"
    with pytest.raises(SettingsError) as error:
        read(AZ_IDS=f"{other},{zone}")
    assert str(error.value) == (
        f"error: no HTTP API can reach zone {zone}, which has no VPC links, and all three folders use the same zones; "
        "choose two others of the region: AZ_IDS=<id>,<id>"
    )
