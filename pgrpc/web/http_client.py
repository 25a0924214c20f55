"""Fetches one document from another server, bounded in size and time.

Owns the request. Must not know what the document is. Redirects are not followed: a trusted URL could lead to one that
is not trusted.
"""

from tornado import httpclient, simple_httpclient

_TIMEOUT = 4.0
"""Seconds for everything: name resolution, connecting, TLS, the whole body."""

_MAX_BYTES = 256 * 1024


async def fetch(url: str) -> bytes:
    """The body. Raises OSError, whose str() says why, without the URL: that may contain a secret."""
    client = simple_httpclient.SimpleAsyncHTTPClient(
        force_instance=True, max_body_size=_MAX_BYTES, max_buffer_size=_MAX_BYTES
    )
    request = httpclient.HTTPRequest(
        url,
        connect_timeout=_TIMEOUT,
        request_timeout=_TIMEOUT,
        follow_redirects=False,
        decompress_response=False,
        user_agent="pgrpc",
    )
    try:
        response = await client.fetch(request, raise_error=False)
    except httpclient.HTTPError as error:
        raise OSError(f"no complete answer within {_TIMEOUT:g} s and {_MAX_BYTES} bytes: {error.message}") from None
    except (OSError, ValueError) as error:
        raise OSError(f"cannot be reached: {getattr(error, 'strerror', None) or error}") from None
    finally:
        client.close()
    if response.code != 200:
        hint = "; redirects are not followed" if 300 <= response.code < 400 else ""
        raise OSError(f"the answer has status {response.code}{hint}")
    return response.body
