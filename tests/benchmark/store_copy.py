# SPDX-License-Identifier: Apache-2.0
"""One image to two regions until it is active and verified, by every way; cp, scp and rsync of its file beside it.

    python -m tests.benchmark.store_copy [--quick] [--rounds 3] [--mebibytes 256 1024] [--drivers ...]
                                         [--against ...] [--no-secure-hash]

    cp, scp, rsync   the bare file into two folders at once, flushed: nothing is verified and no Glance knows it
    glance-download  the two Glances' own import method, at once
    glanceclient     one process for each region, `images.data` into `images.upload`, at once
    glancesync, X    from POST /v1/sync to the last replica that its API calls in sync; `[stores] drivers` is X alone
    ... hashed       the same, the bytes hashed on the target's host too (`[stores] hash_on_host`)

The hosts of the three regions are sshd processes of this machine, so scp and the driver `filesystem` encrypt; the lab's
cascaded Glances have the store filter. `http` serves the source's files from a web server (Python's own), and is timed
until the bytes are home and verified. With --no-secure-hash the cascaded Glances do not hash by themselves
(`do_secure_hash`), so the filter, or the host, does it alone; `http` has no hash to compare then. Needs root.
`store_files` times the copies alone.
"""
from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import yaml

from glancesync.lab.glance import Glance
from glancesync.lab.images import Images
from glancesync.lab.ports import find_free_port
from tests.benchmark.clouds import SERVER_OPTIONS, add_lab_options, side_glance, standing_cloud
from tests.benchmark.rounds import Sample, interleave, new_parser, parse, print_table
from tests.benchmark.streaming import CLIENT, IMPORTED, Bench, access_log, check_ended, fill
from tests.fixtures.sshd import Sshd, running

HTTP = "http"
DRIVERS = ("filesystem", "glance-download", HTTP, "stream")
CP, SCP, RSYNC = "cp", "scp", "rsync"
AGAINST = (CP, SCP, RSYNC, IMPORTED, CLIENT)
HEADER = ("who", "seconds: median (spread)", "times scp (spread)", "times glance-download (spread)")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = new_parser(__doc__, rounds=3, quick_rounds=1)
    parser.add_argument("--mebibytes", type=int, nargs="+")
    parser.add_argument("--drivers", nargs="+", default=DRIVERS, help=f"those of glancesync ({' '.join(DRIVERS)})")
    parser.add_argument("--against", nargs="+", default=AGAINST, choices=AGAINST,
                        help=f"what else is timed; {SCP} and {IMPORTED} always are")
    parser.add_argument("--no-secure-hash", action="store_true", help="the cascaded Glances do not hash by themselves")
    parser.set_defaults(store_filter=True)
    add_lab_options(parser)
    options = parse(parser, arguments)
    sizes = options.mebibytes or ([8] if options.quick else [256, 1024])
    with ExitStack() as stack:
        cloud = stack.enter_context(standing_cloud(options))
        lab = cloud.lab
        quiet = stack.enter_context(side_glance(lab, "source", filtered=False))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=lab.directory)))
        log = stack.enter_context(access_log(lab.glances[lab.cascading_region]))
        hosts = {name: stack.enter_context(running(folder / f"host-{name}"))
                 for name in (lab.cascading_region, *lab.cascaded_regions)}
        for region in lab.cascaded_regions:
            stack.enter_context(prepared(lab.glances[region], secure=not options.no_secure_hash))
        web = stack.enter_context(serving(lab.glances[lab.cascading_region].store_path))
        drivers = [each for each in options.drivers if each != HTTP or not options.no_secure_hash]
        for size in sizes:
            with StoreBench(cloud, Images(cloud.admin, quiet.url), folder, log) as bench:
                bench.hosts, bench.web = hosts, web
                bench.compare(size, options.rounds, drivers, options.against)


