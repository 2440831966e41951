"""What Django would do in a thread, on another connection, while a transaction is open here."""

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db.models.signals import ModelSignal
from django.db.transaction import TransactionManagementError
from django.dispatch import Signal

from tests.library.models import Account
from tests.plain.models import Label, Shelf
from turbo_orm import async_atomic, async_connection, bridge

pytestmark = pytest.mark.usefixtures("scratch")

# Models with a manager of Django's, where PATCH_DJANGO is not set.
HOPS = {
    "create": lambda: Label.objects.acreate(name="half"),
    "count": lambda: Label.objects.acount(),
    "get": lambda: Label.objects.aget(name="half"),
    "save": lambda: Label(name="half").asave(),
    "delete": lambda: Label(pk=1).adelete(),
    "refresh": lambda: Label(pk=1).arefresh_from_db(),
    "update": lambda: Label.objects.filter(name="half").aupdate(name="whole"),
    "iterate": lambda: anext(aiter(Label.objects.all()), None),
    "a related manager": lambda: Shelf(pk=1).remarks.acreate(text="half"),
}


@pytest.mark.parametrize("case", HOPS)
def test_it_is_refused_in_a_transaction(run, case):
    ContentType.objects.get_for_model(Shelf)

    async def steps():
        async with async_atomic():
            await Account.objects.acreate(owner="Ada")
            with pytest.raises(TransactionManagementError) as caught:
                await HOPS[case]()
            # The transaction goes on.
            await Account.objects.acreate(owner="Grace")
        return str(caught.value)

    message = run(steps)
    assert "PATCH_DJANGO" in message
    assert "AsyncManager" in message
    assert __file__ in message
    assert Account.objects.count() == 2
    assert not Label.objects.filter(name="half").exists()


def test_it_is_refused_in_a_block_with_a_session(run):
    async def steps():
        async with async_connection():
            with pytest.raises(TransactionManagementError, match=r"async_connection\(\) block"):
                await Label.objects.acount()

    run(steps)


def test_another_database_is_none_of_its_business(run):
    """The guard of the tests raises where a thread is used."""

    async def steps():
        async with async_atomic():
            with pytest.raises(AssertionError, match="sync_to_async"):
                await Label.objects.using("other").acount()
        with pytest.raises(AssertionError, match="sync_to_async"):
            await Label.objects.acount()

    run(steps)


@pytest.mark.parametrize("kind", [Signal, ModelSignal])
@pytest.mark.parametrize("method", ["asend", "asend_robust"])
def test_receivers_of_a_signal_are_in_the_transaction(run, kind, method):
    """Django awaits async ones in tasks of their own, and calls sync ones in a thread."""
    seen = []

    async def receive_async(sender, **kwargs):
        await Account.objects.acreate(owner="by an async receiver")
        seen.append(await Account.objects.acount())

    async def receive_another(sender, **kwargs):
        seen.append(await Account.objects.acount())

    def receive_sync(sender, **kwargs):
        assert bridge.active()
        Account.objects.create(owner="by a sync receiver")
        seen.append(Account.objects.count())

    signal = kind()
    for receiver in (receive_async, receive_another, receive_sync):
        signal.connect(receiver, sender=Account)

    @async_atomic
    async def steps():
        await Account.objects.acreate(owner="Ada")
        for _, answer in await getattr(signal, method)(sender=Account):
            assert answer is None
        raise LookupError

    with pytest.raises(LookupError):
        run(steps)
    assert sorted(seen) in ([2, 3, 3], [3, 3, 3], [2, 2, 3])
    assert Account.objects.count() == 0


def test_async_receivers_run_side_by_side_where_no_transaction_is_open(run):
    seen = []

    async def receive(sender, **kwargs):
        seen.append(await Account.objects.acount())

    async def receive_too(sender, **kwargs):
        seen.append(await Account.objects.acount())

    signal = Signal()
    signal.connect(receive)
    signal.connect(receive_too)
    run(lambda: signal.asend(sender=None))
    assert seen == [0, 0]
