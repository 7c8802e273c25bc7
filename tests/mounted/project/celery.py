"""As docs/mounting.md has it."""

from celery import Celery

from pools.schedule import SCHEDULE

app = Celery("shop")
app.autodiscover_tasks()
app.conf.beat_schedule = {**SCHEDULE}
app.conf.task_ignore_result = True
