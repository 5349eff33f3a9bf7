# SPDX-License-Identifier: Apache-2.0
"""What glance_store.yaml may hold, as a JSON schema, with the meaning of each key. Used by loader, and by the generator
of the sample."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: No blanks, no controls, nothing that begins like an option.
_HOST = r"^[A-Za-z0-9:\[][A-Za-z0-9.:_%\[\]-]{0,253}\Z"
_USER = r"^[A-Za-z_][A-Za-z0-9_.@-]{0,63}\Z"
_PATH = r"^/[^\x00-\x1f\x7f]*\Z"
_DRIVER = r"^[A-Za-z][A-Za-z0-9_-]{0,63}\Z"
_WORD = r"^[A-Za-z0-9@.,_+-]{1,200}\Z"


def _text(pattern: str | None = None, most: int = 255) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": most} | ({"pattern": pattern} if pattern else {})


def _object(required: tuple[str, ...], properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "additionalProperties": False, "properties": properties}


FILESYSTEM = _object(("host", "datadir", "login_user"), {
    "host": _text(_HOST), "datadir": _text(_PATH, 4096), "login_user": _text(_USER),
    "login_password": _text(),
    "login_password_file": _text(_PATH, 4096),
    "login_password_environment": _text(r"^[A-Za-z_][A-Za-z0-9_]*\Z"),
    "login_password_command": {"type": "array", "minItems": 1, "maxItems": 50, "items": _text(None, 4096)},
    "port": {"type": "integer", "minimum": 1, "maximum": 65535},
    "key_file": _text(_PATH, 4096), "known_hosts_file": _text(_PATH, 4096),
    "cipher": _text(_WORD),
    "jump_host": _text(r"^([A-Za-z_][A-Za-z0-9_.-]*@)?[A-Za-z0-9][A-Za-z0-9._-]*(:[0-9]{1,5})?\Z"),
    "peer_key_file": _text(_PATH, 4096), "peer_known_hosts_file": _text(_PATH, 4096),
    "peer_host": _text(_HOST), "peer_user": _text(_USER),
    "peer_port": {"type": "integer", "minimum": 1, "maximum": 65535},
})
HTTP = _object(("netloc", "path"), {
    "netloc": _text(r"^[A-Za-z0-9\[][A-Za-z0-9.:_\[\]-]*\Z"), "path": _text(_PATH, 4096),
    "image_name": _text()})
#: The parameters of a scheme, by its name.
PARAMETERS: Mapping[str, dict[str, Any]] = {"filesystem": FILESYSTEM, "http": HTTP}
#: The file, but for the parameters.
FILE = _object(("glances",), {"glances": {"type": "array", "items": _object(("name", "schemes"), {
    "name": _text(), "region": _text(), "service_ip": _text(_HOST),
    "drivers": {"type": "array", "minItems": 1, "maxItems": 20, "uniqueItems": True, "items": _text(_DRIVER)},
    "import_plugins": {"type": "array", "maxItems": 50, "uniqueItems": True, "items": _text(_DRIVER)},
    "schemes": {"type": "array", "items": _object(("name", "parameters"), {
        "name": {"enum": sorted(PARAMETERS)}, "parameters": {"type": "object"}})},
})}})

SAMPLE = """\
# Where the images of each region's Glance lie, and how their hosts are reached. [stores] config_file names this file,
# which nobody but its owner may write. `glance-sync-manage store check` tries what it says. docs/stores.md explains it.
glances:
  - name: master
    region: RegionOne             # the region's name in Keystone's catalog; or, instead or beside it,
    service_ip: "192.0.2.10"      # the host of its image endpoint
    schemes:
      - name: filesystem
        parameters:
          host: "192.0.2.10"
          datadir: /var/lib/glance/images/
          login_user: glance
          port: 22
          # A key without a passphrase, readable by the server's user only; else ssh's own defaults.
          key_file: /etc/glance-sync/ssh/id_ed25519
          # The keys of the hosts. They are always checked; else ssh's own defaults.
          known_hosts_file: /etc/glance-sync/ssh/known_hosts
          # cipher: aes128-gcm@openssh.com
          # jump_host: user@bastion.example.org:22
          # With what this host fetches images from the other hosts, so that the bytes do not pass through the server:
          # paths on this host. Without them they do.
          peer_key_file: /etc/glance-sync/ssh/id_ed25519
          peer_known_hosts_file: /etc/glance-sync/ssh/known_hosts
          # Where the other hosts find this one, if not as the server does.
          # peer_host: "10.0.0.10"
          # peer_port: 22
          # peer_user: glance
          # At most one of these, for accounts that have a password only. The file has mode 0600.
          # login_password_file: /etc/glance-sync/ssh/password
          # login_password_environment: GLANCE_SYNC_STORE_PASSWORD
          # login_password_command: [/usr/bin/vault, kv, get, -field=password, secret/glance]
          # login_password: in clear; accepted, with a warning at each start
  - name: second
    region: RegionTwo
    # How its images may get their bytes, the first way first; else what [stores] drivers says.
    drivers: [filesystem, stream]
    # What image_import_plugins of that region's Glance names: glance-download is not taken where one changes bytes.
    import_plugins: [inject_image_metadata]
    schemes:
      - name: filesystem
        parameters: {host: "198.51.100.10", datadir: /var/lib/glance/images/, login_user: glance}
"""
