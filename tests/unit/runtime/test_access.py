import pytest
from f2h.access.v1.capability_pb2 import CapabilityInfo

from services.auth.bootstrap import CHECKED
from services.runtime.access import CATALOGUE, Audience, Role, Rule, rules

PRODUCT = """
antihack.us_unblock | US anti-hack unblock (body)                    | body
antihack.status     | Antihack (fail2ban) status                     | server
antihack.unban      | Unban antihack / fail2ban                      | server
antispam.status     | Antispam (Spamhaus) status                     | server
antispam.unblock    | Antispam unblock                               | server
server.details      | Server / netboot details (GET /servers/{host}) | server
rescue.exit         | Exit rescue                                    | server
install.status      | Install lifecycle status                       | server
ipmi.status         | IPMI status                                    | server
server.reboot       | Reboot server                                  | server
server.power        | Power on / off                                 | server
rescue.enter        | Enter rescue                                   | server
install.start       | Start install                                  | server
ip.manage           | Manage IPs                                     | server
ptr.update          | Update PTR records                             | server
monitoring.read     | Monitoring data                                | server
"""
"""The table of the product page, letter for letter."""

LATER = [("console.attach", "Serial console", "server")]
"""What came after it."""


def test_the_catalogue_is_the_table_of_the_product_page() -> None:
    table = [tuple(map(str.strip, line.split("|"))) for line in PRODUCT.strip().splitlines()]
    assert len(table) == 16
    assert [
        (info.id, info.label, CapabilityInfo.Scope.Name(info.scope).lower())
        for info in CATALOGUE.values()
    ] == table + LATER
    assert [*CATALOGUE] == [row[0] for row in table + LATER]


RULES = rules(*CHECKED)


@pytest.mark.parametrize("path", RULES)
def test_every_rpc_says_who_may_call_it(path: str) -> None:
    rule = RULES[path]
    assert rule.audiences
    assert Audience.AUDIENCE_UNSPECIFIED not in rule.audiences
    if Audience.CUSTOMER in rule.audiences:
        assert rule.any_key or rule.capability in CATALOGUE, "a customer's call needs a capability"
    else:
        assert rule.capability == ""


def test_a_reboot_needs_its_capability_on_its_server() -> None:
    assert RULES["/f2h.server_ops.v1.RebootService/RebootServer"] == Rule(
        frozenset({Audience.CUSTOMER, Audience.SESSION}),
        "server.reboot",
        "hostname",
        "hostname",
        role=Role.MEMBER,
        details=frozenset({"mode"}),
    )


@pytest.mark.parametrize("path", RULES)
def test_people_need_a_role(path: str) -> None:
    rule = RULES[path]
    people = rule.audiences & {Audience.SESSION, Audience.STAFF}
    assert bool(rule.role) == bool(people)
    if people and rule.mutates and not path.startswith("/f2h.auth.v1.SessionService/"):
        assert rule.role >= Role.MEMBER, "who may only look changes nothing but the own sign-in"


def test_only_these_need_no_capability_of_their_own() -> None:
    ours = [path for path, rule in RULES.items() if rule.any_key and path.startswith("/f2h.")]
    assert ours == [
        "/f2h.auth.v1.McpService/ListTools",  # those that the key may call
        "/f2h.auth.v1.TokenService/CreateToken",
        "/f2h.server_ops.v1.OperationService/CancelOperation",  # that of what it cancels
    ]


RECORDED = """
auth KeyService/CreateKey                 | capabilities cidrs expire_time label no_expiry servers
auth KeyService/UpdateKey                 | capabilities cidrs label servers
auth KeyService/RotateKey                 | overlap
auth UserService/CreateUser               | email role
auth UserService/UpdateUser               | disabled role
security AntihackService/UnbanAddress     | ip jail
security AntihackService/UnblockUsAddress | blocked_ip
security AntispamService/UnblockAntispam  | ip
server_ops InstallService/StartInstall    | layout os_hostname template
server_ops InventoryService/SetNetboot    | boot_type image
server_ops InventoryService/PutFailoverIp | hostname
server_ops IpService/MoveIp               | hostname
server_ops PowerService/ChangePower       | action
server_ops PtrService/SetPtr              | ptr
server_ops RebootService/RebootServer     | mode
server_ops RescueService/EnterRescue      | image
server_ops WebhookService/CreateWebhook   | event_types label
server_ops WebhookService/UpdateWebhook   | enabled event_types label
"""
"""What of their requests is written into the audit trail."""


def test_these_fields_and_no_others_are_recorded() -> None:
    table = [line.split("|") for line in RECORDED.strip().splitlines()]
    assert {
        path: " ".join(sorted(rule.details)) for path, rule in RULES.items() if rule.details
    } == {"/f2h.{}.v1.{}".format(*name.split()): fields.strip() for name, fields in table}


def test_keys_are_no_business_of_a_customers_key() -> None:
    for path, rule in RULES.items():
        if path.startswith("/f2h.auth.v1.KeyService/"):
            assert rule.audiences == {Audience.SESSION, Audience.NOC, Audience.STAFF}


def test_what_stands_for_another_contracts_rpc_has_the_same_rule() -> None:
    for name in ("GetOperation", "WaitOperation", "CancelOperation"):
        ours = RULES[f"/f2h.server_ops.v1.OperationService/{name}"]
        assert RULES[f"/google.longrunning.Operations/{name}"] == ours
