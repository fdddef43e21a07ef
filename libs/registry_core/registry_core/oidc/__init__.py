"""Tokens of OpenID Connect issuers: verified, and led to an account of ours."""
