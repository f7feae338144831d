"""The whole line with the real commands, a real broker and nothing imitated."""

import base64
import json
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from edge.phantom import phantom


@pytest.fixture
def watched(tmp_path: Path) -> Path:
    """A watched folder."""
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


class Spy:
    """A plain MQTT client that remembers every message and its retain flag."""

    def __init__(self, port: int) -> None:
        self.messages: list[tuple[str, bytes, bool]] = []
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self.client.on_message = lambda _c, _u, m: self.messages.append((m.topic, m.payload, m.retain))
        self.client.connect("127.0.0.1", port)
        self.client.subscribe("#", qos=1)
        self.client.loop_start()

    def wait_for(self, condition, timeout_s: float = 15) -> None:
        """Wait until a message fulfils a condition."""
        deadline_s = time.monotonic() + timeout_s
        while not any(condition(*message) for message in list(self.messages)):
            assert time.monotonic() < deadline_s, self.messages
            time.sleep(0.05)

    def close(self) -> None:
        """Disconnect."""
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def spy(mosquitto):
    """A client that hears everything."""
    spy = Spy(mosquitto.port)
    yield spy
    spy.close()


def states(watched: Path) -> list[str]:
    """The state of each report in the outbox, in order."""
    with sqlite3.connect(watched / ".edge-agent" / "outbox.sqlite3") as database:
        found = [row[0] for row in database.execute("SELECT state FROM report ORDER BY seq")]
    database.close()
    return found


def test_a_dropped_image_reaches_the_doctor_and_is_settled(
    agent, doctor, mosquitto, demo_bundle, phantoms, watched: Path
):
    """Image in, report out, receipt back, original in the archive; the agent ends in order."""
    inbox = doctor(mosquitto.address)
    inbox.wait_for_line("connected to the broker")  # a report that it misses comes again, but later than the others
    box = agent("--broker", mosquitto.address, "--model", demo_bundle, "--watch", watched, "--device", "box-1")

    phantoms(watched, 3)
    box.wait_for(lambda process: sum("received id=" in line for line in process.err) == 3)

    reports = [json.loads(line) for line in inbox.out]
    assert [report["seq"] for report in reports] == [1, 2, 3]
    assert {report["device"] for report in reports} == {"box-1"}
    assert {report["notice"] for report in reports} == {"Decision support for a doctor. Not a diagnosis."}
    assert all(len(report["heatmap"]) == 7 and not report["model"]["signed"] for report in reports)
    assert states(watched) == ["received"] * 3
    assert len(list((watched / "archive").iterdir())) == 3
    assert box.end() == 0
    assert inbox.end() == 0


def test_images_taken_while_the_line_is_down_arrive_when_it_is_up(
    agent, doctor, mosquitto, demo_bundle, phantoms, watched: Path
):
    """The box goes on without a broker it once knew, and delivers later."""
    box = agent("--broker", mosquitto.address, "--model", demo_bundle, "--watch", watched, "--first-contact-s", "1")
    box.wait_for_line("connected to the broker")
    mosquitto.process.end()

    phantoms(watched, 2)
    box.wait_for(lambda process: sum("finding id=" in line for line in process.err) == 2)
    time.sleep(1.5)
    assert states(watched) == ["queued"] * 2
    mosquitto.run()
    inbox = doctor(mosquitto.address)

    inbox.wait_for(lambda process: len(process.out) == 2, timeout_s=60)
    assert box.end() == 0


def test_a_report_waits_for_a_doctor_who_comes_later(agent, doctor, mosquitto, demo_bundle, phantoms, watched: Path):
    """The broker's acknowledgement settles nothing: without a receipt the report is sent again."""
    box = agent("--broker", mosquitto.address, "--model", demo_bundle, "--watch", watched, "--receipt-timeout-s", "0.5")
    phantoms(watched, 1)
    box.wait_for_line("finding id=")
    time.sleep(1)
    assert states(watched) == ["sent"]

    inbox = doctor(mosquitto.address)

    inbox.wait_for(lambda process: len(process.out) == 1)
    box.wait_for_line("received id=")
    assert json.loads(inbox.out[0])["replayed"] is True
    assert states(watched) == ["received"]


def test_the_status_is_retained_and_says_stopped_after_an_orderly_end(
    agent, mosquitto, spy, demo_bundle, watched: Path
):
    """Whoever subscribes later learns the state at once."""
    topic = "xray/v1/clinic/box-1/status"

    box = agent("--broker", mosquitto.address, "--model", demo_bundle, "--watch", watched, "--device", "box-1")
    spy.wait_for(lambda t, payload, _: t == topic and b'"online"' in payload)
    late = Spy(mosquitto.port)
    late.wait_for(lambda t, payload, retain: t == topic and b'"online"' in payload and retain)
    late.close()
    assert box.end() == 0
    spy.wait_for(lambda t, payload, _: t == topic and b'"stopped"' in payload)


def test_a_killed_box_is_offline(agent, mosquitto, spy, demo_bundle, watched: Path):
    """The broker publishes the last will of a box that ends without a word."""
    box = agent("--broker", mosquitto.address, "--model", demo_bundle, "--watch", watched, "--device", "box-1")
    box.wait_for_line("connected to the broker")

    box.end(9)

    spy.wait_for(lambda t, payload, _: t == "xray/v1/clinic/box-1/status" and b'"offline"' in payload)


