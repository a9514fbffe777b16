"""Everything outside of a request that its steps may ask."""

from __future__ import annotations

from dataclasses import dataclass, field

from interceptor.access.caller_rules import GuardRules
from interceptor.access.grant import GrantBook
from interceptor.exchange.activity import ActivityBoard
from interceptor.exchange.recording_state import RecordingState
from interceptor.notes.note_book import NoNotes, NoteBook
from interceptor.pipeline.exchange import ResolvesCredentials
from interceptor.pipeline.perplexity_account import UsesPerplexity
from interceptor.pipeline.project_search import FindsProjects
from interceptor.shaping.billing_signer import BillingSigner
from interceptor.transform.capacity_policy import CapacityPolicy
from interceptor.transform.carried_reasoning import ReasoningMemory
from interceptor.transform.cooldowns import Cooldowns
from interceptor.transform.model_lists import ModelLists


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Services that the steps use. A dry run gives substitutes that do no input or output."""

    resolver: ResolvesCredentials
    grants: GrantBook
    rules: GuardRules
    """Of the reverse listener; captured traffic is not checked by them."""
    models: ModelLists
    version: str
    """Shown by /health."""
    require_token: bool = False
    """Every client must show a client token."""
    own_credentials: bool = True
    """Clients may bring their own credential, by a base path that names the provider."""
    verifies_tls: bool = True
    """The certificates of providers without a credential source are verified too."""
    projects: FindsProjects | None = None
    """Asks Code Assist for an account's project; None: no account is asked."""
    perplexity: UsesPerplexity | None = None
    """Makes the calls beside an ask; None: no account is asked."""
    reasoning: ReasoningMemory | None = None
    """Recalls reasoning that other processes got; None: this process's own alone."""
    recording: RecordingState = field(default_factory=RecordingState)
    activity: ActivityBoard = field(default_factory=ActivityBoard)
    """Where steps say what a request waits for."""
    capacity: CapacityPolicy | None = None
    """Settings for Code Assist without capacity; None: switched off."""
    cooldowns: Cooldowns = field(default_factory=Cooldowns)
    """Pauses of providers that failed lately."""
    sends_trace: bool = False
    """Requests name our span as their parent (`otel.propagate`)."""
    notes: NoteBook = field(default_factory=NoNotes)
    """Events that other programs sent for a session."""
    notify_secret: str = ""
    """What they must show; "" lets every local program send events."""
    signer: BillingSigner = field(default_factory=BillingSigner)
    """Signs billing lines; one that can decrypt no constants signs none."""
