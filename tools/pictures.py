"""Draws the architecture and the way of a request from the three templates: python -m tools.pictures."""

import re
import tomllib
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from tools import pages, synth
from tools.service_names import SOURCES
from tools.template import Template

DOCS, FRAME = synth.ROOT / "docs/pictures", Path(__file__).with_suffix(".svg").read_text()
ROUTE = "GET /todo"
API, BALANCING, EC2 = "AWS::ApiGatewayV2::", "AWS::ElasticLoadBalancingV2::", "AWS::EC2::"
GATEWAY = "global-apigw"
Part = dict[str, Any]
Cell = tuple[int, float]  # column and row


class Picture:
    """Boxes in the cells of a grid, `box` and `gap` pixels wide. `border` is the column on whose left side PrivateLink is."""

    def __init__(self, box: int, gap: int, border: int) -> None:
        self.box, self.gap, self.border = box, gap, border
        self.cells: dict[Cell, tuple[str, str]] = {}
        self.arrows: list[tuple[Cell, Cell]] = []
        self.accounts: list[tuple[str, Cell, Cell]] = []

    def place(self, cell: Cell) -> tuple[int, int]:
        """The upper left corner of a box; between accounts is more room."""
        column, row = cell
        return 16 + column * (self.box + self.gap) + 44 * (column >= self.border), 54 + int(80 * row)

    def svg(self, title: str) -> str:
        columns, rows = (max(cell[axis] for cell in self.cells) for axis in (0, 1))
        (right, bottom), (border, _) = self.place((int(columns), rows)), self.place((self.border, 0))
        height, line = bottom + 80, border - (self.gap + 44) // 2
        body = [
            f'<line class="privatelink" x1="{line}" y1="26" x2="{line}" y2="{height - 10}"/>',
            text(line, 16, "PrivateLink", "name"),
        ]
        for name, first, last in self.accounts:
            (x, y), (to, end) = self.place(first), self.place(last)
            size = f'width="{to + self.box - x + 28}" height="{end - y + 98}"'
            body += [f'<rect class="account" x="{x - 14}" y="{y - 28}" {size} rx="10"/>', text(x, y - 9, name, "line")]
        for cell, (name, line_of) in self.cells.items():
            x, y = self.place(cell)
            body += [f'<rect class="box" x="{x}" y="{y}" width="{self.box}" height="56" rx="6"/>']
            body += [text(x + 10, y + 23, name, "title"), text(x + 10, y + 42, line_of, "line")]
        body += [f'<polyline class="arrow" points="{self.points(*each)}"/>' for each in self.arrows]
        return FRAME.format(width=right + self.box + 16, height=height + 8, title=escape(title), body="\n".join(body))

    def points(self, start: Cell, end: Cell) -> str:
        """Down in a column, left or right in a row, else through the gap after the column of the start."""
        (x, y), (to, bottom), half = self.place(start), self.place(end), self.box // 2
        if start[0] == end[0]:
            return f"{x + half},{y + 56} {x + half},{bottom}"
        if to < x:
            return f"{x},{y + 28} {to + self.box},{y + 28}"
        bend = x + self.box + self.gap // 2 + 10 * (start[0] < self.border <= end[0])
        return f"{x + self.box},{y + 28} {bend},{y + 28} {bend},{bottom + 28} {to},{bottom + 28}"

    def add(self, cell: Cell, title: str, line: str, *before: Cell) -> Cell:
        """A box, with an arrow from each cell `before`."""
        self.cells[cell] = title, line
        self.arrows += [(each, cell) for each in before]
        return cell

    def frame(self, folder: str, first: Cell, last: Cell) -> None:
        self.accounts.append((f"{folder}, account {synth.settings(folder)['AWS_ACCOUNT']}", first, last))


def text(x: int, y: int, content: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x}" y="{y}">{escape(content)}</text>'


class Provider(NamedTuple):
    """A service: its name, the properties of its listener and of its target group, and the template of its provider."""

    service: str
    listener: Part
    targets: Part
    folder: str
    template: Template

    @property
    def runtime(self) -> str:
        if self.template.of_type("AWS::ECS::Service"):
            scale = only(self.template, "AWS::ApplicationAutoScaling::ScalableTarget")
            return f"{scale['MinCapacity']} to {scale['MaxCapacity']} Fargate tasks"
        group = only(self.template, "AWS::AutoScaling::AutoScalingGroup")
        kind = only(self.template, f"{EC2}LaunchTemplate")["LaunchTemplateData"]["InstanceType"]
        return f"{group['MinSize']} to {group['MaxSize']} {kind}"

    @property
    def endpoints(self) -> str:
        names = [flat(each.properties["ServiceName"]) for each in self.template.of_type(f"{EC2}VPCEndpoint")]
        return ", ".join(sorted(re.sub(r"^com\.amazonaws\.[^.]+\.", "", name) for name in names))

    @property
    def principals(self) -> str:
        return ", ".join(only(self.template, f"{EC2}VPCEndpointServicePermissions")["AllowedPrincipals"])

    @property
    def port(self) -> int:
        return int(only(self.template, f"{BALANCING}Listener")["Port"])

    @property
    def table(self) -> str:
        """The capacity of its table, empty if there is none."""
        tables = self.template.of_type("AWS::DynamoDB::Table")
        return "".join(
            "on demand" if each.properties["BillingMode"] == "PAY_PER_REQUEST" else "provisioned" for each in tables
        )


def only(template: Template, type: str) -> Part:
    """The properties of the one resource of this type."""
    [resource] = template.of_type(type)
    return resource.properties


