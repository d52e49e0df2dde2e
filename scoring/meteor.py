"""METEOR's Java process, which scores all captions of a Python process.

It reads 60 MB of paraphrases before its first score, which takes longer than the
scores of thousands of captions.
"""

import atexit
import contextlib
from collections.abc import Mapping, Sequence

from pycocoevalcap.meteor.meteor import Meteor


class MeteorProcess:
    """A Java process that starts with the first captions and stays for the next.

    One that failed, or whose answers were not all read, is ended: the next captions
    start another.
    """

    def __init__(self):
        self._meteor: Meteor | None = None

    def score(
        self,
        references: Mapping[int | str, Sequence[str]],
        candidates: Mapping[int | str, Sequence[str]],
    ) -> float:
        """Returns METEOR of one caption of each image.

        Args:
            references: Of every image, split into words.
            candidates: A list of one caption of every image.

        Returns:
            The score, in [0, 1].

        Raises:
            ChildProcessError: Java failed; the message is its own.
        """
        try:
            return self._running().compute_score(references, candidates)[0]
        except (OSError, ValueError) as error:
            reason = self.end()
            raise ChildProcessError(reason or str(error)) from error
        except BaseException:
            self.end()
            raise

    def end(self) -> str:
        """Ends the process, if there is one; returns what it wrote of its errors."""
        if self._meteor is None:
            return ""
        meteor, self._meteor = self._meteor, None
        meteor.meteor_p.kill()
        written = meteor.meteor_p.stderr.read().decode(errors="replace").strip()
        if meteor.lock.locked():  # else the end of the object would wait for it forever
            meteor.lock.release()
        with contextlib.suppress(OSError):
            meteor.meteor_p.stdin.close()
        meteor.meteor_p.stdout.close()
        meteor.meteor_p.stderr.close()
        return written

    def _running(self) -> Meteor:
        if self._meteor is not None and self._meteor.meteor_p.poll() is not None:
            self.end()  # something else ended it
        if self._meteor is None:
            self._meteor = Meteor()
        return self._meteor


METEOR = MeteorProcess()
atexit.register(METEOR.end)
