"""yara-orm, whose pool is in Rust and whose API is Tortoise's."""

from yara_orm import in_transaction

from benches.contenders import yara
from benches.orm_ops.contenders.tortoise import ActiveRecords
from benches.orm_ops.journals import yara as journals


class Yara(ActiveRecords, yara.Yara):
    models = journals
    in_transaction = staticmethod(in_transaction)
