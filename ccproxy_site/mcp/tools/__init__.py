"""Tools: functions over the selectors and services that pages and REST use."""
