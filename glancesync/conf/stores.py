# SPDX-License-Identifier: Apache-2.0
"""[stores]: bytes past the Glances, from store to store."""
from __future__ import annotations

from dataclasses import dataclass

from oslo_config import cfg

from glancesync.exceptions import ConfigurationError


def _formerly(name: str) -> list[cfg.DeprecatedOpt]:
    """The original had all of its options in [DEFAULT]."""
    return [cfg.DeprecatedOpt(name, group="DEFAULT"), cfg.DeprecatedOpt(name)]


OPTS = [
    cfg.StrOpt("config_file", mutable=True, deprecated_opts=_formerly("glance_store_cfg_file"),
               sample_default="/etc/glance-sync/glance_store.yaml",
               help="The file (glance_store.yaml) that says where each region's images lie and how their hosts are "
                    "reached; an absolute path. A reload reads it again. Unset: all bytes go through the Glances."),
    cfg.ListOpt("drivers", mutable=True, default=["filesystem", "stream"],
                help="How images may get their bytes, the first that can be taken first: names of installed drivers, "
                     "and `stream`, through the Glances and this server, which is always the last. A region for which "
                     "it is left out (here, or by `drivers` in glance_store.yaml) gets nothing by it: its tasks wait "
                     "where no other way can be taken."),
    cfg.StrOpt("glance_download_interface", mutable=True, default="public", choices=["public", "internal", "admin"],
               help="At which endpoint of the source region a target's Glance fetches images, where glance-download is "
                    "one of the drivers: its interface in Keystone's catalog. It has to be one that the target's "
                    "Glance can reach and its [import_filtering_opts] allow."),
    cfg.FloatOpt("scp_copy_timeout_seconds", mutable=True, default=3600, min=1,
                 deprecated_opts=_formerly("scp_copy_timeout"),
                 help="How long one copy from store to store may take before it is ended and the bytes take the next "
                      "way; hashing what arrived may take as long again."),
    cfg.IntOpt("num_shell_tries", mutable=True, default=3, min=1, max=20,
               deprecated_opts=_formerly("num_shell_tries")[:1],
               help="How often the host of a store is called, a second apart, before it counts as unreachable. A "
                    "refused login or a wrong host key is not tried again."),
    cfg.BoolOpt("hash_on_host", mutable=True, default=False,
                help="False: where the target's Glance verifies the bytes before the image is active (its store filter "
                     "says so), they are not hashed on its host as well. True: they are, while they are written."),
    cfg.ListOpt("base_image_properties", mutable=True, default=["base_image_ref"],
                help="Image properties that name the image from which an image was made. Where that one has the same "
                     "owner or is public, and its verified replica lies on the target's host, only what differs is "
                     "sent (by rsync, on both hosts). Empty: images are always sent whole."),
]


@dataclass(frozen=True, kw_only=True)
class StoresSettings:
    config_file: str | None = None
    drivers: tuple[str, ...] = ("filesystem", "stream")
    glance_download_interface: str = "public"
    scp_copy_timeout_seconds: float = 3600
    num_shell_tries: int = 3
    hash_on_host: bool = False
    base_image_properties: tuple[str, ...] = ("base_image_ref",)


def register_opts(conf: cfg.ConfigOpts) -> None:
    conf.register_opts(OPTS, group="stores")


def read(conf: cfg.ConfigOpts) -> StoresSettings:
    """Raises ConfigurationError for an order of drivers that is empty or names one twice."""
    given = {opt.dest: conf.stores[opt.dest] for opt in OPTS}
    drivers = tuple(given.pop("drivers"))
    if not drivers or len(set(drivers)) < len(drivers):
        raise ConfigurationError("[stores] drivers has to name each driver once, and at least one")
    return StoresSettings(drivers=drivers, base_image_properties=tuple(given.pop("base_image_properties")), **given)
