"""An answered report as DICOM: the picture as a Secondary Capture, and a Structured Report that speaks of it.

The report follows TID 1500 Measurement Report (DICOM PS3.16), built by highdicom: one group says what the box found, by
which algorithm and how sure, the next what the reader saw. Needs the extra `standards`. The only thing that tells
patients apart in it is the box's token: no name leaves a box, so none can be here.
"""

import io
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from highdicom import UID
from highdicom.sc import SCImage
from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    DeviceObserverIdentifyingAttributes,
    EnhancedSR,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    PersonObserverIdentifyingAttributes,
    QualitativeEvaluation,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    TextContentItem,
    TrackingIdentifier,
)
from PIL import Image
from pydicom.sr.codedict import codes

from doctor.learning.answered import Answered
from doctor.learning.terminology import CHEST_RADIOGRAPHY, OWN_SCHEME, Concept, finding
from edge.wire.messages import NOTICE

if TYPE_CHECKING:
    from pydicom import Dataset

MANUFACTURER: Final = "edge-xray"
_UTF_8: Final = "ISO_IR 192"
_PROBABILITY: Final = CodedConcept("probability", OWN_SCHEME, "Probability given by the model")
_VERDICT: Final = CodedConcept("verdict", OWN_SCHEME, "Reader's verdict on the model's finding")


@dataclass(frozen=True, slots=True)
class DicomPair:
    """What goes into two files.

    Attributes:
        picture: Secondary Capture Image Storage, MONOCHROME2, 8 bits.
        report: Enhanced SR Storage, complete and verified by the reader.
    """

    picture: "Dataset"
    report: "Dataset"


def structured_report(answered: Answered, jpeg: bytes) -> DicomPair:
    """Say an answered report in DICOM. The same report gives the same UIDs.

    Args:
        answered: The report and its answer.
        jpeg: Its preview.
    """
    picture = _picture(answered, jpeg)
    return DicomPair(picture, _report(answered, picture))


def _picture(answered: Answered, jpeg: bytes) -> "Dataset":
    report = answered.report
    pixels = np.asarray(Image.open(io.BytesIO(jpeg)).convert("L"))  # (H, W)
    return SCImage(
        pixel_array=pixels,
        photometric_interpretation="MONOCHROME2",
        bits_allocated=8,
        coordinate_system="PATIENT",
        study_instance_uid=_uid("study", report.site, report.device, report.study or report.id),
        series_instance_uid=_uid("picture series", report.id),
        series_number=1,
        sop_instance_uid=_uid("picture", report.id),
        instance_number=1,
        manufacturer=MANUFACTURER,
        patient_id=report.patient or f"unknown-{report.id[:16]}",
        patient_name="",
        specific_character_set=_UTF_8,
        study_date=report.received_at.date(),
        study_time=report.received_at.time(),
        patient_orientation=("L", "F"),
    )


def _report(answered: Answered, picture: "Dataset") -> "Dataset":
    report, review = answered.report, answered.review
    content = MeasurementReport(
        observation_context=_observers(answered),
        procedure_reported=_coded(CHEST_RADIOGRAPHY),
        imaging_measurements=[_by_the_box(answered, picture), _by_the_reader(answered, picture)],
    )
    return EnhancedSR(
        evidence=[picture],
        content=content[0],
        series_instance_uid=_uid("report series", report.id),
        series_number=2,
        sop_instance_uid=_uid("report", report.id, str(review.revision)),
        instance_number=review.revision,
        manufacturer=MANUFACTURER,
        institution_name=report.site,
        specific_character_set=_UTF_8,
        is_complete=True,
        is_final=True,
        is_verified=True,
        verifying_observer_name=_person(review.reader),
        verifying_organization=report.site,
    )


def _observers(answered: Answered) -> ObservationContext:
    report = answered.report
    return ObservationContext(
        observer_person_context=ObserverContext(
            observer_type=codes.DCM.Person,
            observer_identifying_attributes=PersonObserverIdentifyingAttributes(name=_person(answered.review.reader)),
        ),
        observer_device_context=ObserverContext(
            observer_type=codes.DCM.Device,
            observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
                uid=_uid("device", report.site, report.device),
                name=report.device,
                manufacturer_name=MANUFACTURER,
                model_name=report.model.id,
                physical_location=report.site,
            ),
        ),
    )


def _by_the_box(answered: Answered, picture: "Dataset") -> MeasurementsAndQualitativeEvaluations:
    report = answered.report
    model = report.model
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=_uid("finding", report.id), identifier="finding of the box"),
        finding_type=_coded(finding(report.decision)),
        algorithm_id=AlgorithmIdentification(
            name=model.id.partition("@")[0],
            version=model.sha256,
            parameters=[f"runtime={model.runtime}", f"threshold={report.threshold:g}", f"signed={model.signed}"],
            manufacturer=MANUFACTURER,
        ),
        measurements=[
            Measurement(
                name=_PROBABILITY, value=value, unit=codes.UCUM.NoUnits, qualifier=_coded(finding(label)),
            )
            for label, value in report.probabilities.items()
        ],
        source_images=[_source(picture)],
    )  # fmt: skip
    for text in (NOTICE, f"Not validated on: {model.not_validated_on}", report.reason):
        _comment(group, text)
    return group


def _by_the_reader(answered: Answered, picture: "Dataset") -> MeasurementsAndQualitativeEvaluations:
    review = answered.review
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=_uid("review", review.id, str(review.revision)), identifier="answer of the reader"
        ),
        finding_type=None if answered.seen is None else _coded(finding(answered.seen)),
        qualitative_evaluations=[
            QualitativeEvaluation(_VERDICT, CodedConcept(str(review.verdict), OWN_SCHEME, str(review.verdict)))
        ],
        source_images=[_source(picture)],
    )
    wishes = [
        "The picture should be taken again." if review.new_image else None,
        "The clinic should call the reader at once." if review.call_back else None,
    ]
    for text in (review.text, *wishes):
        _comment(group, text)
    return group


def _comment(group: Any, text: str | None) -> None:
    if text:
        item = TextContentItem(name=codes.DCM.Comment, value=text, relationship_type=RelationshipTypeValues.CONTAINS)
        group[0].ContentSequence.append(item)


def _source(picture: "Dataset") -> SourceImageForMeasurementGroup:
    return SourceImageForMeasurementGroup(picture.SOPClassUID, picture.SOPInstanceUID)


def _coded(concept: Concept) -> CodedConcept:
    return CodedConcept(concept.value, concept.scheme, concept.meaning)


def _person(name: str) -> str:
    """A person's name as DICOM wants it: all of it as the family name, without the signs that part names."""
    return name.translate(str.maketrans("^=\\", "   ")).strip()[:64] + "^"


def _uid(*parts: str) -> UID:
    """A UID made of a hash (DICOM PS3.5, B.2), the same for the same parts."""
    digest = sha256("\x1f".join(parts).encode()).digest()
    return UID(f"2.25.{int.from_bytes(digest[:16], 'big')}")
