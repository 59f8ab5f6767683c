# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listing: what is checked in the answers, and what they tell of the service's clock. The answers are made up."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import formatdate
from typing import Any, Optional, cast

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import NotAllowed, NotThere, Unreachable
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import ALL_KEYS, Range
from ansible_collections.selfhosted.media.plugins.module_utils._sync.listing import Clock, Listing
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

MOMENT = datetime(2026, 5, 1, 12, 0, 0, tzinfo=timezone.utc)


def page(*keys: str, token: Optional[str] = None, **more: Any) -> dict[str, Any]:
    contents = [{"Key": key, "Size": 1, "ETag": '"e"', "LastModified": MOMENT} for key in keys]
    answer: dict[str, Any] = {"Name": "b", "IsTruncated": bool(token), "Contents": contents}
    answer["ResponseMetadata"] = {"HTTPHeaders": {}}
    if token:
        answer["NextContinuationToken"] = token
    return {**answer, **more}


def refusal(code: str, status: int) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "ListObjectsV2")  # type: ignore[typeddict-item]


class Service:
    """Answers in turn, and remembers what it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def list_objects_v2(self, **request: Any) -> Any:
        self.asked.append(dict(request))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def listed(service: Service, span: Range = ALL_KEYS, may_be_missing: bool = False) -> list[bytes]:
    listing = Listing(cast(Any, service), "b", "p/", may_be_missing)
    return [found.key for found in listing.objects(span)]


def test_pages_follow_each_other() -> None:
    service = Service(page("p/a", "p/b", token="t"), page("p/c"))
    assert listed(service, Range(b"p/a", None)) == [b"p/b", b"p/c"]
    assert service.asked[0]["StartAfter"] == "p/a"
    assert service.asked[1]["ContinuationToken"] == "t"
    assert "StartAfter" not in service.asked[1]


def test_it_stops_at_the_end_of_its_range() -> None:
    service = Service(page("p/a", "p/b", "p/c", token="t"))
    assert listed(service, Range(None, b"p/b")) == [b"p/a", b"p/b"]


def test_a_range_may_begin_with_a_name_that_is_not_text() -> None:
    service = Service(page("p/a", "p/b", "p/\u00e9"))
    assert listed(service, Range(b"p/b\xff\xfe", None)) == ["p/\u00e9".encode()]
    assert service.asked[0]["StartAfter"] == "p/b"


def test_folder_markers_are_no_objects() -> None:
    assert listed(Service(page("p/", "p/a", "p/a/"))) == [b"p/a"]


@pytest.mark.parametrize("pages", [[page("p/b", "p/a")], [page("p/b", token="t"), page("p/a")], [page("p/a", "p/a")]])
def test_another_order_is_refused(pages: list[Any]) -> None:
    with pytest.raises(MediaError, match="out of order"):
        listed(Service(*pages))


@pytest.mark.parametrize(
    "pages", [[page("p/a", IsTruncated=True)], [page("p/a", token="t"), page("p/b", token="t"), page("p/c")]]
)
def test_a_listing_that_does_not_go_on_is_not_taken_for_whole(pages: list[Any]) -> None:
    with pytest.raises(MediaError, match="not how to go on"):
        listed(Service(*pages))


@pytest.mark.parametrize(
    "answer", [{"ResponseMetadata": {"HTTPHeaders": {}}}, refusal("404", 404), refusal("405", 405), refusal("400", 400)]
)
@pytest.mark.parametrize("may_be_missing", [True, False])
def test_what_is_no_s3_service_is_not_taken_for_an_empty_bucket(answer: Any, may_be_missing: bool) -> None:
    with pytest.raises(Unreachable, match="not an S3 service"):
        listed(Service(answer), may_be_missing=may_be_missing)


def test_a_missing_bucket() -> None:
    assert listed(Service(refusal("NoSuchBucket", 404)), may_be_missing=True) == []
    with pytest.raises(NotThere):
        listed(Service(refusal("NoSuchBucket", 404)))
    for refused in (refusal("AccessDenied", 403), refusal("403", 403)):
        with pytest.raises(NotAllowed):
            listed(Service(refused), may_be_missing=True)


@pytest.mark.parametrize(("microseconds", "nanoseconds"), [(0, 999_999_000), (65_000, 65_000_000)])
def test_times_cut_to_seconds_mean_the_end_of_the_second(microseconds: int, nanoseconds: int) -> None:
    answer = page("p/a")
    answer["Contents"][0]["LastModified"] = MOMENT + timedelta(microseconds=microseconds)
    found = next(Listing(cast(Any, Service(answer)), "b", "p/").objects())
    assert found.modified_ns == int(MOMENT.timestamp()) * 1_000_000_000 + nanoseconds


@given(
    ahead=st.floats(-1e5, 1e5),
    answers=st.lists(st.tuples(st.floats(0, 100), st.floats(0, 5), st.floats(0, 1)), min_size=1, max_size=5),
)
def test_the_clock_is_never_farther_off_than_an_answer_allows(
    ahead: float, answers: list[tuple[float, float, float]]
) -> None:
    clock = Clock()
    for sent, took, when in answers:
        date = formatdate(int(1e9 + sent + took * when + ahead), usegmt=True)
        clock.note(date, 1e9 + sent, 1e9 + sent + took)
    found = clock.ahead_ns / 1e9
    # Never beyond the truth, seen from no difference, and no more off than the quickest answer and the cut-off second.
    assert min(0, ahead) - 1e-3 <= found <= max(0, ahead) + 1e-3
    assert abs(found - ahead) <= 1 + min(took for _date, took, _name in answers) + 1e-3


def test_right_clocks_compare_exactly() -> None:
    clock = Clock()
    for sent in (0.1, 0.5, 0.9, 1.3):
        clock.note(formatdate(1e9 + int(sent), usegmt=True), 1e9 + sent, 1e9 + sent + 0.05)
    assert clock.ahead_ns == 0


@pytest.mark.parametrize("header", ["", "nonsense", "Thu, 99 Xxx 2026"])
def test_dates_that_are_none(header: str) -> None:
    clock = Clock()
    clock.note(header, 1.0, 2.0)
    assert clock.ahead_ns == 0
