# SPDX-License-Identifier: Apache-2.0
"""What ssh is told is inert and checks host keys; what it says when it fails has a code."""
from __future__ import annotations

import shlex

import pytest

from glancesync import exceptions as errors
from glancesync.model.store import PasswordSource, SshAccess
from glancesync.stores.ssh_words import classify, remote_command, ssh_arguments

PLAIN = SshAccess(host="store.example", user="glance")


def options(access=PLAIN, *, master=False):
    words = ssh_arguments(access, "/c", connect_timeout_seconds=5, master=master)
    assert words[:3] == ["ssh", "-F", "none"]
    assert words[-2:] == ["--", access.host]
    return dict(word.split("=", 1) for flag, word in zip(words, words[1:], strict=False) if flag == "-o"), words


@pytest.mark.parametrize("master", [True, False])
def test_host_keys_are_always_checked_and_nothing_is_forwarded(master):
    found, words = options(master=master)
    assert (found["StrictHostKeyChecking"], found["ForwardAgent"], found["UpdateHostKeys"]) == ("yes", "no", "no")
    assert found["BatchMode"] == "yes"
    assert found["PreferredAuthentications"] == "publickey"
    assert words[words.index("-p") + 1] == "22"
    assert words[words.index("-l") + 1] == "glance"


def test_all_that_the_file_may_say():
    found, words = options(SshAccess(
        host="::1", user="u", port=2222, key_file="/k y%h", known_hosts_file="/hosts", cipher="aes128-gcm@openssh.com",
        jump_host="u@bastion:22"))
    assert found["IdentityFile"] == '"/k y%%h"'
    assert (found["IdentitiesOnly"], found["UserKnownHostsFile"], found["GlobalKnownHostsFile"]) == (
        "yes", "/hosts", "/dev/null")
    assert (found["Ciphers"], found["ProxyJump"]) == ("aes128-gcm@openssh.com", "u@bastion:22")
    assert words[words.index("-p") + 1] == "2222"


def test_a_password_is_asked_for_only_where_the_connection_is_opened():
    access = SshAccess(host="h", user="u", password=PasswordSource(kind="clear", value="hunter2"))
    opening, words = options(access, master=True)
    assert (opening["BatchMode"], opening["ControlMaster"], opening["NumberOfPasswordPrompts"]) == ("no", "yes", "1")
    assert options(access)[0]["BatchMode"] == "yes"
    assert "hunter2" not in " ".join(words)


@pytest.mark.parametrize("word", ["a b", "$(id)", "`id`", "a;b", "a'b", 'a"b', "a\nb", "*", "-rf", "\\", "", "&",
                                  "~root"])
def test_every_word_is_inert_on_the_other_side(word):
    assert shlex.split(remote_command(["cat", "--", word])) == ["cat", "--", word]


@pytest.mark.parametrize(("stderr", "kind"), [
    ("Host key verification failed.", errors.StoreHostKeyError),
    ("No ED25519 host key is known for [h]:22 and you have requested strict checking.", errors.StoreHostKeyError),
    ("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.", errors.StoreHostKeyError),
    ("u@h: Permission denied (publickey,password).", errors.StoreLoginError),
    ("ssh: connect to host h port 22: Connection refused", errors.StoreUnreachableError),
    ("ssh: connect to host h port 22: Connection timed out", errors.StoreUnreachableError),
    ("ssh: Could not resolve hostname h: Name or service not known", errors.StoreUnreachableError),
    ("client_loop: send disconnect: Broken pipe", errors.StoreCutError), ("", errors.StoreCutError),
])
def test_what_ssh_says(stderr, kind):
    assert type(classify(255, stderr, what="here")) is kind


@pytest.mark.parametrize(("stderr", "kind"), [
    ("dd: error writing '/d/x.part': No space left on device", errors.StoreFullError),
    ("dd: error writing '/d/x.part': Disk quota exceeded", errors.StoreFullError),
    ("dd: failed to open '/d/x.part': Permission denied", errors.StoreWriteError),
    ("dd: failed to open '/d/x.part': Read-only file system", errors.StoreWriteError),
    ("dd: failed to open '/d/x.part': No such file or directory", errors.StoreWriteError),
    ("sh: dd: not found", errors.StoreCopyError),
])
def test_what_the_commands_say(stderr, kind):
    assert type(classify(1, stderr, what="here")) is kind


def test_whatever_ends_the_reading_is_about_the_source():
    assert type(classify(1, "cat: x: Permission denied", what="here", reads=True)) is errors.StoreSourceMissingError


def test_a_hosts_words_are_short_and_inert():
    text = str(classify(1, "first\n" + "\x1b[2J" + "x" * 10_000, what="here"))
    assert "\x1b" not in text
    assert len(text) < 400
