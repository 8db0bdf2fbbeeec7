"""What a run means: values in, findings and one exit code out; pure and repeatable."""
