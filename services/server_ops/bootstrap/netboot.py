"""What machines boot: images, rescue, installation."""

from collections.abc import Mapping

import grpc.aio
from f2h.server_ops.v1 import (
    image_pb2_grpc,
    install_pb2_grpc,
    netboot_pb2_grpc,
    rescue_pb2_grpc,
    template_pb2_grpc,
)

from services.server_ops.adapters.crypt import hash_password
from services.server_ops.bootstrap.ground import Ground
from services.server_ops.install.workflow import InstallServer
from services.server_ops.netboot.answer import AnswerMachines
from services.server_ops.netboot.assign import AssignImage
from services.server_ops.netboot.image import ImageFiles
from services.server_ops.netboot.steps import BootPatience, BootSteps
from services.server_ops.operations.cancel import CancelOperation
from services.server_ops.operations.operation import Kind
from services.server_ops.operations.request import RequestOperation
from services.server_ops.operations.workflow import Act
from services.server_ops.power.chassis import Chassis
from services.server_ops.rescue.workflow import EnterRescue, ExitRescue
from services.server_ops.rpc.images import ImageServicer
from services.server_ops.rpc.installs import InstallServicer
from services.server_ops.rpc.netboots import NetbootServicer
from services.server_ops.rpc.rescues import RescueServicer
from services.server_ops.rpc.templates import TemplateServicer
from services.server_ops.store.images import SqlImages
from services.server_ops.store.netboots import SqlNetboots
from services.server_ops.store.rescues import SqlRescues
from services.server_ops.store.templates import SqlTemplates


class Netboot:
    """What says to machines what they boot, and what operations do with that."""

    def __init__(self, ground: Ground, chassis: Chassis, takeover_seconds: float) -> None:
        settings, clock = ground.settings, ground.clock
        self._ground = ground
        self._netboots = SqlNetboots(ground.database, ground.sealer)
        self._images = SqlImages(ground.database)
        self._templates = SqlTemplates(ground.database)
        self._rescues = SqlRescues(ground.database)
        self._files = ImageFiles(settings.images)
        patience = BootPatience(
            ready_seconds=settings.rescue_seconds,
            install_seconds=settings.install_seconds,
            heartbeat_seconds=settings.heartbeat_seconds,
            takeover_seconds=min(settings.rescue_seconds, takeover_seconds),
            poll_seconds=settings.restart_poll_seconds,
        )
        boots = BootSteps(self._netboots, self._images, self._files, clock=clock, patience=patience)
        install = InstallServer(
            self._templates,
            ground.servers,
            self._netboots,
            chassis=chassis,
            boots=boots,
            patience=patience,
            clock=clock,
        )
        self.acts: Mapping[Kind, Act] = {
            Kind.RESCUE_ENTER: EnterRescue(chassis, boots, hash_password),
            Kind.RESCUE_EXIT: ExitRescue(chassis, boots, self._rescues, clock),
            Kind.INSTALL: install,
        }
        self.assign = AssignImage(ground.servers, self._netboots, self._images)

    def add_services(
        self, to: grpc.aio.Server, request: RequestOperation, cancel: CancelOperation
    ) -> None:
        """Adds what answers calls, and machines."""
        settings, clock = self._ground.settings, self._ground.clock
        servers = self._ground.servers
        answer = AnswerMachines(
            self._netboots, self._images, clock, settings.provisioning_url, self._rescues.restarted
        )
        netboot_pb2_grpc.add_NetbootServiceServicer_to_server(
            NetbootServicer(answer, settings.heartbeat_seconds), to
        )
        images = ImageServicer(self._images, self._files, clock)
        image_pb2_grpc.add_ImageServiceServicer_to_server(images, to)
        templates = TemplateServicer(self._templates, self._images, self._files, clock)
        template_pb2_grpc.add_TemplateServiceServicer_to_server(templates, to)
        install = InstallServicer(
            request,
            cancel,
            templates=self._templates,
            servers=servers,
            operations=self._ground.operations,
            netboots=self._netboots,
            clock=clock,
        )
        install_pb2_grpc.add_InstallServiceServicer_to_server(install, to)
        rescue = RescueServicer(
            request,
            servers=servers,
            rescues=self._rescues,
            netboots=self._netboots,
            images=self._images,
            default_image=settings.rescue_image,
        )
        rescue_pb2_grpc.add_RescueServiceServicer_to_server(rescue, to)
