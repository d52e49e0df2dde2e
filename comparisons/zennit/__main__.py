"""Compares our LRP of VGG16 with zennit's alpha-beta and z-plus rules.

python -m comparisons.zennit --weights VGG16_NOTOP.h5 --photo PHOTO [--words 12]
"""

import sys

from comparisons.external import Library, compare

ZENNIT = Library(
    name="zennit",
    package="zennit",
    methods={"AlphaBeta": "alpha1_beta0", "ZPlus": "z_plus"},
    others=("alpha1_beta0_innvestigate",),
)

if __name__ == "__main__":
    sys.exit(compare(ZENNIT))
