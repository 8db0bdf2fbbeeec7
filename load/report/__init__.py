"""Who is told: one document from what was measured, and its renderings."""
