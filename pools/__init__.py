"""The proxy: its brain, its data planes and its console."""

from pools import native

native.use()
