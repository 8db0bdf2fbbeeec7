"""What was seen: events, the machine of one stream, mergeable figures. Pure: no socket, no clock, no I/O."""
