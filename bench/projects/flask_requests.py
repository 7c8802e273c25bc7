"""The forwarder that everybody writes first: Flask and requests."""

import os

import requests
from flask import Flask, Response, request

_UPSTREAM = os.environ["UPSTREAM"]
_HOP_BY_HOP = {"connection", "content-length", "content-encoding", "transfer-encoding"}

application = Flask(__name__)


@application.route("/", defaults={"path": ""}, methods=["GET", "POST"])
@application.route("/<path:path>", methods=["GET", "POST"])
def forward(path: str) -> Response:
    answer = requests.request(
        request.method,
        f"{_UPSTREAM}/{path}",
        params=request.args.to_dict(flat=False),
        headers={name: value for name, value in request.headers if name != "Host"},
        data=request.get_data(),
        allow_redirects=False,
    )
    headers = [
        (name, value)
        for name, value in answer.headers.items()
        if name.lower() not in _HOP_BY_HOP
    ]
    return Response(answer.content, answer.status_code, headers)
