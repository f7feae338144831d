"""What has changed since somebody last looked: for pages that follow along without asking for everything again."""

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from doctor.schema import clinic, report, tick

_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Changes:
    """What is new.

    Attributes:
        cursor: To ask with the next time.
        reports: Numbers of reports that came or changed.
        clinics: Site and device of boxes that told something.
    """

    cursor: int
    reports: tuple[int, ...] = ()
    clinics: tuple[tuple[str, str], ...] = ()


def since(connection: sa.Connection, cursor: int | None) -> Changes:
    """What has changed after a cursor; without one nothing but the cursor to begin with.

    Of very many changes the first, with a cursor to go on with at once. None is left out.
    """
    now: int = connection.execute(sa.select(tick.c.value)).scalar_one()
    if cursor is None or cursor >= now:
        return Changes(now)
    query = sa.select(report.c.number, report.c.changed).where(report.c.changed > cursor)
    changed = connection.execute(query.order_by(report.c.changed, report.c.number).limit(_AT_ONCE)).all()
    boxes = connection.execute(sa.select(clinic.c.site, clinic.c.device).where(clinic.c.changed > cursor))
    # Several reports may have changed at one tick; the last one of a part may have companions in the next.
    until = now if len(changed) < _AT_ONCE else changed[-1].changed - 1
    return Changes(max(until, cursor), tuple(row.number for row in changed), tuple((row[0], row[1]) for row in boxes))
