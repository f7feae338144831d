"""`docs/protocol.md` tells the truth: its examples are messages of ours, and its program works."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.mqtt.broker import Acknowledged, Line
from edge.settings.config import BrokerConfig
from edge.wire.messages import MAX_REPORT_BYTES, MESSAGES, Report, decode, encode, report_id
from edge.wire.topics import Address

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "protocol.md"
KINDS = {f"xray.{kind.__name__.lower()}/1": kind for kind in MESSAGES}


def blocks(language: str) -> list[str]:
    """The document's code blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("example", blocks("json"))
def test_an_example_is_a_message_and_shows_every_field(example: str) -> None:
    """An example decodes, and encoding it again gives the same fields and values, none missing and none unknown."""
    given = json.loads(example)

    message = decode(example.encode(), KINDS[given["schema"]])

    assert json.loads(encode(message)) == given


def test_every_message_has_an_example() -> None:
    """Every kind of message is shown, and no example is of anything else."""
    assert {json.loads(example)["schema"] for example in blocks("json")} == set(KINDS)


def test_every_field_of_a_report_is_explained() -> None:
    """The table of fields names exactly the fields of a report, but for the schema."""
    section = DOCUMENT.read_text(encoding="utf-8").split("\n## ")[2]
    rows = re.findall(r"^\| (`[^|]*`) \|", section, re.MULTILINE)

    explained = {name for row in rows for name in re.findall(r"`(\w+)`", row)}

    assert explained | {"schema"} == {field.name for field in msgspec.structs.fields(Report)}


def test_the_topics_are_those_of_the_code() -> None:
    """The table of topics is what `edge.wire.messages` builds, and the limit is the code's."""
    text = DOCUMENT.read_text(encoding="utf-8")
    address = Address("xray", "S", "D")
    expected = {
        *(address.status, address.health, address.card),
        *(address.report("I"), address.preview("I"), address.confirmation("I"), address.response("C")),
        *(address.receipt("I"), address.review("I"), address.request("C")),
    }

    topics = re.findall(r"^\| `(xray/[^`]*)` \|", text, re.MULTILINE)

    for name, value in (("<site>", "S"), ("<device>", "D"), ("<id>", "I"), ("<command>", "C")):
        topics = [topic.replace(name, value) for topic in topics]
    assert set(topics) == expected
    assert f"at most {MAX_REPORT_BYTES // 1024} KB" in text


def test_the_id_is_made_as_described() -> None:
    """The description of the id, followed to the letter, gives the code's id."""
    from hashlib import sha256  # noqa: PLC0415 - this test alone follows the description by hand

    image, model = sha256(b"image").hexdigest(), sha256(b"model").hexdigest()

    assert sha256(f"{image}:{model}".encode()).hexdigest()[:32] == report_id(image, model)


def test_the_program_of_another_subscriber_works(
    start: Callable[..., Any], tls_broker: Any, certificates: Path
) -> None:
    """The ten lines, with only broker and certificates put in, print a report that a box publishes."""
    [program] = blocks("python")
    host, _, port = tls_broker.address.partition(":")
    program = program.replace('"broker.example", 8883', f'"{host}", {port}').replace(
        '("ca.crt"', f'("{certificates}/ours/ca.crt"'
    )
    program = re.sub(r'"(watch\.\w+)"', rf'"{certificates}/ours/\1"', program)
    report = next(decode(example.encode(), Report) for example in blocks("json") if "xray.report/1" in example)
    config = BrokerConfig(address=tls_broker.address, **tls_broker.certificate("box-1"))

    subscriber = start(sys.executable, "-c", program)

    tls_broker.process.wait_for_line(" as watch ")
    with Line(config, client_id="box") as line:

        def published(process: Any) -> object:
            line.publish(Address("xray", report.site, report.device).report(report.id), encode(report))
            assert isinstance(line.next_event(5), Acknowledged)
            return process.out

        subscriber.wait_for(published)
    assert subscriber.out[0] == f"clinic box-1 1 {report.decision} {report.notice}"
    assert len([row for row in blocks("python")[0].splitlines() if row.strip()]) == 10
