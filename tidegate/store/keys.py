"""Projects and their API keys."""

from __future__ import annotations

from sqlalchemy import select, update

from tidegate.store.models import ApiKey, Project
from tidegate.store.repository import Repository


class Projects(Repository):
    async def create(self, name: str) -> Project:
        project = Project(id=self.new_id(), name=name, created_at=self.now_ms())
        async with self.transaction() as session:
            session.add(project)
        return project

    async def first(self) -> Project | None:
        """The oldest one: what the first start made."""
        return await self.one_or_none(select(Project).order_by(Project.created_at, Project.id).limit(1))

    async def find(self, project_id: str) -> Project | None:
        return await self.one_or_none(select(Project).where(Project.id == project_id))


class Keys(Repository):
    """`find` looks in all projects: the apikey of a token is what says whose it is. Everything else is of one project."""

    async def find(self, api_key: str) -> ApiKey | None:
        return await self.one_or_none(select(ApiKey).where(ApiKey.api_key == api_key))

    async def create(
        self, project_id: str, *, api_key: str | None = None, secret: str | None = None, allowed_origins: tuple[str, ...] = ()
    ) -> ApiKey:
        """A new key; its name and secret are made here unless given. Fails on a name that exists."""
        key = ApiKey(
            id=self.new_id(),
            project_id=project_id,
            api_key=api_key or self.random_bytes(16).hex(),
            secret=secret or self.random_bytes(32).hex(),
            disabled=False,
            allowed_origins=list(allowed_origins),
            created_at=self.now_ms(),
        )
        async with self.transaction() as session:
            session.add(key)
        return key

    async def list(self, project_id: str) -> list[ApiKey]:
        """Newest first."""
        query = select(ApiKey).where(ApiKey.project_id == project_id)
        return await self.all(query.order_by(ApiKey.created_at.desc(), ApiKey.id.desc()))

    async def set_disabled(self, project_id: str, api_key: str, disabled: bool) -> ApiKey | None:
        return await self._change(project_id, api_key, disabled=disabled)

    async def rotate(self, project_id: str, api_key: str, secret: str | None = None) -> ApiKey | None:
        """A new secret: tokens signed with the old one are refused from now on."""
        return await self._change(project_id, api_key, secret=secret or self.random_bytes(32).hex())

    async def set_allowed_origins(self, project_id: str, api_key: str, origins: tuple[str, ...]) -> ApiKey | None:
        return await self._change(project_id, api_key, allowed_origins=list(origins))

    async def _change(self, project_id: str, api_key: str, **values: object) -> ApiKey | None:
        where = (ApiKey.project_id == project_id, ApiKey.api_key == api_key)
        async with self.transaction() as session:
            await session.execute(update(ApiKey).where(*where).values(**values))
        return await self.one_or_none(select(ApiKey).where(*where))
