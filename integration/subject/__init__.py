"""Is the backend right? A real server, real sockets, a real database; one exact expectation a test."""
