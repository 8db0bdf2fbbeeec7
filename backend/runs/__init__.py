"""One run is one answer: admission, deadlines, frame log, cancel, and its single end."""
