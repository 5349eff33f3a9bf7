# SPDX-License-Identifier: Apache-2.0
"""What is a rule of leave_alone, and how it is shown."""
from __future__ import annotations

from pathlib import Path

import pytest

from glancesync import conf as options
from glancesync.conf.image_rules import ImageRulesType, parse_rules
from glancesync.exceptions import ConfigurationError


@pytest.mark.parametrize("text", [
    "", ";", "name=a;;name=b", "; name=a", "name", "name=", "name<5", "nome=a", "size=5", "size>", "size>many",
    "size>-1", "size>5 GiB", "visibility=secret", "visibility=pub*", "property:", "property:=a", "property:a>5", "a b",
    "name='a",
])
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="condition|size|visibility|quotation"):
        parse_rules(text)


def test_it_is_shown_as_it_was_written_and_means_the_same() -> None:
    rules = parse_rules("name='tmp *'   size>1GiB;tag=a")
    assert str(rules) == "'name=tmp *' size>1GiB; tag=a"
    assert parse_rules(str(rules)) == rules
    assert ImageRulesType()(rules) is rules
    assert [each.size for each in rules.rules[0].conditions] == [0, 1 << 30]


def read(tmp_path: Path, value: str) -> options.Settings:
    path = tmp_path / "glance-sync.conf"
    path.write_text(f"[DEFAULT]\nleave_alone = {value}\n")
    return options.read_settings(options.parse([f"--config-file={path}"], prog="glance-sync"))


def test_the_option(tmp_path: Path) -> None:
    assert read(tmp_path, "name=a;\n  size>1GB").sync.leave_alone == parse_rules("name=a; size>1000000000")
    with pytest.raises(ConfigurationError, match=r"leave_alone = nome=a in \[DEFAULT\] is wrong, allowed is rules sep"):
        read(tmp_path, "nome=a")
    with pytest.raises(ConfigurationError, match="leave_alone"):
        read(tmp_path, "")
