"""A configuration that uses every kind of value."""

from typing import Any

FULL: dict[str, Any] = {
    "pools": [
        {
            "name": "web",
            "policy": "consistent_hash",
            "hash": {"on": "cookie", "name": "user", "balance_factor": 125},
            "sticky": {"mode": "cookie", "ttl_s": 60, "same_site": "None", "http_only": False},
            "host": {"mode": "fixed", "value": "app.example.com:8443"},
            "retry": {"attempts": 2, "on": ["http_502", "connect"], "non_idempotent": True},
            "tunnel_timeout_s": 60.0,
            "max_in_flight": 9,
            "max_queue": 0,
            "queue_timeout_s": 2.5,
            "keepalive_connections": 8,
            "keepalive_s": 55.0,
            "tls": {"verify": False, "server_name": "a.example.com"},
            "passive": {"failures": 0},
            "slow_start_s": 1.5,
            "probe": {
                "kind": "tcp",
                "statuses": 200,
                "headers": {"X-B": "yes", "X-A": "1"},
                "text": 'it\'s "up": ü\n',
                "body_bytes": 512,
                "follow_redirects": True,
                "send": r"PING\r\n",
                "expect": r"+PONG\x0d",
                "certificate_days": 0,
                "fast_interval_s": 0.0,
                "down_interval_s": 30.0,
            },
            "backends": [
                {"host": "::1", "port": 443, "scheme": "https", "weight": 0},
                {"host": "10.0.0.2", "port": 80, "backup": True, "max_in_flight": 0},
                {"host": "10.0.0.1", "port": 80, "state": "drain"},
                {"host": "unix:/run/app.sock", "scheme": "https"},
            ],
        },
        {"name": "empty"},
    ],
    "routes": [
        {
            "name": "api",
            "pool": "web",
            "enabled": False,
            "hosts": ["www.example.com", "*.example.com"],
            "path_prefix": "/api/",
            "methods": ["post", "get"],
            "conditions": [
                {"header": "x-b", "match": "present"},
                {"header": "x-a", "match": "prefix", "value": "on"},
            ],
            "prefix_mode": "replace",
            "prefix_replacement": "/v2",
            "request_headers": {"set": {"X-B": "yes", "X-A": "1"}, "remove": ["B", "A"]},
            "response_headers": {"set": {"Y": ""}, "remove": ["Server"]},
            "max_body_bytes": 2**40,
            "upgrades": ["websocket", "MQTT"],
            "connect_timeout_s": 0.5,
            "exchange_timeout_s": 0,
            "tunnel_timeout_s": 1.5,
        },
        {"name": "all", "pool": "empty", "upgrades": []},
    ],
}
