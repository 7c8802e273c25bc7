import asyncio
import re
import ssl
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
import uvloop

from pools.core.errors import PoolsError
from pools.gateway.certificates import LOOK_S, REMIND_S, Certificates
from tests.gateway import certs
from tests.services import eventually

LOOPS = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


@pytest.fixture(params=LOOPS)
def run(request):
    def within(coroutine):
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            return runner.run(asyncio.wait_for(coroutine, 10))

    return within


@pytest.fixture(autouse=True)
def warnings_alone(caplog):
    caplog.set_level("WARNING", "pools.gateway")


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


@asynccontextmanager
async def serving(context):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


def client_context():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


async def connect(port, name, context=None):
    return await asyncio.open_connection(
        "127.0.0.1", port, ssl=context or client_context(), server_hostname=name
    )


async def shown(port, name, context=None):
    """The certificate that a client is shown who asks for this name; "": without a name."""
    _, writer = await connect(port, name, context)
    tls = writer.get_extra_info("ssl_object")
    writer.close()
    await writer.wait_closed()
    return ssl.DER_cert_to_PEM_cert(tls.getpeercert(binary_form=True)).encode()


def answers(certificates, *names, run):
    async def ask():
        async with serving(certificates.context) as port:
            return [await shown(port, name) for name in names]

    return run(ask())


def test_exact_name_then_wildcard_then_default(tmp_path, run):
    first = certs.put(tmp_path / "a.pem", "a.example")
    exact = certs.put(tmp_path / "b.pem", "www.shop.example")
    wildcard = certs.put(tmp_path / "c.pem", "*.Shop.example", "shop.example")
    names = [
        "www.shop.example",
        "WWW.Shop.Example",
        "api.shop.example",
        "shop.example",
        "a.b.shop.example",
        "other.example",
        "localhost",
        "",
    ]
    assert answers(Certificates(tmp_path), *names, run=run) == [
        exact,
        exact,
        wildcard,
        wildcard,
        first,
        first,
        first,
        first,
    ]


@pytest.mark.parametrize("name", ["default.pem", "default.crt", "default/fullchain.pem"])
def test_a_file_named_default_is_for_all_other_names(tmp_path, name, run):
    certs.put(tmp_path / "a.pem", "a.example")
    certificate, key = certs.make("z.example")
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".crt":
        path.write_bytes(certificate)
        path.with_suffix(".key").write_bytes(key)
    elif path.name == "fullchain.pem":
        path.write_bytes(certificate)
        path.with_name("privkey.pem").write_bytes(key)
    else:
        path.write_bytes(certificate + key)
    assert answers(Certificates(tmp_path), "other.example", run=run) == [certificate]


def test_layouts_of_files_may_be_mixed(tmp_path, run):
    pem = certs.put(tmp_path / "a.pem", "a.example")
    crt, key = certs.make("b.example")
    (tmp_path / "b.crt").write_bytes(crt)
    (tmp_path / "b.key").write_bytes(key)
    live, key = certs.make("c.example")
    archive = tmp_path / ".archive"  # certbot links to it
    archive.mkdir()
    (archive / "fullchain1.pem").write_bytes(live)
    (archive / "privkey1.pem").write_bytes(key)
    (tmp_path / "c.example").mkdir()
    for name in ("fullchain", "privkey"):
        (tmp_path / "c.example" / f"{name}.pem").symlink_to(archive / f"{name}1.pem")
    (tmp_path / "README").write_text("about this folder")
    names = ["a.example", "b.example", "c.example"]
    assert answers(Certificates(tmp_path), *names, run=run) == [pem, crt, live]


def test_the_folder_may_be_that_of_one_certificate(tmp_path, run):
    certificate, key = certs.make("a.example")
    for name, content in {
        "cert": certificate,
        "chain": b"",
        "fullchain": certificate,
        "privkey": key,
    }.items():
        (tmp_path / f"{name}.pem").write_bytes(content)
    assert answers(Certificates(tmp_path), "a.example", run=run) == [certificate]


