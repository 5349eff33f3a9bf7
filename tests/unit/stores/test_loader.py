# SPDX-License-Identifier: Apache-2.0
"""glance_store.yaml: the original's keys are taken, and what is wrong is refused with file, line and key."""
from __future__ import annotations

import logging
import os

import pytest
import yaml

from glancesync.exceptions import ConfigurationError
from glancesync.model.region import Region
from glancesync.model.store import FilesystemScheme, HttpScheme, PeerAccess
from glancesync.stores.book import StoreBook
from glancesync.stores.loader import load_stores
from glancesync.stores.schema import SAMPLE

ORIGINAL = """\
glances:
  - name: master
    service_ip: "127.0.0.1"
    schemes:
      - name: http
        parameters: {netloc: '127.0.0.1:8800', path: '/', image_name: 'test.img'}
      - name: filesystem
        parameters: {host: '127.0.0.1', datadir: '/var/lib/glance/images/',
                     login_user: 'glance', login_password: 'hunter2'}
"""
ONE = Region(name="One", endpoint="http://127.0.0.1:9292", cascading=True)
TWO = Region(name="Two", endpoint="http://[::1]:9292/image")


def write(tmp_path, text, mode=0o600):
    path = tmp_path / "glance_store.yaml"
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("order", [["filesystem", "stream"], ["stream"]])
def test_a_region_has_an_order_of_drivers(tmp_path, order):
    path = write(tmp_path, yaml.safe_dump({"glances": [entry(region="One", drivers=order)]}))
    assert load_stores(path, [ONE], {"filesystem", "stream"}).find(ONE).drivers == tuple(order)


@pytest.mark.parametrize(("order", "why"), [
    (["nfs"], "no driver 'nfs' is installed; there are filesystem, stream"), ([], "minItems"), ("stream", "array"),
    (["stream", "stream"], "uniqueItems"), (["a b"], "characters")])
def test_a_wrong_order_of_drivers(tmp_path, order, why):
    path = write(tmp_path, yaml.safe_dump({"glances": [entry(region="One", drivers=order)]}, sort_keys=False))
    with pytest.raises(ConfigurationError, match="line [0-9]+, glances\\[0\\].drivers.*" + why):
        load_stores(path, [ONE], {"filesystem", "stream"})


def test_the_options_order_is_held_to_what_is_installed():
    book = StoreBook(lambda: [], {"filesystem", "stream"})
    book.check_order(("stream",))
    with pytest.raises(ConfigurationError, match="nfs; there are filesystem, stream"):
        book.check_order(("stream", "nfs"))


def filesystem(**parameters):
    parameters = {"host": "h", "datadir": "/d", "login_user": "u"} | parameters
    return [{"name": "filesystem", "parameters": parameters}]


def entry(name="a", schemes=(), **keys):
    return {"name": name, "schemes": list(schemes)} | keys


def load(tmp_path, *entries, regions=()):
    return load_stores(write(tmp_path, yaml.safe_dump({"glances": list(entries)}, sort_keys=False)), regions)


