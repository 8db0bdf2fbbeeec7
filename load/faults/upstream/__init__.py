"""An OpenAI-compatible provider that answers by script: slow, broken, refusing or correct, on purpose.

wanted     what a request asks for
script     what one request is answered with, operation by operation
sim        the same from the name of a model, for load: no state, deterministic by seed
perform    writes a script to a connection
wire       enough of HTTP/1.1
journal    what was asked, what was written when, and who ended it
"""
