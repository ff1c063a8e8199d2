"""The comparison for long lists: the same rows through SQLAlchemy's ORM and a response model of FastAPI.

It follows the tutorials of both libraries and checks no token. `BENCHMARK_DATABASE_URL` names the database.
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
    """The base class of the ORM."""


class StoredSettings(Base):
    """The shown columns of a row."""

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
        """Return the vendor's value."""
        return ENCRYPTION_TYPES[self.security]

    @property
    def use_default_credentials(self) -> bool:
        """Return whether the machine uses its own login."""
        return self.authentication == "ambient"


class ShownSettings(BaseModel):
    """The response model."""

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
    """Return all settings."""
    async with AsyncSession(engine) as session:
        return (await session.scalars(select(StoredSettings).order_by(StoredSettings.id))).all()
