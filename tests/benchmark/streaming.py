# SPDX-License-Identifier: Apache-2.0
"""One large image to two regions: glancesync against curl, glance-download and python-glanceclient.

    python -m tests.benchmark.streaming [--quick] [--rounds 2] [--mebibytes 256 1024] [--against ...]

    glancesync       from POST /v1/sync to the last replica that its API calls in sync: records made out of reach, one
                     read, two uploads, sizes and hashes compared, revealed, looked at again
    curl, one read   curl of the source | tee(1) | two `curl -T -`: nothing is compared
    curl, local file two `curl -T FILE` at once, of a file that is there already: no read of the source at all
    glance-download  the two Glances' own import method, at once
    glanceclient     one process for each region, `images.data` into `images.upload`, at once

Records that the others fill are made before their time runs; glancesync's are in its time. What was read of the source
is told by the access log of the cascading region's gunicorn, memory by the kernel's highest mark of the server's RSS.
CPU time is that of all processes of the cloud and of the copying program together.
"""
from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from glancesync.lab.files import write_private
from glancesync.lab.glance import Glance
from glancesync.lab.images import Images
from glancesync.lab.wsgi import CONF_NAME
from tests.benchmark.clouds import Cloud, add_lab_options, side_glance, standing_cloud
from tests.benchmark.rounds import Sample, interleave, new_parser, parse, print_table

MIB = 1024 * 1024
PRODUCT, PIPED, FILED = "glancesync", "curl, one read", "curl, local file"
IMPORTED, CLIENT = "glance-download", "glanceclient"
DEADLINE_SECONDS = 900
CURL = ("curl", "--silent", "--show-error", "--fail", "--noproxy", "*")
OCTETS = ("--header", "Content-Type: application/octet-stream")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = new_parser(__doc__, rounds=2, quick_rounds=1)
    parser.add_argument("--mebibytes", type=int, nargs="+")
    parser.add_argument("--against", nargs="*", choices=(PIPED, FILED, IMPORTED, CLIENT),
                        default=(PIPED, FILED, IMPORTED, CLIENT), help="what glancesync is measured against (all)")
    add_lab_options(parser)
    options = parse(parser, arguments)
    sizes = options.mebibytes or ([8] if options.quick else [256, 1024])
    with standing_cloud(options) as cloud, side_glance(cloud.lab, "source", filtered=False) as quiet, \
            tempfile.TemporaryDirectory(dir=cloud.lab.directory) as folder, \
            access_log(cloud.lab.glances[cloud.lab.cascading_region]) as log:
        for size in sizes:
            with Bench(cloud, Images(cloud.admin, quiet.url), Path(folder), log) as bench:
                bench.run(size, options.rounds, (PRODUCT, *options.against))


