# SPDX-License-Identifier: Apache-2.0
"""The Glance client before servers that no healthy Glance is: proxies, wrong paths, broken and hostile answers."""
from __future__ import annotations

import json
import ssl
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from keystoneauth1.access import AccessInfoV3
from keystoneauth1.identity.base import BaseIdentityPlugin
from keystoneauth1.plugin import BaseAuthPlugin
from keystoneauth1.session import Session

from glancesync import exceptions as exc
from glancesync.model.image import ImageChanges
from glancesync.regions import glance_http
from glancesync.regions.glance import GlanceRegion
from tests.contract.region_worlds import a_new_image
from tests.contract.scripted_server import REQUEST_ID, Exchange, serving

ID = "b1e4bd3c-4c1e-4a6e-9f0a-0d7f3f9b6d11"
TOKEN = "gAAAAABsecretsecretsecret"
Script = Callable[[Exchange], None]


class Login(BaseAuthPlugin):
    """A login whose tokens are numbered, so that a test sees which one a request carried."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = 1

    def get_token(self, session: Session, **_kwargs: Any) -> str:
        return f"{TOKEN}{self.tokens}"

    def invalidate(self) -> bool:
        self.tokens += 1
        return True


class ExpiringLogin(BaseIdentityPlugin):
    """A login whose first token has so many seconds to live, and later ones an hour."""

    def __init__(self, seconds_left: int) -> None:
        super().__init__()
        self._lives = [seconds_left]
        self._count = 0

    def get_auth_ref(self, session: Session, **_kwargs: Any) -> AccessInfoV3:
        self._count += 1
        life = self._lives.pop() if self._lives else 3600
        expires_at = (datetime.now(UTC) + timedelta(seconds=life)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return AccessInfoV3({"token": {"expires_at": expires_at}}, auth_token=f"token-{self._count}")

    def get_cache_id_elements(self) -> dict[str, str]:
        return {}


def _cut(error: Exception) -> Iterator[bytes]:
    yield b"t" * 65536
    raise error


@pytest.fixture
def tls_files(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now, hour = datetime.now(UTC), timedelta(hours=1)
    certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
                   .serial_number(1).not_valid_before(now - hour).not_valid_after(now + hour)
                   .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), False)
                   .sign(key, hashes.SHA256()))
    files = tmp_path / "certificate.pem", tmp_path / "key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                           serialization.NoEncryption()))
    return files


@pytest.fixture
def region_at() -> Callable[..., GlanceRegion]:
    def make(endpoint: str, **timeouts: float) -> GlanceRegion:
        session = Session(auth=Login())
        session.session.trust_env = False
        return GlanceRegion(region_name="Oddville", endpoint=endpoint, session=session, **{
            "connect_timeout_seconds": 2, "read_timeout_seconds": 2, "idle_timeout_seconds": 2, **timeouts})
    return make


def shown(image_id: str = ID, **fields: object) -> dict[str, object]:
    return {"id": image_id, "name": "n", "status": "queued", "visibility": "private", "protected": False,
            "os_hidden": False, "owner": "o", "size": None, "virtual_size": None, "min_disk": 0, "min_ram": 0,
            "tags": [], "checksum": None, "os_hash_algo": None, "os_hash_value": None, "disk_format": "raw",
            "container_format": "bare", "created_at": "2026-01-31T12:00:00Z", "updated_at": "2026-01-31T12:00:00Z",
            "self": f"/v2/images/{image_id}", "file": f"/v2/images/{image_id}/file", "schema": "/v2/schemas/image",
            **fields}


def answering(status: int, body: object = b"", **headers: str) -> Script:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda exchange: exchange.answer(status, content, **headers)


GLANCE_404 = {"message": f"No image found with ID {ID}<br /><br />\n", "code": "404 Not Found", "title": "Not Found"}


class TestNotFound:
    """Deletions hang on it."""

    def test_of_glance(self, region_at: Callable[..., GlanceRegion]) -> None:
        with serving(answering(404, GLANCE_404)) as server, pytest.raises(exc.ImageNotFoundError) as caught:
            region_at(server.url).get_image(ID)
        assert caught.value.request_id == REQUEST_ID

    def test_of_glance_as_a_page(self, region_at: Callable[..., GlanceRegion]) -> None:
        page = f"<html><title>404</title><h1>404 Not Found</h1>Failed to find image {ID} to delete<br /></html>"
        with serving(answering(404, page.encode(), Content_Type="text/html")) as server:
            with pytest.raises(exc.ImageNotFoundError):
                region_at(server.url).delete_image(ID)

    @pytest.mark.parametrize("script", [
        answering(404, GLANCE_404, x_openstack_request_id=""),
        answering(404, {"message": "The resource could not be found."}),
        answering(404, b""),
        answering(404, f"The requested URL /v2/images/{ID} was not found on this server.".encode(),
                  Content_Type="text/html"),
        answering(404, {"message": f"No image found with ID {uuid.uuid4()}"}),
        answering(200, b"<html>maintenance</html>", Content_Type="text/html"),
        answering(200, b""), answering(204, b""), answering(200, {}), answering(200, []), answering(200, b"{"),
        answering(200, b"[" * 100_000), answering(300, {"versions": []}), answering(302, Location="http://other/"),
        answering(200, shown(str(uuid.uuid4()))),
    ])
    def test_of_anybody_else(self, region_at: Callable[..., GlanceRegion], script: Script) -> None:
        with serving(script) as server, pytest.raises(exc.RegionAnswerError) as caught:
            region_at(server.url).find_image(ID)
        assert "Oddville" in str(caught.value)
        assert len(server.requests) == 1


@pytest.mark.parametrize(("status", "error"), [
    (400, exc.RegionRejectedError), (403, exc.RegionForbiddenError), (405, exc.RegionRejectedError),
    (408, exc.RegionUnavailableError), (410, exc.RegionConflictError), (413, exc.RegionQuotaError),
    (415, exc.RegionRejectedError), (429, exc.RegionBusyError), (500, exc.RegionUnavailableError),
    (502, exc.RegionUnavailableError), (503, exc.RegionUnavailableError), (504, exc.RegionUnavailableError)])
def test_status_to_error(region_at: Callable[..., GlanceRegion], status: int, error: type[exc.GlanceSyncError]) -> None:
    with serving(answering(status, {"message": "no\x00pe " * 100})) as server, pytest.raises(error) as caught:
        region_at(server.url).get_image(ID)
    assert type(caught.value) is error
    text = str(caught.value)
    assert text.startswith(f"GET /v2/images/{ID} in Oddville answered {status} (request {REQUEST_ID}): no pe")
    assert len(text.partition("): ")[2]) <= 200
    assert text.isprintable()
    assert len(server.requests) == 1


def test_retry_after(region_at: Callable[..., GlanceRegion]) -> None:
    with serving(answering(503, Retry_After="17")) as server, pytest.raises(exc.RegionBusyError) as caught:
        region_at(server.url).get_image(ID)
    assert caught.value.retry_after_seconds == 17


def test_no_token_in_a_sentence(region_at: Callable[..., GlanceRegion]) -> None:
    def echo(exchange: Exchange) -> None:
        exchange.answer(500, f"you sent {exchange.headers['x-auth-token']} and eyJhbGciOiJIUzI1.eyJzdWI.c2ln".encode())

    with serving(echo) as server, pytest.raises(exc.RegionUnavailableError) as caught:
        region_at(server.url).get_image(ID)
    assert "secret" not in str(caught.value)
    assert "eyJ" not in str(caught.value)


def test_a_refused_token_is_renewed_once(region_at: Callable[..., GlanceRegion]) -> None:
    tokens: list[str] = []

    def refuse_first(exchange: Exchange) -> None:
        tokens.append(exchange.headers["x-auth-token"])
        exchange.answer(401 if len(tokens) == 1 else 200, json.dumps(shown()).encode())

    with serving(refuse_first) as server:
        assert region_at(server.url).get_image(ID).id == ID
    assert tokens == [f"{TOKEN}1", f"{TOKEN}2"]


def test_a_token_refused_for_good(region_at: Callable[..., GlanceRegion]) -> None:
    with serving(answering(401)) as server, pytest.raises(exc.RegionUnauthorizedError):
        region_at(server.url).get_image(ID)
    assert len(server.requests) == 2


@pytest.mark.parametrize("script", [
    lambda exchange: None,
    lambda exchange: exchange.connection.sendall(b"HTTP/1.1"),
    lambda exchange: exchange.answer(200, b'{"id": ', length=1000),
    lambda exchange: exchange.connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n"),
])
def test_a_connection_that_breaks(region_at: Callable[..., GlanceRegion], script: Script) -> None:
    with serving(script) as server, pytest.raises(exc.RegionUnavailableError):
        region_at(server.url).get_image(ID)


def test_no_answer_in_time(region_at: Callable[..., GlanceRegion]) -> None:
    done = threading.Event()
    with serving(lambda exchange: done.wait(10) and None) as server:
        with pytest.raises(exc.RegionUnavailableError, match="timed out"):
            region_at(server.url, read_timeout_seconds=0.2).get_image(ID)
        done.set()


def test_a_path_prefix_is_kept(region_at: Callable[..., GlanceRegion]) -> None:
    with serving(answering(200, shown())) as server:
        region_at(f"{server.url}/image%20s/").get_image(ID)
    assert server.requests == [f"GET /image%20s/v2/images/{ID} HTTP/1.1"]


def test_a_glance_that_shows_less_than_it_took(region_at: Callable[..., GlanceRegion]) -> None:
    with serving(answering(200, shown())) as server, pytest.raises(exc.RegionRejectedError):
        region_at(server.url).update_image(ID, ImageChanges(set_properties={"p": ""}))


def test_a_lost_answer_to_create_is_not_a_burned_id(region_at: Callable[..., GlanceRegion]) -> None:
    def script(exchange: Exchange) -> None:
        exchange.answer(409 if exchange.request_line.startswith("POST") else 500)

    with serving(script) as server, pytest.raises(exc.RegionUnavailableError):
        region_at(server.url).create_image(a_new_image(id=ID))


class TestListing:
    IDS = tuple(f"00000000-0000-4000-8000-{number:012d}" for number in range(5))

    def page(self, *ids: str, link: str | None = None) -> dict[str, object]:
        return {"images": [shown(image_id) for image_id in ids]} | ({"next": link} if link else {})

    @pytest.mark.parametrize("link", [
        "http://elsewhere/v2/images?marker={0}", "//elsewhere/v2/images?marker={0}", "/v3/images?marker={0}",
        "/v2/images?marker=other", "/v2/images", "http://[", "/v2/images?marker={0}&marker={0}"])
    def test_a_link_that_leads_elsewhere(self, region_at: Callable[..., GlanceRegion], link: str) -> None:
        body = self.page(self.IDS[0], link=link.format(self.IDS[0]))
        with serving(answering(200, body)) as server, pytest.raises(exc.RegionAnswerError):
            list(region_at(server.url).list_images(hidden=False, page_size=1))
        assert len(server.requests) == 1

    @pytest.mark.parametrize("ids", [(1, 0), (0, 0), (0, 2, 1)])
    def test_out_of_order(self, region_at: Callable[..., GlanceRegion], ids: tuple[int, ...]) -> None:
        body = self.page(*(self.IDS[number] for number in ids))
        with serving(answering(200, body)) as server, pytest.raises(exc.RegionAnswerError):
            list(region_at(server.url).list_images(hidden=False))

    def test_the_same_page_for_ever(self, region_at: Callable[..., GlanceRegion]) -> None:
        body = self.page(self.IDS[0], link=f"/v2/images?marker={self.IDS[0]}")
        with serving(answering(200, body)) as server, pytest.raises(exc.RegionAnswerError):
            list(region_at(server.url).list_images(hidden=False, page_size=1))
        assert len(server.requests) == 2

    def test_an_empty_page_that_promises_more(self, region_at: Callable[..., GlanceRegion]) -> None:
        with serving(answering(200, self.page(link="/v2/images?marker=x"))) as server:
            with pytest.raises(exc.RegionAnswerError):
                list(region_at(server.url).list_images(hidden=False))

    def test_a_page_that_fails_ends_in_an_error(self, region_at: Callable[..., GlanceRegion]) -> None:
        def script(exchange: Exchange) -> None:
            if "marker" in exchange.path:
                exchange.answer(500)
            else:
                exchange.answer(200, json.dumps(self.page(self.IDS[0])).encode())

        with serving(script) as server:
            images = region_at(server.url).list_images(hidden=False, page_size=1)
            assert next(images).id == self.IDS[0]
            with pytest.raises(exc.RegionUnavailableError):
                next(images)

    def test_pages_too_large_to_read_are_asked_for_smaller(self, region_at: Callable[..., GlanceRegion],
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(glance_http, "JSON_LIMIT_BYTES", 2000)

        def script(exchange: Exchange) -> None:
            query = dict(pair.split("=") for pair in exchange.path.partition("?")[2].split("&"))
            ids = [image_id for image_id in self.IDS if image_id > query.get("marker", "")][:int(query["limit"])]
            link = f"/v2/images?limit={query['limit']}&marker={ids[-1]}" if len(ids) == int(query["limit"]) else None
            exchange.answer(200, json.dumps(self.page(*ids, link=link)).encode())

        with serving(script) as server:
            found = [image.id for image in region_at(server.url).list_images(hidden=False, page_size=4)]
        assert found == list(self.IDS)


class TestDownload:
    @pytest.mark.parametrize("script", [
        answering(200, b"<html></html>", Content_Type="text/html"),
        answering(206, b"part", Content_Type="application/octet-stream"),
        answering(200, b"zipped", Content_Type="application/octet-stream", Content_Encoding="gzip")])
    def test_what_is_no_image(self, region_at: Callable[..., GlanceRegion], script: Script) -> None:
        with serving(script) as server, pytest.raises(exc.RegionAnswerError):
            with region_at(server.url).open_data(ID):
                pytest.fail("there was nothing to open")

    def test_too_short(self, region_at: Callable[..., GlanceRegion]) -> None:
        script = answering(200, b"half", Content_Type="application/octet-stream", Content_Length="8")
        with serving(script) as server, region_at(server.url).open_data(ID) as data:
            assert data.size == 8
            with pytest.raises(exc.SourceReadError):
                list(data.chunks)

    def test_stalled(self, region_at: Callable[..., GlanceRegion]) -> None:
        done = threading.Event()

        def script(exchange: Exchange) -> None:
            exchange.answer(200, b"half", length=8, Content_Type="application/octet-stream")
            done.wait(10)

        with serving(script) as server:
            with region_at(server.url, idle_timeout_seconds=0.2).open_data(ID, chunk_bytes=4) as data:
                assert next(data.chunks) == b"half"
                with pytest.raises(exc.SourceReadError, match="no byte for too long"):
                    next(data.chunks)
            done.set()

    def test_without_a_length(self, region_at: Callable[..., GlanceRegion]) -> None:
        script = answering(200, b"4\r\nfour\r\n0\r\n\r\n", Content_Type="application/octet-stream", Content_Length="",
                           Transfer_Encoding="chunked")
        with serving(script) as server, region_at(server.url).open_data(ID) as data:
            assert (data.size, b"".join(data.chunks)) == (None, b"four")


class TestUpload:
    @staticmethod
    def endless(count: int = 4000) -> Iterator[bytes]:
        yield from (b"u" * 100_000 for _ in range(count))

    def test_the_body_as_it_goes_out(self, region_at: Callable[..., GlanceRegion]) -> None:
        seen: list[object] = []

        def script(exchange: Exchange) -> None:
            seen.append(exchange.headers)
            while chunk := exchange.read_chunk():
                seen.append(chunk)
            exchange.answer(204)

        with serving(script) as server:
            region_at(server.url).upload_data(ID, iter([b"one", b"", b"two"]), size=6)
        headers = seen.pop(0)
        assert seen == [b"one", b"two"]
        assert isinstance(headers, dict)
        assert {name: headers.get(name) for name in (
            "transfer-encoding", "x-openstack-image-size", "content-type", "content-length")} == {
            "transfer-encoding": "chunked", "x-openstack-image-size": "6", "content-length": None,
            "content-type": "application/octet-stream"}

    @pytest.mark.parametrize(("status", "error"), [(413, exc.RegionQuotaError), (409, exc.RegionConflictError),
                                                   (503, exc.RegionUnavailableError)])
    @pytest.mark.parametrize("chunks_read", [0, 3])
    def test_an_early_refusal_is_heard(self, region_at: Callable[..., GlanceRegion], status: int,
                                       error: type[Exception], chunks_read: int) -> None:
        def script(exchange: Exchange) -> None:
            for _ in range(chunks_read):
                exchange.read_chunk()
            exchange.answer(status, b'{"message": "enough"}')

        with serving(script) as server, pytest.raises(error, match="enough"):
            region_at(server.url).upload_data(ID, self.endless(), size=None)
        assert len(server.requests) == 1

    def test_an_early_success_is_none(self, region_at: Callable[..., GlanceRegion]) -> None:
        with serving(answering(204)) as server, pytest.raises(exc.TransferError, match="before the last one"):
            region_at(server.url).upload_data(ID, self.endless(), size=None)

    def test_a_refused_token_is_not_tried_again_but_left(self, region_at: Callable[..., GlanceRegion]) -> None:
        tokens: list[str] = []

        def script(exchange: Exchange) -> None:
            tokens.append(exchange.headers["x-auth-token"])
            exchange.answer(401)

        with serving(script) as server:
            region = region_at(server.url)
            for _ in range(2):
                with pytest.raises(exc.RegionUnauthorizedError):
                    region.upload_data(ID, self.endless(), size=None)
        assert tokens == [f"{TOKEN}1", f"{TOKEN}2"]

    @pytest.mark.parametrize(("seconds_left", "renewed"), [(3600, False), (250, True)])
    def test_a_token_about_to_expire_is_renewed_before(self, seconds_left: int, renewed: bool) -> None:
        tokens: list[str] = []

        def script(exchange: Exchange) -> None:
            tokens.append(exchange.headers["x-auth-token"])
            while exchange.read_chunk():
                pass
            exchange.answer(204)

        login = ExpiringLogin(seconds_left)
        with serving(script) as server:
            region = GlanceRegion(region_name="Oddville", endpoint=server.url, session=Session(auth=login),
                                  connect_timeout_seconds=2, read_timeout_seconds=2, idle_timeout_seconds=2)
            region.upload_data(ID, [b"x"], size=1)
        assert tokens == ["token-2" if renewed else "token-1"]

    def test_over_tls(self, tls_files: tuple[Path, Path]) -> None:
        certificate, key = tls_files
        bodies: list[list[bytes]] = []
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)

        def script(exchange: Exchange) -> None:
            bodies.append([])
            while chunk := exchange.read_chunk():
                bodies[-1].append(chunk)
            exchange.answer(204)
            exchange.connection.unwrap()  # type: ignore[attr-defined]

        with serving(script, tls=context) as server:
            region = GlanceRegion(
                region_name="Oddville", endpoint=server.url, connect_timeout_seconds=2, read_timeout_seconds=2,
                idle_timeout_seconds=2, session=Session(auth=Login(), verify=str(certificate)))
            region.upload_data(ID, (b"t" * 65536 for _ in range(64)), size=64 * 65536)
            with pytest.raises(exc.LeaseLostError):
                region.upload_data(ID, _cut(exc.LeaseLostError("lost")), size=64 * 65536)
        assert [sum(map(len, body)) for body in bodies[:1]] == [64 * 65536]

    def test_no_redirect(self, region_at: Callable[..., GlanceRegion]) -> None:
        with serving(answering(307, Location="/elsewhere")) as server, pytest.raises(exc.RegionAnswerError):
            region_at(server.url).upload_data(ID, [b"x"], size=1)
        assert len(server.requests) == 1

    def test_a_target_that_takes_no_byte(self, region_at: Callable[..., GlanceRegion]) -> None:
        done = threading.Event()
        with serving(lambda exchange: done.wait(20) and None) as server:
            with pytest.raises(exc.TransferStalledError, match="Oddville"):
                region_at(server.url, idle_timeout_seconds=0.3).upload_data(ID, self.endless(), size=None)
            done.set()

    def test_a_target_that_dies(self, region_at: Callable[..., GlanceRegion]) -> None:
        def script(exchange: Exchange) -> None:
            exchange.read_chunk()

        with serving(script) as server, pytest.raises(exc.TransferError):
            region_at(server.url).upload_data(ID, self.endless(), size=None)

    def test_a_target_that_never_answers(self, region_at: Callable[..., GlanceRegion]) -> None:
        done = threading.Event()

        def script(exchange: Exchange) -> None:
            while exchange.read_chunk():
                pass
            done.wait(10)

        with serving(script) as server:
            region = region_at(server.url, idle_timeout_seconds=0.2, read_timeout_seconds=0.2)
            with pytest.raises(exc.TransferStalledError, match="not answered in time"):
                region.upload_data(ID, [b"x"], size=1)
            done.set()

    def test_an_abort_sends_no_end(self, region_at: Callable[..., GlanceRegion]) -> None:
        rest: list[bytes] = []
        ended = threading.Event()

        def script(exchange: Exchange) -> None:
            exchange.read_chunk()
            rest.append(exchange.input.read())
            ended.set()

        def chunks() -> Iterator[bytes]:
            yield b"one"
            raise exc.LeaseLostError("lost")

        with serving(script) as server:
            with pytest.raises(exc.LeaseLostError):
                region_at(server.url).upload_data(ID, chunks(), size=6)
            assert ended.wait(5)
        assert rest == [b""]

    def test_nobody_there(self, region_at: Callable[..., GlanceRegion]) -> None:
        with serving(answering(200)) as server:
            url = server.url
        with pytest.raises(exc.RegionUnavailableError):
            region_at(url).upload_data(ID, [b"x"], size=1)

    def test_a_source_that_fails_at_once_leaves_the_target_alone(self, region_at: Callable[..., GlanceRegion]) -> None:
        def chunks() -> Iterator[bytes]:
            raise exc.SourceReadError("gone")
            yield b""

        with serving(answering(204)) as server, pytest.raises(exc.SourceReadError):
            region_at(server.url).upload_data(ID, chunks(), size=1)
        assert server.requests == []
