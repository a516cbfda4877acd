"""Addresses of the rater pages and of public results. A code in the path is the only key: nobody has a cookie."""

from django.urls import path

from studies.views import entry, hand_in, leaving, public, rating, stimuli

app_name = "studies"

urlpatterns = [  # those that raters need most come first: they are tried one after the other
    path("r/<slug:session_code>/answer", rating.answer, name="answer"),
    path("r/<slug:session_code>/t/<slug:trial_code>", stimuli.stimulus, name="stimulus"),
    path("r/<slug:session_code>/", rating.rate, name="rate"),
    path("r/<slug:session_code>/withdraw", leaving.withdraw, name="withdraw"),
    path("r/<slug:session_code>/debrief", leaving.debrief, name="debrief"),
    path("r/<slug:session_code>/hand-in", hand_in.hand_in, name="hand_in"),
    path("s/<slug:study_code>/", entry.entry, name="entry"),
    path("s/<slug:study_code>/arrived", entry.counted, {"what": "arrived"}, name="arrived"),
    path("s/<slug:study_code>/turned-away", entry.counted, {"what": "turned_away"}, name="turned_away"),
    path("p/<slug:link_code>/", public.results, name="public"),
    path("p/<slug:link_code>/table/<slug:format_name>", public.table, name="public_table"),
    path("p/<slug:link_code>/table/<slug:section>.<slug:format_name>", public.section, name="public_section"),
    path("p/<slug:link_code>/figures/<slug:name>.<slug:file_format>", public.figure, name="public_figure"),
    path("p/<slug:link_code>/samples.png", public.samples, name="public_samples"),
    path("p/<slug:link_code>/bundle/", public.bundle, name="public_bundle"),
]