def test_the_key_may_stand_before_the_chain(tmp_path, run):
    certificate, key = certs.make("a.example")
    (tmp_path / "a.pem").write_bytes(key + certificate)
    assert answers(Certificates(tmp_path), "a.example", run=run) == [certificate]


@pytest.mark.parametrize("longer", ["a.pem", "b.pem"])
def test_of_two_for_a_name_the_one_valid_longer_is_shown(tmp_path, longer, run):
    made = {
        name: certs.put(tmp_path / name, "a.example", days=60 if name == longer else 30)
        for name in ("a.pem", "b.pem")
    }
    assert answers(Certificates(tmp_path), "a.example", run=run) == [made[longer]]


def test_http_1_1_is_agreed_on_and_tls_before_1_2_is_not(tmp_path, run):
    certs.put(tmp_path / "a.pem", "a.example")
    certificates = Certificates(tmp_path)

    async def ask():
        async with serving(certificates.context) as port:
            _, writer = await connect(port, "a.example")
            tls = writer.get_extra_info("ssl_object")
            told = tls.version(), tls.selected_alpn_protocol(), tls.compression()
            writer.close()
            old = client_context()
            with pytest.warns(DeprecationWarning):
                old.minimum_version = ssl.TLSVersion.TLSv1
                old.maximum_version = ssl.TLSVersion.TLSv1_1
            old.set_ciphers("ALL:@SECLEVEL=0")
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await connect(port, "a.example", old)
            return told

    assert run(ask()) == ("TLSv1.3", "http/1.1", None)


def test_tls_1_2_is_forward_secret_and_resumed_by_ticket_after_a_change(tmp_path, run):
    certs.put(tmp_path / "a.pem", "a.example")
    certificates = Certificates(tmp_path)
    context = client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    def handshake(port, session):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        return context.wrap_bio(
            incoming, outgoing, server_hostname="a.example", session=session
        ), (incoming, outgoing)

    async def ask(port, session=None):
        tls, (incoming, outgoing) = handshake(port, session)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                writer.write(outgoing.read())
                incoming.write(await reader.read(65_536))
        writer.write(outgoing.read())
        writer.close()
        return tls

    async def twice():
        async with serving(certificates.context) as port:
            first = await ask(port)
            certs.put(tmp_path / "a.pem", "a.example")
            certificates.refresh(1.0)
            second = await ask(port, first.session)
            return first, second

    first, second = run(twice())
    assert first.cipher()[0].startswith("ECDHE-")
    assert first.session.has_ticket
    assert (first.session_reused, second.session_reused) == (False, True)


def test_changes_are_in_force_for_new_connections_and_open_ones_go_on(tmp_path, run):
    before = certs.put(tmp_path / "a.pem", "a.example")
    certificates = Certificates(tmp_path)

    async def ask():
        async with serving(certificates.context) as port:
            reader, writer = await connect(port, "a.example")
            told = [await shown(port, "a.example")]
            after = certs.put(tmp_path / "a.pem", "a.example")
            added = certs.put(tmp_path / "b.pem", "b.example")
            certificates.refresh(1.0)
            told += [await shown(port, name) for name in ("a.example", "b.example")]
            (tmp_path / "b.pem").unlink()
            certificates.refresh(1.0 + LOOK_S)
            told.append(await shown(port, "b.example"))
            writer.write(b"still here")
            assert await reader.readexactly(10) == b"still here"
            writer.close()
            return told, [before, after, added, after]

    told, expected = run(ask())
    assert told == expected


def test_the_folder_is_looked_at_every_two_seconds_at_most(tmp_path, caplog):
    caplog.set_level("INFO", "pools.gateway")
    certs.put(tmp_path / "a.pem", "a.example")
    certificates = Certificates(tmp_path)
    certificates.refresh(100.0)
    caplog.clear()
    certs.put(tmp_path / "a.pem", "a.example")
    certificates.refresh(100.0 + LOOK_S - 0.01)
    assert caplog.messages == []
    certificates.refresh(100.0 + LOOK_S)
    assert [message.partition(", until")[0] for message in caplog.messages] == [
        f"certificate {tmp_path}/a.pem is used for a.example"
    ]
    certificates.refresh(100.0 + 2 * LOOK_S)
    assert len(caplog.messages) == 1


