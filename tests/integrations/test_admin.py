"""Django's admin lists, adds, changes and deletes objects of models with an async manager."""

CODE = """
    import re
    from django.contrib import admin
    from django.contrib.admin.models import LogEntry
    from django.contrib.auth import get_user_model
    from django.contrib.contenttypes.admin import GenericTabularInline
    from django.test import Client
    from django.test.utils import setup_test_environment
    from django.urls import path, reverse
    from tests.support.answers import django_hydrates
    from tests.library.models import Account, Comment, Entry, Player, Skill, Team


    class EntryInline(admin.TabularInline):
        model = Entry
        extra = 1


    class CommentInline(GenericTabularInline):
        model = Comment
        extra = 0


    @admin.register(Account)
    class AccountAdmin(admin.ModelAdmin):
        inlines = [EntryInline]
        list_display = ["owner", "balance"]
        list_editable = ["balance"]


    @admin.register(Player)
    class PlayerAdmin(admin.ModelAdmin):
        autocomplete_fields = ["team"]
        exclude = ["mentors"]
        filter_horizontal = ["skills"]
        inlines = [CommentInline]
        list_display = ["name", "rank", "team"]
        list_filter = ["team", "skills", "rank"]
        list_per_page = 3
        list_select_related = ["team"]
        ordering = ["pk"]
        search_fields = ["name", "team__name"]


    @admin.register(Team)
    class TeamAdmin(admin.ModelAdmin):
        list_display = ["name", "city"]
        ordering = ["name"]
        search_fields = ["name"]


    admin.site.register(Skill)
    setup_test_environment()
    urlpatterns = [path("admin/", admin.site.urls)]
    user = get_user_model().objects.create_superuser("root")
    client = Client()
    client.force_login(user)


    def page(view, /, *args, **data):
        response = client.get(reverse(f"admin:library_{view}", args=args), data)
        assert response.status_code == 200, response
        return re.sub('name="csrfmiddlewaretoken" value="[^"]*"', "", response.content.decode())


    def post(view, /, *args, **data):
        response = client.post(reverse(f"admin:library_{view}", args=args), data)
        if response.status_code != 302:
            return [error for form in response.context["errors"] for error in form]
        return None


    def management(prefix, total=0, initial=0):
        return {f"{prefix}-TOTAL_FORMS": total, f"{prefix}-INITIAL_FORMS": initial}


    def given():
        teams = [Team.objects.create(name=name, city="Oslo") for name in ["red", "blue"]]
        skills = [Skill.objects.create(name=name) for name in ["run", "pass"]]
        for i in range(8):
            player = Player.objects.create(name=f"player {i}", rank=i % 3, team=teams[i % 2])
            player.skills.set(skills[: i % 3])
        return teams, skills, list(Player.objects.order_by("pk"))
"""


def test_pages_show_what_django_shows(site):
    code = """
    from django.db import transaction

    with transaction.atomic():
        _, skills, players = given()
        pages = {
            "list": lambda: page("player_changelist"),
            "second page": lambda: page("player_changelist", p=2),
            "filter": lambda: page("player_changelist", skills__id__exact=skills[0].pk, rank=1),
            "search": lambda: page("player_changelist", q="red"),
            "order": lambda: page("player_changelist", o="-3.1"),
            "add": lambda: page("player_add"),
            "change": lambda: page("player_change", players[2].pk),
            "delete": lambda: page("player_delete", players[2].pk),
            "history": lambda: page("player_history", players[2].pk),
            "with a form": lambda: page("account_changelist"),
        }
        shown = {name: get() for name, get in pages.items()}
        with django_hydrates():
            differ = [name for name, get in pages.items() if get() != shown[name]]
        transaction.set_rollback(True)
    answer([differ, shown["list"].count(">player "), "player 2" in shown["change"]])
    """
    assert site(CODE + code) == [[], 3, True]


def test_objects_are_added_changed_and_deleted(site):
    code = """
    (red, blue), (run, kick), players = given()
    none = management("library-comment-content_type-object_id")

    def found():
        return [
            [player.name, player.team and player.team.name]
            + [skill.name for skill in player.skills.order_by("name")]
            + [comment.text for comment in player.comments.all()]
            for player in Player.objects.filter(rank=9).select_related("team").order_by("pk")
        ]

    states = []
    data = {"name": "new", "rank": 9, "team": red.pk, "skills": [run.pk, kick.pk]}
    assert post("player_add", **data, **none) is None
    new = Player.objects.get(name="new")
    states.append(found())

    comment = {
        **management("library-comment-content_type-object_id", total=1),
        "library-comment-content_type-object_id-0-text": "said",
    }
    changed = {**data, "name": "changed", "team": blue.pk, "skills": [run.pk]}
    assert post("player_change", new.pk, **changed, **comment) is None
    states.append(found())

    assert post("player_delete", new.pk, post="yes") is None
    states.append(found())

    wrong = post("team_add", name="red", city="Rome")
    chosen = [players[0].pk, players[1].pk]
    action = {"action": "delete_selected", "_selected_action": chosen, "post": "yes"}
    assert post("player_changelist", **action) is None

    entries = {**management("entries", total=1), "entries-0-amount": 5}
    assert post("account_add", owner="Ada", balance=1, **entries) is None
    account = Account.objects.get(owner="Ada")
    row = {**management("form", total=1, initial=1), "form-0-id": account.pk}
    assert post("account_changelist", **row, **{"form-0-balance": 7}, _save="Save") is None
    account.refresh_from_db()

    response = client.get(
        reverse("admin:autocomplete"),
        {"term": "re", "app_label": "library", "model_name": "player", "field_name": "team"},
    )
    answer(
        [
            states,
            wrong,
            Player.objects.count(),
            Comment.objects.count(),
            [account.balance, [entry.amount for entry in account.entries.all()]],
            [result["id"] == str(red.pk) for result in response.json()["results"]],
            list(LogEntry.objects.order_by("pk").values_list("action_flag", flat=True)),
        ]
    )
    """
    states, wrong, *others = site(CODE + code)
    assert states == [
        [["new", "red", "pass", "run"]],
        [["changed", "blue", "run", "said"]],
        [],
    ]
    assert wrong == ["Team with this Name already exists."]
    # Additions, changes and deletions are written into the log, those of an action one by one.
    assert others == [6, 0, [7, [5]], [True], [1, 2, 3, 3, 3, 1, 2]]
