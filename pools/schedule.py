"""What beat is to send, for `app.conf.beat_schedule`; workers find it in pools.tasks.

Apart from the tasks, so that a project's celery.py can have it before the apps are loaded.
Entries expire before they can pile up where no worker runs.
"""

SCHEDULE = {
    "pools.probe": {"task": "pools.probe", "schedule": 1.0, "options": {"expires": 2.0}},
    "pools.notify": {"task": "pools.notify", "schedule": 5.0, "options": {"expires": 5.0}},
    "pools.publish": {"task": "pools.publish", "schedule": 5.0, "options": {"expires": 5.0}},
}
