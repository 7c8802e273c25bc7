"""`manage.py gateway`: public traffic, by the routes and pools of the admin."""

from __future__ import annotations

import logging
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from pools import native
from pools.core.errors import PoolsError
from pools.gateway.arbiter import Application
from pools.management import options as shared

logger = logging.getLogger("pools.gateway")


class Command(BaseCommand):
    help = (
        "Serve public traffic. SIGTERM finishes what is under way, SIGINT does not; SIGHUP "
        "begins anew with new workers, SIGUSR1 opens the access log anew, SIGUSR2 starts the "
        "program anew beside itself."
    )

    requires_system_checks = ("pools",)  # others are of what it does not use

    def add_arguments(self, parser: CommandParser) -> None:
        shared.add_gateway(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            plan = shared.plan(options)
        except PoolsError as error:
            raise CommandError(str(error), returncode=2) from None
        for problem in (shared.lacking_files(plan.conf), native.problem):
            if problem:
                logger.warning("%s", problem)
        connections.close_all()  # none goes over a fork
        Application(plan).run()
