"""`manage.py serve`: the whole proxy in one foreground process."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from pools.core.errors import PoolsError
from pools.gateway import listening
from pools.management import options as shared
from pools.serve import banner, plan, preparing
from pools.serve import demo as demos
from pools.serve.supervisor import Supervisor

BEFORE_FIRST_REQUEST_S = 5.0


class Command(BaseCommand):
    help = "Serve: the gateway, the admin, the worker that probes, and beat. Ctrl-C ends it."

    def add_arguments(self, parser: CommandParser) -> None:
        shared.add_gateway(parser)
        parser.add_argument(
            "--admin-bind",
            default="127.0.0.1:8000",
            metavar="ADDRESS:PORT",
            help="where the admin listens; default %(default)s",
        )
        parser.add_argument(
            "--web-workers",
            type=shared.number(parser, "--web-workers", highest=1024),
            default=1,
            metavar="N",
            help="processes that serve the admin; default %(default)s",
        )
        parser.add_argument(
            "--threads",
            type=shared.number(parser, "--threads", highest=1024),
            default=32,
            metavar="N",
            help="requests that each of them serves at a time; default %(default)s",
        )
        parser.add_argument(
            "--demo", action="store_true", help="with three backends to try it with"
        )
        parser.add_argument(
            "--demo-port",
            type=shared.number(parser, "--demo-port", highest=65_535),
            default=demos.FIRST_PORT,
            metavar="PORT",
            help="they get free ports from this one on; default %(default)s",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._serve(**options)
        except PoolsError as error:
            raise CommandError(str(error), returncode=2) from None
        except KeyboardInterrupt:
            raise CommandError("interrupted before it served", returncode=130) from None

    def _serve(
        self,
        *,
        admin_bind: str,
        web_workers: int,
        threads: int,
        demo: bool,
        demo_port: int,
        **options: Any,
    ) -> None:
        with (
            preparing.lock(Path(settings.DATA_DIR)),
            ExitStack() as sockets,
            Supervisor(env=plan.environment()) as supervisor,
        ):
            intended = sockets.enter_context(shared.plan(options))
            admin = listening.listen(admin_bind, option="--admin-bind")
            sockets.enter_context(closing(admin))
            with preparing.interruptible():
                preparing.database()
                login = preparing.login()
                preparing.forget_messages(settings.BROKER_DIR)
                ports = demos.ports(demo_port) if demo else []
            backends = self._start_demo(supervisor, ports)
            preparing.first_round(within_s=BEFORE_FIRST_REQUEST_S)
            connections.close_all()
            supervisor.start(
                [
                    plan.gateway(
                        intended.listeners, shared.words(options), grace_s=intended.grace_s
                    ),
                    plan.web(admin.fileno(), workers=web_workers, threads=threads),
                    *plan.celery(),
                ]
            )
            banner.show(intended.listeners, admin=admin, login=login, backends=backends)
            supervisor.run()
            supervisor.say("ending: what is under way is finished; Ctrl-C again ends at once")
            # Who connects now is refused, and may go elsewhere: for gunicorn's copy too,
            # in whose queue a connection would wait for the end. The gateway closes its own.
            admin.sock.shutdown(socket.SHUT_RDWR)
            sockets.close()
            supervisor.drain()

    def _start_demo(self, supervisor: Supervisor, ports: Sequence[int]) -> list[banner.Backend]:
        programs = demos.programs(ports)
        supervisor.start(programs)
        demos.wait(ports, within_s=BEFORE_FIRST_REQUEST_S)
        return [
            banner.Backend(program.name, port, supervisor.pid(program))
            for program, port in zip(programs, ports, strict=True)
        ]
