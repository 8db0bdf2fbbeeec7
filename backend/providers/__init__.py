"""Who answers: models behind one interface, given values, never a database or a client's socket."""
