# SPDX-License-Identifier: Apache-2.0
"""One of several server processes as its parent sees it, with a stand-in for the process."""
from __future__ import annotations

import json
import os
import signal
import socket
import subprocess

import pytest

from glancesync.clock import ManualClock
from glancesync.cmd.children import Child, describe_end, environment_of, failures_after, pause_before
from glancesync.cmd.place import VARIABLE, Place, take_place
from glancesync.exceptions import ConfigurationError


class Process:
    pid = 4711

    def __init__(self):
        self.status, self.sent, self.killed = None, [], False

    def poll(self):
        return self.status

    def wait(self, timeout=None):
        if self.status is None and timeout is not None:
            raise subprocess.TimeoutExpired("child", timeout)
        return self.status

    def kill(self):
        self.killed, self.status = True, -9

    def send_signal(self, number):
        self.sent.append(number)


@pytest.fixture
def world():
    return {"clock": ManualClock(), "process": Process(), "given": []}


@pytest.fixture
def child(world):
    def start(arguments, environment, descriptors):
        world["given"].append((arguments, environment, descriptors))
        return world["process"]

    found = Child(2, clock=world["clock"], told=lambda: None, start=start)
    found.start(["--config-file=x"], {"A": "b"}, lambda channel: Place(number=2, owner="host/1", listener=0,
                                                                       channel=channel, lock=1))
    return found


@pytest.mark.parametrize(("failures", "seconds"), [(0, 0), (1, 1), (2, 2), (3, 4), (7, 60), (50, 60)])
def test_pauses_grow(failures, seconds):
    assert pause_before(failures) == seconds


@pytest.mark.parametrize(("before", "status", "lived", "after"), [
    (3, 0, 1, 0), (3, 1, 1, 4), (0, -9, 1, 1), (3, 1, 60, 1), (3, -11, 3600, 1)])
def test_what_counts_as_failing_again(before, status, lived, after):
    assert failures_after(before, status=status, lived_seconds=lived) == after


@pytest.mark.parametrize(("status", "words"), [
    (1, "ended with exit status 1"), (-9, "was ended by SIGKILL"), (-64, "was ended by SIGRTMAX"),
    (-99, "was ended by signal 99")])
def test_ends_in_words(status, words):
    assert describe_end(status) == words


def test_a_child_gets_its_place_and_nothing_of_systemd(world, child):
    [(arguments, environment, descriptors)] = world["given"]
    assert (arguments, environment["A"]) == (["--config-file=x"], "b")
    place = json.loads(environment[VARIABLE])
    assert place["owner"] == child.owner == "host/1"
    assert set(descriptors) == {0, 1, place["channel"]}
    assert environment_of({"NOTIFY_SOCKET": "/x", "WATCHDOG_PID": "1", "WATCHDOG_USEC": "3", "B": "c"}, {"D": "e"}) == {
        "WATCHDOG_USEC": "3", "B": "c", "D": "e"}


def test_what_it_says_is_kept(world, child):
    child.hear("STATUS=waits for Keystone")
    child.hear("EXTEND_TIMEOUT_USEC=30000000")
    assert (child.ready, child.status) == (False, "waits for Keystone")
    assert (child.take_extension(), child.take_extension()) == (30, None)
    world["clock"].advance(5)
    child.hear("READY=1\nSTATUS=serves")
    assert (child.ready, child.status, child.heard_at) == (True, "serves", world["clock"].monotonic())
    child.hear("RELOADING=1\nMONOTONIC_USEC=1\nSTATUS=reloading")
    child.hear("WATCHDOG=1")
    assert (child.ready, child.reloading) == (True, True)
    child.hear("READY=1\nSTATUS=serves")
    assert child.reloading is False
    child.hear("STOPPING=1\nSTATUS=stopping")
    child.hear("STATUS=x=y")
    assert (child.ready, child.status) == (False, "x=y")


def test_a_reload_waits_until_the_process_takes_it(world, child):
    child.reload()
    child.hear("STATUS=starts")
    assert world["process"].sent == []  # the signal would end it
    child.hear("READY=1")
    child.hear("WATCHDOG=1")
    assert world["process"].sent == [signal.SIGHUP]
    assert child.reloading


def test_its_end(world, child):
    assert child.take_end() is None
    world["process"].status = -11
    assert child.take_end() == -11
    assert child.take_end() is None
    assert (child.pid, child.failures) == (None, 1)
    assert child.start_at == world["clock"].monotonic() + 1
    child.send(signal.SIGTERM)  # there is nobody
    assert world["process"].sent == []


def test_a_process_that_speaks_no_more_is_killed(world, child):
    child._gone = True
    assert child.take_end() == -9
    assert world["process"].killed


def test_a_start_that_fails_leaves_nothing_open(world):
    def start(*_arguments):
        raise OSError("no more processes")

    child = Child(0, clock=world["clock"], told=lambda: None, start=start)
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="no more"):
        child.start([], {}, lambda channel: Place(number=0, owner="x", listener=0, channel=channel))
    assert set(os.listdir("/proc/self/fd")) == before
    child.put_off()
    child.put_off()
    assert (child.pid, child.start_at) == (None, world["clock"].monotonic() + 2)


def test_a_place_is_taken_once_and_not_handed_on():
    one, two = socket.socketpair()
    with one, two:
        place = Place(number=0, owner="host/2", listener=one.fileno(), channel=two.fileno())
        one.set_inheritable(True)
        environment = {**place.variables(), "HOME": "/"}
        assert take_place(environment) == place
        assert environment == {"HOME": "/"}
        assert not one.get_inheritable()
        assert take_place(environment) is None


@pytest.mark.parametrize("text", ["", "7", '{"number": 1}', "[]",
                                  '{"number": 0, "owner": "x", "listener": 99999, "channel": 1}'])
def test_a_variable_that_no_parent_wrote_is_refused(text):
    with pytest.raises(ConfigurationError, match="unset it"):
        take_place({VARIABLE: text})
