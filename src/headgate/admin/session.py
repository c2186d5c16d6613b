"""The handlers of /session: a browser signs in with an admin key, once, and has a pass from then on."""

from headgate.admin import bodies, cookies, views
from headgate.admin.handlers import Answer, Call, Desk
from headgate.admin.passes import LIFETIME_SECONDS


async def sign_in(desk: Desk, call: Call) -> Answer:
    """Show an admin key, and get a cookie that stands for it for twelve hours."""
    body: bodies.SignIn = call.body
    name = await desk.keys.holder(body.key.encode(), call.visit.client)
    made, text = desk.passes.make(name)
    desk.deeds.note(name, "sign_in", "session", {"from": call.visit.client}, 200)
    cookie = cookies.keep(text, call.visit.root, LIFETIME_SECONDS, secure=call.visit.secure)
    return Answer(views.session_view(made.name, made.expires_at_ns), headers={"set-cookie": cookie})


async def get_session(desk: Desk, call: Call) -> Answer:
    """Who asks, and until when his sign-in is good; without an end for an admin key itself."""
    del desk
    return Answer(views.session_view(call.visit.name, call.visit.expires_at_ns))


async def sign_out(desk: Desk, call: Call) -> Answer:
    """Have the browser forget its cookie."""
    del desk
    return Answer(None, 204, {"set-cookie": cookies.forget(call.visit.root, secure=call.visit.secure)})
