"""Notices of failures and other events: by webhook, by a command, and in the console.

Made by the recorder from finished records, on a thread of its own; nothing of it is on the path of
a request. Without `notices.kinds` there is no thread.
"""
