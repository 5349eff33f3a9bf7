# SPDX-License-Identifier: Apache-2.0
"""What alembic runs. The connection is handed over by glancesync.db.engine; there is no alembic.ini."""
from __future__ import annotations

from alembic import context

from glancesync.db.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata,
                  render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
