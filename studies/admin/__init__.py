"""The researcher's door: photo sets, studies, their results. One noun a file."""

from django.contrib import admin

from studies.admin import photo, photo_set, rater, researcher, study, training
from studies.admin.sign_in import SignInForm

__all__ = ["photo", "photo_set", "rater", "researcher", "study", "training"]

admin.site.login_form = SignInForm
