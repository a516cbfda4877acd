"""Conditions as people type them, `pixel_recursive:tau=1.1:checkpoint=faces`, and the checkpoints that they take."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from studies.errors import EvaluationImpossible
from studies.methods import (
    METHODS,
    Method,
    Parameter,
    checkpoint_header,
    checkpoint_names,
    checkpoint_path,
    method_get,
)

DEFAULT_FACTOR = 4
"""Enlargement where no checkpoint says another."""

BEST = "best.safetensors"
"""What a training run leaves in its folder; the folder may be given in its place."""

_SPELLINGS = {"nearest_neighbor": "nearest_neighbour"}


@dataclass(frozen=True)
class EvaluationCondition:
    """A method with what it is given.

    Attributes:
        name: As it was typed; no two conditions of a table have the same.
        method: The method.
        parameters: Name -> value, checked; of a checkpoint its name, or the path of a file.
    """

    name: str
    method: Method
    parameters: Mapping[str, float | str | Path]

    @property
    def label(self) -> str:
        """What people read in a table."""
        parts = [self.method.label]
        if "tau" in self.parameters:
            parts.append(tau_label(float(str(self.parameters["tau"]))))
        return ", ".join([*parts, self.checkpoint] if self.checkpoint else parts)

    @property
    def head(self) -> str:
        """What people read above pictures, where one checkpoint serves all."""
        if "tau" in self.parameters:
            return tau_label(float(str(self.parameters["tau"])))
        return self.method.label.lower()

    @property
    def checkpoint(self) -> str:
        """Name of the checkpoint or of its file, or ""."""
        checkpoint = self.parameters.get("checkpoint", "")
        return checkpoint.name if isinstance(checkpoint, Path) else str(checkpoint)


class ConditionsRead(NamedTuple):
    """What was typed, understood.

    Attributes:
        conditions: In the order in which they were typed.
        notes: Sentences on what was decided on the way.
    """

    conditions: list[EvaluationCondition]
    notes: list[str]


def tau_label(tau: float) -> str:
    """Return tau with the usual temperature beside it.

    Example:
        >>> tau_label(1.1)
        'tau 1.1 (T 0.909)'
    """
    shown = f"{tau:.1f}" if float(f"{tau:.1f}") == tau else f"{tau:g}"
    return f"tau {shown} (T {1 / tau:.3g})"


def conditions_read(
    texts: Sequence[str], *, checkpoints: Sequence[str] = (), folder: Path | None = None
) -> ConditionsRead:
    """Understand conditions as they are typed.

    A condition takes the checkpoint that stands in it; else the only one of `checkpoints` that fits its network, of
    which files go before names; else, if none was given at all, the default one of its method.

    Args:
        texts: Each one or more conditions with commas between them: `method` or `method:parameter=value:...`.
        checkpoints: Names, files, and folders of training runs.
        folder: Folder of the researchers' own checkpoints, by name.

    Raises:
        MethodUnavailable: If there is no such method.
        ParameterInvalid: If a parameter is unknown or out of range.
        EvaluationImpossible: If a condition cannot be read or comes twice, or no checkpoint, or more than one, fits it.
    """
    offers = [_offer_read(text, folder) for text in checkpoints]
    conditions: list[EvaluationCondition] = []
    notes: list[str] = []
    taken: set[str] = set()
    for name in (part.strip() for text in texts for part in text.split(",")):
        if not name:
            continue
        method, given = _parts_read(name)
        if method.needs == "files":
            raise EvaluationImpossible(
                f"{name} cannot be evaluated here, since uploaded pictures belong to photos of a study; leave it out."
            )
        parameter = next((p for p in method.parameters if p.network), None)
        chosen = None
        if parameter is not None:
            own = given.pop(parameter.name, None)
            chosen = _offer_choose(name, parameter, offers if own is None else [_offer_read(own, folder)])
            if chosen is None:
                notes.append(f"{name} takes the checkpoint {parameter.default}, since none is given.")
            else:
                taken.add(chosen.text)
                if own is None and chosen not in offers:
                    told = " and ".join(offer.text for offer in offers)
                    notes.append(
                        f"{name} takes the checkpoint {chosen.text}, since {told} has none of {parameter.network}."
                    )
        conditions.append(_condition_make(name, method, given, chosen, folder))
        for earlier in conditions[:-1]:
            if (earlier.method, earlier.parameters) == (method, conditions[-1].parameters):
                twice = f"{name} is given twice" if earlier.name == name else f"{earlier.name} and {name} mean the same"
                raise EvaluationImpossible(f"{twice}; leave one of them out, or give it another parameter.")
    if not conditions:
        raise EvaluationImpossible(f"There is no condition to evaluate; name some of {', '.join(METHODS)}.")
    notes.extend(
        f"No condition uses the checkpoint {text}." for text in dict.fromkeys(checkpoints) if text not in taken
    )
    return ConditionsRead(conditions, notes)


def factor_of(conditions: Sequence[EvaluationCondition], *, folder: Path | None = None) -> int:
    """Return how many times the checkpoints of the conditions enlarge; 4 if there is none.

    Raises:
        EvaluationImpossible: If they do not agree.
    """
    factors: dict[int, str] = {}
    for condition in conditions:
        for parameter in condition.method.parameters:
            if parameter.network:
                value = condition.parameters[parameter.name]
                path = (
                    value
                    if isinstance(value, Path)
                    else checkpoint_path(str(value), network=parameter.network, folder=folder)
                )
                header = checkpoint_header(path)
                if header is not None:  # what cannot be read is refused, with its reason, when it is loaded
                    factors.setdefault(header.factor, condition.name)
    if len(factors) > 1:
        told = ", ".join(f"{name} enlarges {factor} times" for factor, name in factors.items())
        raise EvaluationImpossible(f"One table needs one enlargement, but {told}; evaluate them apart.")
    return next(iter(factors), DEFAULT_FACTOR)


class _Offer(NamedTuple):
    """A checkpoint as it was given: for each network that it serves, its name or its file."""

    text: str
    serves: Mapping[str, str | Path]
    is_shipped: bool = False


def _offer_read(text: str, folder: Path | None) -> _Offer:
    networks = [
        parameter.network for method in METHODS.values() for parameter in method.parameters if parameter.network
    ]
    known = {network: checkpoint_names(network, folder) for network in networks}
    named = {network: text for network in networks if text in known[network]}
    if named:
        return _Offer(text, named, any(text in checkpoint_names(network, None) for network in networks))
    path = Path(text).expanduser()
    if path.is_dir():
        path /= BEST
    if path.is_file():
        header = checkpoint_header(path)
        if header is None:
            raise EvaluationImpossible(
                f"The file {path} is no checkpoint of this program; give the .safetensors file that training wrote."
            )
        return _Offer(text, {header.network: path})
    names = ", ".join(sorted({name for names in known.values() for name in names}))
    raise EvaluationImpossible(f"There is no checkpoint {text!r}: it is no file, and the names are {names}.")


def _offer_choose(name: str, parameter: Parameter, offers: Sequence[_Offer]) -> _Offer | None:
    """Return the only offer that fits a condition, files before names; None if there are no offers at all.

    Where a shipped name serves other networks alone, the shipped default, trained on the same photos and more, fits.
    """
    if not offers:
        return None
    network = parameter.network
    fitting = [offer for offer in offers if network in offer.serves]
    fitting = [offer for offer in fitting if isinstance(offer.serves[network], Path)] or fitting
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        told = " or ".join(offer.text for offer in fitting)
        example = ",".join(f"{name}:checkpoint={offer.text}" for offer in fitting)
        raise EvaluationImpossible(f"{name} could take the checkpoint {told}; say which, or ask for both: {example}.")
    if any(offer.is_shipped for offer in offers):
        return _Offer(str(parameter.default), {network: str(parameter.default)})
    told = " and ".join(f"{offer.text} is of {' and '.join(offer.serves)}" for offer in offers)
    raise EvaluationImpossible(
        f"{name} needs a checkpoint of {network}, but {told}; give one more --checkpoint: a file, or one of "
        f"{', '.join(parameter.choices)}."
    )


def _condition_make(
    name: str, method: Method, given: Mapping[str, str], chosen: _Offer | None, folder: Path | None
) -> EvaluationCondition:
    parameters: dict[str, float | str | Path] = dict(method.parameters_check(given, checkpoints=folder))
    for parameter in method.parameters:
        if parameter.network and chosen is not None:
            parameters[parameter.name] = chosen.serves[parameter.network]
    return EvaluationCondition(name, method, parameters)


def _parts_read(name: str) -> tuple[Method, dict[str, str]]:
    """Take a typed condition apart: its method, and its parameters as they were typed."""
    slug, *pairs = name.split(":")
    spelled = slug.strip().lower().replace("-", "_")
    method = method_get(_SPELLINGS.get(spelled, spelled))
    given: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not (key and equals and value):
            example = ":".join(f"{p.name}={p.default}" for p in method.parameters[:1]) or "no parameters"
            raise EvaluationImpossible(
                f"{pair!r} in {name!r} is no parameter; write name=value, of {method.slug} {example}."
            )
        if key in given:
            raise EvaluationImpossible(f"{name!r} gives {key} twice; leave one of them out.")
        given[key] = value
    return method, given
