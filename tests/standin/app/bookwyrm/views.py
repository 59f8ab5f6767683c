# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages and the two ways to change covers."""

import hmac
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from django.views.static import serve

from bookwyrm import thumbnails
from bookwyrm.models import Book, SiteSettings, User

IMAGE_SUFFIXES = {".bmp", ".ico", ".jpg", ".jpeg", ".png", ".svg", ".tif", ".tiff", ".webp"}


def pictures(books: Any) -> list[dict[str, Any]]:
    """What the template shows of books."""
    return [
        {"book": book, "thumbnails": [default_storage.url(name) for name in thumbnails.names(book.cover.name)]}
        for book in books
    ]


def home(request: HttpRequest) -> HttpResponse:
    """All covers, page by page (?page=), n at a time (?n=, a number or ALL)."""
    site = SiteSettings.get()
    if site.install_mode:
        return redirect("setup")
    books = Book.objects.exclude(cover="").order_by("-id")
    count = request.GET.get("n", str(settings.PAGE_LENGTH))
    paginator = Paginator(books, int(count) if count.isdigit() else max(1, books.count()))
    page = paginator.get_page(request.GET.get("page"))
    context = {
        "site": site,
        "page": page,
        "pictures": pictures(page),
        # called by the template only when the fragment is not in the cache
        "featured": lambda: pictures(books.order_by("id")[:5]),
        "media_full_url": settings.MEDIA_FULL_URL,
        "version": settings.VERSION,
        "has_csp": settings.RELEASE >= (0, 5, 5),
    }
    return render(request, "home.html", context)


@csrf_exempt
def setup(request: HttpRequest) -> HttpResponse:
    """The first start: POST code and name make the administrator."""
    site = SiteSettings.get()
    if request.method != "POST":
        return render(request, "setup.html", {"site": site})
    if not site.install_mode or not hmac.compare_digest(request.POST.get("code", ""), str(site.admin_code)):
        return HttpResponseForbidden("wrong code, or already set up")
    User.objects.create_superuser(request.POST.get("name", "admin"))
    site.install_mode = False
    site.save()
    return redirect("home")


@csrf_exempt
@require_POST
def upload(request: HttpRequest) -> JsonResponse:
    """Store a cover sent as the form field "cover" or as the raw body with ?name=."""
    file = request.FILES.get("cover") or ContentFile(request.body)
    name = request.GET.get("name") or file.name or "cover.jpg"
    book = Book(title=request.GET.get("title", name))
    book.cover.save(name, file)
    thumbnails.enqueue(book.cover.name)
    data = {"id": book.id, "name": book.cover.name, "url": book.cover.url}
    return JsonResponse({**data, "thumbnails": thumbnails.names(book.cover.name)})


@csrf_exempt
@require_POST
def delete(request: HttpRequest) -> JsonResponse:
    """Remove a cover (?name= as upload answered it), its thumbnails and its book."""
    book = get_object_or_404(Book, cover=request.GET.get("name", ""))
    removed = [book.cover.name, *thumbnails.names(book.cover.name)]
    for name in removed:
        default_storage.delete(name)
    book.delete()
    return JsonResponse({"removed": removed})


def local_static(request: HttpRequest, path: str) -> HttpResponseBase:
    """/static/ from disk, as nginx serves it whatever USE_S3 says."""
    return serve(request, path, document_root=settings.STATIC_ROOT)


def local_image(request: HttpRequest, path: str) -> HttpResponseBase:
    """/images/ from disk, as nginx serves it: images only."""
    if Path(path).suffix not in IMAGE_SUFFIXES:
        return HttpResponseForbidden()
    return serve(request, path, document_root=settings.MEDIA_ROOT)
