# SPDX-License-Identifier: Apache-2.0
"""Discovery and the microversion header."""
from __future__ import annotations

import pytest

from glancesync.api.versions import HEADER, MAXIMUM, MINIMUM, requested_version
from tests.unit.api.fakes import Caller, error_of


@pytest.mark.parametrize("header", ["", "image-sync 1.0", "image-sync latest", "Image-Sync Latest", "compute 2.99",
                                    "compute 2.1, image-sync 1.0", "  image-sync   1.0  "])
def test_versions_that_are_spoken(admin: Caller, header: str) -> None:
    response = admin("GET", "/v1/regions", headers={HEADER: header})
    assert response.status_int == 200
    assert response.headers[HEADER] == "image-sync 1.0"
    assert HEADER in response.headers["Vary"]


@pytest.mark.parametrize("header", ["image-sync 1.1", "image-sync 0.9", "image-sync 2.0", "image-sync 9999.9999"])
def test_versions_that_are_not(admin: Caller, header: str) -> None:
    response = admin("GET", "/v1/regions", headers={HEADER: header})
    assert (response.status_int, error_of(response)["code"]) == (406, "version_not_supported")
    assert "1.0 to 1.0" in error_of(response)["message"]
    assert (error_of(response)["min_version"], error_of(response)["max_version"]) == ("1.0", "1.0")
    assert (response.headers[HEADER], HEADER in response.headers["Vary"]) == (header, True)


@pytest.mark.parametrize("header", ["image-sync", "image-sync 1", "image-sync v1.0", "image-sync 1.0.0",
                                    "image-sync 01.0", "image-sync 1.00000", "image-sync \u0661.0"])
def test_versions_that_cannot_be_read(admin: Caller, header: str) -> None:
    response = admin("GET", "/v1/regions", environ={"HTTP_OPENSTACK_API_VERSION": header})
    assert (response.status_int, error_of(response)["code"]) == (400, "invalid_input")


@pytest.mark.parametrize("name", ["nobody", "member"])
def test_refusals_name_the_version_too(caller: object, name: str) -> None:
    response = caller(name)("GET", "/v1/regions")  # type: ignore[operator]
    assert response.status_int in (401, 403)
    assert response.headers[HEADER] == "image-sync 1.0"


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/", "/healthcheck"])
def test_discovery_asks_for_no_version(admin: Caller, path: str) -> None:
    assert admin("GET", path, headers={HEADER: "image-sync 9.9"}).status_int == 200


def test_the_document_names_what_is_spoken(admin: Caller) -> None:
    version, = admin("GET", "/").json["versions"]
    assert version == admin("GET", "/v1").json["version"]
    assert (version["min_version"], version["version"]) == (MINIMUM.text, MAXIMUM.text)
    assert version["links"] == [{"rel": "self", "href": "http://localhost/v1"}]


def test_without_a_header_the_oldest_is_meant() -> None:
    assert requested_version("") == MINIMUM
