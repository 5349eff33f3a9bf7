# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
from oslo_config import cfg

from glancesync.exceptions import ConfigurationError
from glancesync.filter import options
from glancesync.filter.options import FilterSettings, read_settings

CREDENTIALS = """
auth_type = v3password
auth_url = http://127.0.0.1:5000
username = glance-sync-events
password = s3cr$$t
user_domain_name = Default
project_name = service
project_domain_name = Default
"""
ENABLED = f"[glance_sync]\nsync_enabled = True\n{CREDENTIALS}"


def read(tmp_path: Path, text: str, paste: str = "", **overrides: str) -> FilterSettings:
    (tmp_path / "glance-api.conf").write_text(text)
    (tmp_path / "paste.ini").write_text(paste)
    conf = cfg.ConfigOpts()
    conf([], project="glance", default_config_files=[str(tmp_path / "glance-api.conf")])
    return read_settings(conf, overrides, str(tmp_path / "paste.ini"))


def test_off_unless_asked_for_and_then_nothing_else_is_needed(tmp_path: Path) -> None:
    assert not read(tmp_path, "").enabled
    assert not read(tmp_path, "[glance_sync]\noutbox_path = relative\n").enabled


def test_defaults(tmp_path: Path) -> None:
    settings = read(tmp_path, ENABLED)
    assert settings.enabled
    assert settings.server_url == "http://127.0.0.1:9595"
    assert settings.outbox_path == Path("/var/lib/glance/glance-sync-outbox")
    assert settings.outbox_max_bytes == 64 * 1024 * 1024


def test_the_old_spelling_in_default_is_understood(tmp_path: Path) -> None:
    text = (f"[DEFAULT]\nsync_enabled = True\nsync_server_host = sync.example\nsync_server_port = 19595\n"
            f"[glance_sync]\n{CREDENTIALS}")
    settings = read(tmp_path, text)
    assert (settings.enabled, settings.server_url) == (True, "http://sync.example:19595")


@pytest.mark.parametrize(("overrides", "url"), [
    ({"sync_server_host": "::1"}, "http://[::1]:9595"),
    ({"sync_server_protocol": "https", "sync_server_port": "443"}, "https://127.0.0.1:443"),
    ({"sync_server_path_prefix": "/image-sync/"}, "http://127.0.0.1:9595/image-sync"),
])
def test_the_paste_section_overrides(tmp_path: Path, overrides: dict[str, str], url: str) -> None:
    assert read(tmp_path, ENABLED, **overrides).server_url == url


def test_values_of_the_paste_section_are_typed(tmp_path: Path) -> None:
    settings = read(tmp_path, ENABLED, sync_enabled="false", outbox_max_bytes="2097152",
                    sync_server_timeout_seconds="3")
    assert (settings.enabled, settings.outbox_max_bytes, settings.timeout_seconds) == (False, 2097152, 3.0)


def test_credentials_may_stand_in_the_paste_section(tmp_path: Path) -> None:
    overrides = dict(line.split(" = ") for line in CREDENTIALS.strip().splitlines())
    settings = read(tmp_path, "", sync_enabled="True", **overrides)
    auth = settings.new_session().auth
    assert auth is not None
    assert auth.auth_url == "http://127.0.0.1:5000"


def test_credentials_may_stand_in_another_section(tmp_path: Path) -> None:
    text = f"[glance_sync]\nsync_enabled = True\nauth_section = elsewhere\n[elsewhere]\n{CREDENTIALS}"
    auth = read(tmp_path, text, auth_url="http://overridden:5000").new_session().auth
    assert auth is not None
    assert auth.auth_url == "http://overridden:5000"


def test_sessions_are_made_anew_and_bounded_in_time(tmp_path: Path) -> None:
    settings = read(tmp_path, ENABLED, insecure="true", sync_server_timeout_seconds="4")
    session = settings.new_session()
    assert session is not settings.new_session()
    assert (session.timeout, session.verify) == (4.0, False)
    assert read(tmp_path, ENABLED, cafile="/ca.pem").new_session().verify == "/ca.pem"


def test_an_unknown_option_is_named_with_its_section_and_the_allowed_ones(tmp_path: Path) -> None:
    paste = ("[filter:other]\npaste.filter_factory = other:factory\nsync_server_hots = x\n"
             "[filter:sync]\npaste.filter_factory = glancesync.filter:filter_factory\nsync_server_hots = x\n")
    with pytest.raises(ConfigurationError) as raised:
        read(tmp_path, ENABLED, paste, sync_server_hots="x")
    told = str(raised.value)
    assert "'sync_server_hots'" in told
    assert f"[filter:sync] of {tmp_path}/paste.ini" in told
    assert "sync_server_host," in told
    assert "auth_url" in told


def test_an_unknown_option_stops_the_start_even_when_disabled(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nonsense"):
        read(tmp_path, "", nonsense="1")


@pytest.mark.parametrize(("overrides", "named"), [
    ({"sync_server_port": "0"}, "sync_server_port"),
    ({"sync_server_port": "many"}, "sync_server_port"),
    ({"sync_enabled": "perhaps"}, "sync_enabled"),
    ({"sync_server_protocol": "ftp"}, "sync_server_protocol"),
    ({"outbox_max_bytes": "1"}, "outbox_max_bytes"),
    ({"sync_server_path_prefix": "/a?b"}, "sync_server_path_prefix"),
    ({"outbox_path": "relative"}, "outbox_path"),
    ({"auth_type": "nothing-like-it"}, "auth_type"),
])
def test_wrong_values_are_refused_by_name(tmp_path: Path, overrides: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        read(tmp_path, ENABLED, **overrides)


@pytest.mark.parametrize("line", ["sync_server_port = many", "outbox_max_bytes = 1", "sync_server_protocol = ftp"])
def test_wrong_values_in_the_file_are_refused_by_name(tmp_path: Path, line: str) -> None:
    with pytest.raises(ConfigurationError, match=line.split(" ", maxsplit=1)[0]):
        read(tmp_path, ENABLED + line)


def test_missing_credentials_stop_the_start_and_no_error_tells_the_password(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="auth_type is missing"):
        read(tmp_path, "[glance_sync]\nsync_enabled = True\n")
    with pytest.raises(ConfigurationError, match="auth_url") as raised:
        read(tmp_path, ENABLED.replace("auth_url", "ignored"))
    assert "s3cr" not in str(raised.value)


def test_a_single_dollar_in_a_value_is_explained_without_telling_the_value(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"written \$\$") as raised:
        read(tmp_path, ENABLED.replace("$$t", "$t"))
    assert "s3cr" not in str(raised.value)


def test_the_generator_is_fed(tmp_path: Path) -> None:
    [(group, opts)] = options.list_opts()
    assert group == "glance_sync"
    names = [opt.dest for opt in opts]
    assert len(names) == len(set(names))
    assert {"sync_enabled", "cafile", "auth_type", "password", "outbox_path"} <= set(names)
    assert all(opt.help for opt in options.OPTS)
