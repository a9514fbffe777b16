"""Pages of other origins in a real browser whose user is signed in to the console: they read and
change nothing.

`evil.test` leads to this machine, as a rebound name does. The other page is on another port of
127.0.0.1: for a browser that is the same site as the console, so its requests carry the console's
cookies.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.browser.visit import chromium, patient_context, sign_in
from tests.e2e.conftest import REAL_KEY, provider_yaml
from tests.e2e.process import Interceptor, running
from tests.fakes.upstream import Script, Upstream

pytestmark = pytest.mark.browser

MAPPED = "--host-resolver-rules=MAP evil.test 127.0.0.1"

PROBES = """
async ([proxy, console, ws]) => {
  const readable = [];
  const body = JSON.stringify({model: 'm', messages: []});
  const key = 'sk-ccproxy-up';
  const tries = {
    'fetch models': () => fetch(proxy + '/v1/models'),
    'fetch health': () => fetch(proxy + '/health'),
    'fetch json': () => fetch(proxy + '/v1/messages', {method: 'POST', body, headers: {'x-api-key': key}}),
    'fetch bearer': () => fetch(proxy + '/v1/chat/completions', {method: 'POST', body,
                                headers: {authorization: 'Bearer ' + key, 'content-type': 'application/json'}}),
    'fetch simple': () => fetch(proxy + '/v1beta/models/g:generateContent?key=' + key, {method: 'POST', body}),
    'fetch no-cors': () => fetch(proxy + '/v1beta/models/g:generateContent?key=' + key,
                                 {method: 'POST', body, mode: 'no-cors'}),
    'fetch no-cors get': () => fetch(proxy + '/v1beta/models?key=' + key, {mode: 'no-cors'}),
    'fetch put': () => fetch(proxy + '/v1/x?key=' + key, {method: 'PUT', body}),
    'console api': () => fetch(console + '/api/providers/', {credentials: 'include'}),
    'console flows': () => fetch(console + '/flows/', {credentials: 'include'}),
    'console no-cors': () => fetch(console + '/flows/', {credentials: 'include', mode: 'no-cors'}),
    'console post': () => fetch(console + '/api/providers/', {method: 'POST', credentials: 'include', mode: 'no-cors',
        body: JSON.stringify({name: 'planted', type: 'anthropic', host: 'evil.test', path: '/'})}),
    'console delete': () => fetch(console + '/api/providers/1/', {method: 'DELETE', credentials: 'include'}),
  };
  for (const [name, go] of Object.entries(tries)) {
    try {
      const answer = await go();
      if (answer.type !== 'opaque') readable.push(name + ': ' + (await answer.text()).slice(0, 80));
    } catch (error) {}
  }
  const load = (tag, attributes) => new Promise(done => {
    const element = document.createElement(tag);
    Object.assign(element, attributes);
    element.onload = () => done(true);
    element.onerror = () => done(false);
    document.body.append(element);
    setTimeout(() => done(null), 1500);
  });
  const loaded = await Promise.all([
    load('img', {src: proxy + '/v1beta/models?key=' + key}),
    load('img', {src: console + '/static/flows/flows.css'}),
    load('script', {src: proxy + '/v1/models'}),
    load('link', {rel: 'stylesheet', href: console + '/static/flows/flows.css'}),
  ]);
  if (loaded.includes(true)) readable.push('element: ' + loaded);
  navigator.sendBeacon(proxy + '/v1beta/models/g:generateContent?key=' + key, body);
  const frame = document.createElement('iframe');
  frame.name = 'sink';
  document.body.append(frame);
  for (const [action, method] of [[proxy + '/v1beta/models/g:generateContent?key=' + key, 'post'],
                                  [proxy + '/v1beta/models', 'get'],
                                  [console + '/admin/providers/provider/add/', 'post'],
                                  [console + '/admin/logout/', 'post']]) {
    const form = document.createElement('form');
    Object.assign(form, {action, method, target: 'sink', enctype: 'text/plain'});
    form.innerHTML = '<input name="key" value="sk-ccproxy-up"><input name="name" value="planted">';
    document.body.append(form);
    form.submit();
    await new Promise(done => setTimeout(done, 200));
  }
  const socket = url => new Promise(done => {
    const made = new WebSocket(url);
    made.onopen = () => done('open ' + url);
    made.onclose = made.onerror = () => done('');
    setTimeout(() => done('late ' + url), 4000);
  });
  const sockets = [proxy.replace('http', 'ws') + '/v1/responses?key=' + key, ...ws];
  readable.push(...(await Promise.all(sockets.map(socket))).filter(Boolean));
  const stream = new EventSource(proxy + '/v1/models');
  await new Promise(done => { stream.onerror = stream.onopen = done; setTimeout(done, 1500); });
  if (stream.readyState === 1) readable.push('event source');
  stream.close();
  return readable;
}
"""

REBOUND = """
async ([key]) => {
  const statuses = [];
  for (const [path, options] of [
    ['/v1/models', {}], ['/health', {}], ['/', {}], ['/flows/', {credentials: 'include'}], ['/api/providers/', {}],
    ['/v1/messages', {method: 'POST', body: '{"model":"m"}', headers: {'x-api-key': key}}],
    ['/static/flows/flows.css', {}],
  ]) statuses.push((await fetch(path, options)).status);
  return statuses;
}
"""


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:  # the name that http.server calls
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>page</title><body>")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def page_port() -> Iterator[int]:
    """A server with an empty page."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        for path in ("/v1/messages", "/v1beta/models", "/v1beta/models/g:generateContent", "/v1/x"):
            server.scripts[path] = Script(headers=(("access-control-allow-origin", "*"),))
        yield server


