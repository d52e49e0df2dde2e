"""English words that name nothing in a picture: the closed word classes."""

_ARTICLES_AND_PRONOUNS = """
a an the this that these those
i me my mine myself we us our ours ourselves you your yours yourself yourselves
he him his himself she her hers herself it its itself
they them their theirs themselves who whom whose which what
someone somebody something anyone anybody anything everyone everybody everything
nobody nothing none one ones another other others each every either neither
both all any some such same own few many much more most several
"""
_PREPOSITIONS = """
about above across after against along alongside amid among amongst around as at away
before behind below beneath beside besides between beyond by
down during except for from in inside into like near nearby next of off on onto
out outside over past per since through throughout to toward towards
under underneath until up upon via with within without
"""
_CONJUNCTIONS_AND_ADVERBS = """
and but or nor so yet if because although though while whilst whereas than then
when where why how whether once again also too very just only even still
not no never here there now together apart back almost
"""
_AUXILIARIES = """
am is are was were be been being have has had having do does did doing done
can could may might must shall should will would
isn't aren't wasn't weren't hasn't haven't hadn't doesn't don't didn't
can't couldn't won't wouldn't shouldn't it's he's she's there's that's they're
appears appear seems seem
"""

FUNCTION_WORDS = frozenset(
    (
        _ARTICLES_AND_PRONOUNS
        + _PREPOSITIONS
        + _CONJUNCTIONS_AND_ADVERBS
        + _AUXILIARIES
    ).split()
)
