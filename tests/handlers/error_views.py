"""Error views of a project, which query."""

from django.http import HttpResponse

from tests.library.models import Account


def error_400(request, exception):
    return HttpResponse(f"{Account.objects.count()} of 400", status=400)


def error_403(request, exception):
    return HttpResponse(f"{Account.objects.count()} of 403", status=403)


def error_404(request, exception):
    return HttpResponse(f"{Account.objects.count()} of 404", status=404)


def error_500(request):
    return HttpResponse(f"{Account.objects.count()} of 500", status=500)
