"""Actions of `ccproxy shapes`, a module for each; its `run` performs the action."""
