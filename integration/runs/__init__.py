"""Does a whole run tell the truth? Each test starts `locust` as a user does and reads what it left."""
