"""Where each data set comes from and what its terms allow: part of every model's card and record."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from engagement.provenance import terms_once


@dataclass(frozen=True, slots=True)
class Terms:
    """A data set in words.

    Attributes:
        title: what it is, with its source.
        licence: what its terms allow, summarised.
        known: what is known to be wrong with it.
    """

    title: str
    licence: str
    known: str


TERMS: Mapping[str, Terms] = {
    "rafdb": Terms(
        "RAF-DB, basic expressions, aligned faces (S. Li, W. Deng, J. Du, CVPR 2017)",
        "non-commercial research only; no redistribution of the pictures",
        "Pictures from the web, labelled by crowds; few of fear (2 %), disgust and anger. Persons are not known, "
        "so the same person may be in train and test.",
    ),
    "fer2013": Terms(
        "FER2013 (I. Goodfellow et al., ICML 2013 workshop)",
        "research only; no licence is stated for the pictures",
        "Noisy labels (people agree with about 65 %); 288 test pictures have an exact copy in the train split; "
        "grey, 48 px.",
    ),
    "fer2013_clean": Terms(
        "FER2013 (I. Goodfellow et al., ICML 2013 workshop) without pictures that have an exact copy across its splits",
        "research only; no licence is stated for the pictures",
        "Noisy labels (people agree with about 65 %); near copies across the splits remain; grey, 48 px.",
    ),
    "ferplus": Terms(
        "FER2013's pictures (I. Goodfellow et al., ICML 2013 workshop) with FERPlus votes (E. Barsoum et al., ICMI 2016)",
        "pictures research only, no licence is stated; labels MIT",
        "Ten votes a picture; few of disgust and fear; grey, 48 px.",
    ),
    "affectnet7": Terms(
        "AffectNet without contempt (A. Mollahosseini, B. Hasani, M. Mahoor, IEEE TAC 2019)",
        "non-commercial research only; no redistribution of the pictures",
        "Pictures from the web, most labelled by one person; figures are for its validation pictures.",
    ),
    "affectnet8": Terms(
        "AffectNet with contempt (A. Mollahosseini, B. Hasani, M. Mahoor, IEEE TAC 2019)",
        "non-commercial research only; no redistribution of the pictures",
        "Pictures from the web, most labelled by one person; figures are for its validation pictures.",
    ),
    "daisee": Terms(
        "DAiSEE (A. Gupta et al., arXiv:1609.01885), one face crop per ten-second clip",
        "research only; cite the paper",
        "Crowd labels for ten seconds of video, of which the model sees one frame; low engagement is rare; "
        "recorded students of one region.",
    ),
    "wacv2016": Terms(
        "WACV-2016 student engagement (A. Kamath, A. Biswas, V. Balasubramanian)",
        "no terms are stated; treated as research only",
        "22 persons; neighbouring frames are near copies.",
    ),
}

_OWN = Terms(
    "faces of your own", "your own pictures; the base model's terms apply as well", "Not known to us."
)


def terms_of(name: str) -> Terms:
    """Terms of a data set by name; sets without an entry are the user's own."""
    return TERMS.get(name, _OWN)


def names_in(joined: str) -> list[str]:
    """Names of sets that were joined by ``+``, which a name may end with as well (``CK+``)."""
    return re.split(r"\+(?!\+|$)", joined)


def licence_text(name: str, base: str = "") -> str:
    """Licence of a model that was trained on a data set, and of the base it started from: each set's terms once."""
    own = [f"{part}: {terms_of(part).licence}" for part in names_in(name)]
    return "; ".join(dict.fromkeys([*terms_once(base), *own]))
