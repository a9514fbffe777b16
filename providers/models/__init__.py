"""Models of providers, transform rules, prices, the audit log and the configuration's revision.

Import them from here: `from providers.models import Provider`. Django finds the models of an app by
the imports of this file.
"""

from __future__ import annotations

from providers.models.audit_entry import AuditEntry
from providers.models.config_revision import ConfigManager, ConfigRevision
from providers.models.credential_state import CredentialState
from providers.models.failure_count import FailureCount
from providers.models.model_fact import ModelFact
from providers.models.price_override import PriceOverride
from providers.models.provider import Provider
from providers.models.transform_rule import TransformRule

__all__ = [
    "AuditEntry",
    "ConfigManager",
    "ConfigRevision",
    "CredentialState",
    "FailureCount",
    "ModelFact",
    "PriceOverride",
    "Provider",
    "TransformRule",
]
