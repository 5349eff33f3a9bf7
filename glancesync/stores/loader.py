# SPDX-License-Identifier: Apache-2.0
"""glance_store.yaml as a StoresConfig, or a ConfigurationError that names file, line and key. Called by book."""
from __future__ import annotations

import logging
import os
import stat
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import jsonschema

from glancesync.exceptions import ConfigurationError
from glancesync.model.region import Region
from glancesync.model.store import (
    FilesystemScheme,
    GlanceStores,
    HttpScheme,
    PasswordSource,
    PeerAccess,
    Scheme,
    SshAccess,
    StoresConfig,
    host_of,
)
from glancesync.stores.document import Document, Place, open_at_once, read_document
from glancesync.stores.schema import FILE, PARAMETERS

LOG = logging.getLogger(__name__)
#: Key to kind of where a password comes from.
_PASSWORDS = dict((("login_password", "clear"), ("login_password_file", "file"),
                   ("login_password_environment", "environment"), ("login_password_command", "command")))
#: Others than the owner may do nothing with these.
_PRIVATE = frozenset({"key_file", "login_password_file"})
_FILES = ("key_file", "known_hosts_file", "login_password_file")
#: 22.0 is an integer for JSON, and no port for ssh.
_Validator = jsonschema.validators.extend(
    jsonschema.Draft202012Validator, type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _checker, value: type(value) is int))


def load_stores(path: Path, regions: Sequence[Region] = (), drivers: Collection[str] = ()) -> StoresConfig:
    """`regions`: those that exist, `drivers`: the names that an order may have; none where that is not known yet.
    Raises ConfigurationError."""
    document = read_document(path)
    _validate(document, (), document.value, FILE)
    glances = [_glance(document, ("glances", number), given)
               for number, given in enumerate(document.value["glances"])]
    _check_once(document, glances)
    if regions:
        _check_regions(document, glances, regions)
    if drivers:
        _check_drivers(document, glances, drivers)
    return StoresConfig(glances=tuple(glances))


def _check_drivers(document: Document, glances: Sequence[GlanceStores], drivers: Collection[str]) -> None:
    for number, glance in enumerate(glances):
        for place, name in enumerate(glance.drivers):
            if name not in drivers:
                raise document.error(("glances", number, "drivers", place),
                                     f"no driver {name!r} is installed; there are {', '.join(sorted(drivers))}")


def _validate(document: Document, base: Place, value: Any, schema: dict[str, Any]) -> None:
    error = jsonschema.exceptions.best_match(_Validator(schema).iter_errors(value))
    if error is None:
        return
    place: Place = (*base, *error.absolute_path)
    if error.validator == "additionalProperties":
        known = error.schema["properties"]
        unknown = next(key for key in error.instance if key not in known)
        raise document.error((*place, unknown), f"is no known key; there are {', '.join(known)}")
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        raise document.error(place, f"lacks the key {missing!r}")
    raise document.error(place, _why(error))


def _why(error: jsonschema.ValidationError) -> str:
    """In words; never with the value, which may be a password."""
    if error.validator == "type":
        return f"must be of type {error.validator_value}"
    if error.validator == "enum":
        return f"must be one of {', '.join(error.validator_value)}"
    if error.validator == "pattern":
        return "has characters, or a form, that are not taken here"
    return f"breaks the rule {error.validator} {error.validator_value}"


def _glance(document: Document, place: Place, given: dict[str, Any]) -> GlanceStores:
    if "region" not in given and "service_ip" not in given:
        raise document.error(place, "names neither a region nor a service_ip")
    schemes, seen = [], set()
    for number, scheme in enumerate(given["schemes"]):
        here: Place = (*place, "schemes", number)
        if scheme["name"] in seen:
            raise document.error((*here, "name"), f"is {scheme['name']} for the second time")
        seen.add(scheme["name"])
        schemes.append(_scheme(document, (*here, "parameters"), scheme["name"], scheme["parameters"]))
    return GlanceStores(name=given["name"], region=given.get("region"), service_ip=_bare(given.get("service_ip")),
                        schemes=tuple(schemes), drivers=tuple(given.get("drivers", ())),
                        import_plugins=tuple(given.get("import_plugins", ())))


