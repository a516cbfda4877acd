"""Addresses of the rater pages. A code in the path is the only key: raters have no cookie."""

from django.urls import path

from studies.views import entry, hand_in, leaving, rating, stimuli

app_name = "studies"

urlpatterns = [
    path("s/<slug:study_code>/", entry.entry, name="entry"),
    path("s/<slug:study_code>/arrived", entry.counted, {"what": "arrived"}, name="arrived"),
    path("s/<slug:study_code>/turned-away", entry.counted, {"what": "turned_away"}, name="turned_away"),
    path("r/<slug:session_code>/", rating.rate, name="rate"),
    path("r/<slug:session_code>/t/<slug:trial_code>", stimuli.stimulus, name="stimulus"),
    path("r/<slug:session_code>/answer", rating.answer, name="answer"),
    path("r/<slug:session_code>/withdraw", leaving.withdraw, name="withdraw"),
    path("r/<slug:session_code>/debrief", leaving.debrief, name="debrief"),
    path("r/<slug:session_code>/hand-in", hand_in.hand_in, name="hand_in"),
]
