"""The instrument: drives a streaming chat backend, measures every chunk, judges and reports."""
