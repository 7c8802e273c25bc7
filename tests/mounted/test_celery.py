"""Workers and beat of somebody else's project, set up as docs/mounting.md says."""

import json
import os
import subprocess
import sys

WHAT_A_WORKER_FINDS = """
import json
from tests.mounted.project.celery import app
app.loader.init_worker()
entries = app.conf.beat_schedule.values()
print(json.dumps([sorted(app.tasks), sorted(entry["task"] for entry in entries)]))
"""


def test_workers_find_every_task_that_beat_sends(tmp_path):
    said = subprocess.run(
        [sys.executable, "-c", WHAT_A_WORKER_FINDS],
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.mounted.project.settings",
            "DATA_DIR": str(tmp_path),
        },
        capture_output=True,
        check=True,
        timeout=60,
    )
    tasks, sent = json.loads(said.stdout)
    assert sent == ["pools.notify", "pools.probe", "pools.publish"]
    assert set(sent) <= set(tasks)
