"""Serving over HTTP: the JSON API, the page in the browser, and the client. Needs the extra ``serve``."""