@pytest.fixture(scope="module")
def interceptor(
    upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Interceptor]:
    folder = tmp_path_factory.mktemp("foreign")
    (folder / "key").write_text(REAL_KEY)
    config = "providers:\n" + provider_yaml("up", upstream, f"{{file: {folder}/key}}")
    with running(Interceptor(folder, config)) as process:
        yield process


@pytest.fixture(scope="module")
def browser(playwright: Any) -> Iterator[Any]:
    """A browser whose name server was tampered with."""
    with chromium(playwright, MAPPED) as launched:
        yield launched


@pytest.fixture(scope="module")
def signed_in(browser: Any, interceptor: Interceptor) -> Any:
    """The cookies of a user who is signed in."""
    return sign_in(browser, interceptor)


def state(interceptor: Interceptor) -> list[Any]:
    """What a page could have changed."""
    tables = (
        "providers_provider",
        "providers_transformrule",
        "interceptor_clienttoken",
        "flows_flow",
    )
    counts = [interceptor.rows(f"select count(*) as n from {table}")[0]["n"] for table in tables]
    return [*counts, interceptor.health()["revision"]]


def test_foreign_pages(
    interceptor: Interceptor, upstream: Upstream, page_port: int, browser: Any, signed_in: Any
) -> None:
    console, ws = interceptor.console_url, interceptor.console_url.replace("http", "ws")
    sockets = [f"{ws}/ws/flows/", f"{ws.replace('127.0.0.1', 'localhost')}/ws/flows/"]
    before = state(interceptor)
    for host in ("evil.test", "127.0.0.1", "localhost"):
        context = patient_context(browser, storage_state=signed_in)
        page = context.new_page()
        page.goto(f"http://{host}:{page_port}/")
        assert page.evaluate(PROBES, [interceptor.url, console, sockets]) == [], host
        context.close()
    context = patient_context(browser, storage_state=signed_in)
    mine = context.new_page()
    mine.goto(f"{console}/flows/")
    assert mine.url == f"{console}/flows/", "the user is still signed in"
    context.close()
    assert upstream.requests == []
    assert state(interceptor) == before


def test_a_rebound_name(
    interceptor: Interceptor, upstream: Upstream, browser: Any, signed_in: Any
) -> None:
    before = state(interceptor)
    for base in (interceptor.url, interceptor.console_url):
        context = patient_context(browser, storage_state=signed_in)
        page = context.new_page()
        answer = page.goto(base.replace("127.0.0.1", "evil.test") + "/")
        assert answer.status == 421
        assert page.evaluate(REBOUND, ["sk-ccproxy-up"]) == [421] * 7
        context.close()
    assert upstream.requests == []
    assert state(interceptor) == before


def test_the_console_itself_works(interceptor: Interceptor, browser: Any, signed_in: Any) -> None:
    """The same browser, on the console's own pages: the rules are not simply shut."""
    context = patient_context(browser, storage_state=signed_in)
    page = context.new_page()
    page.goto(f"{interceptor.console_url}/flows/")
    assert page.evaluate("async () => (await fetch('/api/providers/')).status") == 200
    opened = """() => new Promise(done => {
      const made = new WebSocket(location.origin.replace('http', 'ws') + '/ws/flows/');
      made.onopen = () => done(true); made.onclose = () => done(false); })"""
    assert page.evaluate(opened) is True
    context.close()


def test_a_link_on_another_page_leads_to_the_console(
    interceptor: Interceptor, page_port: int, browser: Any, signed_in: Any
) -> None:
    context = patient_context(browser, storage_state=signed_in)
    page = context.new_page()
    page.goto(f"http://evil.test:{page_port}/")
    page.evaluate(f"() => {{ location.href = '{interceptor.console_url}/flows/' }}")
    page.wait_for_url("**/flows/")
    assert page.title() and "ccproxy" in page.content()
    page.goto(f"http://evil.test:{page_port}/")
    page.evaluate(f"() => {{ location.href = '{interceptor.url}/v1/models?key=sk-ccproxy-up' }}")
    page.wait_for_url("**/v1/models*")
    assert "pages may not call" in page.content()
    context.close()


def test_no_answer_carries_permissions(interceptor: Interceptor) -> None:
    import httpx

    for url in (
        f"{interceptor.url}/health",
        f"{interceptor.url}/v1/models",
        f"{interceptor.console_url}/admin/login/",
    ):
        for headers in ({}, {"origin": "https://evil.test"}):
            answer = httpx.get(url, headers=headers)
            assert answer.status_code == (403 if headers else 200)
            assert not [name for name in answer.headers if name.startswith("access-control")]
