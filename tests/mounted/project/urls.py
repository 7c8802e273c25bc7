from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import path


def shop(request: HttpRequest) -> HttpResponse:
    return HttpResponse("the shop's own page")


urlpatterns = [path("manage/", admin.site.urls), path("", shop), path("slash/", shop)]
