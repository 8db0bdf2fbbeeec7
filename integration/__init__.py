"""Is the backend right, does the instrument measure right, does a whole run tell the truth?"""
