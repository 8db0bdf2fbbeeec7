"""Start, observe and stop what is measured; read what it left behind."""
