"""What the gateway has on offer: its deployments, and the models that are known to be served, with their prices."""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

from msgspec import Struct

from headgate.admin.prices import PriceView
from headgate.providers.base import Deployment, OnClientGone
from headgate.routing.aliases import Alias


class CoolingView(Struct, frozen=True, kw_only=True):
    """A model that an alias does not ask there for now, as it failed; `seconds` until it is tried again."""

    model: str
    seconds: int


class ProviderView(Struct, frozen=True, kw_only=True):
    """A deployment: a provider at an address. Its credential is told by whether there is one."""

    name: str
    provider: str
    title: str
    base_url: str
    dialects: list[str]
    sockets: list[str]
    websocket: bool
    client_keys: bool
    has_credential: bool
    on_client_gone: OnClientGone
    self_hosted: bool
    cooling: list[CoolingView]


class TargetView(Struct, frozen=True, kw_only=True):
    """A target of an alias: a deployment, and the model's name there. The targets of tier 1 are asked first."""

    provider: str
    model: str
    weight: int
    tier: int
    cooling_seconds: int | None
    """Until it is tried again; null where it does not cool down."""


class ModelView(Struct, frozen=True, kw_only=True):
    """A model under the name that a client asks for it by, and who serves it then; prices are null where unpriced.

    An alias is headgate's own, and has targets in the place of prices; a model has null there.
    """

    model: str
    provider: str
    prices: PriceView | None
    targets: list[TargetView] | None = None


PriceOf = Callable[[str, str], PriceView | None]
"""What a provider, by its own name, asks now for a model; None where that is not known."""


Cooling = Callable[[], Mapping[tuple[str, str], int]]
"""The deployments and models that cool down, with the nanoseconds until they are tried again."""

_NOTHING: Mapping[tuple[str, str], int] = MappingProxyType({})
_NS = 1_000_000_000
_OURS = "headgate"
"""The provider of an alias, as /v1/models has its owner."""


class Offer:
    """The deployments and models of a gateway, as an operator looks them up."""

    def __init__(
        self,
        deployments: Iterable[Deployment],
        models: Iterable[tuple[str, str]],
        price_of: PriceOf,
        cooling: Cooling = dict,
        aliases: Iterable[Alias] = (),
    ) -> None:
        """`models` are names that clients ask for, each with the name of the deployment that it leads to."""
        self._cooling = cooling
        self._aliases = {alias.name: alias for alias in aliases}
        self._deployments: Mapping[str, Deployment] = {deployment.name: deployment for deployment in deployments}
        self._models = [(_words_of(alias), alias.name, _OURS) for _, alias in sorted(self._aliases.items())]
        self._models += [(f"{model} {name}".lower(), model, name) for model, name in sorted(models)]
        self._price_of = price_of

    def providers(self) -> list[ProviderView]:
        """All deployments, in the operator's order."""
        cooling = self._cooling()
        return [provider_view(deployment, cooling) for deployment in self._deployments.values()]

    def found(self, search: str) -> list[tuple[str, str]]:
        """The models that have all of these words in their own or their deployments' names: aliases first, by name."""
        words = search.lower().split()
        return [(model, name) for text, model, name in self._models if all(word in text for word in words)]

    def model_view(self, model: str, name: str) -> ModelView:
        """A model for the wire, with what it costs now at that deployment's provider; an alias with its targets."""
        if (alias := self._aliases.get(model)) is not None:
            return ModelView(model=model, provider=name, prices=None, targets=_targets(alias, self._cooling()))
        provider = self._deployments[name].provider.name
        price = self._price_of(provider, model) or self._price_of(provider, model.removeprefix(f"{name}/"))
        return ModelView(model=model, provider=name, prices=price)


def provider_view(deployment: Deployment, cooling: Mapping[tuple[str, str], int] = _NOTHING) -> ProviderView:
    """A deployment for the wire; without a password that someone put into its address."""
    url = urlsplit(deployment.base_url)
    return ProviderView(
        name=deployment.name,
        provider=deployment.provider.name,
        title=deployment.provider.title,
        base_url=f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}",
        dialects=list(deployment.provider.dialects),
        sockets=[dialect for dialect in deployment.provider.dialects if deployment.speaks_socket(dialect)],
        websocket=deployment.websocket,
        client_keys=deployment.client_keys,
        has_credential=deployment.credential is not None or bool(deployment.secrets) or deployment.profile is not None,
        on_client_gone=deployment.on_client_gone,
        self_hosted=deployment.provider.self_hosted,
        cooling=[
            CoolingView(model=model, seconds=-(-wait // _NS))
            for (name, model), wait in sorted(cooling.items())
            if name == deployment.name
        ],
    )


def _targets(alias: Alias, cooling: Mapping[tuple[str, str], int]) -> list[TargetView]:
    return [
        TargetView(
            provider=target.deployment.name,
            model=target.model,
            weight=target.weight,
            tier=number,
            cooling_seconds=-(-cooling[target.key] // _NS) if target.key in cooling else None,
        )
        for number, tier in enumerate(alias.tiers, start=1)
        for target in tier.targets
    ]


def _words_of(alias: Alias) -> str:
    """What an alias is found by."""
    return " ".join((alias.name, _OURS, *(target.deployment.name for target in alias.targets))).lower()
