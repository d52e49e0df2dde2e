"""Compares our LRP of VGG16 with iNNvestigate's preset A.

python -m comparisons.innvestigate --weights VGG16_NOTOP.h5 --photo PHOTO [--words 12]
"""

import sys

from comparisons.external import Library, compare

INNVESTIGATE = Library(
    name="iNNvestigate",
    package="innvestigate",
    methods={"LRPSequentialPresetA": "alpha1_beta0_innvestigate"},
    others=("alpha1_beta0",),
)

if __name__ == "__main__":
    sys.exit(compare(INNVESTIGATE))
