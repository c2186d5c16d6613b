"""Who may serve a request: the targets of an alias, or the one deployment that a model's name leads to."""

from headgate.gateway.admit import Admission
from headgate.gateway.record import Trails
from headgate.gateway.request import Opening
from headgate.routing.candidates import Candidates, candidates_for
from headgate.routing.health import Health
from headgate.routing.models import Models, Route


async def plan(
    admission: Admission, opening: Opening, models: Models, trails: Trails, health: Health
) -> Route | Candidates:
    """Choose: one deployment, or the candidates of an alias. Raises NotFound, UnknownModel, BadRequest or Forbidden."""
    place, ask, key = admission.place, admission.ask, admission.holder.key
    free_choice = place.opaque or (place.deployment is not None and not place.metered)
    dialect = place.dialect.name if place.dialect is not None and not free_choice else None
    among = key.providers if key is not None else ()
    alias = models.alias(ask.model) if ask.model is not None and place.deployment is None else None
    if alias is not None and dialect is not None:
        if key is not None and admission.may_cost:
            key.check_model(ask.model)
        before = await trails.find(ask.previous_id) if ask.previous_id is not None else None
        at = before.provider if before is not None else None
        chance = opening.exchange_id
        return candidates_for(alias, dialect, ask, health, chance=chance, among=among, at=at)
    trail = await trails.find(ask.response_id) if ask.response_id is not None else None
    hint = trail.provider if trail else None
    route = models.choose(dialect, ask.model, place.deployment, hint=hint, among=among)
    if key is not None:
        key.check_provider(route.deployment.name)
        if admission.may_cost:
            key.check_model(ask.model, route.model)
    return route
