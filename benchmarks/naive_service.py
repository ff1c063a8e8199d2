"""The comparison: the service that a user would write with the tutorials of FastAPI, PyJWT and SQLAlchemy's ORM.

It checks the signature of a token, reads or writes one row, commits, and answers by a response model. It has no
accounts, permissions, encryption, history or audit log. `BENCHMARK_DATABASE_URL` names its database, and
`BENCHMARK_SECRET` has the key of its tokens.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import jwt
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

DEFAULT = "/api/20210901/system/mail/server"
SETTINGS = "/cxrestapi/auth/SMTPSettings"
SECRET = os.environ["BENCHMARK_SECRET"]


class Base(DeclarativeBase):
    """The base class of the ORM."""


class Settings(Base):
    """A row."""

    __tablename__ = "settings"

    id: Mapped[int] = mapped_column(primary_key=True)
    host: Mapped[str]
    port: Mapped[int]
    display_name: Mapped[str]
    email_address: Mapped[str]
    auth_type: Mapped[str]
    connection_security_type: Mapped[str]
    version: Mapped[int] = mapped_column(default=1)


class Shown(BaseModel):
    """The response model."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    host: str
    port: int
    display_name: str
    email_address: str
    auth_type: str
    connection_security_type: str


class Given(BaseModel):
    """The request body."""

    host: str
    port: int


engine = create_async_engine(os.environ["BENCHMARK_DATABASE_URL"])
sessions = async_sessionmaker(engine, expire_on_commit=False)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Create the table with one row."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with sessions() as session, session.begin():
        if await session.get(Settings, 1) is None:
            session.add(
                Settings(
                    host="mail-server.com",
                    port=25,
                    display_name="John Smith",
                    email_address="john.smith@myorg.com",
                    auth_type="NO_AUTH",
                    connection_security_type="NO_CONNECTION_SECURITY",
                )
            )
    yield
    await engine.dispose()


async def new_session() -> AsyncIterator[AsyncSession]:
    """Yield a session for one request."""
    async with sessions() as session:
        yield session


async def caller(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> str:
    """Return the subject of the token."""
    try:
        return str(jwt.decode(credentials.credentials, SECRET, ["HS256"])["sub"])
    except jwt.InvalidTokenError:
        raise HTTPException(401) from None


Session = Annotated[AsyncSession, Depends(new_session)]
app = FastAPI(lifespan=lifespan, dependencies=[Depends(caller)])


@app.get(DEFAULT)
async def get_default(session: Session) -> Shown:
    """Return the first row."""
    found = (await session.scalars(select(Settings).order_by(Settings.id).limit(1))).one()
    return Shown.model_validate(found)


@app.get(SETTINGS + "/{settings_id}")
async def get_one(settings_id: int, session: Session) -> Shown:
    """Return one row."""
    found = await session.get(Settings, settings_id)
    if found is None:
        raise HTTPException(404)
    return Shown.model_validate(found)


@app.get(SETTINGS)
async def get_list(session: Session) -> list[Shown]:
    """Return all rows."""
    return [Shown.model_validate(each) for each in await session.scalars(select(Settings).order_by(Settings.id))]


@app.put(DEFAULT)
async def put_default(given: Given, session: Session) -> Shown:
    """Change the first row, and commit."""
    found = (await session.scalars(select(Settings).order_by(Settings.id).limit(1))).one()
    found.host, found.port = given.host, given.port
    found.version += 1  # without a changed attribute the ORM writes nothing
    await session.commit()
    return Shown.model_validate(found)
