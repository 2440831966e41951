"""Django REST Framework's views, which are sync, over models of an async manager."""

from django.test import Client, override_settings
from rest_framework.pagination import PageNumberPagination
from rest_framework.renderers import JSONRenderer
from rest_framework.routers import SimpleRouter
from rest_framework.serializers import ModelSerializer
from rest_framework.viewsets import ModelViewSet

from tests.library.models import Team


class TwoOnAPage(PageNumberPagination):
    page_size = 2


class TeamSerializer(ModelSerializer):
    class Meta:
        model = Team
        fields = ["id", "name", "city"]


class TeamViewSet(ModelViewSet):
    queryset = Team.objects.order_by("pk")
    serializer_class = TeamSerializer
    authentication_classes = []
    pagination_class = TwoOnAPage
    renderer_classes = [JSONRenderer]


router = SimpleRouter()
router.register("teams", TeamViewSet)
urlpatterns = router.urls


@override_settings(
    ALLOWED_HOSTS=["testserver"],
    REST_FRAMEWORK={"UNAUTHENTICATED_USER": None},
    ROOT_URLCONF=__name__,
)
def test_the_views_of_a_model_work(scratch):
    client = Client()
    for name in ["a", "b", "c"]:
        assert client.post("/teams/", {"name": name}).status_code == 201
    assert client.post("/teams/", {"name": "a"}).json() == {
        "name": ["team with this name already exists."]
    }
    page = client.get("/teams/", {"page": 2}).json()
    assert (page["count"], page["results"]) == (3, [{"id": 3, "name": "c", "city": ""}])
    changed = client.patch("/teams/2/", {"city": "B"}, content_type="application/json")
    assert changed.json() == client.get("/teams/2/").json() == {"id": 2, "name": "b", "city": "B"}
    assert client.delete("/teams/1/").status_code == 204
    assert client.get("/teams/1/").status_code == 404
    assert list(Team.objects.order_by("pk").values_list("name", flat=True)) == ["b", "c"]
