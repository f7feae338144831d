"""Bad input gets a clear sentence and the stated exit code, and nothing is lost."""

import json
import os
import stat
import time
from pathlib import Path

import pytest
from PIL import Image

from edge.phantom import phantom


@pytest.fixture
def watched(tmp_path: Path) -> Path:
    """A watched folder."""
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


def told(process) -> str:
    """What a command says at its end, on one line and without a traceback."""
    assert not any("Traceback" in line for line in process.err), process.err
    return process.err[-1]


def test_bad_files_are_set_aside_with_reasons_and_good_ones_pass(
    agent, doctor, mosquitto, demo_bundle, phantoms, watched: Path
):
    """A text named .png, an empty file, a truncated JPEG and a folder do not hold up the image behind them."""
    inbox = doctor(mosquitto.address)
    (watched / "text.png").write_text("this is a text")
    (watched / "empty.png").touch()
    Image.effect_noise((600, 600), 80).save(watched / "cut.jpg")
    (watched / "cut.jpg").write_bytes((watched / "cut.jpg").read_bytes()[:-5000])
    (watched / "folder.png").mkdir()
    box = agent("--broker", mosquitto.address, "--model", demo_bundle, "--watch", watched, "--patience-s", "1.5")
    phantoms(watched, 1)

    box.wait_for(lambda process: sum("set aside" in line for line in process.err) == 3)
    inbox.wait_for(lambda process: len(process.out) == 1)
    code = box.end()

    reasons = {path.name: path.read_text() for path in (watched / "quarantine").glob("*.reason.txt")}
    assert code == 0
    assert "none of them" in reasons["text.png.reason.txt"]
    assert "an empty file" in reasons["empty.png.reason.txt"]
    assert "damaged or incomplete" in reasons["cut.jpg.reason.txt"]
    assert (watched / "quarantine" / "text.png").read_text() == "this is a text"
    assert (watched / "folder.png").is_dir()
    assert any("a folder inside the watched folder is not read" in line for line in box.err)


