"""A request and its response as a conversation: messages of readable items, written when shown.

Begin with `conversation_view.conversation`.
"""
