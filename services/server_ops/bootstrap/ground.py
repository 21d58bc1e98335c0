"""What every part of server_ops stands on."""

from dataclasses import dataclass

from services.runtime.clock import Clock
from services.runtime.database import Database
from services.runtime.sealing import Sealer
from services.server_ops.inventory.server import Servers
from services.server_ops.metrics import ServerOpsMetrics
from services.server_ops.operations.repository import Operations
from services.server_ops.settings import ServerOpsSettings


@dataclass(frozen=True)
class Ground:
    """What every part of server_ops stands on."""

    settings: ServerOpsSettings
    database: Database
    sealer: Sealer
    servers: Servers
    operations: Operations
    clock: Clock
    metrics: ServerOpsMetrics
