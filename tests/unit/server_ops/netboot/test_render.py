"""Rendering what installers read; and the examples of docs/netboot.md, as those read them."""

import re
import subprocess

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pykickstart.parser import KickstartParser
from pykickstart.version import RHEL9, makeVersion

from lab.stack import ROOT
from services.server_ops.netboot.render import EXAMPLE, LONGEST, TextInvalid, render

TEXT = (ROOT / "docs" / "netboot.md").read_text()


def example(language: str) -> str:
    [found] = re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    return render(found, EXAMPLE)


@given(st.text(st.characters(categories=["L", "M", "N", "P", "S", "Zs"])))
def test_what_a_customer_chose_is_text_and_nothing_else(chosen: str) -> None:
    rendered = render("{{ hostname | tojson }}", {"hostname": chosen})
    assert yaml.safe_load(rendered) == chosen


@settings(deadline=None)  # A process is started each time.
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_a_shell_sees_one_word(chosen: str) -> None:
    rendered = render("printf %s {{ hostname | shell }}", {"hostname": chosen})
    assert subprocess.check_output(["sh", "-c", rendered]) == chosen.encode()


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ hostname.format }}{{ hostname.format('{0.__class__}') }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ self.__init__.__globals__ }}",
        "{{ 'x' * 1000000000 }}",
        "{{ 9 ** 999999999 }}",
        "{% for i in range(100000000) %}x{% endfor %}",
        "{% for i in range(99999) %}xxxxx{% endfor %}",
        "{{ ssh_keys.append('x') }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{{ nothing }}",
        "{% if %}",
        "{{ hostname | nofilter }}",
    ],
)
def test_nothing_leads_out_of_the_sandbox(text: str) -> None:
    with pytest.raises(TextInvalid):
        render(text, EXAMPLE)


def test_a_text_may_be_long_but_not_endless() -> None:
    assert len(render("{% for i in range(9) %}x{% endfor %}", {})) == 9
    assert render("x" * LONGEST, {}) == "x" * LONGEST
    with pytest.raises(TextInvalid, match="longer than"):
        render("x" * LONGEST + "y", {})


def test_the_preseed_of_the_documentation_is_read_by_debconf() -> None:
    text = example("preseed")
    done = subprocess.run(
        ["debconf-set-selections", "--checkonly"],
        input=text,
        text=True,
        check=False,
        capture_output=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    early, late = (line.split(" string ", 1)[1] for line in text.splitlines() if "_command" in line)
    for command in (early, late):
        assert subprocess.run(["sh", "-n", "-c", command], check=False).returncode == 0
    assert "'ssh-ed25519 AAAA somebody'\"'\"'s key'" in late


def test_the_user_data_of_the_documentation_is_read_as_yaml() -> None:
    read = yaml.safe_load(example("yaml"))["autoinstall"]
    assert read["identity"]["hostname"] == EXAMPLE["hostname"]
    assert read["ssh"]["authorized-keys"] == EXAMPLE["ssh_keys"]
    assert read["user-data"]["phone_home"]["url"] == EXAMPLE["first_boot_url"]
    for when, event in (("early-commands", "ALIVE"), ("late-commands", "DONE")):
        [command] = read[when]
        assert yaml.safe_load(command[-1]) == {
            "report_token": EXAMPLE["report_token"],
            "event": event,
        }


def test_the_kickstart_of_the_documentation_is_read_by_pykickstart() -> None:
    handler = makeVersion(RHEL9)
    parser = KickstartParser(handler)
    parser.readKickstartFromString(example("kickstart"))
    assert handler.network.network[0].hostname == EXAMPLE["hostname"]
    assert handler.autopart.autopart
    assert len(handler.scripts) == 2
