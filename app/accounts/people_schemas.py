"""Shapes of the API about people: members, invitations, acts."""

from marshmallow import fields, validate

from app.accounts.schemas import text, word
from app.accounts.service import Act
from app.core.api import StrictSchema
from app.core.authorisation import Role
from app.core.i18n import LANGUAGES


class MemberSchema(StrictSchema):
    """A person of the organisation."""

    email = fields.String()
    name = fields.String()
    role = word(Role)


class MemberListSchema(StrictSchema):
    """People of the organisation."""

    items = fields.List(fields.Nested(MemberSchema))


class RoleChangeSchema(StrictSchema):
    """A member, and the role that it shall have."""

    email = text(254, required=True)
    role = word(Role, required=True)


class RemovalSchema(StrictSchema):
    """A member who shall be one no longer."""

    email = text(254, required=True)


class NewInvitationSchema(StrictSchema):
    """Whom to invite, as what, and in which language the letter is."""

    email = text(254, required=True)
    role = word(Role, required=True)
    locale = word(LANGUAGES, load_default="en")


class InvitationSchema(StrictSchema):
    """An open invitation; its link stands in the letter only."""

    reference = fields.String()
    email = fields.String()
    role = word(Role)
    invited_by = fields.String()
    created_at = fields.String(metadata={"format": "date-time"})
    expires_at = fields.String(metadata={"format": "date-time"})


class InvitationListSchema(StrictSchema):
    """Open invitations, newest first."""

    items = fields.List(fields.Nested(InvitationSchema))


class ActQuery(StrictSchema):
    """Which page of the record."""

    before = fields.Integer(
        strict=False,
        validate=validate.Range(0, 2**53),
        metadata={"description": "ledger position from which to go back, not included"},
    )
    limit = fields.Integer(load_default=50, validate=validate.Range(1, 200))


class ActSchema(StrictSchema):
    """An administrative act; people are named by number."""

    log_index = fields.Integer(metadata={"description": "ledger position of the act"})
    act = word(Act)
    by = fields.String(metadata={"description": "person:<number>, or the name of a machine such as api-key:3"})
    details = fields.Dict(keys=fields.String())
    at = fields.String(metadata={"format": "date-time"})


class ActListSchema(StrictSchema):
    """Acts, newest first; `next_before` goes into `before` for the next page and is null on the last."""

    items = fields.List(fields.Nested(ActSchema))
    next_before = fields.Integer(allow_none=True)
