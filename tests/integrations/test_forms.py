"""Model forms and formsets over models of an async manager, in sync code and on the bridge."""

import pytest
from django import forms
from django.core.exceptions import SynchronousOnlyOperation
from django.forms import inlineformset_factory, modelform_factory, modelformset_factory

from tests.library.models import Account, Author, Book, Entry, Player, Team
from tests.support.answers import django_answer, sync_answer, turbo_answer
from tests.support.givens import accounts_with_entries, teams
from tests.support.scenario import contents
from tests.support.tables import empty
from turbo_orm import async_atomic, bridge


class PlayerForm(forms.ModelForm):
    class Meta:
        model = Player
        fields = ["name", "rank", "team", "skills"]


class BookForm(forms.Form):
    """Choices of several kinds: of a queryset, of a manager's own, prefetched, and by a field."""

    author = forms.ModelChoiceField(Author.objects.filter(born=None))
    books = forms.ModelMultipleChoiceField(Book.objects.prefetch_related("tags").order_by("pk"))
    title = forms.ModelChoiceField(
        Book.objects.order_by("-pk")[:5], to_field_name="title", widget=forms.RadioSelect
    )


TeamForm = modelform_factory(Team, fields=["name", "city"])
AccountForm = modelform_factory(Account, fields=["owner"])
TeamFormSet = modelformset_factory(Team, form=TeamForm, extra=1, can_delete=True)
EntryFormSet = inlineformset_factory(Account, Entry, fields=["amount"], extra=1)


def management(prefix, total, initial):
    return {f"{prefix}-TOTAL_FORMS": total, f"{prefix}-INITIAL_FORMS": initial}


def team_row(index, name, city, **values):
    values |= {"name": name, "city": city}
    return {f"form-{index}-{key}": value for key, value in values.items()}


def saved(form):
    """Return what a form says: what it has saved, or what is wrong."""
    if not form.is_valid():
        return form.errors
    return form.save()


def player():
    return Player.objects.get(name="player 1")


PLAYER = {"name": "new", "rank": 3, "team": 2, "skills": [1, 3]}
FORMS = {
    "create": lambda: PlayerForm(PLAYER),
    "what is missing": lambda: PlayerForm({"name": "new", "rank": 1}),
    "change": lambda: PlayerForm(PLAYER, instance=player()),
    "change to what it is": lambda: TeamForm(
        {"name": "red", "city": "Oslo"}, instance=Team.objects.get(pk=1)
    ),
    "a name that is not unique": lambda: TeamForm({"name": "red", "city": "Oslo"}),
    "choices that are not there": lambda: PlayerForm({**PLAYER, "team": 99, "skills": [1, 99]}),
    "a formset": lambda: TeamFormSet(
        {
            **management("form", total=3, initial=2),
            **team_row(0, "red", "Oslo", id=1),
            **team_row(1, "blue", "Rome", id=2, DELETE="on"),
            **team_row(2, "green", "Bonn"),
        },
        queryset=Team.objects.order_by("pk"),
    ),
    "a formset with twice the same": lambda: TeamFormSet(
        {
            **management("form", total=2, initial=0),
            **team_row(0, "green", "Rome"),
            **team_row(1, "green", "Oslo"),
        },
        queryset=Team.objects.none(),
    ),
}


@pytest.mark.parametrize("case", FORMS)
def test_a_form_saves_in_sync_code_what_django_saves(case, tables):
    def written(answer):
        empty("default")
        teams()
        return answer(lambda: saved(FORMS[case]())), contents()

    assert written(sync_answer) == written(django_answer)


@pytest.mark.parametrize("case", FORMS)
def test_a_form_saves_on_the_bridge_what_django_saves(case, play):
    async def scenario(player):
        return await player.run(lambda: saved(FORMS[case]()))

    play(scenario, given=teams)


def test_an_inline_formset_saves_what_django_saves(play):
    def save():
        account = Account.objects.get(owner="Ada")
        first, *others = account.entries.order_by("pk")
        data = management("entries", total=4, initial=3)
        data |= {"entries-0-id": first.pk, "entries-0-amount": 100, "entries-3-amount": 7}
        for index, entry in enumerate(others, start=1):
            data |= {f"entries-{index}-id": entry.pk, f"entries-{index}-DELETE": "on"}
        return saved(EntryFormSet(data, instance=account))

    async def scenario(player):
        return await player.run(save)

    answer = play(scenario, given=accounts_with_entries)
    amounts = [amount for _, account, amount in answer["tables"]["library_entry"] if account == 1]
    assert sorted(amounts) == [7, 100]


@pytest.mark.parametrize("form", [PlayerForm, BookForm, TeamFormSet])
def test_a_form_shows_the_choices_that_django_shows(form, library, run):
    expected = django_answer(lambda: form().as_p())
    assert sync_answer(lambda: form().as_p()) == expected
    assert run(lambda: turbo_answer(lambda: bridge.run(lambda: form().as_p()))) == expected


def test_choices_are_cleaned_as_django_cleans_them(library, run):
    def cleaned():
        form = BookForm({"author": 1, "books": [3, 2], "title": "Book 29"})
        return form.is_valid(), form.errors, form.cleaned_data

    expected = django_answer(cleaned)
    assert expected["statements"]
    assert sync_answer(cleaned) == expected
    assert run(lambda: turbo_answer(lambda: bridge.run(cleaned))) == expected


def test_in_the_event_loop_a_form_that_asks_nothing_is_saved_by_its_instance(scratch, run):
    form_class = modelform_factory(Account, fields=["balance"])

    async def save():
        account = await Account.objects.acreate(owner="Ada")
        form = form_class({"balance": 5}, instance=account)
        assert form.is_valid()
        await form.save(commit=False).asave()
        return await Account.objects.values_list("owner", "balance").alist()

    assert run(save) == [("Ada", 5)]


ASKING = {
    "whether a value is unique": lambda: AccountForm({"owner": "Ada"}).is_valid(),
    "what is chosen": lambda: PlayerForm(PLAYER).is_valid(),
    "what can be chosen": lambda: PlayerForm().as_p(),
}


@pytest.mark.parametrize("case", ASKING)
def test_in_the_event_loop_a_form_cannot_ask(case, scratch, run):
    async def ask():
        ASKING[case]()

    with pytest.raises(SynchronousOnlyOperation):
        run(ask)


def test_an_outer_transaction_undoes_what_a_form_saves(scratch, run):
    async def save():
        async with async_atomic():
            team = await bridge.run(saved, TeamForm({"name": "new", "city": "Oslo"}))
            raise LookupError(await Team.objects.filter(pk=team.pk).aexists())

    with pytest.raises(LookupError, match="True"):
        run(save)
    assert not Team.objects.exists()
