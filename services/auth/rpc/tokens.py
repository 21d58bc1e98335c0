"""f2h.auth.v1.TokenService."""

from typing import Any

from f2h.auth.v1 import token_pb2, token_pb2_grpc

from services.auth.tokens.create import CreateToken, TokenForm
from services.auth.tokens.signing import ALGORITHM, Signing
from services.runtime import timestamps
from services.runtime.call import current_caller


class TokenServicer(token_pb2_grpc.TokenServiceServicer):
    """Exchanges keys for tokens, and shows what tokens are verified with."""

    def __init__(self, create: CreateToken, signing: Signing) -> None:
        self._create = create
        self._signing = signing

    async def CreateToken(
        self, request: token_pb2.CreateTokenRequest, _context: Any
    ) -> token_pb2.CreateTokenResponse:
        """Makes a token."""
        form = TokenForm(
            capabilities=tuple(request.capabilities),
            servers=tuple(request.servers),
            lifetime_seconds=request.lifetime_seconds,
        )
        token = await self._create(current_caller().principal, form)
        return token_pb2.CreateTokenResponse(
            access_token=token.text,
            token_type="Bearer",  # noqa: S106 - the word of RFC 6750
            expires_in=token.seconds,
            expire_time=timestamps.pack(token.expire_time),
        )

    async def ListTokenKeys(
        self, _request: token_pb2.ListTokenKeysRequest, _context: Any
    ) -> token_pb2.ListTokenKeysResponse:
        """The public keys."""
        return token_pb2.ListTokenKeysResponse(
            keys=[
                token_pb2.ListTokenKeysResponse.Key(
                    kty="OKP", crv="Ed25519", x=public, kid=number, alg=ALGORITHM, use="sig"
                )
                for number, public in self._signing.public_keys().items()
            ]
        )
