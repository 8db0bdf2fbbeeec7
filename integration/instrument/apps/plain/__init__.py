"""An app that answers in one piece."""
