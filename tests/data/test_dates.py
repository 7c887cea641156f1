from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamesekit.data.dates import ACCEPTED_DATES, moment_of


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2021-03-04", datetime(2021, 3, 4)),
        ("2021-03-04T10:15", datetime(2021, 3, 4, 10, 15)),
        ("2021-03-04 10:15:30", datetime(2021, 3, 4, 10, 15, 30)),
        ("2021-03-04T10:15:30.25", datetime(2021, 3, 4, 10, 15, 30, 250_000)),
        ("2021-03-04T10:15:30Z", datetime(2021, 3, 4, 10, 15, 30)),
        ("2021-03-04T10:15:30+02:00", datetime(2021, 3, 4, 8, 15, 30)),
        ("2021-03-04 23:15-0330", datetime(2021, 3, 5, 2, 45)),
        ("2021-03-04T10:15+02", datetime(2021, 3, 4, 8, 15)),
        ("2021:03:04 10:15:30", datetime(2021, 3, 4, 10, 15, 30)),
        ("2021/3/4", datetime(2021, 3, 4)),
        ("2021.03.04 9:05", datetime(2021, 3, 4, 9, 5)),
        ("  2021-03-04\t", datetime(2021, 3, 4)),
        ("2020-02-29", datetime(2020, 2, 29)),
    ],
)
def test_a_date_means_its_moment(text: str, moment: datetime) -> None:
    assert moment_of(text) == moment


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "03/04/2021", "04.03.2021", "2021", "2021-03", "20210304", "2021-02-30", "2021-13-01",
     "0000:00:00 00:00:00", "2021-03/04", "2021-03-04 24:01", "2021-03-04T10", "2021-03-04T10:15:60",
     "2021-03-04T10:15+02:75", "2021-03-04T10:15+99:00", "0001-01-01T00:00+02:00", "2021-03-04 10:15 PM",
     "２０２１-03-04", "nan", "NaT"],
)  # fmt: skip
def test_what_is_no_date_or_cannot_be_told_is_none(text: str) -> None:
    assert moment_of(text) is None


@given(st.datetimes(min_value=datetime(1000, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC)))
def test_what_python_writes_in_iso_form_is_read_back(moment: datetime) -> None:
    assert moment_of(moment.isoformat()) == moment.replace(tzinfo=None)
    assert moment_of(moment.replace(tzinfo=None).isoformat(" ")) == moment.replace(tzinfo=None)


def test_the_forms_told_in_messages_are_accepted() -> None:
    dates, _, times = ACCEPTED_DATES.partition(", each alone or with a time: ")
    assert all(moment_of(date) == datetime(2021, 3, 4) for date in dates.split(", "))
    assert all(moment_of(f"2021-03-04 {time}") for time in times.split(", "))
