from __future__ import annotations

import io
import json
import re

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from rest_framework.test import APIClient


def test_the_schema_is_made_without_a_warning_and_without_a_database():
    out = io.StringIO()
    call_command(
        "spectacular", "--validate", "--fail-on-warn", "--format", "openapi-json", stdout=out
    )
    schema = json.loads(out.getvalue())
    assert "/api/flows/{id}/body/{side}/" in schema["paths"]
    flow_list = schema["paths"]["/api/flows/"]["get"]
    assert {"cursor", "limit", "q", "provider"} <= {
        parameter["name"] for parameter in flow_list["parameters"]
    }
    provider = schema["components"]["schemas"]["Provider"]["properties"]
    assert "secret" not in provider
    assert "secret" in schema["components"]["schemas"]["ProviderRequest"]["properties"]


def test_the_schema_is_served(api: APIClient):
    assert api.get("/api/schema/?format=json").json()["info"]["title"] == "ccproxy"


@pytest.mark.django_db
def test_the_docs_page_has_no_inline_script_and_no_foreign_host(client: Client):
    assert client.get("/api/docs/")["Location"] == "/admin/login/?next=/api/docs/"
    client.force_login(User.objects.create_superuser("boss"))
    page = client.get("/api/docs/")
    text = page.content.decode()
    scripts = re.findall("<script[^>]*>", text)
    # However many there are: each has an address here, and nothing between its tags.
    assert len(scripts) == text.count("<script") == text.count("</script>") >= 5
    assert all(re.search(' src="/', script) for script in scripts), scripts
    assert text.count("></script>") == len(scripts)
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "https://" not in text
    policy = page["Content-Security-Policy"]
    assert "script-src 'self';" in policy + ";"
    script = client.get("/api/docs/?script=")
    assert script["Content-Type"] == "application/javascript"
    assert b"SwaggerUIBundle" in script.content
