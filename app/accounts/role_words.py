"""What roles and permissions are called: a sentence for each, for the page of roles and for the document."""

from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

from app.core.authorisation import Permission, Role

ROLES: dict[Role, LazyString] = {
    Role.OWNER: _("Looks after the organisation, its people, machines and keys, and does everything its operators do."),
    Role.OPERATOR: _("Registers products, makes codes, prints labels and puts goods into trade."),
    Role.RETAILER: _("Checks goods that come in, sells them or takes them back; sees no maker's figures."),
    Role.SUPPLIER: _("Supplies a maker: sees its products and checks codes."),
    Role.CO_OPERATIVE: _("Acts for farmers who supply a maker: sees its products and checks codes."),
    Role.CARRIER: _("Carries goods and checks the codes of a load, also with a device of its own."),
    Role.CUSTOMS_BROKER: _("Prepares entries: checks the codes of a shipment and fetches their proofs."),
    Role.INSPECTOR: _("Checks goods for an authority, and holds, seizes or releases them within its jurisdiction."),
    Role.ANALYST: _("Looks for patterns: reads products, batches and exact reasons, and changes nothing."),
    Role.AUDITOR: _("Reads products, batches, proofs and the record of acts, and changes nothing."),
    Role.CUSTOMS_CLIENT: _("A customs system: checks codes one by one or by the manifest, and fetches proofs."),
    Role.PLATFORM_ADMINISTRATOR: _("Decides for the registry on organisations and numbers, and sees security alarms."),
}

PERMISSIONS: dict[Permission, LazyString] = {
    Permission.ACCOUNT_OWN: _("Look after the own account"),
    Permission.ORGANISATION_READ: _("See the organisation and its numbers"),
    Permission.ORGANISATION_MANAGE: _("Ask for numbers, give them to makers, set limits"),
    Permission.ORGANISATION_APPROVE: _("Decide on organisations, numbers and lost accounts"),
    Permission.MEMBER_MANAGE: _("Invite people, change their roles, let them go"),
    Permission.MACHINE_MANAGE: _("Give machines access"),
    Permission.KEY_MANAGE: _("Register, replace and withdraw signing keys"),
    Permission.KEY_SIGN: _("Hand in signatures made on an own machine"),
    Permission.DEVICE_ENROL: _("Enrol an own device"),
    Permission.DEVICE_MANAGE: _("Manage every device of the organisation"),
    Permission.ACT_READ: _("Read the record of administrative acts"),
    Permission.ALARM_READ: _("Read the registry's security alarms"),
    Permission.PRODUCT_READ: _("See products"),
    Permission.PRODUCT_WRITE: _("Register and change products"),
    Permission.BATCH_READ: _("See batches"),
    Permission.BATCH_COMMISSION: _("Make codes"),
    Permission.BATCH_RELEASE: _("Release large batches as the second person"),
    Permission.LABEL_PRINT: _("Print labels"),
    Permission.UNIT_ACTIVATE: _("Put goods into trade"),
    Permission.UNIT_SELL: _("Sell, dispense and take back goods"),
    Permission.UNIT_RECALL: _("Recall, lock and report as stolen: own goods"),
    Permission.UNIT_DETAIN: _("Hold, seize and release goods"),
    Permission.VERIFY_PROFESSIONAL: _("Check codes with exact reasons"),
    Permission.VERIFY_BATCH: _("Check many codes at once"),
    Permission.PROOF_READ: _("Fetch proofs"),
    Permission.JOB_READ: _("See long-running work"),
}
