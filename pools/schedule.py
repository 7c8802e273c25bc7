"""What beat is to send, for `app.conf.beat_schedule`; workers find it in pools.tasks.

Apart from the tasks, so that a project's celery.py can have it before the apps are loaded.
Entries expire, so that a worker that comes back does not make up for hours. Not sooner, as
that is told by clocks: a worker whose clock is ahead of beat's would do nothing at all.
"""

_EXPIRES = {"expires": 60.0}

SCHEDULE = {
    "pools.probe": {"task": "pools.probe", "schedule": 1.0, "options": _EXPIRES},
    "pools.notify": {"task": "pools.notify", "schedule": 5.0, "options": _EXPIRES},
    "pools.publish": {"task": "pools.publish", "schedule": 5.0, "options": _EXPIRES},
}
