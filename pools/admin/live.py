"""Parts of pages that are refreshed while one looks at them, by static/pools/live.js.

    <div data-live-url="…">{% include the fragment %}</div>
    {% include "pools/admin/live_words.html" %}

The address answers with the fragment. Elements in it with data-live-part="name" replace their
namesakes; where there are none, the whole of it replaces what is in the element.
"""

from __future__ import annotations

from django import forms

FILES = forms.Media(css={"all": ("pools/live.css",)}, js=("pools/live.js",))
