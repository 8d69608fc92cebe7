"""Stock Uppy, the current one and the one before, against this service, straight to S3."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest
from playwright.sync_api import Page

from contact_pipeline.object_store import ObjectStore
from contact_pipeline.settings import Settings
from contact_pipeline_tests.running import eventually, objects_in

UPPY = Path(__file__).with_name("uppy")
MIB = 1 << 20
PATH = "/uppy-test"

# In mode `companion` the cookie of a sign-in goes along; the others send the token.
OPTIONS = {
    "uppy 5": "{endpoint: location.origin, headers: {Authorization: `Bearer ${token}`}, shouldUseMultipart}",
    "uppy 6, companion": "{companionEndpoint: location.origin, shouldUseMultipart}",
    "uppy 6, signRequest": """{shouldUseMultipart, signRequest: async (request) => {
        const answer = await fetch('/s3/presign', {
            method: 'POST', body: JSON.stringify(request),
            headers: {'Content-Type': 'application/json', Authorization: `Bearer ${token}`}});
        if (!answer.ok) throw new Error(await answer.text());
        return answer.json();
    }}""",
}
UPLOAD = """async ([token, size, shouldUseMultipart, seed]) => {
    const uppy = new Uppy();
    uppy.use(AwsS3, %s);
    const rows = ['Email,Notes'];
    for (let at = 0, length = 12; length < size; at += 1) {
        rows.push(`${at}.${seed}@uppy.example,${'x'.repeat(3000)}`);
        length += rows.at(-1).length + 1;
    }
    const data = new Blob([rows.join('\\n') + '\\n'], {type: 'text/csv'});
    uppy.addFile({name: 'people.csv', type: 'text/csv', data});
    const moved = [];
    uppy.on('upload-progress', (file, progress) => moved.push(progress.bytesUploaded));
    const done = await uppy.upload();
    return {failed: done.failed.map((file) => String(file.error)), size: data.size, rows: rows.length - 1,
            location: done.successful.map((file) => file.uploadURL ?? ''), moved: moved.length,
            key: done.successful.map((file) => file.s3Multipart?.key ?? file.response?.body?.key ?? '')};
}"""


@pytest.fixture
def uppy_page(page: Page, stack: Settings, token) -> Page:
    """An empty page of the service's own origin, signed in."""
    page.goto(stack.api_url)
    secret = token("uppy")
    page.evaluate(
        """(token) => fetch('/api/session/', {
            method: 'POST', body: JSON.stringify({token}), headers: {'Content-Type': 'application/json'}})""",
        secret,
    )
    page.route(
        f"**{PATH}", lambda route: route.fulfill(body="<!doctype html><title>Uppy</title>", content_type="text/html")
    )
    page.goto(stack.api_url + PATH)
    page.evaluate("token => { window.token = token }", secret)
    return page


@pytest.mark.parametrize("multipart", [True, False], ids=["parts", "one piece"])
@pytest.mark.parametrize("mode", OPTIONS)
def test_stock_uppy_uploads_straight_to_s3(uppy_page, stack, mode, multipart):
    uppy_page.add_script_tag(path=str(UPPY / f"uppy-{mode[5]}.js"))
    sent_here: list[int] = []
    uppy_page.on(
        "request",
        lambda request: (
            sent_here.append(len(request.post_data_buffer or b"")) if request.url.startswith(stack.api_url) else None
        ),
    )
    seed = uuid.uuid4().hex[:8]
    arguments = [uppy_page.evaluate("token"), 12 * MIB if multipart else 100_000, multipart, seed]
    done = uppy_page.evaluate(UPLOAD % OPTIONS[mode], arguments)
    assert done["failed"] == [], json.dumps(done)
    assert done["moved"] > 0
    assert max(sent_here) < 10_000, "the file went to the service, not to S3"
    store = ObjectStore.from_settings(stack)

    def found():
        # By content: what Uppy tells of the key differs between its versions.
        for stored in objects_in(store):
            if stored.size == done["size"] and seed.encode() in store.read_range(stored.key, stored.etag, 0, 200):
                return stored.key
        return None

    key = eventually(found)
    metadata = store.find(key)[1]
    assert (metadata["owner"], metadata["file-name"]) == ("uppy", "people.csv")
    if not multipart:
        return
    progress = eventually(
        lambda: (
            (
                told := uppy_page.evaluate(
                    "key => fetch(`/api/upload/progress/?s3Key=${key}`).then((a) => a.json())", key
                )
            )["phase"]
            == "finished"
            and told
        )
    )
    assert (progress["state"], progress["rows"], progress["loaded"]) == ("succeeded", done["rows"], done["rows"])


def test_uppy_cancels_and_nothing_is_left(uppy_page, stack):
    uppy_page.add_script_tag(path=str(UPPY / "uppy-6.js"))
    uppy_page.evaluate(
        """async () => {
            const uppy = new Uppy();
            uppy.use(AwsS3, {companionEndpoint: location.origin, shouldUseMultipart: true});
            uppy.addFile({name: 'a.csv', type: 'text/csv', data: new Blob([new Uint8Array(40 * 1024 * 1024)])});
            const progressed = new Promise((resolve) => {
                uppy.on('upload-progress', (file, at) => at.bytesUploaded && resolve());
                uppy.on('error', resolve);
            });
            uppy.upload().catch(() => {});
            await progressed;
            uppy.cancelAll();
        }"""
    )
    store = ObjectStore.from_settings(stack)

    def mine() -> list[str]:
        answer = store.s3.list_multipart_uploads(Bucket=store.bucket, Prefix="uploads/")
        keys = [upload["Key"] for upload in answer.get("Uploads", ())]
        return [
            key
            for key in keys
            if uppy_page.evaluate("key => fetch(`/api/upload/progress/?s3Key=${key}`).then((a) => a.ok)", key)
        ]

    eventually(lambda: not mine())
