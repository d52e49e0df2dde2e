"""Products of two signals: one of them is a gate, which takes no relevance."""

from math import inf

from keras import ops

from keras_lrp.steps import Call, UnreadableError


def read_product(reader, call: Call) -> int:
    """Appends the product of two values; which one is the gate is found here."""
    if len(call.sources) != 2:
        raise UnreadableError(f"it multiplies {len(call.sources)} signals, not 2")
    gate, reason = _find_gate(reader, call)
    return reader.append(
        "product",
        call,
        ops.multiply,
        gate=gate,
        interval=reader.sign_of(call.sources),
        reason=reason,
    )


def _find_gate(reader, call: Call) -> tuple[int | None, str]:
    """Returns the place of the gate, or None and the reason.

    It is the factor that is spread over the other one, as in squeeze-and-excitation;
    else the one that an activation with bounds computed; if both have bounds, the one
    that lies in [0, 1].
    """
    if call.sources[0] == call.sources[1]:
        return None, "it squares a signal: neither factor is a gate"
    first, second = (tuple(tensor.shape)[1:] for tensor in call.tensors)
    spread = [_is_spread(first, second), _is_spread(second, first)]
    if sum(spread) == 1:
        return spread.index(True), ""
    intervals = [reader.intervals[source] for source in call.sources]
    bounded = [-inf < low and high < inf for low, high in intervals]
    shares = [low >= 0.0 and high <= 1.0 for low, high in intervals]
    for found in (bounded, shares):
        if sum(found) == 1:
            return found.index(True), ""
    return None, (
        "neither factor of the product is known to be a gate: a gate is spread over "
        "the other factor, or is computed by an activation with bounds, as sigmoid"
    )


def _is_spread(shape: tuple, other: tuple) -> bool:
    """Whether a factor of this shape is repeated to fit the other's."""
    if len(shape) < len(other):
        return True
    if len(shape) > len(other):
        return False
    pairs = list(zip(shape, other, strict=True))
    return any(a == 1 and b != 1 for a, b in pairs)
