"""The actions of `ccproxy shapes`, and their options."""
