"""Dates and times in tables, as text: the accepted forms, and the moment that each means."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone

ACCEPTED_DATES = "2021-03-04, 2021/3/4, 2021.03.04, 2021:03:04, each alone or with a time: 10:15, 10:15:30, 10:15:30Z"
"""The accepted forms of a date, for messages."""
_DATE = r"(\d{4})([-/.:])(\d{1,2})\2(\d{1,2})"
_TIME = r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?"
_OFFSET = r"(Z|[+-]\d{2}:?(?:\d{2})?)"
_MOMENT = re.compile(rf"{_DATE}(?:(?:[Tt]|\s+){_TIME}\s*{_OFFSET}?)?", re.ASCII)
_PLAIN = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?)?", re.ASCII)


def moment_of(text: str) -> datetime | None:
    """The moment that a date, or a date with a time, means.

    The year comes first, then month and day, all separated by `-` (ISO 8601), `:` (EXIF), `/` or `.`; a time may follow
    after `T` or a space, with or without seconds, fractions of a second, and an offset from UTC. A date alone means its
    midnight. A time with an offset is given in UTC; a time without one stays as it is, so do not mix both in a table.

    >>> moment_of("2021:03:04 10:15:30"), moment_of("2021-03-04T10:15+02:00")
    (datetime.datetime(2021, 3, 4, 10, 15, 30), datetime.datetime(2021, 3, 4, 8, 15))

    Returns:
        A moment without a time zone. None if the text is no date of these forms, as `03/04/2021`, in which day and
        month cannot be told apart, `2021`, or `2021-02-30`, which does not exist; `ACCEPTED_DATES` tells the forms.
    """
    text = text.strip()
    if _PLAIN.fullmatch(text):  # most dates are plain, and this is four times as fast
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            return None
    found = _MOMENT.fullmatch(text)
    if found is None:
        return None
    year, _, month, day, hour, minute, second, fraction, offset = found.groups()
    try:
        microsecond = int((fraction or "0")[:6].ljust(6, "0"))
        at = time(int(hour or 0), int(minute or 0), int(second or 0), microsecond)
        moment = datetime.combine(date(int(year), int(month), int(day)), at)
        return moment if offset is None else moment.replace(tzinfo=_zone(offset)).astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):  # no such day or hour, or before the year 1 in UTC
        return None


def _zone(offset: str) -> timezone:
    """The time zone of `Z`, `+02`, `+0200` or `+02:00`."""
    if offset == "Z":
        return UTC
    hours, minutes = int(offset[1:3]), int(offset[3:].lstrip(":") or 0)
    if minutes > 59:
        raise ValueError(f"{minutes} minutes")
    return timezone((-1 if offset[0] == "-" else 1) * timedelta(hours=hours, minutes=minutes))
