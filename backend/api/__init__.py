"""The wire: one router a file, its schemas beside it."""
