import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pools.core import cookies


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ([b"a=1; b=2"], b"2"),
        ([b"b=2"], b"2"),
        ([b"a=1", b"b=2"], b"2"),
        ([b"b=first; b=second"], b"first"),
        ([b"ab=1; xb=3"], None),
        ([b"a=b"], None),
        ([b"b"], b""),
        ([b'  b = "q" ;a=1'], b'"q"'),
        ([b"b=x=y"], b"x=y"),
        ([b"a=1,b=2; c=3"], b"2"),
        ([b"a=1,\t b=2,c=3"], b"2"),
        ([b"b=1,2; c=3"], b"1,2"),
        ([b""], None),
        ([], None),
    ],
)
def test_the_first_cookie_of_that_very_name_is_found(fields, found):
    headers = [(b"accept", b"b=no"), *((b"cookie", field) for field in fields)]
    assert cookies.find(headers, b"b") == found


@pytest.mark.parametrize(
    ("value", "left"),
    [
        (b"a=1; s=x; c=3", b"a=1; c=3"),
        (b"s=x; c=3", b"c=3"),
        (b"a=1; s=x", b"a=1"),
        (b"s=x", None),
        (b"s=x; t=y", None),
        (b"s=x; s=y;", None),
        (b"S=x", b"S=x"),
        (b"as=1; a=s", b"as=1; a=s"),
        (b' odd ;; "k"=v ;', b' odd ;; "k"=v ;'),
        (b'a="1;2" ;s=x;b= 3', b'a="1;2" ;b= 3'),
        (b"a=1,s=x; b=2", b"a=1; b=2"),
        (b"a=1; s=x,b=2", b"a=1,b=2"),
        (b"a=1, \ts =x,t=y", b"a=1"),
        (b"s=x,a=1,2", b"a=1,2"),
        (b"s=x,y; a=1", b"a=1"),
        (b"a=1,S=x,as=2", b"a=1,S=x,as=2"),
        (b'a={"s":1,"b":2}; s=x', b'a={"s":1,"b":2}'),
    ],
)
def test_named_cookies_go_and_the_rest_stays_byte_for_byte(value, left):
    assert cookies.strip(value, {b"s", b"t"}) == left


_separators = st.sampled_from([b"; ", b";", b",", b", ", b",\t", b" ;;"])
_cookies = st.sampled_from([b"a=1", b"s=x", b"s =x", b"s", b"as=s", b"", b'a="', b"a=1,2"])


@given(st.lists(st.tuples(_separators, _cookies).map(b"".join)))
def test_no_cookie_of_that_name_is_left_wherever_it_stands(pieces):
    left = cookies.strip(b"".join(pieces), {b"s"})
    assert left is None or not re.search(rb"(^|[;,])[ \t]*s[ \t]*=", left)
