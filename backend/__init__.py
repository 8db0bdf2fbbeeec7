"""The subject: a small, real agent-chat service that persists, streams, times out and drains."""
