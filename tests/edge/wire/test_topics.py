"""Topics cannot be broken out of, and taking one apart is the inverse of making it."""

import pytest

from edge.errors import ConfigError, MessageError
from edge.wire.topics import Address, Kind, Topic, of_every_box

BOX = Address("xray", "clinic", "box-1")


@pytest.mark.parametrize(
    ("topic", "kind", "of"),
    [
        (BOX.status, Kind.STATUS, ""),
        (BOX.health, Kind.HEALTH, ""),
        (BOX.card, Kind.CARD, ""),
        (BOX.report("ab"), Kind.REPORT, "ab"),
        (BOX.preview("ab"), Kind.PREVIEW, "ab"),
        (BOX.confirmation("ab"), Kind.CONFIRMATION, "ab"),
        (BOX.receipt("ab"), Kind.RECEIPT, "ab"),
        (BOX.review("ab"), Kind.REVIEW, "ab"),
        (BOX.request("image"), Kind.REQUEST, "image"),
        (BOX.response("image"), Kind.RESPONSE, "image"),
    ],
)
def test_a_topic_tells_whose_it_is_and_what_about(topic: str, kind: Kind, of: str):
    """Making a topic and taking it apart are inverse."""
    assert Topic.parse(topic, "xray") == Topic(BOX, kind, of)


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "xray/v1/clinic/box-1",
        "xray/v1/clinic/box-1/report",
        "xray/v1/clinic/box-1/report/",
        "xray/v1/clinic/box-1/status/ab",
        "xray/v1/clinic/box-1/gossip/ab",
        "other/v1/clinic/box-1/report/ab",
        "xray/v2/clinic/box-1/report/ab",
        "xray/v1/a/b/c/report/ab",
        "xray/v1/a b/c/report/d",
        "clinic/box-1/report/ab",
    ],
)
def test_other_topics_are_refused(topic: str):
    """A message under a topic of another tree or shape is nobody's."""
    with pytest.raises(MessageError):
        Topic.parse(topic, "xray")


@pytest.mark.parametrize("name", ["", "a/b", "+", "#", "a b", "-a", "x" * 65, "Müller"])
def test_names_that_change_a_topic_are_refused(name: str):
    """A site or device name cannot break out of its level."""
    with pytest.raises(ConfigError, match="letters, digits"):
        Address("xray", name, "box-1")


def test_the_two_ends_hear_what_the_other_says():
    """The filters of both ends cover every kind of topic, and neither hears itself."""
    heard_by_box = {filter_.split("/")[4] for filter_ in BOX.to_this_box}
    heard_by_doctor = {filter_.split("/")[4] for filter_ in of_every_box("xray")}

    assert heard_by_box | heard_by_doctor == set(Kind)
    assert not heard_by_box & heard_by_doctor
