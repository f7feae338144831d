"""The pipeline. Read this first.

An image arrives, is decoded (in a child process, one ahead), assessed (`process`) and put away (`put_away`, in a
thread, behind): its report enters the outbox, and only then may the original move. Publishing is a second loop in a
thread of its own (`edge.delivery.publish`); the two share nothing but the outbox. Whatever is wrong with one image is
caught here, at the pipeline's border, and the image is set aside with the reason; whatever is wrong with the box ends
the agent with a message for the person who runs it.
"""

import fcntl
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Final

from edge.archive import keeping_room
from edge.assess import Assessor
from edge.attention import attending
from edge.behind import Behind
from edge.bundle.bundle import Bundle, read_bundle
from edge.bundle.signature import Trust
from edge.clock import clock_synced
from edge.decoding.attempts import Attempts
from edge.decoding.decoder import Decoded, Decoder, Decoding, one_ahead
from edge.delivery.publishing import publishing, vitals_of
from edge.doors import open_doors, watched_folders
from edge.errors import BundleError, ConfigError, QuarantineError, unusable
from edge.explain import as_rows
from edge.intake.folder import FolderIntake, check_watchable
from edge.mqtt.reconnect import LineState
from edge.notify import Pulse, Systemd, under_watch
from edge.outbox.outbox import OUTBOX_NAME, Outbox
from edge.outbox.room import Room
from edge.pseudonym import Pseudonyms, Tokens
from edge.settings.config import AgentConfig
from edge.study import Capture, Finding
from edge.wire.messages import Picture, Report, report_id

SWITCH_INTERVAL_S: Final = 1e-4
"""So long a thread that comes back from the network waits for another one's Python; the usual 5 ms is longer than the
network itself."""
MOST_BEHIND: Final = 3
"""So many images may have a finding and not be put away."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Assessed:
    """An image, and what the box says of it."""

    decoded: Decoded
    finding: Finding


def run(config: AgentConfig, stop: Event) -> None:
    """Classify what arrives and deliver the reports, until stopped.

    Raises:
        ConfigError: The configuration cannot work; the message names the key.
        DiskError: The disk is full or fails.
        BundleError: The bundle cannot be trusted or loaded.
        OtherAnswersError: The model decides otherwise on this box than where it was made.
        BrokerUnreachableError: The broker has never answered this box.
        DatabaseError: The outbox cannot be written.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    config.broker.host_and_port  # noqa: B018 - refuses a bad address before anything is loaded
    state_dir = config.state_dir
    bundle = read_bundle(config.model_path, Trust.of(config.trust, allow_unsigned=config.allow_unsigned))
    check_watchable(config.watch)
    with (
        _only_agent(state_dir),
        Attempts(state_dir) as attempts,
        decoder_of(config, attempts) as decoder,
        open_outbox(config) as outbox,
    ):
        watched = watched_folders(config)
        intake = FolderIntake(watched, device=config.device_name, attempts=attempts)
        refuse_older(bundle, outbox, allow_older=config.allow_older)
        assessor = Assessor(bundle, runtime=config.runtime, threads=config.threads)
        remember_version(bundle, outbox)
        log_model(bundle, assessor, reports_owed=outbox.count_owed())
        pulses = {"pipeline": Pulse(stop), "publisher": Pulse(stop)}
        folders = [each.folder for each in watched]
        vitals, line = vitals_of(config, bundle.model_id, folders), LineState()
        with (
            open_doors(config, refuses=lambda: why_full(config)) as capture,
            attending(
                config, assessor.identity, vitals=vitals, line=line, pulses=pulses, folders=folders, capture=capture
            ),
            publishing(config, bundle, vitals=vitals, line=line, stop=pulses["publisher"], capture=capture),
            keeping_room(lambda: open_outbox(config), folders, config.archive, pulses["pipeline"]),
            under_watch(Systemd.of(os.environ), pulses, stop, status=f"classifies with {bundle.model_id}"),
            Behind(lambda: putting_away(config, intake, assessor), name="put away", most=MOST_BEHIND) as keeper,
        ):
            arrivals = intake.arrivals(pulses["pipeline"], at_rest=keeper.finish)
            room = Room(outbox, pulses["pipeline"])
            process(one_ahead(arrivals, decoder), intake, assessor, keeper, room)


def refuse_older(bundle: Bundle, outbox: Outbox, *, allow_older: bool) -> None:
    """Refuse to go back to a version that this box has left behind. Nobody speaks for an unsigned bundle's version.

    Raises:
        BundleError: A newer bundle of this name and key has run here, and going back was not asked for.
    """
    newest = int(outbox.fact(_version_fact(bundle)) or 0)
    if bundle.signer is None or bundle.card.version >= newest:
        return
    if not allow_older:
        raise BundleError(
            f"{bundle.model_id} is version {bundle.card.version}, and this box has run version {newest} of "
            f"{bundle.card.name} by the same key; give --allow-older if you want to go back"
        )
    log.warning("going back from version %d of %s to %d, as asked", newest, bundle.card.name, bundle.card.version)


def remember_version(bundle: Bundle, outbox: Outbox) -> None:
    """Note that a bundle runs here. The highest version stays: going back must be asked for at every start."""
    name = _version_fact(bundle)
    if bundle.signer is not None and bundle.card.version > int(outbox.fact(name) or 0):
        outbox.remember(name, str(bundle.card.version))


def _version_fact(bundle: Bundle) -> str:
    return f"newest version of {bundle.card.name} by {bundle.signer}"


