# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listing: what is checked in the answers, and what they tell of the service's clock. The answers are made up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from email.utils import formatdate

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._objects.client import ObjectClient
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import NotAllowed, NotThere, Unreachable
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import ALL_KEYS, Range
from ansible_collections.selfhosted.media.plugins.module_utils._sync.listing import Clock, Listing, OutOfOrder
from ansible_collections.selfhosted.media.tests.stub import Reply, Stub, error
from hypothesis import given
from hypothesis import strategies as st

MOMENT = "2026-05-01T12:00:00"


def page(*keys: str, token: str = "", truncated: bool = False, name: str = "<Name>b</Name>", rest: str = "Z") -> Reply:
    contents = "".join(
        f"<Contents><Key>{key}</Key><LastModified>{MOMENT}{rest}</LastModified><ETag>e</ETag><Size>1</Size></Contents>"
        for key in keys
    )
    more = f"<IsTruncated>{'true' if token or truncated else 'false'}</IsTruncated>" if name else ""
    more += f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    return Reply(body=f"<ListBucketResult>{name}{more}{contents}</ListBucketResult>".encode())


def refusal(code: str, status: int) -> Reply:
    return Reply(status) if code.isdigit() else error(status, code)


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as running:
        yield running


class Service(Stub):
    """Gives the answers that a test puts there, in turn."""

    def __init__(self) -> None:
        super().__init__(lambda _asked: self.answers.pop(0))
        self.answers: list[Reply] = []

    def listed(self, *answers: Reply, span: Range = ALL_KEYS, may_be_missing: bool = False) -> list[bytes]:
        self.answers = list(answers)
        return [found.key for found in Listing(ObjectClient(self.access), "p/", may_be_missing).objects(span)]


def test_pages_follow_each_other(service: Service) -> None:
    assert service.listed(page("p/b", token="t+/= &amp;"), page("p/c"), span=Range(b"p/a", None)) == [b"p/b", b"p/c"]
    assert service.asked[0].query["start-after"] == "p/a"
    assert service.asked[1].query["continuation-token"] == "t+/= &"
    assert "start-after" not in service.asked[1].query
    assert all(asked.query["prefix"] == "p/" for asked in service.asked)


def test_it_stops_at_the_end_of_its_range(service: Service) -> None:
    assert service.listed(page("p/a", "p/b", "p/c", token="t"), span=Range(None, b"p/b")) == [b"p/a", b"p/b"]


def test_a_range_may_begin_with_a_name_that_is_not_text(service: Service) -> None:
    """The listing then begins a little earlier; what comes before the range is left out."""
    found = service.listed(page("p/b\u0020", "p/\u00e9"), span=Range(b"p/b\xff\xfe", None))
    assert found == ["p/\u00e9".encode()]
    assert service.asked[0].query["start-after"] == "p/b"


def test_folder_markers_are_no_objects(service: Service) -> None:
    assert service.listed(page("p/", "p/a", "p/a/")) == [b"p/a"]


@pytest.mark.parametrize("found", [["p/a", "p/b"], ["p/c", "p/c"], ["p/c", "p/b"]])
def test_a_start_that_is_ignored_is_noticed(service: Service, found: list[str]) -> None:
    with pytest.raises(OutOfOrder):
        service.listed(page(*found), span=Range(b"p/b", None))


def test_a_service_with_an_order_of_its_own_is_sorted(service: Service) -> None:
    service.answers = [page("p/b", "p/z/", token="t"), page("p/a", "p/C")]
    listing = Listing(ObjectClient(service.access), "p/")
    assert [found.key for found in listing.sorted_objects()] == [b"p/C", b"p/a", b"p/b"]


@pytest.mark.parametrize("pages", [[page("p/b", "p/a")], [page("p/b", token="t"), page("p/a")], [page("p/a", "p/a")]])
def test_another_order_is_refused(service: Service, pages: list[Reply]) -> None:
    with pytest.raises(MediaError, match="out of order"):
        service.listed(*pages)


@pytest.mark.parametrize(
    "pages", [[page("p/a", truncated=True)], [page("p/a", token="t"), page("p/b", token="t"), page("p/c")]]
)
def test_a_listing_that_does_not_go_on_is_not_taken_for_whole(service: Service, pages: list[Reply]) -> None:
    with pytest.raises(MediaError, match="not how to go on"):
        service.listed(*pages)


@pytest.mark.parametrize(
    "answer",
    [
        page(name=""),
        Reply(body=b"<html><body/></html>"),
        Reply(body=b""),
        refusal("404", 404),
        refusal("405", 405),
        refusal("400", 400),
    ],
)
@pytest.mark.parametrize("may_be_missing", [True, False])
def test_what_is_no_s3_service_is_not_taken_for_an_empty_bucket(
    service: Service, answer: Reply, may_be_missing: bool
) -> None:
    with pytest.raises(Unreachable, match="not an S3 service"):
        service.listed(answer, may_be_missing=may_be_missing)


def test_a_missing_bucket(service: Service) -> None:
    assert service.listed(refusal("NoSuchBucket", 404), may_be_missing=True) == []
    with pytest.raises(NotThere):
        service.listed(refusal("NoSuchBucket", 404))
    for refused in (refusal("AccessDenied", 403), refusal("403", 403)):
        with pytest.raises(NotAllowed):
            service.listed(refused, may_be_missing=True)


@pytest.mark.parametrize(
    ("rest", "nanoseconds"), [("Z", 999_999_999), (".000Z", 999_999_999), (".065Z", 65_999_999), (".0650Z", 65_099_999)]
)
def test_times_cut_to_seconds_mean_the_end_of_the_second(service: Service, rest: str, nanoseconds: int) -> None:
    service.answers = [page("p/a", rest=rest)]
    found = next(Listing(ObjectClient(service.access), "p/").objects())
    moment = int(datetime.fromisoformat(f"{MOMENT}+00:00").timestamp())
    assert found.modified_ns == moment * 1_000_000_000 + nanoseconds


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