def half(certificate, key):
    return certificate[: len(certificate) // 2]


def without_key(certificate, key):
    return certificate


def of_another(certificate, key):
    return certificate + certs.make()[1]


def encrypted(certificate, key):
    return b"".join(certs.make("a.example", password=b"secret"))


BROKEN = {
    half: "put in the whole chain, in PEM",
    without_key: "a.pem has no usable key",
    of_another: "the key in a.pem is not that of the first certificate",
    encrypted: "the key is encrypted; decrypt it",
    lambda *_: b"": "put in the whole chain, in PEM",
    lambda *_: b"\x00\xff" * 9: "put in the whole chain, in PEM",
}


@pytest.mark.parametrize(("content", "said"), BROKEN.items())
def test_a_broken_new_file_is_said_once_and_the_last_good_one_stays(
    tmp_path, caplog, run, content, said
):
    good = certs.put(tmp_path / "a.pem", "a.example")
    certificates = Certificates(tmp_path)
    (tmp_path / "a.pem").write_bytes(content(*certs.make("a.example")))
    for now in (1.0, 1.0 + LOOK_S, 1.0 + 2 * LOOK_S):
        certificates.refresh(now)
    (message,) = caplog.messages
    assert message.startswith(f"certificate {tmp_path}/a.pem: ")
    assert said in message
    assert message.endswith("the one before stays in use")
    assert "\n" not in message
    assert answers(certificates, "a.example", run=run) == [good]
    mended = certs.put(tmp_path / "a.pem", "a.example")
    certificates.refresh(100.0)
    assert answers(certificates, "a.example", run=run) == [mended]


def test_a_key_that_comes_after_its_certificate_is_waited_for(tmp_path, caplog, run):
    certs.put(tmp_path / "default.pem")
    certificates = Certificates(tmp_path)
    certificate, key = certs.make("b.example")
    (tmp_path / "b.crt").write_bytes(certificate)
    certificates.refresh(1.0)
    assert caplog.messages == [
        f"certificate {tmp_path}/b.crt: {tmp_path}/b.key cannot be read, No such file or"
        " directory; put it there, readable by this user"
    ]
    (tmp_path / "b.key").touch(0o600)
    (tmp_path / "b.key").write_bytes(key)
    certificates.refresh(1.0 + LOOK_S)
    assert len(caplog.messages) == 1
    assert answers(certificates, "b.example", run=run) == [certificate]


def test_the_last_certificates_stay_where_the_folder_goes(tmp_path, caplog, run):
    caplog.set_level("INFO", "pools.gateway")
    folder = tmp_path / "certificates"
    folder.mkdir()
    good = certs.put(folder / "a.pem", "a.example")
    certificates = Certificates(folder)
    caplog.clear()
    away = folder.rename(tmp_path / "away")
    certificates.refresh(1.0)
    certificates.refresh(10.0)
    assert len(caplog.messages) == 1
    assert answers(certificates, "a.example", run=run) == [good]
    away.rename(folder)
    certificates.refresh(20.0)
    assert caplog.messages[1:] == [f"certificates follow {folder} again"]
    (folder / "a.pem").unlink()
    certificates.refresh(30.0)
    assert "there is no certificate in it any more" in caplog.messages[-1]
    assert answers(certificates, "a.example", run=run) == [good]


@pytest.mark.parametrize(("days", "said"), [(-1, ["expired"]), (13, ["expires"]), (15, [])])
def test_a_certificate_that_expires_soon_or_has_is_a_warning(tmp_path, caplog, days, said, run):
    certificate = certs.put(tmp_path / "a.pem", "a.example", days=days)
    certificates = Certificates(tmp_path)
    until = f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%d}"
    assert caplog.messages == [
        f"renew certificates: {tmp_path}/a.pem {verb} on {until}" for verb in said
    ]
    assert answers(certificates, "a.example", run=run) == [certificate]