def log_model(bundle: Bundle, assessor: Assessor, *, reports_owed: int) -> None:
    """What runs here, on whose word, and what nobody has tried with it."""
    log.info("model %s on %s, %d reports owed", bundle.model_id, assessor.identity.runtime, reports_owed)
    if bundle.signer is None:
        log.warning("no trusted key signed this bundle; it runs because that was allowed, and every report says so")
    else:
        log.info("version %d, signed by the trusted key %s", bundle.card.version, bundle.signer)
    if assessor.rerun is None:
        log.warning(
            "this bundle carries no known pictures, so nobody has checked that it decides here as where it was made"
        )
    else:
        log.info("%s", assessor.rerun)
    log.info("not validated on: %s", bundle.card.not_validated_on)


def process(
    decodings: Iterable[Decoding], intake: FolderIntake, assessor: Assessor, keeper: Behind[Assessed], room: Room
) -> None:
    """Assess image after image, while the next one is decoded and those before are put away."""
    for decoding in decodings:
        if not room.wait():
            return
        try:
            decoded = decoding.result()
            finding = assessor.judge(decoded.prepared)
        except QuarantineError as error:
            if intake.set_aside(decoding.arrival, error):
                log.warning("set aside image=%s: %s", decoding.arrival.key[:12], error)
            decoding.end()
            continue
        decoding.end()
        keeper.hand_over(Assessed(decoded, finding))


@contextmanager
def putting_away(config: AgentConfig, intake: FolderIntake, assessor: Assessor) -> Iterator[Callable[[Assessed], None]]:
    """What `put_away` needs, open."""
    with open_outbox(config) as outbox, Pseudonyms(config.state_dir) as pseudonyms:
        yield lambda assessed: put_away(assessed, intake, assessor, outbox, pseudonyms, config=config)


def put_away(
    assessed: Assessed,
    intake: FolderIntake,
    assessor: Assessor,
    outbox: Outbox,
    pseudonyms: Pseudonyms,
    *,
    config: AgentConfig,
) -> None:
    """Take one image from its finding to a durable report, and out of its folder."""
    decoded, finding = assessed.decoded, assessed.finding
    if (claimed := intake.claim(decoded.capture)) is None:
        return  # changed since it was read, or another box was quicker
    tokens = pseudonyms.tokens(claimed.identity if config.privacy.tokens else None)
    report = report_of(claimed, decoded, finding, assessor, config, tokens=tokens)
    place = intake.archive_place(claimed, known=outbox.place(report.id))
    is_new = outbox.put(report, preview=decoded.preview, place=place)  # durable from here on
    intake.settle(claimed, place)  # only now may the original move
    log_finding(report, is_new=is_new)


def decoder_of(config: AgentConfig, attempts: Attempts) -> Decoder:
    """The child process in which images are decoded, as the configuration limits it."""
    return Decoder(
        attempts,
        timeout_s=config.decode.timeout_s,
        max_memory_bytes=config.decode.max_memory_bytes,
        max_preview_bytes=config.preview.max_bytes,
        blank=config.privacy.regions,
    )


def why_full(config: AgentConfig) -> str | None:
    """Why no new work may be taken; for the threads through which images come, which hold no outbox of their own."""
    with open_outbox(config) as outbox:
        return outbox.is_full()


def open_outbox(config: AgentConfig) -> Outbox:
    """The outbox once more, for another thread."""
    return Outbox(config.state_dir / OUTBOX_NAME, limits=config.outbox)


def report_of(
    capture: Capture, decoded: Decoded, finding: Finding, assessor: Assessor, config: AgentConfig, *, tokens: Tokens
) -> Report:
    """What the doctor gets to know of one image. Neither its name nor its place is part of it."""
    return Report(
        id=report_id(capture.sha256, assessor.identity.sha256),
        site=config.site,
        device=config.device_name,
        received_at=capture.arrival.received_at,
        clock_synced=clock_synced(),
        origin=capture.arrival.origin,
        decision=finding.decision,
        probabilities=finding.probabilities,
        positive=assessor.card.positive,
        threshold=assessor.card.threshold,
        band=assessor.card.band,
        heatmap=None if finding.heatmap is None else as_rows(finding.heatmap),
        guard=finding.guard,
        reason=finding.reason,
        model=assessor.identity,
        timings_ms={**decoded.timings_ms, **finding.timings_ms},
        picture=Picture(
            width_px=decoded.prepared.width_px,
            height_px=decoded.prepared.height_px,
            preview_bytes=len(decoded.preview or b""),
            sha256=capture.sha256,
        ),
        patient=tokens.patient,
        study=tokens.study,
    )


def log_finding(report: Report, *, is_new: bool) -> None:
    """The one canonical line per radiograph; nothing in it comes from the patient's data."""
    timings = {f"{stage}_ms": value for stage, value in report.timings_ms.items()}
    log.info(
        "finding id=%s decision=%s new=%s %s",
        report.id,
        report.decision,
        "yes" if is_new else "no, this image was reported before",
        " ".join(f"{stage}={value:g}" for stage, value in timings.items()),
        extra={"fields": {"id": report.id, "decision": report.decision, "new": is_new, **timings}},
    )


@contextmanager
def _only_agent(state_dir: Path) -> Iterator[None]:
    """Hold the lock that keeps a second agent off the same outbox and folders."""
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        file = (state_dir / "agent.lock").open("w")
    except OSError as error:
        raise unusable(f"the state folder {state_dir}", error) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                f"another agent is using {state_dir}; stop it first, or give this one a --state folder of its own"
            ) from error
        yield
