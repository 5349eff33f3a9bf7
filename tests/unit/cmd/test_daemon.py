# SPDX-License-Identifier: Apache-2.0
"""What stands around the server's process: the gate before it is ready, and the unit file."""
from __future__ import annotations

import configparser
import json
from pathlib import Path

import pytest
import webob

from glancesync.cmd.starting import StartGate

UNITS = Path(__file__).parents[3] / "installation" / "systemd"


def answer_of(gate):
    return webob.Request.blank("/v1/tasks").get_response(gate)


def test_the_gate_answers_until_it_is_open():
    gate = StartGate(webob.Response(body=b"inside"))
    assert (answer_of(gate).status_int, answer_of(gate).headers["Retry-After"]) == (503, "3")
    gate.wait_for("the server waits for Keystone")
    error = json.loads(answer_of(gate).body)["error"]
    assert (error["code"], error["message"]) == ("not_ready", "Not ready: the server waits for Keystone")
    gate.open()
    assert answer_of(gate).body == b"inside"


@pytest.mark.parametrize("program", ["glance-sync", "glance-sync-worker"])
def test_the_unit_file_fits_the_program(program):
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str
    parser.read_string((UNITS / f"{program}.service").read_text())
    service = parser["Service"]
    assert service["ExecStart"].split()[0] == f"/opt/glance-sync/bin/{program}"
    assert service["Type"] == "notify"
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert service["ExecStart"].split()[1:] == ["--config-file", "/etc/glance-sync/glance-sync.conf"]
    assert service["RestartPreventExitStatus"] == "2"
    assert service["KillMode"] == "mixed"
    assert int(service["TimeoutStopSec"]) > 30  # graceful_shutdown_seconds by default
    assert "AF_UNIX" in service["RestrictAddressFamilies"]  # the socket that it notifies
    assert {"NoNewPrivileges", "ProtectSystem", "PrivateTmp", "SystemCallFilter"} <= set(service)
