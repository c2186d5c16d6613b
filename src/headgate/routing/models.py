"""Which deployment serves a model name.

In this order: the X-Provider header; the operator's aliases, whose targets `candidates.py` puts in order; a prefix that
names a deployment (`groq/llama-3.3-70b-versatile`); the name patterns of the configured providers; the catalogue; the
fallback. Only deployments that speak the client's dialect are looked at. Where none is known to serve a name, the error
tells the names that come nearest.
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from functools import cached_property

from msgspec import Struct

from headgate.errors import BadRequest, ConfigError, Forbidden, NotFound, UnknownModel
from headgate.providers.base import Deployment
from headgate.routing.aliases import Alias
from headgate.routing.catalogue import Catalogue

_SHOWN = 100
"""Characters of a client's name that are compared and repeated in an error."""


class Route(Struct, frozen=True):
    """Where a request goes, and the model name to send there."""

    deployment: Deployment
    model: str | None
    """None where the request names none."""
    model_prefix_removed: bool = False


class _Names:
    """Where model names lead among some deployments. The earlier deployment wins where several serve a name."""

    def __init__(self, deployments: Sequence[Deployment], catalogue: Catalogue) -> None:
        self.deployments = deployments
        self._by_name = {deployment.name.lower(): deployment for deployment in deployments}
        self._with_patterns = [deployment for deployment in deployments if deployment.provider.model_patterns]
        self._declared = _by_model((m, d) for d in deployments for m in catalogue.by_deployment.get(d.name, ()))
        self._known = [(model, deployment) for deployment in deployments for model in catalogue.models_of(deployment)]
        self._catalogued = _by_model(self._known)

    def find(self, model: str) -> Route | None:
        """The route by prefix, patterns and catalogue.

        Hosts have models that look prefixed (`openai/gpt-oss-120b` and `groq/compound`, both Groq's). So a prefix
        counts at once if its deployment is known to serve the rest, and else only if none is known to serve the whole.
        """
        prefix, _, rest = model.partition("/")
        named = self._by_name.get(prefix.lower()) if rest else None
        if named is not None and named in self._serving(rest):
            return Route(named, rest, model_prefix_removed=True)
        serving = self._serving(model)
        if serving:
            return Route(serving[0], model)
        return Route(named, rest, model_prefix_removed=True) if named is not None else None

    def at(self, deployment: Deployment, model: str) -> Route:
        """The route to a deployment that is settled already: its own name, but no other, is taken off the model's."""
        prefix, _, rest = model.partition("/")
        if not rest or prefix.lower() != deployment.name.lower():
            return Route(deployment, model)
        if deployment in self._serving(model) and deployment not in self._serving(rest):
            return Route(deployment, model)
        return Route(deployment, rest, model_prefix_removed=True)

    @cached_property
    def listed(self) -> list[tuple[str, str]]:
        """The known models as a client can ask for them, with the name of the deployment that each leads to."""
        found: list[tuple[str, str]] = []
        for model, deployment in self._known:
            plain = self.find(model) == Route(deployment, model)
            found.append((model if plain else f"{deployment.name}/{model}", deployment.name))
        return found

    def nearest(self, model: str, others: Iterable[str] = ()) -> list[str]:
        """At most three listed models, or other names, that are like this one, the likest first."""
        names = {name.lower(): name for name in (*(name for name, _ in self.listed), *others)}
        return [names[name] for name in get_close_matches(model.lower(), names, n=3)]

    def serves(self, deployment: Deployment, model: str) -> bool:
        """Whether a deployment is known to serve a model of that name."""
        return deployment in self._serving(model)

    def _serving(self, model: str) -> list[Deployment]:
        """Those known to serve the model: by the operator's word, then by their own patterns, then by the catalogue."""
        name = model.lower()
        owners = [deployment for deployment in self._with_patterns if deployment.provider.recognises(name)]
        return [*self._declared.get(name, ()), *owners, *self._catalogued.get(name, ())]


