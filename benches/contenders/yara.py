"""yara-orm, an async ORM with an engine in Rust."""

from yara_orm import YaraOrm

from benches import names
from benches.harness.address import url
from benches.harness.contender import Contender


class Yara(Contender):
    """yara-orm with its defaults, on a pool of as many connections as it needs."""

    name = names.YARA

    async def open(self) -> None:
        await YaraOrm.init(url(max_size=self.connections), use_tz=True)

    async def close(self) -> None:
        await YaraOrm.close()
