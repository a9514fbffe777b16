"""Admin of the operator's facts about models: a field for each fact."""
