"""The comparison for long lists: the same rows by SQLAlchemy's ORM, through a response model of FastAPI.

The way both libraries' tutorials show it; no token is asked for. `BENCHMARK_DATABASE_URL` says which database.
"""

import os

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from mailsettings.store.engine import async_engine

PATH = "/cxrestapi/auth/SMTPSettings"
ENCRYPTION_TYPES = {"none": "None", "implicit-tls": "Ssl", "starttls": "Tls"}


class Base(DeclarativeBase):
    """What the ORM wants."""


class StoredSettings(Base):
    """A row, as far as it is shown."""

    __tablename__ = "mail_servers"

    id: Mapped[int] = mapped_column(primary_key=True)
    host: Mapped[str]
    port: Mapped[int]
    security: Mapped[str]
    from_address: Mapped[str] = mapped_column("sender_address")
    display_name: Mapped[str | None] = mapped_column("sender_name")
    authentication: Mapped[str]
    username: Mapped[str | None]

    @property
    def encryption_type(self) -> str:
        """The vendor's word."""
        return ENCRYPTION_TYPES[self.security]

    @property
    def use_default_credentials(self) -> bool:
        """Whether the machine logs in as itself."""
        return self.authentication == "ambient"


class ShownSettings(BaseModel):
    """What is shown of it."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, from_attributes=True)

    id: int
    host: str
    port: int
    encryption_type: str
    from_address: str
    use_default_credentials: bool
    username: str | None
    display_name: str | None


app = FastAPI()
engine = async_engine(os.environ["BENCHMARK_DATABASE_URL"])


@app.get(PATH, response_model=list[ShownSettings])
async def list_settings() -> object:
    """All of them."""
    async with AsyncSession(engine) as session:
        return (await session.scalars(select(StoredSettings).order_by(StoredSettings.id))).all()
