"""What is there before a scenario's steps, and what watches them."""

from contextlib import contextmanager

from tests.library.models import Account, Captain, Entry, Mentoring, Player, Skill, Team


def accounts():
    Account.objects.bulk_create(
        Account(owner=owner, balance=10 * i) for i, owner in enumerate(["Ada", "Bo", "Cy", "Di"])
    )


def accounts_with_entries():
    accounts()
    Entry.objects.bulk_create(
        Entry(account_id=1 + i % 3, amount=amount) for i, amount in enumerate(range(-3, 6))
    )


def teams():
    red, blue = Team.objects.bulk_create([Team(name="red", city="Rome"), Team(name="blue")])
    skills = Skill.objects.bulk_create(Skill(name=name) for name in ["pass", "run", "shoot"])
    for i in range(4):
        player = Player.objects.create(name=f"player {i}", rank=i, team=[red, blue, None][i % 3])
        player.skills.set(skills[:i])
        player.comments.create(text=f"on {i}")
    captain = Captain.objects.create(name="captain", rank=9, team=red, armband="left")
    captain.comments.create(text="on the captain")
    Mentoring.objects.create(from_player=captain, to_player_id=1, hours=3)


@contextmanager
def receivers(*signals):
    """Record what sync receivers of signals are told, and what they find in the database."""
    told = []

    def receive(signal, sender, **kwargs):
        instance = kwargs.get("instance")
        told.append(
            (
                signals.index(signal),
                sender.__name__,
                str(instance.pk),
                {
                    name: sorted(value) if isinstance(value, set) else value
                    for name, value in kwargs.items()
                    if name in {"created", "raw", "update_fields", "action", "reverse", "pk_set"}
                },
                sender.objects.count() if hasattr(sender, "objects") else None,
            )
        )

    for signal in signals:
        signal.connect(receive)
    try:
        yield told
    finally:
        for signal in signals:
            signal.disconnect(receive)


def new_accounts(*owners, **kwargs):
    return [Account(owner=owner, balance=i, **kwargs) for i, owner in enumerate(owners)]