class StoreBench(Bench):
    """Copies of one image at a time, as `streaming` makes them."""

    hosts: Mapping[str, Sshd]
    web: str

    def compare(self, mebibytes: int, rounds: int, drivers: Sequence[str], against: Sequence[str]) -> None:
        fill(self._file, mebibytes)
        self._image_id = self._upload()
        sides: dict[str, Callable[[], Sample]] = {
            CP: lambda: self._bare(self._cp), SCP: lambda: self._bare(self._scp),
            RSYNC: lambda: self._bare(self._rsync), IMPORTED: self._imported, CLIENT: self._client}
        sides = {name: side for name, side in sides.items() if name in (*against, SCP, IMPORTED)}
        for driver in drivers:
            sides[f"glancesync, {driver}"] = partial(self._by, driver, hashed=False)
            if driver == "filesystem":
                sides[f"glancesync, {driver}, hashed"] = lambda: self._by("filesystem", hashed=True)
        results = interleave(sides, rounds)
        print_table(f"{mebibytes} MiB to {len(self._cloud.targets)} regions, {rounds} rounds", HEADER, [
            (name, results.values(name, "seconds").text(), results.ratio(name, SCP, "seconds").text(),
             results.ratio(name, IMPORTED, "seconds").text()) for name in sides])

    def _by(self, driver: str, *, hashed: bool) -> Sample:
        server = self._cloud.lab.server
        wanted = {"DEFAULT": SERVER_OPTIONS, "stores": {
            "config_file": self._write_stores(), "drivers": driver, "hash_on_host": hashed}}
        if server.overrides != wanted:
            server.stop()
            server.overrides = wanted
            server.bring_up()
        return self._product()

    def _write_stores(self) -> Path:
        path, lab = self._file.with_name("glance_store.yaml"), self._cloud.lab
        one = self.hosts[lab.cascading_region]
        path.write_text(yaml.safe_dump({"glances": [{
            "name": region, "region": region, "schemes": [{"name": "filesystem", "parameters": {
                "host": "127.0.0.1", "port": host.port, "login_user": "root",
                "datadir": str(lab.glances[region].store_path), "key_file": str(host.client_key),
                "known_hosts_file": str(host.known_hosts), "peer_key_file": str(one.client_key),
                "peer_known_hosts_file": str(one.known_hosts)}}, *self._web_scheme(region)]}
            for region, host in self.hosts.items()]}))
        path.chmod(0o600)
        return path

    def _web_scheme(self, region: str) -> list[dict[str, object]]:
        if region != self._cloud.lab.cascading_region:
            return []
        return [{"name": "http", "parameters": {"netloc": self.web, "path": "/"}}]

    def _bare(self, words: Callable[[Path, Path], list[str]]) -> Sample:
        lab = self._cloud.lab
        source = lab.glances[lab.cascading_region].store_path / self._image_id
        copies = [self.hosts[region].images / "copy" for region in self._cloud.targets]

        def copy() -> None:
            check_ended(*(subprocess.Popen(words(source, each), stdin=subprocess.DEVNULL) for each in copies))
            check_ended(*(subprocess.Popen(["sync", str(each)]) for each in copies))

        measured = self._cloud.measured(copy)
        for each in copies:
            each.unlink()
        return measured

    def _cp(self, source: Path, target: Path) -> list[str]:
        return ["cp", str(source), str(target)]

    def _scp(self, source: Path, target: Path) -> list[str]:
        return ["scp", "-q", *self._ssh(), "-P", str(self._one.port), f"root@127.0.0.1:{source}", str(target)]

    def _rsync(self, source: Path, target: Path) -> list[str]:
        return ["rsync", "--whole-file", "-e", " ".join(["ssh", *self._ssh(), "-p", str(self._one.port)]),
                f"root@127.0.0.1:{source}", str(target)]

    @property
    def _one(self) -> Sshd:
        return self.hosts[self._cloud.lab.cascading_region]

    def _ssh(self) -> list[str]:
        return ["-F", "none", "-i", str(self._one.client_key), "-o", f"UserKnownHostsFile={self._one.known_hosts}"]


@contextmanager
def prepared(glance: Glance, *, secure: bool) -> Iterator[None]:
    """It takes http locations beside its own store and, where not `secure`, does not hash what is registered, for as
    long as this lasts."""
    path = glance.directory / "glance-api.conf"
    text = path.read_text("utf-8").replace("enabled_backends = local:file", "enabled_backends = local:file,web:http")
    if not secure:
        text = text.replace("[DEFAULT]", "[DEFAULT]\ndo_secure_hash = false", 1)
    path.write_text(text + "\n[web]\nstore_description = the source's files\n", "utf-8")
    for again in (True, False):
        glance.stop()
        glance.start()
        glance.wait_ready()
        if again:
            yield
            glance.configure()


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """HOST:PORT of a web server over the folder."""
    port = find_free_port(())
    words = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(folder), str(port)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()


if __name__ == "__main__":
    main()
