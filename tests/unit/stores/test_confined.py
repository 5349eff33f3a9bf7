# SPDX-License-Identifier: Apache-2.0
"""What a confined account may do (attacks over a real sshd: tests/functional/test_confined_stores.py)."""
from __future__ import annotations

import json
import shlex

import pytest

from glancesync.stores.agent.confined import Limits, clean_environment, read_limits, select_permitted
from glancesync.stores.agent.words import Failure
from glancesync.stores.ssh_agent import ask
from glancesync.stores.ssh_words import remote_command

ID = "0a1b2c3d-0000-4000-8000-00000000000a"
HOP = {"host": "one", "port": 22, "user": "u", "key_file": "/key", "known_hosts_file": "/known", "ciphers": "a,b",
       "connect_seconds": 5, "folder": "/there", "name": ID}
LIMITS = Limits(folders=("/images",), peer_key_file="/key", peer_known_hosts_file="/known", peers=("one",))


def test_options_of_a_forced_command():
    found = read_limits(["--folder", "/a/", "--folder", "/b", "--read-only"])
    assert found == Limits(folders=("/a", "/b"), read_only=True)
    assert read_limits(["--folder", "/images", "--peer-key-file", "/key", "--peer-known-hosts-file", "/known",
                        "--peer", "one"]) == LIMITS


@pytest.mark.parametrize("arguments", [
    [], ["--folder"], ["--folder", "relative"], ["--read-only"], ["--folder", "/a", "--shell"],
    ["--folder", "/a", "--peer-key-file", "/k", "--peer-key-file", "/l"]])
def test_a_forced_command_that_is_wrong_permits_nothing(arguments):
    with pytest.raises(Failure):
        read_limits(arguments)


@pytest.mark.parametrize("what", ["send", "receive", "remove", "check", "pull", "hello"])
def test_what_the_driver_says_is_permitted(what):
    words = ask(what, "/images", name=ID, size=1, **({"hop": HOP} if what == "pull" else {}))
    assert select_permitted(LIMITS, remote_command(words))["do"] == what
    assert select_permitted(LIMITS, "true") is None


@pytest.mark.parametrize("what", ["receive", "remove", "check", "clone", "pull", "reach"])
def test_who_may_read_changes_nothing(what):
    with pytest.raises(Failure, match="may only read"):
        select_permitted(Limits(folders=("/images",), read_only=True), remote_command(ask(what, "/images", name=ID)))


@pytest.mark.parametrize("changes", [{"key_file": "/other"}, {"known_hosts_file": "/dev/null"}, {"host": "two"},
                                     {"host": "-oProxyCommand=id"}, {"user": "-x"}, {"port": "22"}, {"folder": "x"},
                                     {"ciphers": "a b"}])
def test_it_logs_in_where_it_may_and_with_its_own_key(changes):
    words = ask("pull", "/images", name=ID, size=1, hop={**HOP, **changes})
    with pytest.raises(Failure):
        select_permitted(LIMITS, remote_command(words))
    with pytest.raises(Failure):
        select_permitted(Limits(folders=("/images",)), remote_command(ask("reach", "/images", hop=HOP)))


def test_rsync_of_one_image_is_put_together_anew():
    told = f"rsync --server --sender -Ie.LsfxCIvu --inplace . /images/{ID}"
    assert select_permitted(LIMITS, told) == shlex.split(told)
    blocks = told.replace("--inplace", "-B65536 --inplace")
    assert select_permitted(LIMITS, blocks) == shlex.split(blocks)
    for wrong in (blocks.replace("65536", "1;id"), blocks.replace("-B65536", "-B65536 -B65536"),
                  "rsync --server . /images", told + " /etc", told.replace("/images", "/etc"),
                  told.replace("--inplace", "--delete"), told.replace("-Ie", "-z;id"), told.replace(ID, "x")):
        with pytest.raises(Failure):
            select_permitted(LIMITS, wrong)


@pytest.mark.parametrize("command", ["", "'", "id", "python3 -IS -c x", f"python3 -IS -c x '{json.dumps({})}' y",
                                     "python3 -I -c x {}"])
def test_every_other_command_is_refused(command):
    with pytest.raises(Failure):
        select_permitted(LIMITS, command)


def test_what_a_client_may_send_into_the_environment_is_dropped():
    assert clean_environment({"PATH": "/evil", "LD_PRELOAD": "/x", "HOME": "/h", "PYTHONPATH": "/y"}) == {
        "PATH": "/usr/bin:/bin", "HOME": "/h"}
