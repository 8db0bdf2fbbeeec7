"""Who comes: kinds of user, each with the outcome it expects."""
