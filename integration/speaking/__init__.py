"""A server that speaks every shipped dialect, from their transcripts."""
