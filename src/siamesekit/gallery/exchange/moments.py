"""Dates of photos as moments with an offset from UTC."""

from __future__ import annotations

import re

from siamesekit.data.dates import moment_of
from siamesekit.gallery.exchange.camtrap_fields import MOMENT

_OFFSET = re.compile(r"\d\s*(Z|[+-]\d{2}:?(?:\d{2})?)$", re.ASCII)


def with_offset(date: str, timezone: str) -> str | None:
    """A date, or a date with a time, in the form `2021-03-04T10:15:30Z`; None if it is no date.

    A text that has this form already stays as it is. A time with another offset is given in UTC, one without an offset
    gets the time zone, and a date alone means its midnight.

    Args:
        date: a date, as tables have it.
        timezone: offset of times without one, such as `+02:00` or `Z`.

    >>> with_offset("2021:03:04 10:15:30", "Z"), with_offset("2021-03-04", "+02:00")
    ('2021-03-04T10:15:30Z', '2021-03-04T00:00:00+02:00')
    """
    if MOMENT.fullmatch(date) and moment_of(date) is not None:
        return date
    moment = moment_of(date)
    if moment is None:
        return None
    return moment.replace(microsecond=0).isoformat() + ("Z" if has_offset(date) else timezone)


def has_offset(date: str) -> bool:
    """Whether a date has a time with an offset from UTC."""
    return has_time(date) and _OFFSET.search(date.strip()) is not None


def has_time(date: str) -> bool:
    """Whether a date has a time."""
    return re.search(r"[Tt\s]", date.strip()) is not None
