"""pgrpc.core.identity by itself."""

from pgrpc.core.identity import identity


def test_the_subject_is_the_claim_sub_where_it_is_text() -> None:
    assert identity.Identity(claims={"sub": "ann"}).subject == "ann"
    assert identity.Identity(claims={"sub": 7}).subject is None
    assert identity.NOBODY.subject is None


def test_what_a_token_said_is_not_shown() -> None:
    assert "ann" not in repr(identity.Identity("web", {"sub": "ann"}, {"request.jwt.claims": '{"sub":"ann"}'}))


def test_more_settings_are_beside_the_others() -> None:
    ann = identity.Identity("web", {"sub": "ann"}, {"a": "1"}, 5.0)
    more = ann.with_settings({"b": "2"})
    assert (more.role, more.claims, dict(more.settings), more.expires) == ("web", ann.claims, {"a": "1", "b": "2"}, 5.0)
    assert dict(ann.settings) == {"a": "1"}
