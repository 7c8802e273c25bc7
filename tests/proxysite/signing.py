"""Who signs in, and how."""

from __future__ import annotations

from collections.abc import Mapping

from django.test import Client

PASSWORD = "correct horse battery"
LOGIN = "/admin/login/"


def sign_in(
    client: Client,
    name: str = "ann",
    password: str = PASSWORD,
    address: str = "192.0.2.1",
    headers: Mapping[str, str] | None = None,
):
    typed = {"username": name, "password": password}
    return client.post(LOGIN, typed, REMOTE_ADDR=address, headers=headers)