def _scheme(document: Document, place: Place, name: str, given: dict[str, Any]) -> Scheme:
    _validate(document, place, given, PARAMETERS[name])
    if name == "http":
        return HttpScheme(**given)
    if ".." in given["datadir"].split("/"):
        raise document.error((*place, "datadir"), "must not contain `..`")
    for key in _FILES:
        if key in given:
            _check_file(document, (*place, key), Path(given[key]))
    access = {key: given[key] for key in ("port", "key_file", "known_hosts_file", "cipher", "jump_host")
              if key in given}
    return FilesystemScheme(datadir=given["datadir"].rstrip("/") or "/", peer=_peer(document, place, given),
                            ssh=SshAccess(host=_bare(given["host"]) or "", user=given["login_user"],
                                          password=_password(document, place, given), **access))


def _peer(document: Document, place: Place, given: dict[str, Any]) -> PeerAccess:
    if ("peer_key_file" in given) != ("peer_known_hosts_file" in given):
        lacking = "peer_key_file" if "peer_known_hosts_file" in given else "peer_known_hosts_file"
        raise document.error((*place, lacking), "is missing beside the other of the two")
    found = {key[len("peer_"):]: value for key, value in given.items() if key.startswith("peer_")}
    if "host" in found:
        found["host"] = _bare(found["host"])
    return PeerAccess(**found)


def _password(document: Document, place: Place, given: dict[str, Any]) -> PasswordSource | None:
    named = [key for key in _PASSWORDS if key in given]
    if not named:
        return None
    if len(named) > 1:
        raise document.error((*place, named[1]), f"stands beside {named[0]}; say but one of them")
    key = named[0]
    if key == "login_password":
        LOG.warning("%s, line %d: a PASSWORD STANDS HERE IN CLEAR; move it to a file of mode 0600 "
                    "(login_password_file), or use a key", document.path, document.lines[(*place, key)])
    value = given[key]
    return PasswordSource(kind=_PASSWORDS[key], value=tuple(value) if isinstance(value, list) else value)


def _check_file(document: Document, place: Place, path: Path) -> None:
    try:
        with open_at_once(path) as file:
            found = os.fstat(file.fileno())
    except OSError as error:
        raise document.error(place, f"{path} cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(found.st_mode):
        raise document.error(place, f"{path} is no regular file")
    if place[-1] in _PRIVATE and found.st_mode & 0o077:
        raise document.error(place, f"{path} may be read by others (mode {found.st_mode & 0o777:04o}); it must be 0600")
    if found.st_mode & 0o022:
        raise document.error(place, f"{path} may be written by others (mode {found.st_mode & 0o777:04o})")


def _check_once(document: Document, glances: Iterable[GlanceStores]) -> None:
    seen: set[tuple[str, str]] = set()
    for number, glance in enumerate(glances):
        for key, value in (("name", glance.name), ("region", glance.region), ("service_ip", glance.service_ip)):
            if value is None or (key == "service_ip" and glance.region is not None):
                continue  # several regions may be served by one host; the region's name tells them apart
            if (key, value) in seen:
                raise document.error(("glances", number, key), f"{value!r} has an entry already")
            seen.add((key, value))


def _check_regions(document: Document, glances: Iterable[GlanceStores], regions: Sequence[Region]) -> None:
    known, taken = ", ".join(f"{region.name} ({host_of(region)})" for region in regions), set()
    for number, glance in enumerate(glances):
        meant = [region.name for region in regions if glance.is_of(region)]
        if not meant and glance.region is not None:
            raise document.error(("glances", number, "region"), f"Keystone's catalog has no region {glance.region!r}; "
                                 f"there are {known}")
        if not meant:
            raise document.error(("glances", number, "service_ip"), f"no region's image endpoint has the host "
                                 f"{glance.service_ip!r}; there are {known}")
        if len(meant) > 1:
            raise document.error(("glances", number, "service_ip"), f"the endpoints of {', '.join(meant)} have this "
                                 "host; name the region")
        if meant[0] in taken:
            raise document.error(("glances", number, "region" if glance.region else "service_ip"),
                                 f"region {meant[0]} has an entry already")
        taken.add(meant[0])


def _bare(host: str | None) -> str | None:
    """An IPv6 address without its brackets, a name in lower case: as an endpoint's host is compared."""
    return None if host is None else host.strip("[]").lower()


def check_path(path: str) -> Path:
    """[stores] config_file. Raises ConfigurationError for a relative one."""
    found = Path(path)
    if not found.is_absolute():
        raise ConfigurationError(f"[stores] config_file = {path} must be an absolute path")
    return found
