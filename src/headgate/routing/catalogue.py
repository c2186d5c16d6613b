"""The facts that routing goes by beyond name patterns: which models are served where."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from headgate.providers.base import Deployment


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Names of models, spelled as a provider wants them."""

    by_provider: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What a company is known to serve."""
    by_deployment: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What the operator says that a deployment serves."""

    @classmethod
    def from_json(cls, text: bytes) -> "Catalogue":
        """Read `{"provider": ["model", ...], ...}`. Raises ValueError on anything else."""
        table: Any = json.loads(text)
        if not isinstance(table, dict):
            raise ValueError("expected an object of providers")  # noqa: TRY004 - bad data, not a bad argument
        for provider, models in table.items():
            if not isinstance(models, list) or not all(isinstance(model, str) for model in models):
                raise ValueError(f"expected a list of model names for {provider}")
        return cls({provider: tuple(models) for provider, models in table.items()})

    def with_models(self, by_deployment: Mapping[str, tuple[str, ...]]) -> "Catalogue":
        """The same, with what the operator says of deployments by name."""
        return replace(self, by_deployment=by_deployment)

    def models_of(self, deployment: Deployment) -> tuple[str, ...]:
        """The models a deployment is known to serve, the operator's first, each once."""
        own = self.by_deployment.get(deployment.name, ())
        return tuple(dict.fromkeys((*own, *self.by_provider.get(deployment.provider.name, ()))))
