"""The page as text: one file, its own script and style by hash, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import re

from fpm_inr.viewer.page import bundle, page_html


def test_script_and_style_are_those_of_the_policy() -> None:
    page = page_html("A <title> & more", [{"name": "x", "address": "field-0"}])
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy
    for tag in ('<script type="module">', "<style>"):
        body = page.split(tag)[1].split(f"</{tag[1:].split()[0].rstrip('>')}>")[0]
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"sha256-{digest}" in policy[1]
    assert "<title>A &lt;title&gt; &amp; more</title>" in page
    assert not re.search(r"unsafe|https?://(?!www\.w3\.org/2000/svg)", page)


def test_a_payload_may_not_be_fetched_from_anywhere() -> None:
    page = page_html("x", [{"name": "x", "element": "field-0"}], {"field-0": b"bytes"})
    assert "connect-src &#x27;none&#x27;" in page
    assert f'id="field-0">{base64.b64encode(b"bytes").decode()}</script>' in page


def test_names_cannot_end_the_data() -> None:
    page = page_html("x", [{"name": "</script><script>alert(1)</script>", "address": "field-0"}])
    assert "<script>alert" not in page
    assert "alert(1)" in page


def test_every_module_comes_once_and_after_what_it_needs() -> None:
    script = bundle("main.js")
    defined = re.findall(r'^modules\["([\w.]+)"\] = ', script, re.MULTILINE)
    assert len(defined) == len(set(defined)) > 10
    assert defined[-1] == "main.js"
    assert "import " not in re.sub(r"^\s*(//|\*).*$", "", script, flags=re.MULTILINE)
    for position, body in enumerate(script.split('\nmodules["')[1:]):
        for needed in re.findall(r'= modules\["([\w.]+)"\];', body):
            assert defined.index(needed) < position