def test_a_file_written_slowly_is_read_once_whole(agent, doctor, mosquitto, demo_bundle, watched: Path):
    """A scanner that needs four seconds, with pauses longer than the settling, gives one report and no quarantine."""
    inbox = doctor(mosquitto.address)
    box = agent("--broker", mosquitto.address, "--model", demo_bundle, "--watch", watched, "--settle-s", "0.5")
    box.wait_for_line("connected to the broker")
    content = phantom(1).png()
    with (watched / "slow.png").open("wb", buffering=0) as file:
        for start in range(0, len(content), len(content) // 4 + 1):
            file.write(content[start : start + len(content) // 4 + 1])
            time.sleep(1)

    inbox.wait_for(lambda process: len(process.out) == 1)
    time.sleep(1)

    assert len(inbox.out) == 1
    assert (watched / "archive" / "slow.png").read_bytes() == content
    assert not (watched / "quarantine").exists()


@pytest.mark.parametrize("json_flag", [(), ("--json",)])
def test_classify_goes_on_behind_a_bad_file(agent, demo_bundle, phantoms, tmp_path: Path, json_flag: tuple[str, ...]):
    """One line for each image, in order; exit code 65 because one could not be read."""
    names = phantoms(tmp_path, 2)
    (tmp_path / "text.png").write_text("a text")
    images = [tmp_path / names[0], tmp_path / "text.png", tmp_path / "nowhere.png", tmp_path, tmp_path / names[1]]

    command = agent("classify", *images, "--model", demo_bundle, *json_flag)

    assert command.code() == 65
    assert len(command.out) == 5
    assert "Not a diagnosis" in told(command)
    if json_flag:
        lines = [json.loads(line) for line in command.out]
        assert [sorted(line) for line in lines[1:4]] == [["error", "file"]] * 3
        assert [line["file"] for line in lines] == [str(image) for image in images]
        assert {"file", "id", "decision", "probabilities", "model", "heatmap", "timings_ms"} <= set(lines[0])


def test_classify_says_what_it_cannot_assess(agent, demo_bundle, tmp_path: Path):
    """A blank film gets no class, but every field, and is no error."""
    Image.new("L", (400, 400), 90).save(tmp_path / "blank.png")

    command = agent("classify", tmp_path / "blank.png", "--model", demo_bundle, "--json")

    assert command.code() == 0
    result = json.loads(command.out[0])
    assert (result["decision"], result["probabilities"], result["heatmap"]) == ("not-assessable", {}, None)
    assert "nearly blank" in result["reason"]


def test_classify_writes_the_heatmaps_it_is_asked_for(agent, demo_bundle, phantoms, tmp_path: Path):
    """One picture an image, of the image's size."""
    (name,) = phantoms(tmp_path, 1)

    code = agent("classify", tmp_path / name, "--model", demo_bundle, "--heatmap", tmp_path / "maps").code()

    with Image.open(tmp_path / "maps" / f"{name}.heatmap.png") as picture, Image.open(tmp_path / name) as source:
        assert (code, picture.mode, picture.size) == (0, "RGB", source.size)


def test_a_missing_model_is_a_configuration_error(agent, watched: Path):
    """Exit 78, and the message names the place and the remedy."""
    box = agent("--broker", "127.0.0.1:1", "--model", watched / "nowhere.bundle", "--watch", watched)

    assert box.code() == 78
    assert "nowhere.bundle" in told(box)
    assert "edge-converter convert" in told(box)


def test_a_bundle_with_one_flipped_byte_is_refused(agent, demo_bundle, watched: Path):
    """Exit 65 before the model reaches an interpreter."""
    content = bytearray(demo_bundle.read_bytes())
    content[len(content) // 2] ^= 1
    (watched.parent / "bad.bundle").write_bytes(content)

    box = agent("--broker", "127.0.0.1:1", "--model", watched.parent / "bad.bundle", "--watch", watched)

    assert box.code() == 65
    assert "damaged" in told(box)


def test_a_broker_that_never_answered_ends_the_agent_with_nothing_lost(
    agent, doctor, mosquitto, demo_bundle, phantoms, watched: Path
):
    """Exit 69 and the address; the image waits in the outbox and arrives once the address is right."""
    phantoms(watched, 1)
    box = agent("--broker", "127.0.0.1:1", "--model", demo_bundle, "--watch", watched, "--first-contact-s", "2.5")

    assert box.code() == 69
    assert "127.0.0.1:1: connection refused" in told(box)

    inbox = doctor(mosquitto.address)
    agent("--broker", mosquitto.address, "--model", demo_bundle, "--watch", watched)
    inbox.wait_for(lambda process: len(process.out) == 1)


def test_a_doctor_without_a_broker_is_told(doctor):
    """Exit 69 for the doctor's end, too."""
    inbox = doctor("127.0.0.1:1", "--first-contact-s", "1")

    assert inbox.code() == 69
    assert "127.0.0.1:1" in told(inbox)


@pytest.mark.parametrize(
    ("arguments", "environ", "complaint"),
    [
        (("--config", "{config}"), {}, "unknown key colour"),
        (("--broker", "127.0.0.1:1"), {"EDGE_AGENT_COLOUR": "blue"}, "unknown variable EDGE_AGENT_COLOUR"),
        (("--model", "m"), {}, "no broker: give --broker HOST"),
        (("--broker", "127.0.0.1:1"), {}, "nothing to do: give --watch DIR"),
        (("--broker", "127.0.0.1:1", "--watch", "{tmp}"), {}, "no model: give --model BUNDLE"),
        (("--broker", "host:port", "--watch", "{tmp}", "--model", "m"), {}, "must be HOST or HOST:PORT"),
        (("--broker", "127.0.0.1:1", "--watch", "{tmp}/no", "--model", "{model}"), {}, "expected a folder to watch"),
        (("--broker", "h", "--watch", "{tmp}", "--model", "{model}", "--ca-file", "/no.pem"), {}, "/no.pem"),
        (("--broker", "h", "--settle-s", "soon"), {}, "settle_s"),
    ],
)
def test_a_wrong_configuration_names_the_key(
    agent, demo_bundle, tmp_path: Path, arguments: tuple[str, ...], environ: dict[str, str], complaint: str
):
    """Exit 78 and a sentence, never a traceback."""
    (tmp_path / "config.toml").write_text('colour = "blue"\n')
    filled = [
        argument.format(config=tmp_path / "config.toml", tmp=tmp_path, model=demo_bundle) for argument in arguments
    ]

    box = agent(*filled, env=environ)

    assert box.code() == 78
    assert complaint in told(box)


def test_a_wrong_option_is_a_usage_error(agent):
    """Exit 2, as everywhere."""
    assert agent("--colour", "blue").code() == 2


def test_a_second_agent_on_the_same_folder_is_refused(agent, mosquitto, demo_bundle, watched: Path):
    """Two agents would take each other's images."""
    command = ("--broker", mosquitto.address, "--model", demo_bundle, "--watch", watched)
    agent(*command).wait_for_line("connected to the broker")

    second = agent(*command)

    assert second.code() == 78
    assert "another agent is using" in told(second)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_told(agent, demo_bundle, watched: Path):
    """Exit 78 before an image is touched."""
    watched.chmod(stat.S_IRUSR | stat.S_IXUSR)

    box = agent("--broker", "127.0.0.1:1", "--model", demo_bundle, "--watch", watched)

    assert box.code() == 78


@pytest.mark.shared
@pytest.mark.parametrize("runtime", ["litert", "tflite-runtime"])
def test_every_raw_file_of_the_field_is_classified(agent, demo_bundle, shared: Path, runtime: str):
    """33 raw files and 6 DICOM files give 39 lines; what the demo's model thinks of real films is no matter here."""
    images = sorted((shared / "data/intake").iterdir()) + sorted((shared / "data/dicom").iterdir())

    command = agent("classify", *images, "--model", demo_bundle, "--json", "--runtime", runtime)

    assert command.code(timeout_s=120) == 0
    results = [json.loads(line) for line in command.out]
    assert len(results) == 39
    assert {result["model"]["runtime"] for result in results} == {runtime}
    assert all(abs(sum(result["probabilities"].values()) - 1) < 1e-5 for result in results)
