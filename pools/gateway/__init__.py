"""The gateway: an asyncio data plane with a listener of its own."""
