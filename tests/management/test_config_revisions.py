"""manage.py config revisions, restore and draft."""

from __future__ import annotations

import json

import pytest

from pools.control import compile, drafts, publish
from pools.control.apply import apply
from pools.core import codec
from pools.models import Draft, Pool, Revision
from tests.admin.conftest import DOCUMENT
from tests.management.test_config import run

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def two():
    with publish.change(who="ann", why="Set up"):
        apply(codec.parse(DOCUMENT))
    with publish.change(who="bob", why="Weigh", comment="for the sale"):
        Pool.objects.filter(name="web").update(policy="random")


def wait(name: str = "spare", **values) -> None:
    row = Pool.objects.get(name=name)
    for column, value in (values or {"policy": "random"}).items():
        setattr(row, column, value)
    with drafts.draft(who="ann", comment="a try") as draft:
        draft.keep(row)


def test_revisions_are_listed_newest_first():
    code, out, _ = run("revisions")
    assert code == 0
    assert [line.split()[0] for line in out] == ["revision", "2", "1"]
    assert "for the sale" in out[1]
    assert len(run("revisions", "-n", "1")[1]) == 2
    told = json.loads("".join(run("revisions", "--json")[1]))
    assert told["live"] == 2
    assert told["revisions"][0]["comment"] == "for the sale"
    assert told["revisions"][0]["changes"] == 1


def test_restore_puts_an_earlier_revision_into_force_again():
    change = '~ pools[web].policy: "random" -> "round_robin"'
    dry = run("restore", 1, "--dry-run")
    assert dry == (0, [change, "Nothing was changed: this was a dry run."], [])
    assert run("restore", 1, "--comment", "over") == (
        0,
        [change, "Published as revision 3."],
        [],
    )
    newest = Revision.objects.latest()
    assert (newest.why, newest.comment) == ("Restored revision 1", "over")
    assert compile.document() == publish.published(1)
    assert run("restore", 1)[1] == ["Nothing to change."]


def test_what_cannot_be_restored_is_a_line():
    assert run("restore", 9) == (
        2,
        [],
        ["restore: revision 9 is not kept: choose one that is"],
    )
    Revision.objects.filter(number=1).update(document={"pools": 1})
    code, out, err = run("restore", 1, "--json")
    assert (code, err) == (2, [])
    (problem,) = json.loads("".join(out))["problems"]
    assert problem["message"].startswith("revision 1 no longer holds")


def test_a_draft_is_shown_and_published():
    assert run("draft", "show")[1] == ["No draft waits. Staged mode is off."]
    wait()
    code, out, _ = run("draft", "show")
    assert code == 0
    assert out[0].startswith("edited pools[spare], ann, ")
    assert out[0].endswith(": a try")
    assert out[1] == '~ pools[spare].policy: "round_robin" -> "random"'
    told = json.loads("".join(run("draft", "show", "--json")[1]))
    assert [each["object"] for each in told["draft"]] == ["pools[spare]"]
    assert run("draft", "publish", "--comment", "reviewed")[1][-1] == "Published as revision 3."
    assert Revision.objects.latest().comment == "reviewed"
    assert run("draft", "publish")[1] == ["Nothing to change."]


def test_a_draft_is_thrown_away_whole_or_in_part():
    wait()
    wait("web", policy="power_of_two")
    code, _, err = run("draft", "discard", "pools[none]")
    assert code == 2
    assert err == ["draft: pools[none] is not in the draft, which has pools[spare], pools[web]"]
    assert run("draft", "discard", "pools[web]")[1] == ["Thrown away: pools[web]."]
    assert run("draft", "discard", "--json")[1] != []
    assert not Draft.objects.exists()
    assert publish.revision() == 2


def test_a_file_is_applied_at_once_and_says_that_a_draft_waits(tmp_path):
    drafts.switch(on=True)
    wait()
    file = tmp_path / "site.yaml"
    file.write_text(json.dumps(DOCUMENT))
    _, out, _ = run("apply", file)
    assert out[-2:] == [
        "Published as revision 3.",
        "A draft waits (1 change): manage.py config draft show.",
    ]
    assert json.loads("".join(run("apply", file, "--json")[1]))["draft"] == 1
    assert Pool.objects.get(name="spare").policy == "round_robin"
    assert drafts.count() == 1
