"""f2h.server_ops.v1.ImageService."""

from typing import Any

from f2h.access.v1.reason_pb2 import Reason
from f2h.server_ops.v1 import image_pb2, image_pb2_grpc
from google.protobuf import empty_pb2

from services.runtime import timestamps
from services.runtime.clock import Clock
from services.runtime.errors import ApiError
from services.runtime.paging import decode_token, encode_token, page_size
from services.server_ops.netboot.image import (
    Image,
    ImageDamaged,
    ImageFile,
    ImageFiles,
    ImageKind,
    Images,
)

_PREFIX = "IMAGE_KIND_"


class ImageServicer(image_pb2_grpc.ImageServiceServicer):
    """Lets the NOC say what can be booted."""

    def __init__(self, images: Images, files: ImageFiles, clock: Clock) -> None:
        self._images = images
        self._files = files
        self._clock = clock

    async def PutImage(self, request: image_pb2.PutImageRequest, _context: Any) -> image_pb2.Image:
        """Makes an image known, after its files were compared."""
        image = Image(
            name=request.name,
            kind=ImageKind(image_pb2.ImageKind.Name(request.kind).removeprefix(_PREFIX)),
            kernel=_file(request.kernel),
            initrd=_file(request.initrd),
            command_line=request.command_line,
            update_time=self._clock(),
        )
        try:
            await self._files.verify(*image.files)
        except ImageDamaged as damaged:
            metadata = {"image": image.name}
            raise ApiError(Reason.IMAGE_DAMAGED, str(damaged), metadata=metadata) from None
        await self._images.put(image)
        return _pack(image)

    async def GetImage(self, request: image_pb2.GetImageRequest, _context: Any) -> image_pb2.Image:
        """The image."""
        image = await self._images.find(request.name)
        if image is None:
            raise _not_found(request.name)
        return _pack(image)

    async def ListImages(
        self, request: image_pb2.ListImagesRequest, _context: Any
    ) -> image_pb2.ListImagesResponse:
        """A page of images."""
        size = page_size(request.page_size)
        read = await self._images.page(decode_token(request.page_token), size + 1)
        page = read[:size]
        return image_pb2.ListImagesResponse(
            images=[_pack(image) for image in page],
            next_page_token=encode_token(page[-1].name) if len(read) > size else "",
        )

    async def DeleteImage(
        self, request: image_pb2.DeleteImageRequest, _context: Any
    ) -> empty_pb2.Empty:
        """Forgets an image."""
        if not await self._images.delete(request.name):
            raise _not_found(request.name)
        return empty_pb2.Empty()


def _file(file: image_pb2.ImageFile) -> ImageFile:
    return ImageFile(file.path, file.sha256)


def _not_found(name: str) -> ApiError:
    return ApiError(Reason.NOT_FOUND, f"There is no image {name}.")


def _pack(image: Image) -> image_pb2.Image:
    return image_pb2.Image(
        name=image.name,
        kind=image_pb2.ImageKind.Value(f"{_PREFIX}{image.kind}"),
        kernel=image_pb2.ImageFile(path=image.kernel.path, sha256=image.kernel.sha256),
        initrd=image_pb2.ImageFile(path=image.initrd.path, sha256=image.initrd.sha256),
        command_line=image.command_line,
        update_time=timestamps.pack(image.update_time),
    )