def test_the_originals_file_is_taken_with_a_loud_warning(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    config = load_stores(write(tmp_path, ORIGINAL), [ONE, TWO])
    http, files = config.find(ONE).schemes
    assert (http, config.find(TWO)) == (HttpScheme(netloc="127.0.0.1:8800", path="/", image_name="test.img"), None)
    assert (files.datadir, files.ssh.host, files.ssh.user, files.ssh.port) == (
        "/var/lib/glance/images", "127.0.0.1", "glance", 22)
    assert "line 9: a PASSWORD STANDS HERE IN CLEAR" in caplog.text
    assert "hunter2" not in caplog.text + repr(config)


def test_the_sample_is_right_but_for_its_files(tmp_path):
    key = tmp_path / "key"
    key.write_text("k")
    key.chmod(0o600)
    text = SAMPLE
    for name in ("id_ed25519", "known_hosts"):
        text = text.replace(f"/etc/glance-sync/ssh/{name}", str(key))
    config = load_stores(write(tmp_path, text))
    assert [(each.name, each.region) for each in config.glances] == [("master", "RegionOne"), ("second", "RegionTwo")]
    assert isinstance(config.glances[0].schemes[0], FilesystemScheme)


def test_a_name_of_a_region_says_more_than_an_address(tmp_path):
    config = load(tmp_path, entry(region="Two", service_ip="127.0.0.1"), regions=[ONE, TWO])
    assert (config.find(ONE), config.find(TWO).name) == (None, "a")


def test_how_hosts_reach_one_another(tmp_path):
    """Files that lie on the other host are not looked for here."""
    found = load(tmp_path, entry(region="One", schemes=filesystem(
        peer_key_file="/not/here", peer_known_hosts_file="/neither", peer_host="[::1]", peer_port=2200))).glances[0]
    assert found.schemes[0].peer == PeerAccess(key_file="/not/here", known_hosts_file="/neither", host="::1", port=2200)


def test_an_address_of_version_six_may_have_brackets(tmp_path):
    assert load(tmp_path, entry(service_ip="[::1]"), regions=[ONE, TWO]).find(TWO).name == "a"


@pytest.mark.parametrize(("text", "message"), [
    ("glances: [", "line 1"),
    ("", "line 1, the whole file: must be of type object"),
    ("glances:\n - name: a\n   region: R\n   colour: red\n   schemes: []\n",
     r"line 4, glances\[0\].colour: is no known key; there are name, region"),
    ("glances:\n - name: a\n   region: R\n", r"line 2, glances\[0\]: lacks the key 'schemes'"),
    ("glances:\n - name: a\n   schemes: []\n", "names neither a region nor a service_ip"),
    ("glances:\n - name: 7\n   region: R\n   schemes: []\n", r"line 2, glances\[0\].name: must be of type string"),
    ("glances:\n - name: a\n   name: b\n", "line 3: the key 'name' stands here for the second time"),
    ("a: &x [1]\nb: [*x, *x]\n", "line 1: anchors and aliases"),
    ("a: *x\n", "line 1: anchors and aliases"),
    ("a: !!python/object/apply:os.system [id]\n", "tags .!. are not taken"),
    ("[" * 300, "line 1: is nested too deeply"),
    ("a: {<<: {b: 1}}\n", "a key must be a plain word"),
    ("? [1]\n: 2\n", "a key must be a plain word"),
    ("glances: []\n---\nglances: []\n", "line 2|but found another document"),
])
def test_what_is_wrong_is_named(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(ConfigurationError, match=message) as caught:
        load_stores(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(("parameters", "key"), [
    ({"host": "-oProxyCommand=id"}, "host"), ({"host": "a b"}, "host"), ({"host": "a\nb"}, "host"),
    ({"login_user": "-l"}, "login_user"), ({"login_user": "root x"}, "login_user"),
    ({"datadir": "relative"}, "datadir"), ({"datadir": "/a/../etc"}, "datadir"), ({"datadir": "/a\nb"}, "datadir"),
    ({"port": 0}, "port"), ({"port": "22"}, "port"), ({"cipher": "a;id"}, "cipher"),
    ({"peer_key_file": "/k"}, "peer_known_hosts_file"), ({"peer_host": "-oProxyCommand=id"}, "peer_host"),
    ({"peer_user": "a b"}, "peer_user"), ({"peer_port": 0}, "peer_port"),
    ({"jump_host": "-oProxyCommand=id"}, "jump_host"), ({"login_password_command": "id"}, "login_password_command"),
    ({"login_password": 123456}, "login_password"), ({"key_file": "/does/not/exist"}, "key_file"),
    ({"known_hosts_file": "/dev/null/x"}, "known_hosts_file"), ({"key_file": "/dev/null"}, "key_file"),
    ({"login_password": "hunter2", "login_password_environment": "X"}, "login_password_environment"),
])
def test_a_wrong_parameter_is_named_and_no_password_shown(tmp_path, parameters, key):
    with pytest.raises(ConfigurationError, match=rf"line \d+, glances\[0\].schemes\[0\].parameters.{key}: ") as caught:
        load(tmp_path, entry(region="One", schemes=filesystem(**parameters)))
    assert "hunter2" not in str(caught.value)
    assert "123456" not in str(caught.value)


@pytest.mark.parametrize(("entries", "message"), [
    ([entry(region="Three")], r"region: Keystone's catalog has no region 'Three'; there are One \(127.0.0.1\), Two"),
    ([entry(service_ip="10.0.0.1")], "service_ip: no region's image endpoint has the host '10.0.0.1'"),
    ([entry(region="One"), entry("b", region="One")], r"glances\[1\].region: 'One' has an entry already"),
    ([entry(region="One"), entry("a", region="Two")], r"glances\[1\].name: 'a' has an entry already"),
    ([entry(service_ip="::1"), entry("b", service_ip="[::1]")], r"glances\[1\].service_ip: '::1' has an entry"),
    ([entry(region="One", schemes=filesystem() + filesystem())], r"schemes\[1\].name: is filesystem for the second"),
])
def test_entries_that_are_nobodys_or_twice_the_same(tmp_path, entries, message):
    with pytest.raises(ConfigurationError, match=message):
        load(tmp_path, *entries, regions=[ONE, TWO])


def test_two_entries_for_one_region_in_two_ways(tmp_path):
    with pytest.raises(ConfigurationError, match=r"glances\[1\].service_ip: region One has an entry already"):
        load(tmp_path, entry(region="One"), entry("b", service_ip="127.0.0.1"), regions=[ONE, TWO])


def test_an_address_that_several_regions_have(tmp_path):
    same = Region(name="Same", endpoint="http://127.0.0.1:9393")
    with pytest.raises(ConfigurationError, match="the endpoints of One, Same have this host; name the region"):
        load(tmp_path, entry(service_ip="127.0.0.1"), regions=[ONE, same])


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_refused(tmp_path, mode):
    with pytest.raises(ConfigurationError, match="may be written by others than its owner"):
        load_stores(write(tmp_path, "glances: []\n", mode))


@pytest.mark.parametrize(("key", "mode"), [("key_file", 0o640), ("login_password_file", 0o604),
                                           ("known_hosts_file", 0o622)])
def test_files_it_names_are_looked_at(tmp_path, key, mode):
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(mode)
    with pytest.raises(ConfigurationError, match=f"parameters.{key}: {secret} may be "):
        load(tmp_path, entry(region="One", schemes=filesystem(**{key: str(secret)})))


def test_what_is_no_file_at_all(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_stores(tmp_path / "missing")
    with pytest.raises(ConfigurationError, match="cannot be read|no regular file"):
        load_stores(tmp_path)
    path = write(tmp_path, "x")
    path.write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(ConfigurationError, match="line 2: is not written in UTF-8"):
        load_stores(path)
    os.truncate(path, 2_000_000)
    with pytest.raises(ConfigurationError, match="larger than"):
        load_stores(path)
