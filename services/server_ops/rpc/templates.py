"""f2h.server_ops.v1.TemplateService."""

from typing import Any

from f2h.access.v1.reason_pb2 import Reason
from f2h.server_ops.v1 import image_pb2, template_pb2, template_pb2_grpc
from google.protobuf import empty_pb2

from services.runtime import timestamps
from services.runtime.clock import Clock
from services.runtime.errors import ApiError, Violation, invalid
from services.server_ops.install.template import Document, Layout, Template, Templates
from services.server_ops.netboot.image import (
    ImageDamaged,
    ImageFile,
    ImageFiles,
    ImageKind,
    Images,
)
from services.server_ops.netboot.render import EXAMPLE, TextInvalid, render


class TemplateServicer(template_pb2_grpc.TemplateServiceServicer):
    """Lets the NOC say what can be installed."""

    def __init__(
        self, templates: Templates, images: Images, files: ImageFiles, clock: Clock
    ) -> None:
        self._templates = templates
        self._images = images
        self._files = files
        self._clock = clock

    async def PutTemplate(
        self, request: template_pb2.PutTemplateRequest, _context: Any
    ) -> template_pb2.Template:
        """Makes a template known, after its texts and files were tried."""
        template = Template(
            name=request.name,
            os=request.os,
            version=request.version,
            image=request.image,
            command_line=request.command_line,
            documents=tuple(Document(each.name, each.content) for each in request.documents),
            disk_image=ImageFile(request.disk_image.path, request.disk_image.sha256)
            if request.HasField("disk_image")
            else None,
            layouts=tuple(
                Layout(each.name, each.description, each.content) for each in request.layouts
            ),
            update_time=self._clock(),
        )
        image = await self._images.find(template.image)
        if image is None or image.kind is not ImageKind.INSTALLER:
            raise invalid("image", "must be the name of an image of the kind IMAGE_KIND_INSTALLER")
        _refuse_mistakes(template)
        if template.disk_image:
            try:
                await self._files.verify(template.disk_image)
            except ImageDamaged as damaged:
                metadata = {"image": template.name}
                raise ApiError(Reason.IMAGE_DAMAGED, str(damaged), metadata=metadata) from None
        await self._templates.put(template)
        return _pack(template)

    async def GetTemplate(
        self, request: template_pb2.GetTemplateRequest, _context: Any
    ) -> template_pb2.Template:
        """The template."""
        template = await self._templates.find(request.name)
        if template is None:
            raise _not_found(request.name)
        return _pack(template)

    async def DeleteTemplate(
        self, request: template_pb2.DeleteTemplateRequest, _context: Any
    ) -> empty_pb2.Empty:
        """Forgets a template."""
        if not await self._templates.delete(request.name):
            raise _not_found(request.name)
        return empty_pb2.Empty()


def _refuse_mistakes(template: Template) -> None:
    """Renders every text with every layout. Raises ApiError(INVALID_REQUEST)."""
    for what, names in (
        ("documents", [document.name for document in template.documents]),
        ("layouts", [layout.name for layout in template.layouts]),
    ):
        if len(names) != len(set(names)):
            raise invalid(what, "must have different names")
    texts = {"command_line": template.command_line}
    for index, document in enumerate(template.documents):
        texts[f"documents[{index}].content"] = document.content
    violations = []
    for field, text in texts.items():
        for layout in template.layouts or (Layout("", "", ""),):
            try:
                render(text, {**EXAMPLE, "layout": layout.content})
            except TextInvalid as mistake:
                violations.append(Violation(field, f"cannot be rendered: {mistake}"))
                break
    if violations:
        text = "; ".join(f"{each.field} {each.description}" for each in violations)
        raise ApiError(Reason.INVALID_REQUEST, text, violations=violations)


def _not_found(name: str) -> ApiError:
    return ApiError(Reason.NOT_FOUND, f"There is no template {name}.")


def _pack(template: Template) -> template_pb2.Template:
    disk_image = template.disk_image
    return template_pb2.Template(
        name=template.name,
        os=template.os,
        version=template.version,
        image=template.image,
        command_line=template.command_line,
        documents=[
            template_pb2.Template.Document(name=each.name, content=each.content)
            for each in template.documents
        ],
        disk_image=image_pb2.ImageFile(path=disk_image.path, sha256=disk_image.sha256)
        if disk_image
        else None,
        layouts=[
            template_pb2.Template.Layout(
                name=each.name, description=each.description, content=each.content
            )
            for each in template.layouts
        ],
        update_time=timestamps.pack(template.update_time),
    )