def test_the_doctor_prints_a_report_once_also_after_a_restart(
    agent, doctor, mosquitto, demo_bundle, phantoms, watched: Path
):
    """A second `watch` on the same store prints only what is new."""
    agent("--broker", mosquitto.address, "--model", demo_bundle, "--watch", watched)
    first = doctor(mosquitto.address)
    phantoms(watched, 2)
    first.wait_for(lambda process: len(process.out) == 2)
    first.end()

    second = doctor(mosquitto.address)
    phantoms(watched, 1, first_seed=2)
    second.wait_for(lambda process: len(process.out) == 1)
    time.sleep(1)

    assert json.loads(second.out[0])["seq"] == 3
    assert len(second.out) == 1


def test_nothing_of_the_file_s_name_leaves_the_box(agent, doctor, mosquitto, spy, demo_bundle, watched: Path):
    """A name is often the patient's: it is in no topic, no payload, no log and not in the doctor's store."""
    canary = "Erika-Mustermann-1964"
    inbox = doctor(mosquitto.address)
    box = agent(
        "--broker", mosquitto.address, "--model", demo_bundle, "--watch", watched, "--patience-s", "1",
        "--log-level", "debug",
    )  # fmt: skip
    (watched / f"{canary}.png").write_bytes(phantom(1).png())
    (watched / f"{canary}-text.png").write_text("no image")
    (watched / f"{canary}-folder").mkdir()
    box.wait_for_line("received id=")
    box.wait_for_line("set aside")
    box.end()
    inbox.end()

    said = "".join(f"{topic}{payload!r}" for topic, payload, _ in spy.messages) + "".join(
        box.out + box.err + inbox.out + inbox.err
    )
    assert canary not in said
    assert canary.encode() not in b"".join(path.read_bytes() for path in watched.parent.glob("inbox.sqlite3*"))


def test_messages_that_are_no_reports_are_ignored_and_told(
    agent, doctor, mosquitto, spy, demo_bundle, phantoms, watched
):
    """Rubbish, an impostor and a report from a later schema do not stop the inbox."""
    inbox = doctor(mosquitto.address)
    inbox.wait_for_line("connected to the broker")
    agent("--broker", mosquitto.address, "--model", demo_bundle, "--watch", watched)
    for topic, payload in [
        ("xray/v1/clinic/box-1/report/" + "0" * 32, b"rubbish"),
        ("xray/v1/clinic/box-1/report/" + "0" * 32, b'{"schema": "xray.report/9"}'),
        ("xray/v1/clinic/box-1/report/" + "0" * 32, bytes(10_000_000)),
    ]:
        spy.client.publish(topic, payload, qos=1)
    phantoms(watched, 1)
    inbox.wait_for(lambda process: len(process.out) == 1)
    report = json.loads(inbox.out[0])

    spy.client.publish(f"xray/v1/other/box-9/report/{report['id']}", json.dumps(report).encode(), qos=1)

    inbox.wait_for(lambda process: sum("ignored a message" in line for line in process.err) == 4)
    assert len(inbox.out) == 1


def test_the_agent_never_imports_tensorflow(demo_bundle, phantoms, tmp_path: Path):
    """Neither the package nor the command brings the trainer's libraries to the box."""
    (name,) = phantoms(tmp_path, 1)
    script = (
        "import sys; from edge.cli import main; import edge.agent, edge.delivery.publish, doctor.inbox; "
        f"main(['classify', {str(tmp_path / name)!r}, '--model', {str(demo_bundle)!r}, '--allow-unsigned', '--json']); "
        "heavy = {'tensorflow', 'keras', 'sklearn', 'trainer', 'converter'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, "Decision support for a doctor. Not a diagnosis.")


def test_the_demo_ends_by_itself_with_one_json_document(start):
    """`edge-agent demo --once --json`: everything sent arrives."""
    demo = start(sys.executable, "-m", "edge.cli", "demo", "--once", "--json")

    code = demo.code(timeout_s=120)

    result = json.loads("".join(demo.out))
    assert code == 0, demo.err
    assert (result["sent"], result["received"], result["total"]) == (8, 8, 8)
    assert 6 <= result["correct"] <= 8
    assert result["first_finding_s"] < 60


def test_the_doctor_s_end_asks_and_the_box_answers(agent, doctor, mosquitto, spy, demo_bundle, phantoms, watched: Path):
    """The picture in full resolution, checked by its hash, and what the self-test finds."""
    inbox = doctor(mosquitto.address)
    agent("--broker", mosquitto.address, "--model", demo_bundle, "--watch", watched, "--device", "box-1")
    phantoms(watched, 1)
    inbox.wait_for(lambda process: len(process.out) == 1)
    report = json.loads(inbox.out[0])

    for command in ("image", "self-test"):
        request = {"transaction": "t-1", "id": report["id"], "size_bytes": 65536, "schema": "xray.request/1"}
        spy.client.publish(f"xray/v1/clinic/box-1/request/{command}", json.dumps(request), qos=1)
        spy.wait_for(lambda topic, *_, command=command: topic.endswith(f"/response/{command}"), timeout_s=40)
    answers = {topic.split("/")[-1]: json.loads(payload) for topic, payload, _ in spy.messages if "/response/" in topic}

    chunk = answers["image"]["chunk"]
    assert answers["image"]["transaction"] == answers["self-test"]["transaction"] == "t-1"
    assert chunk["media_type"] == "image/png"
    assert len(base64.b64decode(chunk["content"])) == min(65536, chunk["total_bytes"])
    assert answers["self-test"]["result"]["known pictures"].startswith(("ok", "warn"))
