"""The installed pycocoevalcap and, beside its metrics, BERTScore.

The folders of both are searched: this one does not hide the installed package.
"""

import pkgutil

__path__ = pkgutil.extend_path(__path__, __name__)
