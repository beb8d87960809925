"""An experiment as `chaos run` would have it: loaded, validated, its configuration and secrets resolved."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chaoslib import convert_vars, merge_vars, substitute
from chaoslib.configuration import load_configuration, load_dynamic_configuration
from chaoslib.exceptions import ChaosException
from chaoslib.experiment import ensure_experiment_is_valid
from chaoslib.loader import load_experiment
from chaoslib.secret import load_secrets
from chaoslib.settings import load_settings

from chaosdrills.errors import UsageError
from chaosdrills.preview.variables import require_json


@dataclass(frozen=True)
class Resolved:
    """An experiment, what its names stand for, and the strategy of its rollbacks."""

    experiment: dict[str, Any]
    configuration: dict[str, Any] = field(repr=False)
    secrets: dict[str, Any] = field(repr=False)
    rollbacks: str

    def arguments(self, provider: Mapping[str, Any], hidden: bool = False) -> Any:
        """A provider's arguments with names replaced; those of secrets stay names if they are to be `hidden`."""
        arguments = copy.deepcopy(provider.get("arguments", {}))
        return substitute(arguments, self.configuration, None if hidden else self.secrets) or arguments

    def secrets_of(self, provider: Mapping[str, Any]) -> dict[str, Any]:
        """The secrets that an activity is given: those of the groups that it names, as one."""
        groups = [self.secrets.get(name) for name in provider.get("secrets", [])]
        return {name: value for group in groups if isinstance(group, Mapping) for name, value in group.items()}


def load(source: str, variables: Sequence[str] = ()) -> Resolved:
    """Load the experiment `source`, a file or an address; `variables` are those of ``--var``, ``name[:type]=value``.

    Raises `UsageError` if it cannot be read, is not valid, or names something that is not there.
    """
    try:
        config_vars, secret_vars = merge_vars(convert_vars(list(variables)))
        experiment = load_experiment(source)
        if not isinstance(experiment, dict):
            raise ValueError("it is no object")
        require_json(experiment.get("configuration", {}))
        ensure_experiment_is_valid(experiment)
        configuration = load_configuration(experiment.get("configuration", {}), config_vars)
        secrets = load_secrets(experiment.get("secrets", {}), configuration, secret_vars)
        configuration = load_dynamic_configuration(configuration, secrets)
    except (ChaosException, OSError, ValueError) as error:
        raise UsageError(
            f"the experiment {source} cannot be used: {error}.", f"run 'chaos validate {source}'."
        ) from error
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"the experiment {source} is not of an experiment's shape: {type(error).__name__}: {error}.",
            "compare it with one of 'chaos drills experiments list'.",
        ) from error
    return Resolved(experiment, configuration, secrets, _strategy(experiment))


def _strategy(experiment: Mapping[str, Any]) -> str:
    """When rollbacks are done: as the experiment says, else as the user's settings do."""
    runtime = experiment.get("runtime") or (load_settings() or {}).get("runtime") or {}
    return str((runtime.get("rollbacks") or {}).get("strategy", "default"))
