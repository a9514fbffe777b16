"""Form of a hook: a field for each parameter of a built-in one, JSON for a user's own function.

The fields come from the hook's own model of parameters. Example: `tier: str = Field("",
max_length=100)` → a line of text with the label “Tier” and at most 100 characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from django import forms
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from interceptor.hooks import HOOKS
from interceptor.hooks.table import find_hook
from interceptor.models import HookSetting
from interceptor.validation import sets_new_hook_path
from providers.forms import ShortTextarea
from providers.services import CODE_REFUSED, may_set_code

if TYPE_CHECKING:
    _HookModelForm = forms.ModelForm[HookSetting]
else:
    _HookModelForm = forms.ModelForm

PREFIX: Final = "param_"
_LONG_CHARS: Final = 60
"""A parameter whose default is longer gets an area of text."""


class HookSettingForm(_HookModelForm):
    """A hook of the pipeline.

    Names outside the built-in ones are accepted only where code may be set.
    """

    user: Any = None  # set by the admin

    class Meta:
        model = HookSetting
        fields = ["stage", "name", "enabled", "position", "params"]
        labels = {"params": "Parameters"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "name" in self.fields and not may_set_code(self.user):
            own = [self.instance.name] if self.instance.name not in ("", *HOOKS) else []
            names = [*HOOKS, *own]
            widget = UnfoldAdminSelectWidget(choices=[(name, name) for name in names])
            field = self.fields["name"]
            field.widget = widget
            field.help_text = "Your own functions are set from a file: ccproxy importconfig."

    def clean_name(self) -> str:
        """Refuse a new function of the user's own where code may not be set."""
        name: str = self.cleaned_data["name"]
        before = HookSetting.objects.filter(pk=self.instance.pk).first()
        if sets_new_hook_path(HookSetting(name=name), before) and not may_set_code(self.user):
            raise forms.ValidationError(CODE_REFUSED)
        return name


class NamedParamsForm(HookSettingForm):
    """A built-in hook whose parameters have fields; `params_model` is the hook's own model."""

    params_model: type[BaseModel] | None = None

    class Meta(HookSettingForm.Meta):
        fields = ["stage", "name", "enabled", "position"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._name_before = self.instance.name
        stored = self.instance.params if isinstance(self.instance.params, dict) else {}
        for name, info in fields_of(self.params_model):
            self.initial.setdefault(f"{PREFIX}{name}", stored.get(name, info.default))

    def clean(self) -> dict[str, Any]:
        """Check the parameters against the hook's model; keep what differs from its defaults."""
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("name", self._name_before) != self._name_before:
            # They are another hook's.
            self.instance.params = {}
            return cleaned
        params: dict[str, Any] = {}
        for name, info in fields_of(self.params_model):
            value = cleaned.get(f"{PREFIX}{name}")
            # An empty field stands for the default.
            is_stated = value is not None and (value != "" or info.default == "")
            if is_stated and value != info.default:
                params[name] = value
        self._note_problems(params)
        # The model looks at them again, and has no field here for what it finds.
        self.instance.params = {} if self.errors else params
        return cleaned

    def _note_problems(self, params: Mapping[str, Any]) -> None:
        if self.params_model is None or self.errors:
            return
        try:
            self.params_model.model_validate(params)
        except ValidationError as exc:
            for problem in exc.errors():
                self.add_error(f"{PREFIX}{problem['loc'][0]}", problem["msg"])


def fields_of(model: type[BaseModel] | None) -> Iterable[tuple[str, FieldInfo]]:
    """Return the parameters of a hook by name; none of one that takes none."""
    return model.model_fields.items() if model is not None else ()


def form_for(setting: HookSetting | None) -> type[HookSettingForm]:
    """Return the form of a stored hook; that of a new one and of a user's own function has JSON.

    A user's own function is not looked up: that would import its module.
    """
    if setting is None or setting.name not in HOOKS:
        return HookSettingForm
    model = find_hook(setting.name).params
    fields = {f"{PREFIX}{name}": _field(name, info) for name, info in fields_of(model)}
    return type("HookSettingForm", (NamedParamsForm,), {"params_model": model, **fields})


def _field(name: str, info: FieldInfo) -> forms.Field:
    label = name.replace("_", " ").capitalize()
    help_text = info.description or ""
    if info.annotation is bool:
        return forms.BooleanField(
            required=False, label=label, help_text=help_text, widget=UnfoldBooleanWidget
        )
    if info.annotation in (int, float):
        return forms.FloatField(
            required=False,
            label=label,
            help_text=help_text,
            max_value=_limit(info, "le"),
            widget=UnfoldAdminDecimalFieldWidget,
        )
    is_long = len(str(info.default)) > _LONG_CHARS
    return forms.CharField(
        required=False,
        label=label,
        help_text=help_text,
        max_length=_limit(info, "max_length"),
        widget=ShortTextarea if is_long else UnfoldAdminTextInputWidget,
    )


def _limit(info: FieldInfo, name: str) -> Any:
    """Return a bound of a parameter: `Field(10.0, gt=0, le=60)`, "le" → 60; None without it.

    The others are checked by the hook's own model.
    """
    return next((getattr(bound, name) for bound in info.metadata if hasattr(bound, name)), None)
