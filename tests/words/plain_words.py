"""The words that no message, help text or document uses, and what to write instead.

Each is a regular expression with word boundaries; a space in it also matches a line break. They are
chosen so that a hit is always worth a change. An exception goes to `ALLOWED`, with its reason.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

LONGEST_ERROR = 300
"""Characters of an error message without the values in it; the first sentence must be readable."""

_GAP = r"[\s#]+"  # between two words there may be a line break, and in YAML the # of a comment


class Scope(enum.Enum):
    """Where a word is not used."""

    EVERYWHERE = "everywhere"
    MESSAGES = "messages"
    """In messages, not in documents and docstrings."""


@dataclass(frozen=True)
class Word:
    """A word or phrase, and what to write instead."""

    text: str
    instead: str
    sample: str
    """A sentence with it; the tests prove that it is found."""
    scope: Scope = Scope.EVERYWHERE

    @property
    def pattern(self) -> re.Pattern[str]:
        """The compiled expression; it ignores case."""
        return re.compile(self.text.replace(" ", _GAP), re.IGNORECASE)


WORDS = (
    # Memory.
    Word(r"\bkilled for memory\b", "ran out of memory (OOM-killed)", "It was killed for memory."),
    Word(r"\bfor want of\b", "because there is no …", "It failed for want of memory."),
    Word(r"\blet it use less\b", "use less memory in the step", "Let it use less."),
    Word(r"\bgiv(?:e|es|ing) it more\b", "request more", "Give it more, such as 1Gi."),
    # Output, time, retries.
    Word(r"\bthe last (?:that )?it printed\b", "Last output", "The last it printed:"),
    Word(r"\bpatience\b", "timeout", "The patience of a step is 300 s."),
    Word(r"\bpatient(?:ly)?\b", "wait for …, up to …", "The run waits patiently."),
    Word(r"\bno length of time\b", "is not a valid duration", "1x is no length of time."),
    Word(r"\brepetitions?\b", "retry", "The first repetition of the step grows."),
    Word(r"\b(?:is|are|was|be) repeated\b", "is retried", "The step is repeated with 1Gi."),
    Word(r"\brepeats? (?:it|a step|the step|its step)\b", "retries", "The run repeats the step."),
    # Names of things.
    Word(r"\bpulses?\b", "heartbeat", "The daemon has no pulse."),
    Word(r"\bnudg(?:e|es|ed|ing)\b", "retrigger", "A Job that waits is nudged."),
    Word(
        r"\bthe page\b(?! (?:cache|size|table)\b)|\bweb pages?\b|\bin a page\b",
        "the Dagster UI",
        "You see the run in the page.",
    ),
    Word(
        r"(?<!volume\s)\bclaim(?:s|ed)? (?:the|a|this|its) (?:code location|name)",
        "has the label of the code location",
        "It claims the code location hello.",
    ),
    # Values that are not valid.
    Word(r"\bnonsens\w*", "invalid", "Nonsense is refused."),
    Word(r"\bmak(?:e|es|ing) no sense\b|\bmade no sense\b", "is not valid", "It makes no sense."),
    Word(
        r"(?<!there\s)\bis no "
        r"(?!(?:longer|more|less|better|worse|other|way|need|room|such|reason|special)\b)",
        "is not a valid …",
        "'x' is no Kubernetes quantity.",
    ),
    Word(r"\b(?:it|that|this|which) is none\b", "is not a valid …", "The file that is none."),
    # What to do.
    Word(r"\bmend(?:s|ed|ing)?\b", "fix", "Mend the cause, then install it."),
    Word(r"\bgive the (?:same )?command\b", "run the command", "Then give the same command again."),
    Word(r"\bwould not have it\b", "rejects", "The API server would not have it."),
    # Old or odd turns.
    Word(r"\bin vain\b", "without success; say what failed", "It was polled in vain."),
    Word(r"\bwhatever\b", "any; say what it is", "It ends, whatever the reason."),
    Word(r"\bwho(?:m?ever|so)\b", "anybody who", "Whoever reads it waits."),
    Word(r"\bfor whom\b", "for which; name it", "For whom this is, is not known."),
    Word(r"\bto whom\b", "to which; name it", "The pod to whom it belongs."),
    Word(r"\bof itself\b", "by itself", "It ends of itself."),
    Word(r"\banew\b", "again", "It is listed anew."),
    Word(r"\bafresh\b", "again", "It starts afresh."),
    Word(r"\bfor ever\b", "without end; give the limit", "It waits for ever."),
    Word(r"\bthereby\b", "so", "Nothing is lost thereby."),
    Word(r"\bthere(?:of|upon|with|in)\b", "say it plainly", "A namespace and the pods thereof."),
    Word(r"\bwhere(?:of|upon|with|in)\b", "say it plainly", "The room wherein it stands."),
    Word(r"\b(?:hence|thence|whence)(?:forth)?\b", "so; from there", "It is gone, hence it fails."),
    Word(r"\b(?:lest|albeit|ere|nay)\b", "say it plainly", "It waits, lest it fails."),
    Word(r"\babreast\b", "at the same time", "Two steps run abreast."),
    Word(r"\bso many\b", "the number", "It reads so many bytes."),
    Word(
        r"\bas (?:far|much|long|many) as (?:it|they) may\b",
        "up to its limit",
        "It grows as far as it may.",
    ),
    Word(r"\bseldom\b", "rarely", "It is seldom needed."),
    Word(
        r"\b(?:API|server|database|store|cluster|node|it) (?:that )?(?:is|are|was|were) away\b",
        "does not answer",
        "The database is away for a minute.",
    ),
    Word(r"\bstill at work\b", "still running", "The migration is still at work."),
    Word(
        r"\b(?:asks?|asked|asking) for\b(?! (?:help|review)\b)",
        "requests",
        "The step asks for 1Gi.",
    ),
    Word(
        r"\bcan(?:no|['\u2019])t be asked\b|\bcannot be asked\b",
        "does not answer",
        "The API cannot be asked.",
    ),
    Word(
        r"\b(?:would|could) be had\b|\bcan(?:['\u2019]t|not)? be had\b",
        "is available",
        "No image can be had.",
    ),
    Word(r"\btells? (?:of|how|what|its|their)\b", "reports", "The pod tells what it used."),
    Word(r"\bare told to\b|\bis told to\b", "is requested to", "The pod is told to end."),
    Word(r"\blooks? again\b", "check again", "Look again in a moment."),
    Word(
        r"\b(?:can|won)['\u2019]t\b",
        "cannot, does not, is not",
        "It can't start.",
        Scope.MESSAGES,
    ),
)

NAMES = {
    "patience": "timeout",
    "pulse": "heartbeat",
    "nudge": "retrigger",
    "nudged": "retriggered",
    "nonsense": "invalid",
    "mend": "fix",
    "anew": "again",
}
"""Words that no name of a module, class, function, parameter or variable has in it."""

ALLOWED: dict[tuple[str, str], str] = {}
"""Exceptions: (path, matched text in lower case with single spaces) to the reason."""
