# SPDX-License-Identifier: Apache-2.0
"""How the lab serves a WSGI application: gunicorn, one worker, native threads. Used by `keystone` and `glance`."""
from __future__ import annotations

from pathlib import Path

from glancesync.lab.ports import HOST

CONF_NAME = "gunicorn.conf.py"

# Everything is in the file and nothing on the command line, because Keystone's application parses sys.argv itself.
# timeout 0: a long upload is no reason to kill the worker. The control socket would be one for all of the machine.
_CONF = """\
wsgi_app = "{application}"
bind = "{host}:{port}"
workers = 1
worker_class = "gthread"
threads = {threads}
timeout = 0
graceful_timeout = 5
keepalive = 30
control_socket_disable = True
"""


def gunicorn_conf(*, application: str, port: int, threads: int) -> str:
    return _CONF.format(application=application, host=HOST, port=port, threads=threads)


def gunicorn_arguments(python: Path) -> list[str]:
    """The command; it reads gunicorn.conf.py from the folder in which it is started.

    :param python: of the environment that holds the application and gunicorn
    """
    return [str(python), "-m", "gunicorn"]