def test_the_warning_is_said_again_each_day_until_it_is_renewed(tmp_path, caplog):
    certs.put(tmp_path / "a.pem", "a.example", days=2 / REMIND_S)  # two seconds
    certs.put(tmp_path / "b.pem", "b.example", days=5)
    certs.put(tmp_path / "c.pem", "c.example")
    certificates = Certificates(tmp_path)
    begun = time.monotonic()
    certificates.refresh(begun + 10)
    certificates.refresh(begun + REMIND_S - 10)
    assert len(caplog.messages) == 1
    eventually(lambda: certificates.plain()[0]["days_left"] < 0)
    certificates.refresh(begun + REMIND_S + 10)
    certificates.refresh(begun + REMIND_S + 20)
    assert [re.findall(r"(\w)\.pem (\w+)", message) for message in caplog.messages] == [
        [("a", "expires"), ("b", "expires")],
        [("a", "expired"), ("b", "expires")],
    ]
    certs.put(tmp_path / "a.pem", "a.example")
    certificates.refresh(begun + REMIND_S * 2 + 30)
    assert re.findall(r"(\w)\.pem (\w+)", caplog.messages[-1]) == [("b", "expires")]


def test_one_that_is_put_there_late_is_a_warning_at_once(tmp_path, caplog):
    certs.put(tmp_path / "a.pem", "a.example", days=5)
    certificates = Certificates(tmp_path)
    caplog.clear()
    certs.put(tmp_path / "b.pem", "b.example", days=3)
    certificates.refresh(time.monotonic() + 10)
    (message,) = caplog.messages
    assert re.findall(r"(\w)\.pem (\w+)", message) == [("b", "expires")]


def test_a_line_names_some_of_many_that_expire(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("pools.gateway.certificates.MOST_NAMED", 2)
    for days in 1, 2, 3, 4:
        certs.put(tmp_path / f"{days}.pem", days=days)
    Certificates(tmp_path)
    (message,) = caplog.messages
    assert re.findall(r"(\d)\.pem", message) == ["1", "2"]
    assert message.endswith(", and 2 more")


def test_those_in_use_are_told_with_their_end(tmp_path):
    certs.put(tmp_path / "a.pem", "a.example", "b.example", days=30)
    certs.put(tmp_path / "b.pem", days=-3)
    first, second = Certificates(tmp_path).plain()
    assert (first["file"], first["names"]) == (f"{tmp_path}/b.pem", [])
    assert first["days_left"] in (-4, -3)
    assert (second["names"], second["days_left"]) == (["a.example", "b.example"], 29)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", second["until"])


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o600])
def test_a_key_that_others_may_read_is_a_warning(tmp_path, caplog, mode):
    certs.put(tmp_path / "a.pem", "a.example")
    (tmp_path / "a.pem").chmod(mode)
    Certificates(tmp_path)
    warned = f"others may read the key {tmp_path}/a.pem; chmod 600 it"
    assert caplog.messages == ([warned] if mode == 0o644 else [])


def test_starting_without_a_folder_or_certificate_is_one_line(tmp_path):
    with pytest.raises(PoolsError, match="none cannot be read: No such file or directory; "):
        Certificates(tmp_path / "none")
    with pytest.raises(PoolsError, match="there is no certificate in .*; put NAME.pem there"):
        Certificates(tmp_path)
    (tmp_path / "a.pem").write_bytes(b"")
    with pytest.raises(PoolsError, match="certificate .*/a.pem: "):
        Certificates(tmp_path)


def test_starting_with_a_broken_one_beside_a_good_one(tmp_path, caplog, run):
    good = certs.put(tmp_path / "a.pem", "a.example")
    (tmp_path / "b.pem").write_bytes(b"")
    with pytest.raises(PoolsError, match="certificate .*/b.pem: "):
        Certificates(tmp_path, strict=True)
    assert caplog.messages == []
    certificates = Certificates(tmp_path)
    assert len(caplog.messages) == 1
    assert answers(certificates, "b.example", run=run) == [good]
