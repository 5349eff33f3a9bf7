# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glancesync.clock import ManualClock
from glancesync.conf.sync import SyncSettings
from glancesync.exceptions import ConfigurationError, InvalidInputError
from glancesync.model.region import Region
from glancesync.regions.directory import RegionDirectory
from glancesync.regions.endpoints import (
    CatalogEntry,
    find_region_by_endpoint,
    find_rivals,
    normalize_endpoint,
    resolve_cascading,
    select_regions,
)
from tests.fixtures.memory_cloud import SYNC


def entry(region: str, url: str, interface: str = "public") -> CatalogEntry:
    return CatalogEntry(region=region, interface=interface, url=url)


ENTRIES = [
    entry("One", "http://one.example:9292/"), entry("One", "http://10.0.0.1:9292", "internal"),
    entry("Two", "https://two.example/image/v2"), entry("Two", "http://10.0.0.2:9292", "admin"),
    entry("Odd", "not a url"), entry("Odd", "http://[fd00:0::1]:9292/v2/", "internal"),
]


@pytest.mark.parametrize(("url", "normal"), [
    ("http://h:9292", "http://h:9292"),
    ("HTTP://H.Example:9292/", "http://h.example:9292"),
    (" http://h/ ", "http://h"),
    ("http://h:80/", "http://h"),
    ("https://h:443", "https://h"),
    ("https://h:80", "https://h:80"),
    ("http://h.:9292", "http://h:9292"),
    ("http://h/Image/v2/", "http://h/Image"),
    ("http://h/v2.1", "http://h"),
    ("http://h//v2//", "http://h"),
    ("http://h/v2/images", "http://h/v2/images"),
    ("http://h/v20", "http://h/v20"),
    ("http://h/v1", "http://h/v1"),
    ("http://[FD00::0:1]:9292/", "http://[fd00::1]:9292"),
    ("http://[::1]", "http://[::1]"),
])
def test_one_way_to_write_it(url: str, normal: str) -> None:
    assert normalize_endpoint(url) == normal
    assert normalize_endpoint(normal) == normal


@pytest.mark.parametrize("url", [
    "", "h:9292", "/v2", "ftp://h", "file:///etc", "http://", "http://:9292", "http://user@h", "http://u:p@h",
    "http://@h", "http://h?x=1", "http://h/#frag", "http://h:99999", "http://h:port", "http://[::1", "http://[zz::]",
    "http://h o/", "http://h/a b", "http://fe80::1/", "http://h%00/", "http://./"])
def test_what_is_no_endpoint(url: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        normalize_endpoint(url)
    assert "u:p" not in str(caught.value)


@given(st.text(max_size=40))
def test_nothing_but_an_answer_or_our_error(text: str) -> None:
    for url in (text, f"http://{text}"):
        try:
            normal = normalize_endpoint(url)
        except InvalidInputError:
            continue
        assert normalize_endpoint(normal) == normal


@pytest.mark.parametrize(("url", "region"), [
    ("http://ONE.example:9292/v2", "One"), ("http://10.0.0.1:9292/", "One"), ("https://two.example:443/image", "Two"),
    ("http://10.0.0.2:9292", "Two"), ("http://[fd00::1]:9292", "Odd"), ("http://two.example/image", None),
    ("https://two.example", None)])
def test_a_region_is_found_by_any_of_its_endpoints(url: str, region: str | None) -> None:
    assert find_region_by_endpoint(ENTRIES, url) == region


def test_one_region_for_each_name() -> None:
    assert select_regions(ENTRIES, "internal", "Two") == [
        Region(name="Odd", endpoint="http://[fd00::1]:9292"), Region(name="One", endpoint="http://10.0.0.1:9292"),
        Region(name="Two", endpoint="https://two.example/image", cascading=True)]
    assert select_regions(ENTRIES, "public", "One") == [
        Region(name="One", endpoint="http://one.example:9292", cascading=True),
        Region(name="Two", endpoint="https://two.example/image")]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "gopher://h:70/", "ftp://h", "unix:///run/x", "http://u:p@h",
                                 "http://h/?next=http://other", "http://h\r\nX: y", "javascript:1", "http://h%2eother"])
def test_an_endpoint_that_is_no_plain_url_is_nobodys(url: str) -> None:
    assert [region.name for region in select_regions([*ENTRIES, entry("Evil", url)], "public", "One")] == ["One", "Two"]


def test_regions_that_share_a_glance_do_not_both_work_on_it() -> None:
    shared = [*ENTRIES, entry("Alias", "http://ONE.example:9292/v2"), entry("Two too", "https://two.example/image/")]
    assert [(each.name, each.cascading) for each in select_regions(shared, "public", "One")] == [
        ("One", True), ("Two", False)]
    assert [each.name for each in select_regions(shared, "public", "Alias")] == ["Alias", "Two"]


def test_it_does_not_depend_on_the_catalogs_order() -> None:
    doubled = [*ENTRIES, entry("One", "http://another.example")]
    assert select_regions(doubled, "public", "One") == select_regions(doubled[::-1], "public", "One")


def test_a_second_image_service_is_named_and_the_last_counts() -> None:
    doubled = [*ENTRIES, entry("One", "http://another.example"), entry("One", "http://ONE.example:9292")]
    assert find_rivals(doubled) == find_rivals(doubled[::-1]) == {
        ("One", "public"): ["http://another.example", "http://one.example:9292"]}
    assert select_regions(doubled, "public", "One")[0].endpoint == "http://one.example:9292"
    assert find_rivals(ENTRIES) == {}


def test_a_second_image_service_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    class Catalog:
        entries = [*ENTRIES, entry("Two", "https://second.example")]

        def list_endpoints(self) -> list[CatalogEntry]:
            return self.entries

    catalog = Catalog()
    directory = RegionDirectory(catalog=catalog, clients=None, interface="public",  # type: ignore[arg-type]
                                settings=SyncSettings(**SYNC), clock=ManualClock())
    for _ in range(3):
        directory.load()
    told = [each.getMessage() for each in caplog.records if "2 image services" in each.getMessage()]
    assert told == ["region Two has 2 image services with an endpoint for public: https://second.example, "
                    "https://two.example/image; https://two.example/image is used, remove the others from the catalog"]


def test_no_cascading_region_refuses_the_start() -> None:
    with pytest.raises(ConfigurationError, match=r"'Three'.*One, Two"):
        select_regions(ENTRIES, "public", "Three")


def test_the_cascading_region_by_name_and_by_url() -> None:
    assert resolve_cascading(ENTRIES, "One", None) == "One"
    assert resolve_cascading(ENTRIES, "One", "http://10.0.0.2:9292") == "One"
    assert resolve_cascading(ENTRIES, None, "http://10.0.0.2:9292/v2/") == "Two"


@pytest.mark.parametrize(("name", "url"), [(None, None), ("", ""), ("Three", "http://10.0.0.2:9292"),
                                           (None, "http://nowhere"), (None, "nowhere")])
def test_a_cascading_region_that_is_not_to_be_found(name: str | None, url: str | None) -> None:
    with pytest.raises(ConfigurationError) as caught:
        resolve_cascading(ENTRIES, name, url)
    if url != "nowhere":
        assert "Odd, One, Two" in str(caught.value)