class Bench:
    """Copies of one image at a time. `source` writes to the cascading region without the filter."""

    def __init__(self, cloud: Cloud, source: Images, folder: Path, log: Path) -> None:
        self._cloud = cloud
        self._source = source
        self._file = folder / "image"
        self._token = folder / "token"
        self._log = log
        self._image_id = ""
        self._made: list[tuple[str, str]] = []

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_error: object) -> None:
        self._clean()

    def run(self, mebibytes: int, rounds: int, names: Sequence[str]) -> None:
        write_private(self._token, f"X-Auth-Token: {self._cloud.admin.get_token()}\n")
        fill(self._file, mebibytes)
        self._image_id = self._upload()
        every = {PRODUCT: self._product, PIPED: self._piped, FILED: self._filed, IMPORTED: self._imported,
                 CLIENT: self._client}
        sides = {name: every[name] for name in names}
        results = interleave(sides, rounds)
        rows = []
        for name in sides:
            seconds = results.values(name, "seconds")
            rows.append((name, seconds.text(), f"{mebibytes * len(self._cloud.targets) / seconds.median:.0f}",
                         results.ratio(PRODUCT, name, "seconds").text(),
                         results.ratio(PRODUCT, name, "cpu").text(), f"{results.values(name, 'reads').median:.0f}",
                         f"{results.values(name, 'bytes').median / mebibytes / MIB:.2f}"))
        parts = ("server", "Glances", "Keystone", "own")
        print_table(f"CPU seconds of the same, by process ({mebibytes} MiB)", ("who", *parts[:3], "copying program"), [
            (name, *(f"{results.values(name, f'cpu {part}').median:.1f}" for part in parts)) for name in sides])
        peak = results.values(PRODUCT, "peak_mib")
        print_table(f"{mebibytes} MiB to {len(self._cloud.targets)} regions, {rounds} rounds; glancesync's server held "
                    f"at most {peak.high:.0f} MiB in memory", HEADER, rows)

    def _product(self) -> Sample:
        if self._made:  # every round needs an image that no region has
            self._clean()
            self._image_id = self._upload()
        pid = self._cloud.lab.server.pid
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # forget the highest mark
        self._made += [(region, self._image_id) for region in self._cloud.lab.cascaded_regions]

        ended: list[float] = []

        def copy() -> None:
            self._cloud.sync([self._image_id])
            ended.append(self._cloud.wait_synced([self._image_id], DEADLINE_SECONDS))

        before, started = self._read_so_far(), time.time()
        measured = self._cloud.measured(copy)
        return {**measured, "seconds": ended[0] - started, "peak_mib": peak_mib(pid), **self._read_since(before)}

    def _piped(self) -> Sample:
        first, second = self._records()
        before = self._read_so_far()

        def copy() -> None:
            url = f"{self._cloud.lab.endpoint(self._cloud.lab.cascading_region)}/v2/images/{self._image_id}/file"
            with subprocess.Popen([*CURL, "--header", f"@{self._token}", url], stdout=subprocess.PIPE) as reader, \
                    self._uploading("-", first) as one, self._uploading("-", second) as two, \
                    subprocess.Popen(["tee", f"/dev/fd/{one.stdin.fileno()}"],  # type: ignore[union-attr]
                                     stdin=reader.stdout, stdout=two.stdin,
                                     pass_fds=(one.stdin.fileno(),)) as tee:  # type: ignore[union-attr]
                for pipe in (reader.stdout, one.stdin, two.stdin):
                    pipe.close()  # type: ignore[union-attr]
                check_ended(reader, tee, one, two)

        return {**self._cloud.measured(copy), **self._read_since(before)}

    def _filed(self) -> Sample:
        first, second = self._records()
        before = self._read_so_far()

        def copy() -> None:
            with self._uploading(str(self._file), first) as one, self._uploading(str(self._file), second) as two:
                check_ended(one, two)

        return {**self._cloud.measured(copy), **self._read_since(before)}

    def _imported(self) -> Sample:
        records = self._records()
        before = self._read_so_far()

        def copy() -> None:
            for region, image_id in records:
                self._cloud.images(region).start_import(image_id, "glance-download", glance_image_id=self._image_id,
                                                        glance_region=self._cloud.lab.cascading_region)
            for region, image_id in records:
                self._cloud.images(region).wait_status(image_id, deadline_seconds=DEADLINE_SECONDS)

        return {**self._cloud.measured(copy), **self._read_since(before)}

    def _client(self) -> Sample:
        records = self._records()
        before = self._read_so_far()

        def copy() -> None:
            program = [sys.executable, str(Path(__file__).with_name("client_copy.py")), str(self._cloud.lab.directory)]
            copies = [subprocess.Popen([*program, region, self._image_id, image_id], stdin=subprocess.DEVNULL)
                      for region, image_id in records]
            check_ended(*copies)

        return {**self._cloud.measured(copy), **self._read_since(before)}

    def _upload(self) -> str:
        image_id = str(self._source.create(name=f"benchmark {uuid.uuid4()}")["id"])
        with self._file.open("rb") as stream:
            self._source.upload(image_id, iter(lambda: stream.read(MIB), b""))
        return image_id

    def _records(self) -> list[tuple[str, str]]:
        """A queued image in each region."""
        made = [(region, str(self._cloud.images(region).create(name="benchmark")["id"]))
                for region in self._cloud.targets]
        self._made += made
        return made

    def _uploading(self, path: str, record: tuple[str, str]) -> subprocess.Popen[bytes]:
        region, image_id = record
        url = f"{self._cloud.lab.endpoint(region)}/v2/images/{image_id}/file"
        return subprocess.Popen([*CURL, "--header", f"@{self._token}", *OCTETS, "--upload-file", path, url],
                                stdin=subprocess.PIPE if path == "-" else subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL)

    def _clean(self) -> None:
        """The images of a round take gigabytes."""
        for region, image_id in self._made:
            self._cloud.images(region).ensure_deleted(image_id)
        self._made = []
        self._source.ensure_deleted(self._image_id)

    def _read_so_far(self) -> tuple[int, int]:
        reads = list(reads_of(self._log, self._image_id))
        return len(reads), sum(reads)

    def _read_since(self, before: tuple[int, int]) -> Sample:
        reads, count = self._read_so_far()
        return {"reads": reads - before[0], "bytes": count - before[1]}


HEADER = ("who", "seconds: median (spread)", "MiB/s, all regions", "glancesync's time over it (spread)",
          "its CPU time, all processes", "reads of the source", "bytes read per byte")


@contextmanager
def access_log(glance: Glance) -> Iterator[Path]:
    """The glance-api logs each request with the bytes of its answer meanwhile."""
    conf, log = glance.directory / CONF_NAME, glance.directory / "access.log"
    glance.stop()
    conf.write_text(f'{conf.read_text("utf-8")}accesslog = "{log}"\naccess_log_format = "%(r)s %(B)s"\n', "utf-8")
    glance.start()
    glance.wait_ready()
    try:
        yield log
    finally:
        glance.stop()
        glance.configure()
        glance.start()
        glance.wait_ready()


def reads_of(log: Path, image_id: str) -> Iterator[int]:
    """Bytes of each answer to a GET of the image's data."""
    for line in log.read_text("utf-8").splitlines():
        request, _, count = line.rpartition(" ")
        if request.startswith(f"GET /v2/images/{image_id}/file "):
            yield int(count)


def fill(path: Path, mebibytes: int) -> None:
    block = uuid.uuid4().bytes * (MIB // 16)
    with path.open("wb") as stream:
        for _ in range(mebibytes):
            stream.write(block)


def peak_mib(pid: int | None) -> float:
    lines = Path(f"/proc/{pid}/status").read_text("ascii", "replace").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def check_ended(*processes: subprocess.Popen[bytes]) -> None:
    for each in processes:
        if each.wait(DEADLINE_SECONDS):
            raise RuntimeError(f"{each.args!r} ended with status {each.returncode}")


if __name__ == "__main__":
    main()
