"""How programs are started: the gateway is told all that serve was told of it."""

from contextlib import ExitStack

import pytest

from pools.gateway import listening
from pools.gateway.listening import Kind
from pools.management import options as shared
from pools.management.commands.gateway import Command as Gateway
from pools.management.commands.serve import Command as Serve
from pools.serve import plan


def parsed(command, *arguments):
    return vars(command().create_parser("manage.py", "x").parse_args(arguments))


@pytest.fixture
def listeners():
    with ExitStack() as stack:
        made = [listening.listen("127.0.0.1:0", kind=kind) for kind in (Kind.HTTP, Kind.HTTPS)]
        for listener in made:
            stack.callback(listener.close)
        yield made


def test_the_gateway_gets_the_options_that_serve_got(listeners):
    given = [
        *("--workers", "3", "--proxy-protocol", "--certificates", "/etc/tls"),
        *("--access-log", "-", "--access-log-format", "json"),
    ]
    words = shared.words(parsed(Serve, "--demo", "--threads", "7", *given))
    program = plan.gateway(listeners, words, grace_s=5)
    start = program.argv.index("gateway") + 1
    passed_on = parsed(Gateway, *program.argv[start:])
    wanted = parsed(Gateway, *given, "--status-bind", "")
    assert passed_on | {"bind": None, "tls_bind": None} == wanted


def test_the_gateway_gets_the_sockets_for_what_they_are(listeners):
    program = plan.gateway(listeners, [], grace_s=5)
    plain, tls = (listener.fileno() for listener in listeners)
    assert program.pass_fds == (plain, tls)
    text = " ".join(program.argv)
    assert f"--bind fd://{plain} --tls-bind fd://{tls}" in text


def test_it_is_given_the_time_to_drain(listeners):
    assert plan.gateway(listeners, [], grace_s=5).stop_within_s > 5


@pytest.mark.parametrize(("said", "meant"), [(None, "false"), ("true", "true")])
def test_web_processes_carry_traffic_only_where_the_operator_says_so(monkeypatch, said, meant):
    monkeypatch.delenv("WEB_PROXY", raising=False)
    if said:
        monkeypatch.setenv("WEB_PROXY", said)
    assert plan.environment()["WEB_PROXY"] == meant
