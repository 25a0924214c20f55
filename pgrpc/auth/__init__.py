"""Authentication by JSON Web Tokens. The only package that imports PyJWT and cryptography.

It imports neither `web` nor `postgres`: tokens come as text, key sets by a callable.

    authenticator   a token -> an identity, with a cache
    ├── tokens          one token: verifies its signature and claims
    ├── keyset          an issuer's key set: fetched, refreshed, kept while the issuer is unavailable
    └── keys            which key may verify which algorithm
    issuing         tokens for development
"""
