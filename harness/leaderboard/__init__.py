"""Many runs as a public table: found, verified, put together by submission, ranked within their tracks."""