def flat(value: Any) -> str:
    """A text, or the parts of a Fn::Join with the names of what they refer to."""
    parts = [value] if isinstance(value, str) else value["Fn::Join"][1]
    return "".join(each if isinstance(each, str) else next(iter(each.values())) for each in parts)


def providers(gateway: Template) -> list[Provider]:
    """In the order of the listeners' ports."""
    registry = tomllib.loads(synth.registry())["services"]
    services = {each["listener_port"]: (name, SOURCES[each["endpoint_service"]][0]) for name, each in registry.items()}
    found = {}
    for listener in gateway.of_type(f"{BALANCING}Listener"):
        name, folder = services[port := listener.properties["Port"]]
        group = gateway.follow(listener.properties["DefaultActions"][0]["TargetGroupArn"], f"{BALANCING}TargetGroup")
        found[port] = Provider(name, listener.properties, group.properties, folder, Template(synth.local(folder)))
    return [found[port] for port in sorted(found)]


def architecture(gateway: Template) -> str:
    """A provider in every two rows."""
    found, picture = providers(gateway), Picture(144, 26, border=3)
    routes = len(gateway.of_type(f"{API}Route"))
    client = picture.add((0, 0), "client", "HTTPS")
    api = picture.add((1, 0), "HTTP API", f"{routes} routes", client)
    link = picture.add((1, 1), "VPC link", f"in {zones(gateway)} zones", api)
    ports = " and ".join(str(each.listener["Port"]) for each in found)
    balancer = picture.add((1, 2.4), "internal NLB", f"TCP {ports}", link)
    for number, each in enumerate(found):
        row = 2.4 * number
        end = picture.add((2, row), "VPC endpoint", f"of {each.service}", balancer)
        service = picture.add((3, row), "endpoint service", "admits the gateway", end)
        near = picture.add((4, row), "internal NLB", f"TCP {each.port}", service)
        used = picture.add(
            (5, row + 1), "VPC endpoints", each.endpoints, picture.add((5, row), each.service, each.runtime, near)
        )
        if each.table:
            picture.add((4, row + 1), "DynamoDB table", each.table, used)
        picture.frame(each.folder, (3, row), (5, row + 1))
    picture.frame(GATEWAY, (1, 0), (2, row + 1))
    return picture.svg("An HTTP API reaches services in other accounts through PrivateLink")


def request(gateway: Template) -> str:
    """The way of ROUTE; the texts below a title are of the templates, too."""
    [route] = [each.properties for each in gateway.of_type(f"{API}Route") if each.properties["RouteKey"] == ROUTE]
    integration = gateway.follow(
        {"Ref": flat(route["Target"]).removeprefix("integrations/")}, f"{API}Integration"
    ).properties
    stage = only(gateway, f"{API}Stage")
    limits = {**stage["DefaultRouteSettings"], **stage["RouteSettings"].get(ROUTE, {})}
    listener = gateway.follow(integration["IntegrationUri"], f"{BALANCING}Listener").properties
    [provider] = [each for each in providers(gateway) if each.listener == listener]
    who = "admits everybody" if route["AuthorizationType"] == "NONE" else "admits tokens of the issuer, else 401 or 403"
    rate, burst = limits["ThrottlingRateLimit"], limits["ThrottlingBurstLimit"]
    sent = [re.sub(r"(\w+):header\.(.+)", r"\1s \2", each) for each in integration["RequestParameters"]]
    near = only(provider.template, f"{BALANCING}TargetGroup")
    steps = [
        (f"route {ROUTE}", f"{who}; {rate:g} requests/s and {burst} at once, else 429"),
        ("integration", f"{', '.join(sent)}; waits {integration['TimeoutInMillis'] / 1000:g} s, else 503"),
        ("VPC link", f"network interfaces in {zones(gateway)} zones"),
        ("internal NLB", f"listener of {provider.service}, TCP {listener['Port']}"),
        ("target group", f"addresses of the endpoint, {healthy(provider.targets)}"),
        ("VPC endpoint", f"in {zones(gateway)} zones, to the endpoint service of {provider.folder}"),
    ]
    behind = [
        ("endpoint service", f"admits {provider.principals}"),
        ("internal NLB", f"TCP {provider.port}"),
        ("target group", f"{near['TargetType']} targets, {healthy(near)}"),
        (provider.service, provider.runtime),
        *([("DynamoDB table", f"{provider.table}; through a VPC endpoint")] if provider.table else []),
    ]
    picture = Picture(440, 32, border=1)
    cells = [(0, row) for row in range(len(steps))] + [(1, row) for row in range(len(behind))]
    for number, (cell, step) in enumerate(zip(cells, steps + behind, strict=True)):
        picture.add(cell, f"{number + 1}  {step[0]}", step[1], *cells[:number][-1:])
    picture.frame(GATEWAY, cells[0], cells[len(steps) - 1])
    picture.frame(provider.folder, cells[len(steps)], cells[-1])
    return picture.svg(f"The way of {ROUTE}")


def zones(gateway: Template) -> int:
    return len(only(gateway, f"{API}VpcLink")["SubnetIds"])


def healthy(targets: Part) -> str:
    return f"TCP {targets['Port']}; healthy if GET {targets['HealthCheckPath']} answers 200"


def files() -> dict[Path, str]:
    gateway = Template(synth.local(GATEWAY))
    return {DOCS / f"{draw.__name__}.svg": draw(gateway) for draw in (architecture, request)}


if __name__ == "__main__":
    DOCS.mkdir(exist_ok=True)
    pages.write(files)
