"""f2h.auth.v1.UserService."""

from typing import Any

from f2h.auth.v1 import user_pb2, user_pb2_grpc
from google.protobuf import empty_pb2

from services.auth.accounts.manage import ManageUsers
from services.auth.accounts.user import User, Users
from services.runtime import timestamps
from services.runtime.errors import invalid
from services.runtime.paging import decode_token, encode_token, page_size


class UserServicer(user_pb2_grpc.UserServiceServicer):
    """Lets the NOC make, change and remove users."""

    def __init__(self, manage: ManageUsers, users: Users) -> None:
        self._manage = manage
        self._users = users

    async def CreateUser(
        self, request: user_pb2.CreateUserRequest, _context: Any
    ) -> user_pb2.CreateUserResponse:
        """Makes a user."""
        user, password = await self._manage.create(
            request.account, request.email, request.role, request.password
        )
        return user_pb2.CreateUserResponse(user=pack(user), password=password)

    async def ListUsers(
        self, request: user_pb2.ListUsersRequest, _context: Any
    ) -> user_pb2.ListUsersResponse:
        """A page of an account's users."""
        size = page_size(request.page_size)
        after = decode_token(request.page_token)
        read = await self._users.page(request.account, after, size + 1)
        page = read[:size]
        return user_pb2.ListUsersResponse(
            users=map(pack, page),
            next_page_token=encode_token(page[-1].email) if len(read) > size else "",
        )

    async def UpdateUser(self, request: user_pb2.UpdateUserRequest, _context: Any) -> user_pb2.User:
        """Changes a user."""
        disabled = request.disabled if request.HasField("disabled") else None
        if not request.role and disabled is None:
            raise invalid("role", "say what to change: role or disabled")
        return pack(await self._manage.update(request.id, request.role or None, disabled=disabled))

    async def ResetUser(
        self, request: user_pb2.ResetUserRequest, _context: Any
    ) -> user_pb2.CreateUserResponse:
        """Gives a user a new password."""
        user, password = await self._manage.reset(request.id)
        return user_pb2.CreateUserResponse(user=pack(user), password=password)

    async def EndUserSessions(
        self, request: user_pb2.EndUserSessionsRequest, _context: Any
    ) -> empty_pb2.Empty:
        """Ends all sessions of a user."""
        await self._manage.end_sessions(request.id)
        return empty_pb2.Empty()

    async def DeleteUser(
        self, request: user_pb2.DeleteUserRequest, _context: Any
    ) -> empty_pb2.Empty:
        """Removes a user."""
        await self._manage.delete(request.id)
        return empty_pb2.Empty()


def pack(user: User) -> user_pb2.User:
    """The message of a user."""
    return user_pb2.User(
        id=user.id,
        email=user.email,
        account=user.account,
        role=user.role,
        disabled=user.disabled,
        second_factor=user.second_factor,
        create_time=timestamps.pack(user.create_time),
    )
