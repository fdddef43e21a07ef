"""Systems that hold models of their own: what is true there is asked for, compared with what was known, and fetched."""