class Models:
    """The choice of a deployment for every request."""

    def __init__(
        self,
        deployments: Sequence[Deployment],
        catalogue: Catalogue,
        fallback: str | None = None,
        aliases: Sequence[Alias] = (),
    ) -> None:
        """Raises ConfigError if two deployments share a name, or none has the fallback's."""
        self._aliases = {alias.name.lower(): alias for alias in aliases}
        self._by_name = {deployment.name.lower(): deployment for deployment in deployments}
        if len(self._by_name) < len(deployments):
            raise ConfigError("providers: expected names that differ in more than case")
        self._all = _Names(deployments, catalogue)
        self._fallback = self._the_fallback(fallback)
        dialects = {dialect for deployment in deployments for dialect in deployment.provider.dialects}
        self._names = {dialect: _Names(_speaking(deployments, dialect), catalogue) for dialect in dialects}
        self._catalogue = catalogue
        self._narrowed: dict[tuple[str | None, tuple[str, ...]], _Names] = {}

    def choose(
        self,
        dialect: str | None,
        model: str | None,
        x_provider: str | None = None,
        hint: str | None = None,
        among: tuple[str, ...] = (),
    ) -> Route:
        """The route of a request.

        Args:
            dialect: The dialect's name; None where the request is passed on without being understood.
            model: As the client wrote it; None where the request names none, such as a GET of a stored response.
            x_provider: The name of the deployment that the client insists on.
            hint: The name of the deployment that served what the request refers to.
            among: The names of the deployments that may be chosen; all where there are none. Who insists on another
                gets it: whether they may is for the caller to say.

        Raises:
            NotFound: No deployment has the name given, or none speaks the dialect.
            BadRequest: The deployment that was named, or the one that has the model, does not speak the dialect.
            Forbidden: None of `among` speaks the dialect, or the model belongs to another deployment.
            UnknownModel: No deployment is known to serve the model; the message names the nearest that are served.
        """
        alias = None if model is None else self.alias(model)
        if x_provider is not None:
            deployment = self._named(x_provider, dialect)
            if model is None:
                return Route(deployment, None)
            return self._all.at(deployment, model) if alias is None else self._target_at(alias, deployment, model)
        names = self._names_of(dialect, among)
        if among and names is not None and not names.deployments:
            raise Forbidden(f"None of the providers that this key may use speaks {dialect}: {', '.join(among)}.")
        if names is None or not names.deployments:
            raise NotFound(f"No provider is configured that speaks {dialect}. Configured: {self._configured()}.")
        if model is None:
            return Route(self._named(hint, dialect) if hint is not None else _home(names, dialect), None)
        route = names.find(model) or self._fall_back(names, model)
        if route is None:
            raise self._refusal(names, dialect, model)
        return route

    def alias(self, model: str) -> Alias | None:
        """The operator's alias of that name."""
        return self._aliases.get(model.lower())

    def _target_at(self, alias: Alias, deployment: Deployment, model: str) -> Route:
        """An alias's target at a deployment that is settled already, or that deployment's own model of that name."""
        under = next((target.model for target in alias.targets if target.deployment == deployment), None)
        if under is None and not self._all.serves(deployment, model):
            raise BadRequest(f"The model '{alias.name}' has no target at {deployment.name}.", param="model")
        return self._all.at(deployment, model) if under is None else Route(deployment, under)

    def _names_of(self, dialect: str | None, among: tuple[str, ...]) -> _Names | None:
        names = self._all if dialect is None else self._names.get(dialect)
        if names is None or not among:
            return names
        if (dialect, among) not in self._narrowed:
            allowed = [deployment for deployment in names.deployments if deployment.name in among]
            self._narrowed[dialect, among] = _Names(allowed, self._catalogue)
        return self._narrowed[dialect, among]

    def list_models(self) -> list[tuple[str, str]]:
        """Every known model with the name of the deployment it leads to, under a name that a client can ask for.

        A plain name stands for the deployment that `choose` prefers; the others' carry their prefix. No name twice.
        Aliases are not among them.
        """
        return [(name, owner) for name, owner in self._all.listed if name.lower() not in self._aliases]

    def list_aliases(self) -> list[Alias]:
        """The operator's aliases, in the operator's order."""
        return list(self._aliases.values())

    def _the_fallback(self, name: str | None) -> Deployment | None:
        """The operator's fallback; without one, the only deployment if there is no knowing what it serves.

        With more than one, a mistyped name would send a prompt to a company that the client did not mean.
        """
        if name is not None:
            if name.lower() not in self._by_name:
                raise ConfigError(f"fallback: expected a configured provider ({self._configured()}), not '{name}'")
            return self._by_name[name.lower()]
        alone = len(self._by_name) == 1 and self._all.deployments[0].provider.self_hosted
        return self._all.deployments[0] if alone else None

    def _fall_back(self, names: _Names, model: str) -> Route | None:
        """The fallback, unless it does not speak the dialect or the client named another deployment as a prefix.

        Without one, a deployment that alone speaks the dialect and serves what nobody can know: a language that only
        Ollama speaks is meant for it.
        """
        only = names.deployments[0] if len(names.deployments) == 1 else None
        fallback = self._fallback or (only if only is not None and only.provider.self_hosted else None)
        prefix, slash, _ = model.partition("/")
        if fallback is None or fallback not in names.deployments or (slash and prefix.lower() in self._by_name):
            return None
        return Route(fallback, model)

    def _named(self, name: str, dialect: str | None) -> Deployment:
        """The deployment of that name, if it speaks the dialect."""
        deployment = self._by_name.get(name.strip().lower())
        if deployment is None:
            raise NotFound(f"No provider is configured as '{name[:_SHOWN]}'. Configured: {self._configured()}.")
        if dialect is not None and not deployment.speaks(dialect):
            raise BadRequest(self._not_spoken(deployment, dialect))
        return deployment

    def _refusal(self, names: _Names, dialect: str | None, model: str) -> BadRequest | Forbidden | UnknownModel:
        """Why none of these deployments gets the model."""
        elsewhere = self._all.find(model)
        shown = model[:_SHOWN]
        if elsewhere is not None and dialect is not None:
            deployment = elsewhere.deployment
            if deployment.speaks(dialect):
                allowed = ", ".join(other.name for other in names.deployments)
                return Forbidden(
                    f"The model '{shown}' belongs to {deployment.name}, which this key may not use; it may use "
                    f"{allowed}.",
                    param="model",
                )
            reason = self._not_spoken(deployment, dialect)
            return BadRequest(f"The model '{shown}' belongs to {deployment.name}. {reason}", param="model")
        nearest = names.nearest(shown, [alias.name for alias in self._aliases.values()])
        choices = ", ".join(deployment.name for deployment in names.deployments)
        return UnknownModel(
            f"No configured provider is known to serve the model '{shown}'."
            + (f" Nearest known: {', '.join(nearest)}." if nearest else "")
            + f" To choose a provider yourself, write PROVIDER/{shown} or send X-Provider: PROVIDER, with one of "
            f"{choices}.",
            param="model",
        )

    def _not_spoken(self, deployment: Deployment, dialect: str) -> str:
        speaking = ", ".join(other.name for other in _speaking(self._all.deployments, dialect))
        return (
            f"{deployment.name} does not speak {dialect}; it speaks {', '.join(deployment.provider.dialects)}. "
            f"Configured providers that speak {dialect}: {speaking or 'none'}."
        )

    def _configured(self) -> str:
        return ", ".join(deployment.name for deployment in self._all.deployments) or "none"


def _by_model(pairs: Iterable[tuple[str, Deployment]]) -> dict[str, list[Deployment]]:
    found: dict[str, list[Deployment]] = {}
    for model, deployment in pairs:
        found.setdefault(model.lower(), []).append(deployment)
    return found


def _speaking(deployments: Sequence[Deployment], dialect: str) -> list[Deployment]:
    return [deployment for deployment in deployments if deployment.speaks(dialect)]


def _home(names: _Names, dialect: str | None) -> Deployment:
    """The company that the dialect is named after, or else the first deployment."""
    company = dialect.partition(".")[0] if dialect is not None else None
    return next((d for d in names.deployments if d.provider.name == company), names.deployments[0])
