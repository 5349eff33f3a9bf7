# SPDX-License-Identifier: Apache-2.0
"""Whatever is wrong in a configuration file is named: the file, the section, the option, and what is allowed."""
from __future__ import annotations

import pytest

from glancesync.conf.given import read_given
from glancesync.exceptions import ConfigurationError


def read(tmp_path, content):
    path = tmp_path / "glance-sync.conf"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_given([f"--config-file={path}"], prog="glance-sync")


@pytest.mark.parametrize(("content", "words"), [
    ("[DEFAULT]\nbind_port = many\n",
     "bind_port = many in [DEFAULT] is wrong, allowed is a whole number from 1 to 65535"),
    ("[DEFAULT]\nbind_port = 65536\n",
     "bind_port = 65536 in [DEFAULT] is wrong, allowed is a whole number from 1 to 6553"),
    ("[DEFAULT]\nbind_port =\n", "bind_port =  in [DEFAULT] is wrong, allowed is a whole number"),
    ("[DEFAULT]\nbind_host = a b\n", "bind_host = a b in [DEFAULT] is wrong, allowed is a host name or an IP address"),
    ("[DEFAULT]\nsync_strategy = SOME\n", "sync_strategy = SOME in [DEFAULT] is wrong, allowed is one of None, ALL"),
    ("[DEFAULT]\nsync_strategy =\n", "sync_strategy =  in [DEFAULT] is wrong, allowed is one of None, ALL"),
    ("[DEFAULT]\nreconcile_at_start = perhaps\n",
     "reconcile_at_start = perhaps in [DEFAULT] is wrong, allowed is true or"),
    ("[DEFAULT]\ndebug = perhaps\n", "debug = perhaps in [DEFAULT] is wrong, allowed is true or false"),
    ("[worker]\nlease_seconds = 1\n", "lease_seconds = 1 in [worker] is wrong, allowed is a number of at least 3"),
    ("[deletion]\nmax_deletes_percent = 101\n", "allowed is a whole number from 0 to 100"),
    ("[keystone]\ninterface = outside\n", "interface = outside in [keystone] is wrong, allowed is one of public, int"),
    ("[keystone]\nauth_type = nosuch\n", "[keystone] auth_type = nosuch: allowed is one of"),
    ("[keystone_authtoken]\nauth_type = nosuch\n", "[keystone_authtoken] auth_type = nosuch: allowed is one of"),
    ("[keystone_authtoken]\ntoken_cache_time = x\n",
     "token_cache_time = x in [keystone_authtoken] is wrong, allowed is"),
    ("[oslo_policy]\npolicy_fiel = x\n", "there is no option policy_fiel in [oslo_policy]; did you mean policy_file?"),
    ("[DEFAULT]\ncascading_regoin = R\n",
     "there is no option cascading_regoin in [DEFAULT]; did you mean cascading_reg"),
    ("[wroker]\nmax_tasks = 1\n", "there is no section [wroker]; did you mean worker?"),
    ("[keystone]\npasword = x\n", "there is no option pasword in [keystone]; did you mean password"),
    ("[zzz]\na = 1\n", "there is no section [zzz]; there are DEFAULT, api,"),
    ("[worker]\nmax_tasks = 1\nmax_tasks = 2\n", "max_tasks in [worker] is given 2 times, keep one of them"),
    ("[worker]\nmax_tasks = 1\n[worker]\nmax_tasks = 2\n", "max_tasks in [worker] is given 2 times"),
    ("[keystone]\nusername = $nope\n", "username = $nope in [keystone] refers to $nope, which is no option; a $ that"),
    ("max_tasks = 1\n", "is no configuration file: line 1: Section must be started before assignment"),
    ("[DEFAULT\n", "is no configuration file: line 1: Invalid section"),
    (b"[DEFAULT]\nbind_host = \xff\n", "cannot be read: it is no text in UTF-8"),
])
def test_what_is_wrong_is_named(tmp_path, content, words):
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path, content)
    assert words in str(caught.value)
    assert "glance-sync.conf" in str(caught.value) or "auth_type" in words


def test_a_secret_is_not_told(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path, "[keystone]\npassword = S3cr$et\n")
    assert "password in [keystone] refers to $et" in str(caught.value)
    assert "S3cr" not in str(caught.value)


@pytest.mark.parametrize(("named", "words"), [
    (["--config-file=/does/not/exist"], "/does/not/exist cannot be read: No such file or directory"),
    (["--config-file", "/"], "/ cannot be read: Is a directory"),
    (["--config-dir=/does/not/exist"], "/does/not/exist is no directory"),
])
def test_a_file_that_cannot_be_read_is_named(named, words):
    with pytest.raises(ConfigurationError) as caught:
        read_given(named, prog="glance-sync")
    assert words in str(caught.value)


def test_what_is_read_is_accepted(tmp_path):
    read(tmp_path, "[DEFAULT]\ndebug = true\nlog-file = x\nuse_json = true\nlog_dir = /var\n"
         "api_paste_config = $log_dir/x\n"
         "[keystone]\nauth-url = x\nuser_name = y\npassword = a$$b\n"
         "[keystone_authtoken]\nmemcached_servers = a:1,b:2\nauth_url = x\n[worker]\nlease_seconds = 9\n"
         "[oslo_middleware]\nenable_proxy_headers_parsing = true\n")


def test_the_last_file_wins_and_each_is_checked(tmp_path):
    folder = tmp_path / "conf.d"
    folder.mkdir()
    (tmp_path / "a.conf").write_text("[worker]\nmax_tasks = 1\n")
    (folder / "b.conf").write_text("[worker]\nmax-tasks = 2\n")
    arguments = [f"--config-file={tmp_path}/a.conf", f"--config-dir={folder}"]
    assert read_given(arguments, prog="x").values["worker", "max_tasks"] == ("2", f"{folder}/b.conf")
    (folder / "c.conf").write_text("[worker]\nmax_tasks = none\n")
    with pytest.raises(ConfigurationError, match="c.conf: max_tasks = none"):
        read_given(arguments, prog="x")
