# SPDX-License-Identifier: Apache-2.0
"""Which region is which, from the entries of Keystone's catalog. Pure; called by the directory and the commands."""
from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from glancesync.exceptions import ConfigurationError, InvalidInputError
from glancesync.model.region import Region

FALLBACK_INTERFACE = "public"
_DEFAULT_PORTS = {"http": 80, "https": 443}
_VERSION = re.compile(r"/v2(\.\d+)?\Z")


@dataclass(frozen=True, kw_only=True, order=True)
class CatalogEntry:
    """One image endpoint of the catalog. `url` is as Keystone shows it."""

    region: str
    interface: str
    url: str


def normalize_endpoint(url: str) -> str:
    """The one way to write an endpoint: lower-case scheme and host, no default port, IPv6 in its shortest form and in
    brackets, the path prefix kept, no trailing slash, no trailing /v2 or /v2.N.

    Raises InvalidInputError for anything but a plain http(s) URL: userinfo, query and fragment are refused.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise InvalidInputError("an image endpoint is no URL: its host or port cannot be read") from None
    _refuse_parts(parts)
    host = _host(parts.hostname or "")
    if port is not None and port != _DEFAULT_PORTS[parts.scheme]:
        host = f"{host}:{port}"
    path = _VERSION.sub("", parts.path.rstrip("/")).rstrip("/")
    return f"{parts.scheme}://{host}{path}"


def find_region_by_endpoint(entries: Iterable[CatalogEntry], url: str) -> str | None:
    """The region that has this endpoint under any interface. Raises InvalidInputError when `url` is no endpoint."""
    wanted = normalize_endpoint(url)
    for entry in entries:
        if _normalized_or_none(entry.url) == wanted:
            return entry.region
    return None


def select_regions(entries: Iterable[CatalogEntry], interface: str, cascading_region: str) -> list[Region]:
    """One region for each name, sorted: its endpoint of the wanted interface, else the public one. Where regions share
    a Glance only one of them has it, the cascading one before all: two that work on the same images would each take the
    other's for strangers, or for uploads that died.

    Raises ConfigurationError when the cascading region is not among them; the message lists those that are.
    """
    chosen: dict[str, str] = {}
    urls = [(url, entry) for entry in entries if (url := _normalized_or_none(entry.url))]
    for wanted in (FALLBACK_INTERFACE, interface):
        for url, entry in sorted(urls):
            if entry.interface == wanted:
                chosen[entry.region] = url
    if cascading_region not in chosen:
        raise ConfigurationError(f"the cascading region {cascading_region!r} has no {interface} or public image "
                                 f"endpoint in Keystone's catalog; {_known(chosen)}")
    first = {url: name for name, url in sorted(chosen.items(), reverse=True)} | {
        chosen[cascading_region]: cascading_region}
    return [Region(name=name, endpoint=url, cascading=name == cascading_region)
            for name, url in sorted(chosen.items()) if first[url] == name]


def find_rivals(entries: Iterable[CatalogEntry]) -> dict[tuple[str, str], list[str]]:
    """(region, interface) to its endpoints where the catalog has more than one there; the last is the one that counts.
    """
    found: dict[tuple[str, str], set[str]] = {}
    for entry in entries:
        url = _normalized_or_none(entry.url)
        if url:
            found.setdefault((entry.region, entry.interface), set()).add(url)
    return {key: sorted(urls) for key, urls in sorted(found.items()) if len(urls) > 1}


def resolve_cascading(entries: Sequence[CatalogEntry], cascading_region: str | None,
                      cascading_endpoint_url: str | None) -> str:
    """Name of the cascading region: `cascading_region`, else the one that has `cascading_endpoint_url`.

    Raises ConfigurationError that lists the known regions when none matches or neither is set.
    """
    known = {entry.region for entry in entries}
    if cascading_region:
        if cascading_region not in known:
            raise ConfigurationError(f"cascading_region {cascading_region!r} has no image endpoint in Keystone's "
                                     f"catalog; {_known(known)}")
        return cascading_region
    if not cascading_endpoint_url:
        raise ConfigurationError(f"set cascading_region (or cascading_endpoint_url); {_known(known)}")
    try:
        found = find_region_by_endpoint(entries, cascading_endpoint_url)
    except InvalidInputError as error:
        raise ConfigurationError(f"cascading_endpoint_url: {error}") from error
    if found is None:
        raise ConfigurationError(f"cascading_endpoint_url {cascading_endpoint_url} is no region's image endpoint in "
                                 f"Keystone's catalog; {_known(known)}")
    return found


def find_region_of(regions: Iterable[Region], url: str) -> str | None:
    """The region whose endpoint the URL of an image (ENDPOINT/v2/images/ID) begins with."""
    endpoint, found, _rest = url.partition("/v2/images/")
    wanted = _normalized_or_none(endpoint) if found else None
    return next((region.name for region in regions if region.endpoint == wanted), None)


def _known(names: Iterable[str]) -> str:
    listed = ", ".join(sorted(names))
    return f"the regions with one are {listed}" if listed else "no region has one"


def _normalized_or_none(url: str) -> str | None:
    """A catalog may hold entries of others that are no URLs; they are nobody's endpoint."""
    try:
        return normalize_endpoint(url)
    except InvalidInputError:
        return None


def _refuse_parts(parts: SplitResult) -> None:
    if parts.scheme not in _DEFAULT_PORTS:
        raise InvalidInputError("an image endpoint must be an http or https URL")
    if not (parts.hostname or "").strip("."):
        raise InvalidInputError("an image endpoint needs a host")
    for name, present in (("user name or password", "@" in parts.netloc), ("query", parts.query),
                          ("fragment", parts.fragment)):
        if present:
            raise InvalidInputError(f"an image endpoint must not carry a {name}")
    if re.search(r"[\s\x00-\x1f\x7f%]", parts.netloc) or re.search(r"[\s\x00-\x1f\x7f]", parts.path):
        raise InvalidInputError("an image endpoint must not contain spaces or control characters")


def _host(name: str) -> str:
    if ":" not in name:
        return name.lower().rstrip(".")
    try:
        return f"[{ipaddress.IPv6Address(name).compressed}]"
    except ValueError:
        raise InvalidInputError("the IPv6 address of an image endpoint cannot be read") from None
