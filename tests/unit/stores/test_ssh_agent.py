# SPDX-License-Identifier: Apache-2.0
"""What the agent is asked is inert and complete in itself; what it answers has a code."""
from __future__ import annotations

import json

import pytest

from glancesync import exceptions as errors
from glancesync.model.store import FilesystemScheme, PeerAccess, SshAccess
from glancesync.stores.agent.hop import hop_arguments
from glancesync.stores.agent.words import Failure, path_of, read_request
from glancesync.stores.ssh_agent import HopError, ask, error_of, hop_to, is_cut, parse_line

ID = "0a1b2c3d-0000-4000-8000-00000000000a"
ONE = FilesystemScheme(datadir="/one", ssh=SshAccess(host="one", user="u", port=2222))
TWO = FilesystemScheme(datadir="/two", ssh=SshAccess(host="two", user="v"), peer=PeerAccess(
    key_file="/key of mine", known_hosts_file="/known"))


def told(**fields):
    return "a word of the account's\n" + json.dumps(fields) + "\n"


@pytest.mark.parametrize(("code", "kind"), [
    ("full", errors.StoreFullError), ("write", errors.StoreWriteError), ("source", errors.StoreSourceMissingError),
    ("short", errors.StoreShortCopyError), ("corrupt", errors.StoreCorruptCopyError), ("cut", errors.StoreCutError),
    ("refused", errors.StoreCopyError), ("never heard of", errors.StoreCopyError)])
def test_each_failure_has_its_code(code, kind):
    error = error_of(3, told(error=code, told="why\x1b[2J" + "x" * 5000), what="there")
    assert type(error) is kind
    assert "\x1b" not in str(error)
    assert len(str(error)) < 400


def test_what_no_agent_said_is_ssh_or_the_shell():
    assert type(error_of(255, "u@h: Permission denied (publickey).", what="x")) is errors.StoreLoginError
    assert type(error_of(127, "sh: python3: not found", what="x")) is errors.StoreCopyError
    assert type(error_of(1, "[1, 2]", what="x")) is errors.StoreCopyError


def test_a_host_that_does_not_reach_the_other_one_says_why():
    error = error_of(3, told(error="hop", status=255, told="Host key verification failed."), what="there")
    assert isinstance(error, HopError)
    assert "store_host_key" in str(error)


def test_only_an_end_of_the_bytes_leaves_the_word_to_the_sender():
    assert is_cut(3, told(error="cut", told="x"))
    assert not is_cut(3, told(error="full", told="x"))
    assert not is_cut(0, told(error="cut", told="x"))
    assert not is_cut(1, "")


def test_a_report_is_an_object():
    assert parse_line('{"bytes": 5}') == {"bytes": 5}
    assert parse_line("[1]") == parse_line("Welcome!") == {}


def test_a_request_is_the_last_word_of_a_command_that_needs_python_alone():
    words = ask("send", "/a b", name=ID)
    assert words[:3] == ["python3", "-IS", "-c"]
    assert read_request(words[-1]) == {"version": 2, "do": "send", "folder": "/a b", "name": ID}
    assert sum(map(len, words)) < 20_000


def test_the_way_between_two_hosts():
    hop = hop_to(ONE, TWO, ID)
    assert (hop["host"], hop["port"], hop["user"], hop["folder"], hop["name"]) == ("one", 2222, "u", "/one", ID)
    source = FilesystemScheme(datadir="/one", ssh=ONE.ssh, peer=PeerAccess(host="inner", port=22, user="reader"))
    found = hop_to(source, TWO, ID)
    assert (found["host"], found["port"], found["user"]) == ("inner", 22, "reader")
    words = hop_arguments(hop)
    assert {'IdentityFile="/key of mine"', "StrictHostKeyChecking=yes", "BatchMode=yes", "ForwardAgent=no",
            "UserKnownHostsFile=/known", "GlobalKnownHostsFile=/dev/null"} <= set(words)


@pytest.mark.parametrize("text", ["", "x", "[]", "{}", '{"version": 3, "do": "send", "folder": "/x"}',
                                  '{"version": 2, "do": "format", "folder": "/x"}',
                                  '{"version": 2, "do": "send", "folder": "x"}', '{"version": 2, "do": "send"}'])
def test_what_is_no_request(text):
    with pytest.raises(Failure) as caught:
        read_request(text)
    assert caught.value.code == "refused"


@pytest.mark.parametrize("name", [None, "", "..", "../../etc/passwd", f"{ID}\n", f"{ID}/x", "-rf", 5, ["x"]])
def test_no_other_file_than_an_images(name):
    with pytest.raises(Failure):
        path_of({"folder": "/x", "name": name})
