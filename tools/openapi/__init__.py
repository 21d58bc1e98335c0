"""The OpenAPI documents, made from the protos alone."""
