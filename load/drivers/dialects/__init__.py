"""Tables from the frames of one protocol to events; a further protocol needs no new driver."""
