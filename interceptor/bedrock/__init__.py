"""Claude on Amazon Bedrock by InvokeModel: bodies, signatures, event streams, refusals.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html
"""
