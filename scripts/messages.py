"""Collects the texts of the console for translation, and compiles what is translated.

    python -m scripts.messages            updates the catalogues; says what is missing
    python -m scripts.messages --missing  says it, and changes nothing

Catalogues are pools/locale and proxysite/locale; English is the source. Their entries are
sorted and have no line numbers, so that a change of code changes no more of them than it
has to. Needs gettext's programs.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polib

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = ("ko",)
HOLDERS = ("pools", "proxysite")
_HEADERS = ("Language", "MIME-Version", "Content-Type", "Content-Transfer-Encoding")
_PLURALS = {"ko": "nplurals=1; plural=0;"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--missing", action="store_true", help="change nothing")
    options = parser.parse_args()
    if not options.missing:
        collect(ROOT)
        for path in catalogues(ROOT):
            compiled(path)
    lacking = list(missing(ROOT))
    for line in lacking:
        print(line)
    if lacking:
        sys.exit(f"{len(lacking)} texts are not translated: fill in their msgstr")


def catalogues(root: Path) -> list[Path]:
    return [
        root / holder / "locale" / language / "LC_MESSAGES" / "django.po"
        for holder in HOLDERS
        for language in LANGUAGES
    ]


def collect(root: Path) -> None:
    """Bring the catalogues below `root` up to its sources; a changed text is a new one."""
    for path in catalogues(root):
        path.parent.mkdir(parents=True, exist_ok=True)
    languages = [f"--locale={language}" for language in LANGUAGES]
    subprocess.run(
        [
            *(sys.executable, "-m", "django", "makemessages", *languages),
            *("--no-location", "--no-obsolete", "--no-wrap", "--verbosity=0"),
            *("--ignore=.*", "--ignore=build", "--ignore=migrations", "--ignore=tests"),
        ],
        cwd=root,
        env={
            **os.environ,
            "PYTHONPATH": str(root),
            "DJANGO_SETTINGS_MODULE": "proxysite.settings",
        },
        check=True,
    )
    for path in catalogues(root):
        _tidy(path)


def compiled(path: Path) -> None:
    """Write the .mo beside a .po."""
    polib.pofile(str(path)).save_as_mofile(str(path.with_suffix(".mo")))


def missing(root: Path) -> Iterator[str]:
    """What the catalogues have no translation of, one line each."""
    for path in catalogues(root):
        for entry in polib.pofile(str(path)):
            if not entry.translated():
                yield f"{path.relative_to(root)}: {entry.msgid}"


def _tidy(path: Path) -> None:
    """Sorted, and without guesses, dates and addresses."""
    found = polib.pofile(str(path))
    language = path.parent.parent.name
    tidy = polib.POFile(wrapwidth=96)
    tidy.metadata = {
        **{name: found.metadata[name] for name in _HEADERS if name in found.metadata},
        "Language": language,
        "Plural-Forms": _PLURALS[language],
    }
    for entry in sorted(found, key=lambda entry: (entry.msgid, entry.msgctxt or "")):
        if entry.fuzzy:
            entry.flags.remove("fuzzy")
            entry.msgstr = ""
            entry.msgstr_plural = {}
        if entry.msgid_plural:
            forms = range(int(_PLURALS[language].removeprefix("nplurals=")[0]))
            entry.msgstr_plural = {n: entry.msgstr_plural.get(n, "") for n in forms}
        entry.previous_msgid = entry.previous_msgctxt = entry.previous_msgid_plural = None
        entry.comment = ""
        tidy.append(entry)
    tidy.save(str(path))


if __name__ == "__main__":
    main()
